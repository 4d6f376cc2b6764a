"""One parameter that is no selection: how it is read, and what it means; those that formats take.

Which format takes which: see `sluice.encoders.encoder.Encoder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar

from sluice.aliases import Document
from sluice.encoders.colormaps import COLORMAPS
from sluice.encoders.plain_arrays import PACKS
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


def _read_range(texts: Sequence[str], names: Names) -> tuple[float, float]:
    """Two numbers, the lower one first; `QueryError` for anything else."""
    try:
        low, high = map(float, ",".join(texts).split(","))
    except ValueError:
        low = high = 0.0
    if not (isfinite(low) and isfinite(high) and low < high):
        told = f"range={excerpt(','.join(texts))}: write the lower and the upper end, as 250,310"
        raise QueryError(told, parameter="range")
    return low, high


COMPRESSION: Final = Option(
    "compression",
    "How the values of a NetCDF file are compressed in it.",
    {"type": "string", "enum": ["zlib"]},
    word("compression", ("zlib",)),
    yields=True,
)
UNLIMITED: Final = Option(
    "unlimited",
    "Dimensions of the answer that can grow in its file, as `time`.",
    {"type": "string", "minLength": 1},
    lambda texts, names: tuple(dict.fromkeys(listed("unlimited", texts))),
    least=1,
    yields=True,
)
HISTORY: Final = Option(
    "history",
    "Say in the file's attribute `history` what was asked for, and Sluice's version.",
    {"type": "boolean"},
    truth("history"),
    yields=True,
)
CDF5: Final = Option(
    "cdf5",
    "The classic format CDF-5, which has integers of 64 bits, and files of any size.",
    {"type": "boolean"},
    truth("cdf5"),
    yields=True,
)
_HEADERS: Final = ("names", "units")
HEADER: Final = Option(
    "header",
    "What stands above the columns of CSV: their `names`, or with `units`, as `t (K)`, those too.",
    {"type": "string", "enum": list(_HEADERS)},
    word("header", _HEADERS),
    yields=True,
)
BYTE_ORDER_MARK: Final = Option(
    "bom",
    "Whether CSV begins with a byte order mark, by which Excel knows that it is UTF-8.",
    {"type": "boolean"},
    truth("bom"),
    yields=True,
)

PACK: Final = Option(
    "pack",
    "How `f=bin` keeps the numbers of data variables: as `u1` or `i2` in even steps of a `range`"
    " (missing ones are 255 and -32768), or as `f4`.",
    {"type": "string", "enum": list(PACKS)},
    word("pack", PACKS),
    yields=True,
)
RANGE: Final = Option(
    "range",
    "The values of the first and the last colour or step, as `250,310`; what lies outside is taken"
    " for them. Without it the answer's own values decide.",
    {"type": "string", "pattern": "^[^,]+,[^,]+$"},
    _read_range,
    least=2,
    item={"type": "number"},
    yields=True,
)
CMAP: Final = Option(
    "cmap",
    "The colours of `f=png`; with `_r` from high to low.",
    {"type": "string", "enum": list(COLORMAPS)},
    word("cmap", COLORMAPS),
    others=("colormap", "palette"),
    yields=True,
)

FORMAT_OPTIONS: Final[tuple[Option[object], ...]] = (
    COMPRESSION,
    UNLIMITED,
    HISTORY,
    CDF5,
    HEADER,
    BYTE_ORDER_MARK,
    PACK,
    RANGE,
    CMAP,
)
