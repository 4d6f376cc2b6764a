"""What xarray and netCDF-C write into an array's attributes: names of dimensions, fill values.

xarray's are those of its "Zarr encoding specification"; a v3 array has a member of its own for
names. NCZarr keeps the names of dimensions under ``_NCZARR_ARRAY`` in ``.zarray`` or, later,
under ``_nczarr_array`` among the attributes; a scalar is stored as one value along a dimension
without a name. Its modes ``zarr`` and ``xarray`` write no such object: there the list of names is
empty, or absent (netCDF-C, ``docs/nczarr.md`` and ``libnczarr/zsync.c``).
"""

from __future__ import annotations

import base64
import math
import re
import struct
from typing import Final, TypeGuard

import numpy as np

from sluice.aliases import Document, DType
from sluice.errors import MetadataError, excerpt

# Where xarray keeps the names of a v2 array's dimensions (its "Zarr encoding specification").
DIMENSIONS: Final = "_ARRAY_DIMENSIONS"
# Our own mark in the document of a v3 scalar that is stored as one value along a dimension.
SCALAR: Final = "sluice_scalar"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_DIGITS: Final = re.compile(r"[+-]?\d{1,20}")


def check_name(name: str) -> None:
    """Raise MetadataError for a name that is empty, or that no key or format can hold.

    That are names with NUL, and with lone surrogates, which Python can hold and UTF-8 cannot.
    """
    if not name:
        raise MetadataError("it has no name")
    if "\0" in name or _SURROGATE.search(name):
        raise MetadataError("its name has a character that no text may have")


def dimension_names(document: Document) -> tuple[str | None, ...]:
    """The names of an array's dimensions, one per length of its (normal) shape.

    A v3 array may leave some without a name. MetadataError where they are missing or wrong.
    """
    rank = len(document["shape"])
    if document["zarr_format"] == 3:
        member, names = "dimension_names", document.get("dimension_names")
    else:
        member = DIMENSIONS
        names = (document.get("attributes") or {}).get(member)
    if names is None:
        if not rank:
            return ()
        raise MetadataError(
            f"its metadata does not name its dimensions ({member})",
            advice=f"Add {member} to its metadata, one name for each of its {rank} dimensions, or "
            "name it in drop_variables.",
        )
    if not isinstance(names, list | tuple) or not all(
        isinstance(name, str) or (name is None and member == "dimension_names") for name in names
    ):
        raise MetadataError(f"its {member} is {excerpt(names)}, which is no list of names")
    if len(names) != rank:
        raise MetadataError(f"its {member} has {len(names)} names, its shape {rank} dimensions")
    if any(name is not None and ("\0" in name or _SURROGATE.search(name)) for name in names):
        raise MetadataError(f"its {member} has a character that no text may have")
    return tuple(names)


def marked_fill_value(value: object, dtype: DType, unsigned: object = None) -> object:
    """The value that the attribute ``_FillValue`` of a v3 array means, in its stored `dtype`.

    xarray writes floating-point numbers as base64 of a little-endian double, and reads that alone;
    others write the number, or its name (``"NaN"``). Theirs becomes the nearest number of the
    dtype, as which it stands among the values (CF conventions, 2.5.1). Where the attribute
    `_Unsigned` is ``"true"`` and the integers are signed, the number may be told as it is meant:
    255 is stored as -1 in one byte.
    MetadataError for what is no value of the dtype.
    """
    try:
        match dtype.kind:
            case "f":
                return _nearest(value, dtype)
            case "c" if isinstance(value, list) and len(value) == 2:
                return complex(_double(value[0]), _double(value[1]))
            case "c":
                return complex(_double(value))
            case "b":
                return bool(value)
            case "i" | "u":
                whole = _integer(value)
                return _wrapped(whole, dtype) if unsigned == "true" else whole
            case "S":
                return base64.b64decode(_written_text(value), validate=True)
            case _:
                return value
    except (ValueError, TypeError, OverflowError):
        raise MetadataError(
            f"its attribute _FillValue is {excerpt(value)}, which is no value of its data type "
            f"{dtype}"
        ) from None


def _double(value: object) -> float:
    written = _written_double(value)
    return float(_written_number(value)) if written is None else written


def _written_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _written_number(value: object) -> str | float | int:
    """The value, where JSON may mean a number by it; else a TypeError."""
    if not isinstance(value, str | float | int):
        raise TypeError(value)
    return value


