"""CF decoding as plain functions, which xarray decides on once per variable.

xarray's `decode_cf_variables` wraps an array in lazy adapters, one per convention. Walking those
adapters once gives the plain functions that they would apply, so an answer is decoded by exactly
xarray's code without its lazy indexing. The commonest pair of them, masking and unpacking (CF
conventions 2.5.1 and 8.1), is made one pass with half of their copies; whatever is not exactly
those two is left to xarray's own functions.

Values that a file's reader decodes by the same attributes are not decoded at all: `stored_form`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, DType
from sluice.arrays.array_metadata import ArrayMeta
from sluice.datasets import _xarray
from sluice.datasets.coders import decode_dates
from sluice.datasets.encoded_store import EncodedArray
from sluice.encoders.answer_schema import (
    FILLS,
    LINEAR,
    NO_FLAG,
    file_fill,
    is_exactly,
    is_number,
)
from sluice.errors import MetadataError

Step = Callable[[Any], Any]
Number: TypeAlias = int | float | np.integer | np.floating
_DOUBLE = np.dtype("f8")
# Numbers of a range are computed as int64: up to here nothing overflows.
_LARGEST: Final = 2**62
# So many labels are compared with a range at once.
_PIECE: Final = 2**16


@dataclass(frozen=True, slots=True)
class Unpacking:
    """``values * scale + offset`` as `dtype`, NaN where a value is one of `fills`."""

    dtype: DType
    fills: tuple[Number, ...]
    scale: Number | None
    offset: Number | None

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Self | None:
        """One function for these `steps`; None unless they are masking, then unpacking."""
        match steps:
            case [
                partial(func=_xarray.apply_mask, args=(), keywords=mask),
                partial(func=_xarray.scale_offset_decoding, args=(), keywords=packing),
            ]:
                dtype = np.dtype(packing["dtype"])
            case _:
                return None
        scale, offset = packing["scale_factor"], packing["add_offset"]
        fills = mask["encoded_fill_values"]
        numbers = [n for n in (scale, offset, *fills) if n is not None]
        plain = all(isinstance(n, Number) for n in numbers)
        if dtype.kind != "f" or not plain or np.dtype(mask["dtype"]) != dtype:
            return None
        if not np.isnan(mask["decoded_fill_value"]):
            return None
        return cls(dtype, tuple(fills), scale, offset)

    def __call__(self, values: Array) -> Array:
        """The unpacked values, of any shape, in an array of their own."""
        if values.ndim == 0 and self.dtype == _DOUBLE and values.dtype.kind in "iuf":
            # Python's floats are the same IEEE 754 doubles, and take a tenth of the time of arrays.
            number = float(values.item())
            for fill in self.fills:
                if number == float(fill):
                    return np.array(float("nan"))
            if self.scale is not None:
                number *= float(self.scale)
            return np.array(number if self.offset is None else number + float(self.offset))
        unpacked: Array = np.array(values, dtype=self.dtype)
        missing: Array | bool = False
        for fill in self.fills:
            missing = missing | (unpacked == fill)
        unpacked[missing] = np.nan
        if self.scale is not None:
            unpacked *= self.scale
        if self.offset is not None:
            unpacked += self.offset
        return unpacked


def compile_decoding(data: Any) -> tuple[EncodedArray, tuple[Step, ...], bool]:
    """The array under xarray's adapters, the functions to apply, and whether characters stack.

    Where characters stack, the stored array has one more (last) axis than the variable.
    """
    steps: list[Step] = []
    stacked = False
    while not isinstance(data, EncodedArray):
        match data:
            case _xarray.LazilyIndexedArray():
                pass
            case _xarray.ElementwiseArray():
                steps.append(data.func)
            case _xarray.NativeEndiannessArray():
                steps.append(Cast(data.dtype))
            case _xarray.BoolTypeArray():
                steps.append(Cast(np.dtype(bool)))
            case _xarray.StackedBytesArray():
                steps.append(_xarray.char_to_bytes)
                stacked = True
            case _:
                raise MetadataError(f"a variable is coded in an unknown way: {type(data).__name__}")
        data = data.array
    steps.reverse()
    unpacking = Unpacking.of(steps)
    return data, tuple(steps) if unpacking is None else (unpacking,), stacked


_UNPACKING: Final = (_xarray.apply_mask, _xarray.scale_offset_decoding, Unpacking)


def check_unpacking(steps: tuple[Step, ...], dtype: DType) -> None:
    """Raise what masking and unpacking would raise for any values of this `dtype`."""
    values: Any = np.zeros(1, dtype) if dtype.kind in "biufc" else None
    for step in steps:
        function = step.func if isinstance(step, partial) else type(step)
        if values is None or function not in _UNPACKING:
            return
        values = step(values)


@dataclass(frozen=True, slots=True)
class Cast:
    """Values as another `dtype`: the machine's byte order, or booleans."""

    dtype: DType

    def __call__(self, values: Any) -> Array:
        return np.asarray(values, dtype=self.dtype)


