"""One parameter that is no selection: how it is read, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar

from sluice.aliases import Document
from sluice.errors import QueryError, excerpt

from .names import Names
from .tokens import join_repeated, split_tokens

T_co = TypeVar("T_co", covariant=True)

# What a request gives of an option: the texts of a URL or the items of a JSON array, in the grammar
# of URLs, or JSON's true and false.
Given: TypeAlias = Sequence[str] | bool

_BRACKETED: Final = re.compile(r"option\[(.+)\]")
_MARKS: Final = ('"', "/", "::")


@dataclass(frozen=True, slots=True)
class Option(Generic[T_co]):
    """One parameter: its name, what it is for, the JSON schema of its one value in a URL, and how
    its texts are read of a dataset of these names.

    Where it is a list, `least` is how many at least: a POST may have an array of them, each an
    `item`. `others` is what the same is called elsewhere. What is read of an option that has no
    part of its own in `Options` is hashable and JSON, since it is in entity tags and explanations.
    One that `yields` is not meant where a dimension has its name: see `bracketed`.
    """

    name: str
    words: str
    schema: Document
    read: Callable[[Sequence[str], Names], T_co]
    least: int = 0
    others: tuple[str, ...] = ()
    item: Document = field(default_factory=lambda: {"type": "string", "minLength": 1})
    yields: bool = False

    @property
    def bracketed(self) -> str:
        """How an option that yields is written of any dataset."""
        return f"option[{self.name}]"

    @property
    def is_list(self) -> bool:
        """Whether it takes several names or numbers."""
        return self.least > 0

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false."""
        return self.schema.get("type") == "boolean"


def once(name: str, texts: Sequence[str]) -> str:
    """The one value of a parameter; `QueryError` if it is repeated."""
    if len(texts) > 1:
        raise QueryError(f"{name} is given {len(texts)} times", parameter=name)
    return texts[0]


def truth(name: str) -> Callable[[Sequence[str], Names], bool]:
    """What reads whether ``true`` was asked for; `QueryError` for other than that or ``false``."""

    def read(texts: Sequence[str], names: Names) -> bool:
        text = once(name, texts)
        if text not in ("true", "false"):
            raise QueryError(f"{name}={excerpt(text)}: write true or false", parameter=name)
        return text == "true"

    return read


def word(name: str, known: Sequence[str]) -> Callable[[Sequence[str], Names], str]:
    """What reads one of a few words; `QueryError`, which names them, for another one."""

    def read(texts: Sequence[str], names: Names) -> str:
        text = once(name, texts)
        if text not in known:
            detail = f"{name}={excerpt(text)}: write {' or '.join(known)}"
            raise QueryError(detail, parameter=name, known=list(known))
        return text

    return read


def listed(parameter: str, texts: Sequence[str]) -> list[str]:
    """The names of all texts in their order; `QueryError` for an empty one, and for intervals."""
    found: list[str] = []
    for text in join_repeated(texts, _MARKS):
        tokens = split_tokens(parameter, text)
        if tokens.separator == "/":
            raise QueryError(f"{parameter}: names are separated by commas", parameter=parameter)
        found += tokens.texts
    return found


def by_name(options: Iterable[Option[object]]) -> Mapping[str, Option[object]]:
    """A table of options, for whoever has a name."""
    return MappingProxyType({option.name: option for option in options})


def table_for(
    dims: Collection[str], options: Mapping[str, Option[object]]
) -> dict[str, Option[object]]:
    """The options of a dataset of these dimensions, by the names that they are asked for."""
    bare = {name: one for name, one in options.items() if not (one.yields and name in dims)}
    return bare | {one.bracketed: one for one in options.values() if one.yields}


def unbracketed(parameter: str) -> str:
    """The name of the option that is asked for in brackets; any other parameter as it is."""
    found = _BRACKETED.fullmatch(parameter)
    return parameter if found is None else found[1]