def _written_double(value: object) -> float | None:
    """The number whose double stands here as base64, as xarray writes it; None for others."""
    if not isinstance(value, str):
        return None
    try:
        return float(struct.unpack("<d", base64.b64decode(value, validate=True))[0])
    except (ValueError, struct.error):
        return None


def _nearest(value: object, dtype: DType) -> float:
    """The nearest number of the dtype; itself where xarray wrote it, or where that is infinite."""
    written = _written_double(value)
    if written is not None:
        return written
    number = float(_written_number(value))
    with np.errstate(over="ignore"):
        nearest = float(dtype.type(number))
    return number if math.isinf(nearest) and not math.isinf(number) else nearest


def _wrapped(number: int, dtype: DType) -> int:
    """An unsigned `number` as signed integers of the same length have it; any other as it is."""
    bits = 8 * dtype.itemsize
    beyond = dtype.kind == "i" and 2 ** (bits - 1) <= number < 2**bits
    return number - 2**bits if beyond else number


def _integer(value: object) -> int:
    number = _written_number(value)
    if isinstance(number, str) and not _DIGITS.fullmatch(number):
        number = float(number)
    whole = int(number)
    if whole != number and not isinstance(number, str):
        raise ValueError(value)
    return whole


_KEYS: Final = ("_NCZARR_ARRAY", "_nczarr_array")
# How netCDF-C 4.9.0 calls its characters, which are of one byte each.
_CHARACTERS: Final = ("<U1", ">U1")
# Attributes of netCDF-C for itself; xarray hides those of v2 arrays.
_OWN: Final = (*_KEYS, "_nczarr_attr", "_NCZARR_ATTR")
_REFERENCES: Final = ("dimension_references", "dimrefs")


def with_references(document: Document) -> Document:
    """The `document` of an array (its ``attributes`` inside) with the names that NCZarr has for it.

    A scalar loses the one dimension that it is stored along. A document without such names, or an
    invalid one, is returned as it is.
    """
    attributes = document.get("attributes") or {}
    if not isinstance(attributes, dict):
        return document
    said = _said(document, attributes)
    references: object = next((said[key] for key in _REFERENCES if key in said), None)
    if document.get("zarr_format") == 3:
        return _with_names(document, attributes, said, references)
    if said and document.get("dtype") in _CHARACTERS:
        document = {**document, "dtype": "|S1"}
    if _is_scalar(said, [references, attributes.get(DIMENSIONS)], document.get("shape")):
        return {**_scalar(document, attributes), "chunks": []}
    if DIMENSIONS not in attributes and _are_names(references):
        return {**document, "attributes": {**attributes, DIMENSIONS: _names(references)}}
    return document


def _with_names(
    document: Document, attributes: Document, said: Document, references: object
) -> Document:
    """The same of a v3 array: names from the attributes go to its member for them."""
    written: object = attributes.get(DIMENSIONS)
    names = document.get("dimension_names")
    if _is_scalar(said, [references, names, written], document.get("shape")):
        # Its one chunk has the key of the first along a dimension.
        marks = {"dimension_names": [], SCALAR: {"must_understand": False}}
        return {**_scalar(document, attributes), **marks}
    named: object = references if _are_names(references) else written
    if names is None and _are_names(named):
        kept = {key: item for key, item in attributes.items() if key not in (DIMENSIONS, *_OWN)}
        return {**document, "dimension_names": _names(named), "attributes": kept}
    return document


def _said(document: Document, attributes: Document) -> Document:
    """NCZarr's object about the array, under any of its names."""
    for place in (document, attributes):
        for key in _KEYS:
            if isinstance(place.get(key), dict):
                said: Document = place[key]
                return said
    return {}


def _are_names(references: object) -> TypeGuard[list[str]]:
    return isinstance(references, list) and all(isinstance(one, str) for one in references)


def _names(references: list[str]) -> list[str]:
    """The names of dimensions from fully qualified ones (``/group/time``)."""
    return [reference.rsplit("/", 1)[-1] for reference in references]


def _is_scalar(said: Document, names: list[object], shape: object) -> bool:
    """Whether the array is a scalar that is stored as one value along one dimension."""
    marked = bool(said.get("scalar")) or said.get("storage") == "scalar" or [] in names
    return marked and bool(shape == [1])


def _scalar(document: Document, attributes: Document) -> Document:
    kept = {key: item for key, item in attributes.items() if key not in (DIMENSIONS, *_OWN)}
    return {**document, "shape": [], "attributes": kept}
