"""How the values of a variable are kept as plain arrays of numbers: in which type, and packed how.

Times are counts since 1970, complex numbers have their two parts side by side, and numbers can be
packed as a few levels of a range.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import numpy as np

from sluice.aliases import Array, Document, DType, record
from sluice.encoders.encoder import bytes_of, flat_parts
from sluice.encoders.levels import Levels, value_range

# The units of times that CF has, by numpy's; others are counted in one of these.
_UNITS: Final = MappingProxyType(
    {
        "D": "days",
        "h": "hours",
        "m": "minutes",
        "s": "seconds",
        "ms": "milliseconds",
        "us": "microseconds",
        "ns": "nanoseconds",
    }
)
_FINER: Final = frozenset(("ps", "fs", "as", "generic"))
_NAT: Final = int(np.iinfo("i8").min)
_COMPLEX: Final[Document] = {"parts": ["real", "imaginary"]}
# Whole numbers with a value that says that one is missing: it, and the number of the first level.
LEVELLED: Final = MappingProxyType({"u1": (255, 0), "i2": (-32768, -32767)})
PACKS: Final = (*LEVELLED, "f4")


@record
class Packing:
    """In which of `PACKS` numbers are kept; between which values, None for those that there are."""

    dtype: str
    ends: tuple[float, float] | None

    def levels(self, values: Array | None) -> Levels:
        """The levels of whole numbers: as many as the type has, but for the one that is missing."""
        ends = self.ends
        if ends is None:
            assert values is not None, "without a range the values decide"
            ends = value_range(values)
        return Levels(*ends, 2 ** (8 * np.dtype(self.dtype).itemsize) - 1)


@record
class Form:
    """How a variable is kept: an element's type, how many make a value, and what is told of it."""

    dtype: DType
    parts: int
    told: Document
    levels: Levels | None = None

    @property
    def value_bytes(self) -> int:
        return self.dtype.itemsize * self.parts

    def stored(self, values: Array) -> Iterator[memoryview]:
        """The bytes of these values, in C order."""
        for part in flat_parts(values):
            yield self._bytes(part)

    def _bytes(self, values: Array) -> memoryview:
        if self.levels is not None:
            missing, first = LEVELLED[self.dtype.str[1:]]
            found = self.levels.of(values)
            return bytes_of(np.where(found < 0, missing, found + first), self.dtype)
        match values.dtype.kind:
            case "M" | "m":
                unit = f"{values.dtype.kind}8[{_unit(values.dtype)}]"
                return bytes_of(values.astype(unit).view("i8"), self.dtype)
            case "c":
                size = self.dtype.itemsize
                return bytes_of(values.astype(f"c{2 * size}").view(f"f{size}"), self.dtype)
            case _:
                with np.errstate(over="ignore"):
                    return bytes_of(values, self.dtype)


def _unit(dtype: DType) -> str:
    unit, count = np.datetime_data(dtype)
    if count == 1 and unit in _UNITS:
        return unit
    return "ns" if unit in _FINER else "s"


def form_of(dtype: DType) -> Form | None:
    """How values of this type are kept as they are; None for those that the header has."""
    size = dtype.itemsize
    match dtype.kind:
        case "b" | "i" | "u" | "f":
            return Form(np.dtype(f"<{dtype.kind}{min(size, 8)}"), 1, {})
        case "c":
            return Form(np.dtype(f"<f{min(size // 2, 8)}"), 2, _COMPLEX)
        case "M":
            since = f"{_UNITS[_unit(dtype)]} since 1970-01-01"
            told = {"units": since, "calendar": "proleptic_gregorian", "missing": _NAT}
            return Form(np.dtype("<i8"), 1, told)
        case "m":
            return Form(np.dtype("<i8"), 1, {"units": _UNITS[_unit(dtype)], "missing": _NAT})
        case _:
            return None


def packed_form(packing: Packing, values: Array | None) -> Form:
    """How numbers are kept that are packed so; without a range by what they are."""
    dtype = np.dtype(f"<{packing.dtype}")
    if packing.dtype not in LEVELLED:
        return Form(dtype, 1, {})
    levels = packing.levels(values)
    missing, first = LEVELLED[packing.dtype]
    offset = levels.low - first * levels.step
    told = {"scale": levels.step, "offset": offset, "missing": missing}
    return Form(dtype, 1, told, levels)


def is_packable(dtype: DType) -> bool:
    """Whether values of this type are real numbers."""
    return dtype.kind in "iuf"