@dataclass(frozen=True, slots=True)
class Masked:
    """Booleans as int8, or bytes as they are, with `missing` in the place of the `fills`."""

    fills: tuple[Any, ...]
    missing: Any

    def __call__(self, values: Any) -> Array:
        gone = np.zeros(np.shape(values), bool)
        for fill in self.fills:
            gone |= values == fill
        dtype = values.dtype if values.dtype.kind == "S" else np.dtype("i1")
        found: Array = values.astype(dtype)
        found[gone] = self.missing
        return found


_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NAT: Final = np.iinfo("i8").min
_HALF: Final = np.dtype("f2")
_MASKING: Final = (_xarray.apply_mask, _xarray.scale_offset_decoding)
_DATING: Final = (decode_dates, _xarray.decode_cf_datetime)
_KEPT: Final = (*LINEAR, *FILLS, "units", "calendar", "_Unsigned")


@dataclass(frozen=True, slots=True)
class StoredForm:
    """Values as the store packs them: `steps` give them the `dtype` in the machine's byte order.

    `decoding` are the attributes by which the CF conventions decode them (2.5.1, 4.4 and 8.1),
    fill values in the type of the values.
    """

    dtype: DType
    steps: tuple[Step, ...]
    decoding: dict[str, object]


def stored_form(
    meta: ArrayMeta, steps: Sequence[Step], encoding: Mapping[Hashable, object]
) -> StoredForm | None:
    """The form of an array's undecoded values in formats that pack as stores do; None: decode them.

    `steps` would decode the values, `encoding` is that of the decoded variable. Metadata alone
    decides, never values: numbers, times and durations stay as they are, float16 becomes float32;
    for other types see `_other_form`. None for other types and codings, and for fill values that
    the type does not have, or a list of them, which not all readers of files take.
    """
    if meta.dtype.kind not in "iuf":
        return _other_form(meta.dtype, steps)
    dtype = meta.dtype.newbyteorder("=")
    if dtype.itemsize > 8 or not all(map(_is_undone, steps)):
        return None
    own = {key: encoding[key] for key in _KEPT if encoding.get(key) is not None}
    linear = [own[key] for key in LINEAR if key in own]
    # From integer scales and offsets alone xarray makes integers, of a type that follows from them.
    if not all(map(is_number, linear)) or (linear and not any(map(_is_fraction, linear))):
        return None
    if not _is_sign(own.get("_Unsigned"), dtype):
        return None
    fills = _file_fills({key: own[key] for key in FILLS if key in own}, dtype)
    if fills is None:
        return None
    if dtype == _HALF:
        dtype = np.dtype("f4")
        fills = {key: dtype.type(fill) for key, fill in fills.items()}
    native: tuple[Step, ...] = () if meta.dtype == dtype else (Cast(dtype),)
    return StoredForm(dtype, native, own | fills | _duration(steps))


def _other_form(dtype: DType, steps: Sequence[Step]) -> StoredForm | None:
    """Booleans of which some are missing as flags (CF 3.5), instants and durations as their counts,
    bytes of one length without those that are missing.
    """
    match dtype.kind, steps:
        case "b", [partial(func=_xarray.apply_mask, keywords=mask)]:
            fills = tuple(mask["encoded_fill_values"])
            return StoredForm(np.dtype("i1"), (Masked(fills, NO_FLAG),), {"_FillValue": NO_FLAG})
        case "S", [partial(func=_xarray.apply_mask, keywords=mask)] if dtype.itemsize:
            return StoredForm(dtype, (Masked(tuple(mask["encoded_fill_values"]), b""),), {})
        case "M" | "m", _ if all(isinstance(step, Cast) for step in steps):
            return _counts(dtype)
        case _:
            return None


