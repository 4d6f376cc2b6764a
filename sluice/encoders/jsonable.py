"""Any value as JSON knows values, and the JSON text of documents of them; never fails."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final

import numpy as np
import orjson

from sluice.aliases import Array, DType
from sluice.labels import (
    PER_SECOND,
    SAFE_SECONDS,
    JsonScalar,
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


_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_INT64 = np.dtype("i8")
_TICKS = {np.dtype(f"M8[{unit}]"): size for unit, size in PER_SECOND.items()}
# Attributes of exactly these types need no look inside; orjson writes NaN and infinity as null.
_JSON_TYPES = frozenset((str, int, float, bool, type(None)))


def json_text(value: Any) -> bytes:
    """The JSON text of a document whose leaves are what this module makes; never fails."""
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Rare enough to find out by failing: lone surrogates, and integers beyond 64 bits.
        return orjson.dumps(_acceptable(value), option=_OPTIONS)


def json_array(values: Array) -> bytes:
    """An array of numbers, booleans or times of any length, as its JSON text in a document."""
    return orjson.dumps(json_data(values), option=_OPTIONS)


# Formatting a dtype's name takes longer than encoding a point; a store has a handful of them.
@lru_cache(maxsize=64)
def dtype_name(dtype: DType) -> str:
    """The dtype as an answer names it."""
    # NumPy's own word for its variable-width strings, "StringDType()", is no name of a dtype.
    return "str" if dtype.kind == "T" else str(dtype)


def json_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes by name, each as JSON knows values."""
    return {
        str(name): value if type(value) in _JSON_TYPES else plain(value)
        for name, value in attrs.items()
    }


def json_data(values: Array) -> Any:
    """The values in a form that orjson writes; arrays of numbers stay arrays."""
    match values.dtype.kind:
        case "f" if values.dtype.itemsize in (4, 8):
            return values[()] if values.ndim == 0 else _native(values)
        case "f":
            return _odd_floats(values)
        case "i" | "u" | "b":
            return values.item() if values.ndim == 0 else _native(values)
        case "M":
            return _instants(values)
        case "c":
            return _pairs(values)
        case _:
            return nested_values(values)


def _native(values: Array) -> Array:
    """C-contiguous and native-endian, as orjson reads memory; no copy when it already is."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _instants(values: Array) -> Any:
    """Whole seconds go to orjson as they are: it writes 100,000 in 3 ms, NumPy in 40."""
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim == 0:
        return _instant(values.view(_INT64).item(), values.dtype)
    ticks = _TICKS.get(values.dtype)
    if ticks is None or not values.size or np.isnat(values).any():
        return format_labels(values)
    counts = values.astype("i8")
    # orjson drops what is finer than microseconds, and knows four-digit years alone.
    if (counts % ticks).any() or np.abs(counts).max() // ticks > SAFE_SECONDS:
        return format_labels(values)
    return _native(values)


# Clients ask for the same few times again and again.
@lru_cache(maxsize=4096)
def _instant(count: int, dtype: DType) -> JsonScalar:
    return format_label(np.array(count).view(dtype)[()])


def _odd_floats(values: Array) -> Any:
    if values.dtype.itemsize > 8:
        wide = values.astype("f8")
        return wide[()] if wide.ndim == 0 else _native(wide)
    # orjson widens float16 to float32 first (0.1 becomes 0.099975586); NumPy's text is shortest.
    shortest = values.astype("U").astype("f8")
    return shortest[()] if shortest.ndim == 0 else shortest


def _pairs(values: Array) -> Any:
    return json_data(np.stack([values.real, values.imag], axis=-1))


def _acceptable(value: Any) -> Any:
    """A document that orjson refused, without what it refuses; integers stay exact."""
    match value:
        case dict():
            return {without_surrogates(key): _acceptable(item) for key, item in value.items()}
        case list():
            return [_acceptable(item) for item in value]
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**64:
            return orjson.Fragment(str(value)) if value.bit_length() < 4096 else math.inf
        case str():
            return without_surrogates(value)
        case _:
            return value
