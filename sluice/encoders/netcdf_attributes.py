"""Attributes as NetCDF-4 can hold them; what it cannot hold becomes text, never an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import orjson

from sluice.aliases import Array
from sluice.encoders.hdf5_messages import ATTRIBUTE_BYTES
from sluice.encoders.netcdf_names import Distinct, storable_name
from sluice.encoders.plain import is_missing, plain
from sluice.labels import without_surrogates

# Attribute names that the HDF5 layer of NetCDF-4 keeps for itself, or hides from its readers.
_RESERVED = frozenset(
    (
        "CLASS",
        "DIMENSION_LABELS",
        "DIMENSION_LIST",
        "NAME",
        "REFERENCE_LIST",
        "_ARRAY_DIMENSIONS",
        "_Codecs",
        "_Format",
        "_IsNetcdf4",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_SuperblockVersion",
        "_nc3_strict",
        "_nczarr_array",
        "_nczarr_attr",
        "_nczarr_group",
        "_nczarr_superblock",
    )
)
# The C library refuses a file in which an attribute that begins so is no number, and reads several
# numbers into the room of one.
_QUANTIZED: Final = "_Quantize"
_INT32: Final = range(-(2**31), 2**31)
_INT64: Final = range(-(2**63), 2**63)


def storable_attributes(
    attrs: Mapping[Any, Any], taken: Iterable[str] = ()
) -> dict[str, str | Any]:
    """Attributes that any NetCDF reader accepts, renamed where a name in `taken` has a meaning."""
    refused = _RESERVED.union(taken)
    kept = {name for name in attrs if isinstance(name, str) and storable_name(name) == name}
    distinct = Distinct(refused | kept)
    stored: dict[str, Any] = {}
    for name, value in attrs.items():
        key = storable_name(str(name))
        written = storable_value(value)
        if key.startswith(_QUANTIZED) and not isinstance(written, np.number):
            key = f"_{key}"
        stored[key if key == name and key not in refused else distinct.give(key)] = written
    return stored


def storable_value(value: Any) -> Any:
    """Text, a number or a 1-D list of either (below 64 KiB) as it is; else JSON text."""
    match value:
        case bool() | np.bool_() | None:
            return json_text(value)
        case int() if value in _INT64:
            return _whole(np.asarray(value))[()]
        case np.timedelta64():  # which is one of NumPy's integers
            return storable_text(str(plain(value))) if not is_missing(value) else json_text(None)
        case float() | np.integer() | np.floating():
            return _numbers(np.asarray(value))[()]
        case list() | tuple() if value:
            return _list(value)
        case np.ndarray() if value.ndim <= 1 and value.size:
            return _array(value)
        case _:
            written = plain(value)
            return storable_text(written) if isinstance(written, str) else json_text(written)


def storable_text(value: str) -> str:
    """The text without what a C string cannot hold."""
    return without_surrogates(value).replace("\0", "\ufffd")


def _list(items: list[Any] | tuple[Any, ...]) -> Any:
    kinds = {type(item) for item in items}
    if kinds == {str} and 16 * len(items) <= ATTRIBUTE_BYTES:
        return [storable_text(item) for item in items]
    if kinds <= {int, float} and _fit_int64(items):
        return _array(_whole(np.array(items)))
    return json_text(items)


def _fit_int64(items: list[Any] | tuple[Any, ...]) -> bool:
    whole = [item for item in items if isinstance(item, int)]
    return not whole or (min(whole) in _INT64 and max(whole) in _INT64)


def _whole(values: Array) -> Array:
    """Whole numbers that came without a type, in 32 bits if they fit: all readers know these."""
    # As Python's own integers: a range is searched item by item for those of NumPy.
    ends = (int(values.min()), int(values.max())) if values.dtype.kind == "i" else ()
    fit = bool(ends) and all(end in _INT32 for end in ends)
    return values.astype("i4") if fit else values


def _array(values: Array) -> Any:
    if values.dtype.kind not in "iuf":
        return storable_value(values.tolist())
    numbers = _numbers(values)
    return numbers[()] if numbers.nbytes <= ATTRIBUTE_BYTES else json_text(values)


def _numbers(values: Array) -> Array:
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype("f4" if values.dtype.itemsize == 2 else "f8")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def json_text(value: Any) -> str:
    """Any value as JSON text, integers of any size included."""
    try:
        return orjson.dumps(plain(value)).decode()
    except orjson.JSONEncodeError:
        # An integer beyond 64 bits somewhere inside.
        return storable_text(str(plain(value)))
