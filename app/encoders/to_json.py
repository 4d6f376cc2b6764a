"""Dataset -> JSON in the shape of ``xarray.Dataset.to_dict()``, always valid, written by orjson."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.encoders.outline import Outline
from app.encoders.plain import nested_values, plain
from app.labels import PER_SECOND, SAFE_SECONDS, format_label, format_labels

if TYPE_CHECKING:
    import xarray as xr

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_TICKS = {np.dtype(f"M8[{unit}]"): size for unit, size in PER_SECOND.items()}
# Attributes of exactly these types need no look inside; orjson writes NaN and infinity as null.
_JSON_TYPES = frozenset((str, int, float, bool, type(None)))


def encode_json(dataset: xr.Dataset) -> bytes:
    """UTF-8 JSON of ``{"dims", "attrs", "coords", "data_vars"}``; no dtype and no attribute fails.

    The dataset is in memory: reading a lazy variable raises what its array raises.
    """
    document = _document(dataset)
    try:
        return orjson.dumps(document, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Rare enough to find out by failing: lone surrogates, and integers beyond 64 bits.
        return orjson.dumps(_acceptable(document), option=_OPTIONS)


def json_array(values: NDArray[Any]) -> bytes:
    """An array of numbers, booleans or times of any length, as its JSON text in a document."""
    return orjson.dumps(_data(values), option=_OPTIONS)


def check_json(outline: Outline) -> None:
    """Nothing: JSON has a form for every answer."""


def json_bytes(outline: Outline) -> int:
    """What an answer counts for as JSON, in bytes.

    A value of one byte counts twice, because "false" and its comma are six: so the text of no
    number, boolean or instant is longer than six times what it counts for.
    """
    single = sum(math.prod(v.shape) for v in outline.variables.values() if v.dtype.itemsize == 1)
    return outline.result_bytes + single


def _document(dataset: xr.Dataset) -> dict[str, Any]:
    coords: dict[str, Any] = {}
    data_vars: dict[str, Any] = {}
    # Membership in `data_vars` costs a tenth of what a set of the coordinates' names does.
    is_data = dataset.data_vars.__contains__
    for name, variable in dataset.variables.items():
        (data_vars if is_data(name) else coords)[str(name)] = _variable(variable)
    return {
        "dims": {str(name): size for name, size in dataset.sizes.items()},
        "attrs": _attributes(dataset.attrs),
        "coords": coords,
        "data_vars": data_vars,
    }


def _variable(variable: xr.Variable) -> dict[str, Any]:
    values = np.asarray(variable.data)
    return {
        "dims": [str(dim) for dim in variable.dims],
        "attrs": _attributes(variable.attrs),
        "dtype": _dtype_name(values.dtype),
        "data": _data(values),
    }


# Formatting a dtype's name takes longer than encoding a point; a store has a handful of them.
@lru_cache(maxsize=64)
def _dtype_name(dtype: np.dtype[Any]) -> str:
    # NumPy's own word for its variable-width strings, "StringDType()", is no name of a dtype.
    return "str" if dtype.kind == "T" else str(dtype)


def _attributes(attrs: Any) -> dict[str, Any]:
    return {
        str(name): value if type(value) in _JSON_TYPES else plain(value)
        for name, value in attrs.items()
    }


def _data(values: NDArray[Any]) -> Any:
    """The values in a form that orjson writes; arrays of numbers stay arrays."""
    match values.dtype.kind:
        case "f" if values.dtype.itemsize in (4, 8):
            return values[()] if values.ndim == 0 else _native(values)
        case "f":
            return _odd_floats(values)
        case "i" | "u" | "b":
            return values.item() if values.ndim == 0 else _native(values)
        case "M":
            return format_label(values[()]) if values.ndim == 0 else _instants(values)
        case "c":
            return _pairs(values)
        case "U":
            return values.tolist()
        case _:
            return nested_values(values)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """C-contiguous and native-endian, as orjson reads memory; no copy when it already is."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _instants(values: NDArray[Any]) -> Any:
    """Whole seconds go to orjson as they are: it writes 100,000 in 3 ms, NumPy in 40."""
    ticks = _TICKS.get(values.dtype)
    if ticks is None or not values.size or np.isnat(values).any():
        return format_labels(values)
    counts = values.astype("i8")
    # orjson drops what is finer than microseconds, and knows four-digit years alone.
    if (counts % ticks).any() or np.abs(counts).max() // ticks > SAFE_SECONDS:
        return format_labels(values)
    return _native(values)


def _odd_floats(values: NDArray[Any]) -> Any:
    if values.dtype.itemsize > 8:
        wide = values.astype("f8")
        return wide[()] if wide.ndim == 0 else _native(wide)
    # orjson widens float16 to float32 first (0.1 becomes 0.099975586); NumPy's text is shortest.
    shortest = values.astype("U").astype("f8")
    return shortest[()] if shortest.ndim == 0 else shortest


def _pairs(values: NDArray[Any]) -> Any:
    return _data(np.stack([values.real, values.imag], axis=-1))


def _acceptable(value: Any) -> Any:
    """A document that orjson refused, without what it refuses; integers stay exact."""
    match value:
        case dict():
            return {plain(key): _acceptable(item) for key, item in value.items()}
        case list():
            return [_acceptable(item) for item in value]
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**64:
            return orjson.Fragment(str(value)) if value.bit_length() < 4096 else math.inf
        case str():
            return plain(value)
        case _:
            return value
