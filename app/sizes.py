"""How many bytes lie outside of arrays: text of variable length, and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# What a number, a boolean or nothing counts for.
_SCALAR_BYTES: Final = 8


def has_texts(dtype: np.dtype[Any]) -> bool:
    """Whether values of this dtype lie outside of their array, so that it does not say how long."""
    return dtype.kind in "OT"


def text_bytes(values: NDArray[Any]) -> int:
    """The bytes of all texts (as UTF-8) and bytes among `values`, beside the array itself."""
    match values.dtype.kind:
        case "O" | "T":
            return sum(map(_length, values.flat))
        case _:
            return 0


def text_lengths(values: NDArray[Any]) -> NDArray[np.int64]:
    """For each of 1-D `values`, what `text_bytes` counts."""
    return np.fromiter(map(_length, values.flat), np.int64, values.size)


def attribute_bytes(attrs: Mapping[Any, Any]) -> int:
    """The bytes of all names, texts and arrays among attributes, and 8 for each other value."""
    total = 0
    # No recursion: attributes may be nested as deep as their document.
    left: list[Any] = [attrs]
    while left:
        match left.pop():
            case Mapping() as items:
                left += items.keys()
                left += items.values()
            case list() | tuple() | set() | frozenset() as items:
                left += items
            case np.ndarray() as array:
                total += array.nbytes + text_bytes(array)
            case int() as number:
                total += max(_SCALAR_BYTES, number.bit_length() // 2)
            case value:
                total += _length(value) or _SCALAR_BYTES
    return total


def _length(value: Any) -> int:
    match value:
        case str():
            return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
        case bytes() | bytearray():
            return len(value)
        case list() | tuple() | np.ndarray():
            return _SCALAR_BYTES * len(value) if np.ndim(value) else 0
        case _:
            return 0
