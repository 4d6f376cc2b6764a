"""Names and attributes as NetCDF-4 can hold them; the rest becomes text, never an error."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

import numpy as np
import orjson

from app.encoders.hdf5_messages import ATTRIBUTE_BYTES
from app.encoders.plain import plain
from app.labels import format_text

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
# What readers take out of the name of a variable that is not the dimension of this name.
NOT_A_DIMENSION: Final = "_nc4_non_coord_"
# The C library refuses a file in which an attribute that begins so is no number.
_QUANTIZED = "_Quantize"
# NetCDF allows 256 bytes; what is left is for what keeps names distinct.
_NAME_BYTES = 240
_INT64 = range(-(2**63), 2**63)


def storable_names(names: Iterable[Any], listed: Container[Any] = ()) -> dict[Any, str]:
    """A distinct name for each: slashes separate groups, and no name begins or ends with a space.

    Names in `listed` will stand in an attribute ``coordinates``, where a space ends a name.
    """
    chosen: dict[Any, str] = {}
    taken: set[str] = set()
    for name in names:
        # Names that need no change come first in any clash, because they are someone's reference.
        if isinstance(name, str) and _clean(name, name in listed) == name:
            chosen[name] = str(name)
            taken.add(name)
    for name in names:
        if name in chosen:
            continue
        clean = _clean(str(name), name in listed)
        while clean in taken:
            clean += "_"
        chosen[name] = clean
        taken.add(clean)
    return chosen


def _clean(name: str, listed: bool) -> str:
    refused = "/ " if listed else "/"
    letters = (letter if letter.isprintable() and letter not in refused else "_" for letter in name)
    cleaned = _normal("".join(letters)).replace(NOT_A_DIMENSION, "_nc4_noncoord_")
    if cleaned.endswith(" "):
        cleaned = f"{cleaned[:-1]}_"
    return cleaned if cleaned and cleaned[0] not in ".-+ " else f"_{cleaned}"


def _normal(name: str) -> str:
    """The form (NFC) in which the C library looks names up, cut to a length that it reads."""
    normal = unicodedata.normalize("NFC", format_text(name))
    return normal.encode()[:_NAME_BYTES].decode(errors="ignore")


def storable_attributes(
    attrs: Mapping[Any, Any], taken: Iterable[str] = ()
) -> dict[str, str | Any]:
    """Attributes that any NetCDF reader accepts, renamed where a name in `taken` has a meaning."""
    refused = _RESERVED.union(taken)
    stored: dict[str, Any] = {}
    for name, value in attrs.items():
        key = _normal(str(name)).replace("\0", "_") or "_"
        written = storable_value(value)
        if key.startswith(_QUANTIZED) and isinstance(written, str | list):
            key = f"_{key}"
        while key in refused or key in stored:
            key += "_"
        stored[key] = written
    return stored


def storable_value(value: Any) -> Any:
    """Text, a number or a 1-D list of either (below 64 KiB) as it is; else JSON text."""
    match value:
        case bool() | np.bool_() | None:
            return json_text(value)
        case int() if value in _INT64:
            return value
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
    return format_text(value).replace("\0", "\ufffd")


def _list(items: list[Any] | tuple[Any, ...]) -> Any:
    kinds = {type(item) for item in items}
    if kinds == {str} and all(items) and 16 * len(items) <= ATTRIBUTE_BYTES:
        return [storable_text(item) for item in items]
    if kinds <= {int, float} and all(item in _INT64 for item in items if isinstance(item, int)):
        return _array(np.array(items))
    return json_text(items)


def _array(values: np.ndarray[Any, Any]) -> Any:
    if values.dtype.kind not in "iuf":
        return storable_value(values.tolist())
    numbers = _numbers(values)
    return numbers[()] if numbers.nbytes <= ATTRIBUTE_BYTES else json_text(values)


def _numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
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
