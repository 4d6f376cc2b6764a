"""Any value in types that JSON has, and the text of documents of them: all JSON is written here.

No label, attribute or value of an array is refused.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
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
_DEEPEST: Final = 100
_NUMBERS: Final = frozenset((int, float, bool, type(None)))
_PANDAS_MISSING: Final = frozenset(("NAType", "NaTType"))
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_INT64: Final = np.dtype("i8")
_TICKS: Final = {np.dtype(f"M8[{unit}]"): size for unit, size in PER_SECOND.items()}
# Attributes of exactly these types need no look inside; orjson writes NaN and infinity as null.
_JSON_TYPES: Final = frozenset((str, int, float, bool, type(None)))


def json_text(document: object) -> bytes:
    """The JSON text of what `to_jsonable` makes, and of documents of that."""
    try:
        return orjson.dumps(document, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Rare enough to find out by failing: lone surrogates, and integers beyond 64 bits.
        return orjson.dumps(_acceptable(document), option=_OPTIONS)


def to_jsonable(value: object, depth: int = 0) -> object:
    """`value` of strings, numbers, booleans, ``None``, lists and string-keyed dicts alone.

    Numbers may be NumPy's, and in arrays of them. What is missing, infinite or NaN is ``None``, or
    written so. Strings are names, sentences and attributes, and stay themselves, but for lone
    surrogates; those in arrays are values, and become what `format_text` says.
    """
    if depth > _DEEPEST:
        return "..."
    match value:
        case str():
            return without_surrogates(value)
        case Mapping():
            return {
                without_surrogates(str(key)): to_jsonable(item, depth + 1)
                for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return _items(value, depth + 1)
        case np.ndarray():
            return array_to_jsonable(value, depth + 1)
        case complex() | np.complexfloating():
            return [format_label(value.real), format_label(value.imag)]
        case np.void():
            return to_jsonable(value.item(), depth + 1)
        case _:
            return _scalar(value)


def attributes_to_jsonable(attrs: Mapping[Hashable, object]) -> dict[str, object]:
    """Attributes by name, each as JSON knows values."""
    return {
        str(name): value if type(value) in _JSON_TYPES else to_jsonable(value)
        for name, value in attrs.items()
    }


def array_to_jsonable(values: Array, depth: int = 0) -> object:
    """The values of an array of any dtype; those of numbers stay arrays, as orjson reads them."""
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
            return array_to_jsonable(np.stack([values.real, values.imag], axis=-1))
        case _:
            return _nested(values, depth)


def items_to_jsonable(values: Array) -> list[object]:
    """The items of a 1-D array of any dtype; numbers stay NumPy's, and keep their digits."""
    found = array_to_jsonable(values)
    assert isinstance(found, np.ndarray | list)
    return list(found)


def is_missing(value: object) -> bool:
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


# Formatting a dtype's name takes longer than encoding a point; a store has a handful of them.
@lru_cache(maxsize=64)
def dtype_name(dtype: DType) -> str:
    """The dtype as an answer names it."""
    # NumPy's own word for its variable-width strings, "StringDType()", is no name of a dtype.
    return "str" if dtype.kind == "T" else str(dtype)


def _scalar(value: object) -> JsonScalar:
    if is_missing(value):
        return None
    return format_bytes(bytes(value)) if isinstance(value, bytearray) else format_label(value)


def _items(values: Collection[object], depth: int) -> list[object]:
    """Lists of numbers can be long: nothing is called for each of them."""
    if not _NUMBERS.issuperset(map(type, values)):
        return [to_jsonable(item, depth) for item in values]
    if all(isfinite(item) for item in values if isinstance(item, float)):
        return list(values)
    return [None if isinstance(item, float) and not isfinite(item) else item for item in values]


def _nested(values: Array, depth: int) -> object:
    """Texts, bytes, durations and objects as nested lists; a 0-d array as its value."""
    flat: Sequence[object]
    match values.dtype.kind:
        case "U" | "T" | "O":
            items = values.ravel().tolist()
            flat = _texts(items, depth)
            if flat is items and values.ndim > 1:
                return values.tolist()
        case "V" | "S":
            flat = [to_jsonable(item, depth) for item in values.ravel().tolist()]
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


def _texts(items: list[Any], depth: int) -> Sequence[object]:
    try:
        return format_texts(items)
    except TypeError:
        # Some are missing, or no text at all.
        return [
            format_text(item) if isinstance(item, str) else to_jsonable(item, depth)
            for item in items
        ]


def _native(values: Array) -> Array:
    """C-contiguous and native-endian, as orjson reads memory; no copy when it already is."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _instants(values: Array) -> object:
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


def _odd_floats(values: Array) -> object:
    if values.dtype.itemsize > 8:
        wide = values.astype("f8")
        return wide[()] if wide.ndim == 0 else _native(wide)
    # orjson widens float16 to float32 first (0.1 becomes 0.099975586); NumPy's text is shortest.
    shortest = values.astype("U").astype("f8")
    return shortest[()] if shortest.ndim == 0 else shortest


def _acceptable(value: object) -> object:
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
