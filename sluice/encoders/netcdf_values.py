"""Arrays of any dtype as NetCDF-4 stores them, and the attributes that decode them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.encoders.netcdf_attributes import json_text, storable_text
from sluice.encoders.netcdf_packing import Stored, store_floats, store_integers
from sluice.encoders.netcdf_times import store_cftimes, store_datetimes, store_durations
from sluice.encoders.plain import is_missing, plain
from sluice.errors import NotAcceptable
from sluice.labels import format_text, without_surrogates

# HDF5 has 32; bytes need one more than they have.
_MOST_DIMENSIONS: Final = 31
# Stands for a boolean that is missing.
_NO_FLAG: Final = np.int8(-1)


def store_values(name: str, values: Array, encoding: Document) -> Stored:
    """The values of one variable in the form that the store's `encoding` asks for.

    Raises `NotAcceptable` for what `check_storable` does.
    """
    check_storable(name, values.dtype, values.ndim)
    match values.dtype.kind:
        case "b":
            return Stored(values.astype("i1"), {"dtype": "bool"})
        case "i" | "u":
            return store_integers(values, encoding)
        case "f":
            return store_floats(values, encoding)
        case "M":
            return store_datetimes(values, encoding)
        case "m":
            return store_durations(values, encoding)
        case "S":
            return Stored(values if values.dtype.itemsize else values.astype("S1"))
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
        f"{name} holds {lacks}, which NetCDF-4 cannot store; ask for json or csv",
        variable=name,
        known=["json", "csv"],
    )


def _store_objects(values: Array, encoding: Document) -> Stored:
    items = values.ravel().tolist()
    if _are_dates(items, encoding):
        return store_cftimes(values, encoding)
    if _are(items, bool | np.bool_, "b", encoding):
        return _store_flags(values, items)
    if _are(items, bytes, "S", encoding):
        known = [item if isinstance(item, bytes) else b"" for item in items]
        return Stored(np.array(known, "S").reshape(values.shape))
    texts = np.empty(values.size, dtype=object)
    texts[:] = [_text(item) for item in items]
    return Stored(texts.reshape(values.shape))


def _are_dates(items: list[Any], encoding: Document) -> bool:
    """Whether all but the missing ones are cftime's; where none is left, what `encoding` says."""
    some = False
    for item in items:
        if hasattr(item, "has_year_zero"):
            some = True
        elif item is not None:
            return False
    return some or (bool(items) and "since" in str(encoding.get("units", "")))


def _are(items: list[Any], kind: Any, stored_kind: str, encoding: Document) -> bool:
    """Whether all that are not missing are of this kind; where all are, the store's dtype says."""
    some = False
    for item in items:
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


def _store_flags(values: Array, items: list[Any]) -> Stored:
    """Booleans of which some may be missing, as flags (CF 3.5).

    Not by xarray's attribute ``dtype``, which would make a missing one true.
    """
    flags = [_NO_FLAG if is_missing(item) else item for item in items]
    stored = np.array(flags, dtype="i1").reshape(values.shape)
    meaning = {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "false true"}
    return Stored(stored, {"_FillValue": _NO_FLAG}, meaning)


def _text(item: Any) -> str:
    """A string as it is, a missing one empty, anything else as JSON.

    Only text that is no UTF-8 is marked, as in JSON: what is text and what bytes, the types say.
    """
    if isinstance(item, str):
        return storable_text(item if without_surrogates(item) == item else format_text(item))
    if is_missing(item):
        return ""
    written = plain(item)
    return storable_text(written) if isinstance(written, str) else json_text(written)
