"""What a parameter is, and those that formats take, each a row: see `app.doors.native.options`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Final, Generic, TypeAlias, TypeVar

from sluice.aliases import Document
from sluice.encoders.colormaps import COLORMAPS
from sluice.encoders.tensor_forms import PACKS
from sluice.errors import QueryError, excerpt

from .names import Names

T_co = TypeVar("T_co", covariant=True)

# What a request gives of an option: the texts of a URL or the items of a JSON array, in the grammar
# of URLs, or JSON's true and false.
Given: TypeAlias = Sequence[str] | bool


@dataclass(frozen=True, slots=True)
class Option(Generic[T_co]):
    """One parameter: its name, what it is for, the JSON schema of its one value in a URL, and how
    its texts are read of a dataset of these names.

    Where it is a list, `least` is how many at least: a POST may have an array of them, each an
    `item`. `others` is what the same is called elsewhere. What is read of an option that has no
    part of its own in `Options` is hashable and JSON, since it is in entity tags and explanations.
    """

    name: str
    words: str
    schema: Document
    read: Callable[[Sequence[str], Names], T_co]
    least: int = 0
    others: tuple[str, ...] = ()
    item: Document = field(default_factory=lambda: {"type": "string", "minLength": 1})

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


def read_truth(name: str, texts: Sequence[str], names: Names) -> bool:
    """Whether ``true`` was asked for; `QueryError` for what is neither that nor ``false``."""
    return read_word(name, ("true", "false"), texts, names) == "true"


def read_word(name: str, words: tuple[str, ...], texts: Sequence[str], names: Names) -> str:
    """One of a few `words`; `QueryError`, which names them, for another one."""
    text = once(name, texts)
    if text not in words:
        detail = f"{name}={excerpt(text)}: write {' or '.join(words)}"
        raise QueryError(detail, parameter=name, known=list(words))
    return text


def _read_range(texts: Sequence[str], names: Names) -> tuple[float, float]:
    """Two numbers, the lower one first; `QueryError` for anything else."""
    try:
        low, high = map(float, ",".join(texts).split(","))
    except ValueError:
        low = high = 0.0
    if not (isfinite(low) and isfinite(high) and low < high):
        told = f"range={excerpt(','.join(texts))}: write the lower and the upper end, as 250,310"
        # Some instruments measure along a dimension of this name.
        cure = "; the dimension of this name is sel[range]" if "range" in names.dims else ""
        raise QueryError(f"{told}{cure}", parameter="range")
    return low, high


PACK: Final = Option(
    "pack",
    "How `f=bin` keeps the numbers of data variables: as `u1` or `i2` in even steps of a `range`"
    " (missing ones are 255 and -32768), or as `f4`.",
    {"type": "string", "enum": list(PACKS)},
    partial(read_word, "pack", PACKS),
)
RANGE: Final = Option(
    "range",
    "The values of the first and the last colour or step, as `250,310`; what lies outside is taken"
    " for them. Without it the answer's own values decide.",
    {"type": "string", "pattern": "^[^,]+,[^,]+$"},
    _read_range,
    least=2,
    item={"type": "number"},
)
CMAP: Final = Option(
    "cmap",
    "The colours of `f=png`; with `_r` from high to low.",
    {"type": "string", "enum": list(COLORMAPS)},
    partial(read_word, "cmap", COLORMAPS),
    others=("colormap", "palette"),
)
# Those of formats: `sluice.encoders.formats` says which format takes which.
FORMAT_OPTIONS: Final[tuple[Option[object], ...]] = (PACK, RANGE, CMAP)
