"""How many bytes lie outside of arrays: text of variable length, and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, DType

# What JSON writes in six bytes, and in two (RFC 8259, 7).
_IN_SIX: Final = bytes(set(range(32)) - set(b"\b\t\n\f\r"))
_IN_TWO: Final = b'\b\t\n\f\r"\\'
# Looking at each character of longer ones takes longer than a copy.
_SHORT: Final = 256
_PART: Final = 2**18

# What a number, a boolean or nothing counts for.
_SCALAR_BYTES: Final = 8


def has_texts(dtype: DType) -> bool:
    """Whether values of this dtype lie outside of their array, so that it does not say how long."""
    return dtype.kind in "OT"


def text_bytes(values: Array) -> int:
    """The bytes of all texts and bytes among `values`, beside the array itself.

    They count as UTF-8 in a JSON text, where a control character is six bytes: so no format
    makes more of them than they count for.
    """
    match values.dtype.kind:
        case "O" | "T":
            return sum(map(_length, values.flat))
        case _:
            return 0


def text_lengths(values: Array) -> NDArray[np.int64]:
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
            if _is_plain(value):
                return len(value)
            # In parts, between which other threads have their turn.
            starts = range(0, len(value), _PART)
            parts = (value[start : start + _PART] for start in starts)
            return sum(_escaped(part.encode("utf-8", "surrogatepass")) for part in parts)
        case bytes() | bytearray():
            starts = range(0, len(value), _PART)
            return sum(_escaped(value[start : start + _PART]) for start in starts)
        case list() | tuple() | np.ndarray():
            return _SCALAR_BYTES * len(value) if np.ndim(value) else 0
        case _:
            return 0


def _is_plain(text: str) -> bool:
    """Whether each character is one byte in JSON; what is long is not looked at."""
    short = len(text) <= _SHORT and text.isascii() and text.isprintable()
    return short and '"' not in text and "\\" not in text


def _escaped(text: bytes | bytearray) -> int:
    """How long the text is in JSON, without its quotation marks."""
    size = len(text)
    long = size - len(text.translate(None, _IN_SIX))
    short = size - len(text.translate(None, _IN_TWO))
    return size + 5 * long + short
