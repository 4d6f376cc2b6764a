"""Arrays of any dtype as NetCDF-4 stores them, and the attributes that decode them.

Floats are packed as a store packs them (CF scale, offset and fill value), when that loses nothing.
Packing is checked by decoding it again with the decoder that a reader of the file will use.
Where it does not give the values back (conflicting fill values, NaN without a fill value, a value
equal to the fill value) there is no packing, and the values are written decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import xarray as xr

from sluice.aliases import Array, Document, DType
from sluice.concurrency import until_cancelled
from sluice.encoders.answer_schema import (
    AS_STORED,
    FILLS,
    LINEAR,
    NO_FLAG,
    FileForm,
    FileValues,
    float_dtype,
    is_number,
    read_fill,
)
from sluice.encoders.jsonable import is_missing, to_jsonable
from sluice.encoders.netcdf_attributes import as_text, storable_text
from sluice.encoders.netcdf_times import store_cftimes, store_datetimes, store_durations
from sluice.errors import NotAcceptable
from sluice.labels import format_text, without_surrogates

# Values that are packed and read back at once: few enough to stay in the processor's cache.
_BLOCK_VALUES: Final = 32_768


@dataclass(frozen=True, slots=True)
class Packing:
    """How floats are packed: `linear` and `fills` are attributes, as NumPy scalars.

    (Scalars, because readers get them from a file so.) Packed integers have the type `dtype`; with
    ``_Unsigned`` their bits are read as `counted`, of the other sign.
    """

    dtype: DType
    counted: DType
    linear: Document
    fills: Document

    @property
    def fill(self) -> np.generic | None:
        """The one value that stands for NaN, or ``None``."""
        return next(iter(self.fills.values()), None)

    @property
    def attrs(self) -> Document:
        """The attributes that decode what `pack` gives."""
        return {**self.linear, **self.fills, **_sign(self.dtype, self.counted)}

    def pack(self, values: Array) -> Array | None:
        """The packed values; ``None`` if there is a NaN and no fill value."""
        gone = np.isnan(values)
        some_gone = gone.any()
        if some_gone and self.fill is None and self.dtype.kind != "f":
            return None
        numbers = values.astype("f8")
        if "add_offset" in self.linear:
            numbers -= self.linear["add_offset"]
        if "scale_factor" in self.linear:
            numbers /= self.linear["scale_factor"]
        if self.dtype.kind != "f":
            np.rint(numbers, out=numbers)
            if some_gone:
                numbers[gone] = 0
        packed = numbers.astype(self.counted).view(self.dtype)
        if some_gone and self.fill is not None:
            packed[gone] = self.fill
        return packed


def packing_of(dtype: DType, encoding: Document) -> Packing | None:
    """The packing of floats of `dtype` that a variable's `encoding` describes; None if none."""
    packed = _packed_dtype(dtype, encoding)
    linear = {key: encoding[key] for key in LINEAR if encoding.get(key) is not None}
    fills = {key: encoding[key] for key in FILLS if encoding.get(key) is not None}
    counted = None if packed is None else _counted(packed, encoding.get("_Unsigned"))
    if packed is None or counted is None:
        return None
    if not all(is_number(value) for value in (*linear.values(), *fills.values())):
        return None
    if packed.kind != "f" and not linear and not fills:
        # A reader would get integers back.
        return None
    filled = {key: read_fill(value, packed) for key, value in fills.items()}
    if None in filled.values() or len({str(fill) for fill in filled.values()}) > 1:
        return None
    scaled = {key: _scalar(value) for key, value in linear.items()}
    return Packing(packed, counted, scaled, filled)


