"""Byte ranges as sources take them: end exclusive, a negative start is a suffix, all clipped."""

from __future__ import annotations


def check_range(start: int | None, end: int | None) -> None:
    """Refuse what the source protocol does not define.

    Raises:
        ValueError: a negative `end`, or a suffix (negative `start`) with an `end`.
    """
    if end is not None and (end < 0 or (start is not None and start < 0)):
        raise ValueError(f"Not a byte range: {start} to {end}; a suffix has a negative start alone")


def resolved(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """The range within a value of `size` bytes, as a first byte and an exclusive end."""
    if start is None:
        start = 0
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, max(first, size if end is None else min(end, size))


def sliced(data: bytes, start: int | None, end: int | None) -> bytes:
    """The range out of the whole value."""
    first, last = resolved(start, end, len(data))
    return data if (first, last) == (0, len(data)) else data[first:last]
