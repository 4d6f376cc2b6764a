"""Any value that an attribute or an object array can hold, as JSON knows values; never fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import numpy as np

from sluice.aliases import Array
from sluice.labels import (
    format_bytes,
    format_label,
    format_labels,
    format_text,
    format_texts,
    without_surrogates,
)

# Deeper than any metadata document, shallower than orjson's own limit of 254.
_DEEPEST = 100
_NUMBERS = frozenset((int, float, bool, type(None)))
_PANDAS_MISSING = frozenset(("NAType", "NaTType"))


def plain(value: Any, depth: int = 0) -> Any:
    """`value` of strings, numbers, booleans, ``None``, lists and string-keyed dicts alone.

    Strings are those of attributes here, and stay themselves; `nested_values` has those of arrays.
    """
    if depth > _DEEPEST:
        return "..."
    match value:
        case str():
            return without_surrogates(value)
        case Mapping():
            return {
                without_surrogates(str(key)): plain(item, depth + 1) for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return _items(value, depth + 1)
        case np.ndarray():
            numbers = value.dtype.kind in "iub" or value.dtype == np.float64
            return plain(value.tolist() if numbers else nested_values(value), depth + 1)
        case complex() | np.complexfloating():
            return [format_label(value.real), format_label(value.imag)]
        case np.void():
            return plain(value.item(), depth + 1)
        case _:
            return _scalar(value)


def _items(values: Collection[Any], depth: int) -> list[Any]:
    """Lists of numbers can be long: nothing is called for each of them."""
    if not _NUMBERS.issuperset(map(type, values)):
        return [plain(item, depth) for item in values]
    if all(isfinite(item) for item in values if type(item) is float):
        return list(values)
    return [None if type(item) is float and not isfinite(item) else item for item in values]


def is_missing(value: Any) -> bool:
    """Whether a single value is none: ``None``, NaN, NaT or pandas' NA."""
    match value:
        case None:
            return True
        case float() | np.floating():
            return bool(np.isnan(value))
        case np.datetime64() | np.timedelta64():
            return bool(np.isnat(value))
        case _:
            # By name, so that nothing needs to import pandas.
            return type(value).__name__ in _PANDAS_MISSING


def _scalar(value: Any) -> Any:
    if is_missing(value):
        return None
    return format_bytes(bytes(value)) if isinstance(value, bytearray) else format_label(value)


def nested_values(values: Array) -> Any:
    """An array of any dtype as nested lists (a 0-d one as its value) of what JSON can hold."""
    match values.dtype.kind:
        case "U" | "T" | "O":
            items = values.ravel().tolist()
            flat: Any = _texts(items)
            if flat is items and values.ndim > 1:
                return values.tolist()
        case "V" | "S" | "c":
            flat = [plain(item) for item in values.ravel().tolist()]
        case _:
            flat = format_labels(values.ravel())
    if values.ndim == 0:
        return flat[0]
    if values.ndim == 1:
        return flat
    nested = np.empty(values.size, dtype=object)
    for index, item in enumerate(flat):
        nested[index] = item
    return nested.reshape(values.shape).tolist()


def _texts(items: list[Any]) -> list[Any]:
    try:
        return format_texts(items)
    except TypeError:
        # Some are missing, or no text at all.
        return [format_text(item) if isinstance(item, str) else plain(item) for item in items]