def file_form(name: str, dtype: DType, dimensions: int, encoding: Document) -> FileForm | None:
    """The form that values of `dtype` have in a file, if that follows from their `encoding`.

    None where the values decide: packing that must lose nothing, times that are counted in whole
    numbers, texts, objects. Raises `NotAcceptable` for what `check_storable` does.
    """
    check_storable(name, dtype, dimensions)
    decoding: Document | None = encoding.get(AS_STORED)
    if decoding is not None:
        told = {k: _scalar(v) if k in LINEAR else v for k, v in decoding.items()}
        flags = dtype.kind == "i" and _stored_kind(encoding) == "b"
        return FileForm(dtype.newbyteorder("="), told, _FLAGS if flags else {})
    match dtype.kind:
        case "b":
            return FileForm(np.dtype("i1"), {"dtype": "bool"})
        case "i" | "u":
            return _integer_form(dtype.newbyteorder("="), encoding)
        case "f":
            held = float_dtype(dtype)
            packing = packing_of(held, encoding)
            return FileForm(held) if packing is None or not packing.attrs else None
        case "S":
            return FileForm(dtype if dtype.itemsize else np.dtype("S1"))
        case _:
            return None


def in_form(values: Array, form: FileForm) -> Array:
    """Values of a variable in the `form` that `file_form` gave; no copy where they have it already.

    Raises `TypeError` for values of another kind, such as decoded ones in place of packed ones.
    """
    if {values.dtype.kind, form.dtype.kind} == {"i", "u"}:
        # The other sign of the same bits, as ``_Unsigned`` tells.
        return values.astype(values.dtype.newbyteorder("="), copy=False).view(form.dtype)
    return values.astype(form.dtype, copy=False, casting="same_kind")


def _integer_form(dtype: DType, encoding: Document) -> FileForm:
    """Integers as they are, or with the other sign where the store has them so."""
    packed = _packed_dtype(dtype, encoding)
    if packed is None or _counted(packed, encoding.get("_Unsigned")) != dtype:
        return FileForm(dtype)
    return FileForm(packed, _sign(packed, dtype))


def _counted(packed: DType, unsigned: object) -> DType | None:
    """The type that packed numbers are read as; ``None`` where ``_Unsigned`` makes no sense."""
    match unsigned, packed.kind:
        case (None, _) | ("true", "u") | ("false", "i"):
            return packed
        case "true", "i":
            return np.dtype(f"u{packed.itemsize}")
        case "false", "u":
            return np.dtype(f"i{packed.itemsize}")
        case _:
            return None


def _sign(packed: DType, counted: DType) -> dict[str, str]:
    if packed == counted:
        return {}
    return {"_Unsigned": "true" if counted.kind == "u" else "false"}


def store_floats(values: Array, encoding: Document) -> FileValues:
    """Floats packed as `encoding` says, or decoded in the nearest dtype that NetCDF-4 has."""
    values = values.astype(float_dtype(values.dtype), copy=False)
    packing = packing_of(values.dtype, encoding)
    if packing is None or not packing.attrs:
        return FileValues(values)
    flat = values.ravel()
    packed = np.empty(flat.shape, packing.dtype)
    with np.errstate(all="ignore"):
        for start in range(0, max(flat.size, 1), _BLOCK_VALUES):
            block = flat[start : start + _BLOCK_VALUES]
            part = packing.pack(block)
            if part is None or not _reads_back(part, packing.attrs, block):
                return FileValues(values)
            packed[start : start + _BLOCK_VALUES] = part
    return FileValues(packed.reshape(values.shape), packing.attrs)


def _reads_back(packed: Array, attrs: Document, values: Array) -> bool:
    """Whether xarray decodes the packed values to the same bits and dtype."""
    variable = xr.Variable("x", packed, attrs)
    try:
        read = xr.conventions.decode_cf_variable("packed", variable, decode_times=False).values
    except (ValueError, OverflowError, TypeError):
        return False
    return read.dtype == values.dtype and np.array_equal(read, values, equal_nan=True)


def _scalar(value: object) -> object:
    """A number as a NumPy scalar of a type that NetCDF-4 has."""
    array = np.asarray(value).reshape(())
    if array.dtype.kind == "f":
        return array.astype(float_dtype(array.dtype))[()]
    return np.int32(value) if type(value) is int and -(2**31) <= value < 2**31 else array[()]