def _counts(dtype: DType) -> StoredForm | None:
    """Instants and durations as their int64 counts, in CF units (4.4)."""
    unit, step = np.datetime_data(dtype)
    if step != 1 or unit not in _UNITS:
        return None
    told: dict[str, object] = {"units": f"{_UNITS[unit]} since 1970-01-01"}
    told["calendar"] = "proleptic_gregorian"
    if dtype.kind == "m":
        told = {"units": _UNITS[unit], "dtype": f"timedelta64[{unit}]"}
    counts = np.dtype("i8")
    return StoredForm(counts, (Cast(counts),), {**told, "_FillValue": np.int64(_NAT)})


@dataclass(frozen=True, slots=True, eq=False)
class StoredLabels:
    """The values of an index coordinate as the store packs them, and how they decode.

    Whole numbers that are evenly spaced are a range: first, step and count.
    """

    values: Array | range
    form: StoredForm

    @classmethod
    def of(cls, values: Array, form: StoredForm) -> Self:
        """Stored 1-D `values` in their `form`."""
        for step in form.steps:
            values = step(values)
        native = values.astype(form.dtype, copy=False)
        return cls(native if (spaced := exact_range(native)) is None else spaced, form)

    @property
    def nbytes(self) -> int:
        """Their bytes in memory."""
        return 0 if isinstance(self.values, range) else self.values.nbytes

    def pick(self, place: int | slice | Array) -> Array:
        """The values at a position, a slice or 1-D positions, in an array of their own."""
        if isinstance(self.values, range):
            if not isinstance(place, np.ndarray):
                return _array_of(self.values[place]).astype(self.form.dtype)
            counted = np.where(place < 0, place + len(self.values), place)
            return (self.values.start + counted * self.values.step).astype(self.form.dtype)
        return np.array(self.values[place, ...])


def _array_of(numbers: int | range) -> NDArray[np.int64]:
    """The numbers of a range, or one of them; NumPy would walk through it in Python."""
    if isinstance(numbers, int):
        return np.array(numbers, np.int64)
    return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)


def exact_range(values: Array) -> range | None:
    """The range that has exactly these 1-D whole numbers in this order; None for all others."""
    if values.dtype.kind not in "iu" or values.size < 2:
        return None
    first, step = int(values[0]), int(values[1]) - int(values[0])
    last = first + step * (values.size - 1)
    if not step or max(abs(first), abs(last)) > _LARGEST:
        return None
    for start in range(0, values.size, _PIECE):
        piece = values[start : start + _PIECE]
        numbers = np.arange(start, start + piece.size) * step + first
        if not np.array_equal(piece, numbers):
            return None
    return range(first, last + (1 if step > 0 else -1), step)


def _is_undone(step: Step) -> bool:
    """Whether a file's reader does this step, by the attributes that the file has (`_KEPT`)."""
    match step:
        case Cast(dtype):
            return dtype.kind != "b"
        case Unpacking():
            return True
        case partial(func=np.asarray, keywords={"dtype": dtype}):
            return np.dtype(dtype).kind in "iu"  # the other sign, which _Unsigned tells
        case partial(func=function):
            return function in (*_MASKING, *_DATING, _xarray.decode_cf_timedelta)
        case _:
            return False


def _is_sign(unsigned: object, dtype: DType) -> bool:
    """Whether readers agree on what ``_Unsigned`` says of values of this `dtype`."""
    return unsigned is None or (dtype.kind in "iu" and unsigned in ("true", "false"))


def _duration(steps: Sequence[Step]) -> dict[str, object]:
    """The attribute by which xarray tells a duration from a number with a unit of time."""
    for step in steps:
        match step:
            case partial(func=_xarray.decode_cf_timedelta, keywords={"time_unit": unit}):
                return {"dtype": f"timedelta64[{unit}]"}
    return {}


def _is_fraction(value: object) -> bool:
    return bool(np.asarray(value).dtype.kind == "f")


def _file_fills(told: Mapping[str, object], dtype: DType) -> dict[str, Any] | None:
    """Fill values by which a file's readers mask what xarray masks; None if there are none such."""
    if not all(map(is_number, told.values())):
        return None
    fills = {key: file_fill(key, told, dtype) for key in told}
    if None in fills.values():
        return None
    if dtype == _HALF and any(np.asarray(fill).dtype != dtype for fill in fills.values()):
        return None
    # A file has it in the type of the values; if that rounds it, readers mask other values.
    if "_FillValue" in fills and not is_exactly(fills["_FillValue"], told["_FillValue"]):
        return None
    return fills