def _packed_dtype(dtype: DType, encoding: Document) -> DType | None:
    try:
        packed = np.dtype(encoding.get("dtype", dtype))
    except TypeError:
        return None
    if packed.kind == "f":
        # Without a scale the packed dtype is the one that a reader gets.
        linear = any(encoding.get(key) is not None for key in LINEAR)
        return float_dtype(packed) if linear else dtype
    return packed.newbyteorder("=") if packed.kind in "iu" else None


# HDF5 allows 32, of which text of one length needs one for its bytes.
_MOST_DIMENSIONS: Final = 31
_FLAGS: Final[Document] = MappingProxyType(
    {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "false true"}
)
# Formats that have complex numbers, and arrays of any number of dimensions.
_OTHERS: Final = ("json", "csv", "ndjson", "columns", "bin", "npy")


def store_values(values: Array, encoding: Document) -> FileValues:
    """Values that decide on their form (`file_form`), by `encoding` where that loses nothing."""
    match values.dtype.kind:
        case "f":
            return store_floats(values, encoding)
        case "M":
            return store_datetimes(values, encoding)
        case "m":
            return store_durations(values, encoding)
        case _:
            return _store_objects(values, encoding)


def check_storable(name: str, dtype: DType, dimensions: int) -> None:
    """Raises `NotAcceptable` for a variable that NetCDF-4 has no type or no shape for."""
    if dtype.kind == "c":
        lacks = "complex numbers"
    elif dimensions > _MOST_DIMENSIONS:
        lacks = f"more than {_MOST_DIMENSIONS} dimensions"
    else:
        return
    raise NotAcceptable(
        f"{name} holds {lacks}, which NetCDF-4 cannot store; ask for f={', '.join(_OTHERS)}",
        variable=name,
        known=[*_OTHERS],
    )


def _store_objects(values: Array, encoding: Document) -> FileValues:
    items = values.ravel().tolist()
    if _are_dates(items, encoding):
        return store_cftimes(values, encoding)
    if _are(items, (bool, np.bool_), "b", encoding):
        return _store_flags(values, items)
    if _are(items, bytes, "S", encoding):
        known = [item if isinstance(item, bytes) else b"" for item in until_cancelled(items)]
        return FileValues(np.array(known, "S").reshape(values.shape))
    texts = np.empty(values.size, dtype=object)
    texts[:] = [_text(item) for item in until_cancelled(items)]
    return FileValues(texts.reshape(values.shape))


def _are_dates(items: list[object], encoding: Document) -> bool:
    """Whether all but missing items are cftime's dates; if all are missing, by `encoding`."""
    some = False
    for item in until_cancelled(items):
        if hasattr(item, "has_year_zero"):
            some = True
        elif item is not None:
            return False
    return some or (bool(items) and "since" in str(encoding.get("units", "")))


def _are(
    items: list[object], kind: type | tuple[type, ...], stored_kind: str, encoding: Document
) -> bool:
    """Whether all but missing items are of this `kind`; if all are missing, by stored dtype."""
    some = False
    for item in until_cancelled(items):
        if isinstance(item, kind):
            some = True
        elif isinstance(item, str) or not is_missing(item):
            return False
    return some or _stored_kind(encoding) == stored_kind


def _stored_kind(encoding: Document) -> str:
    try:
        return str(np.dtype(encoding.get("dtype", object)).kind)
    except TypeError:
        return "O"


def _store_flags(values: Array, items: list[object]) -> FileValues:
    """Booleans of which some may be missing, as flags (CF 3.5).

    Not by xarray's attribute ``dtype``, which would make a missing one true.
    """
    flags = [NO_FLAG if is_missing(item) else item for item in until_cancelled(items)]
    stored = np.array(flags, dtype="i1").reshape(values.shape)
    return FileValues(stored, {"_FillValue": NO_FLAG}, _FLAGS)


def _text(item: object) -> str:
    """A string as it is, a missing one empty, anything else as JSON.

    Text with lone surrogates, which UTF-8 does not have, is marked and in base64, as in JSON.
    """
    if isinstance(item, str):
        return storable_text(item if without_surrogates(item) == item else format_text(item))
    if is_missing(item):
        return ""
    written = to_jsonable(item)
    return storable_text(written) if isinstance(written, str) else as_text(written)
