"""Byte ranges as sources take them: end exclusive, a negative start is a suffix, all clipped."""

from __future__ import annotations

import re

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


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


def range_header(start: int | None, end: int | None) -> str | None:
    """The range as a Range header has it (RFC 9110, 14.1.2); None for the whole value."""
    if start is None and end is None:
        return None
    if start is not None and start < 0:
        return f"bytes={start}"
    return f"bytes={start or 0}-{'' if end is None else end - 1}"


def covered(data: bytes, start: int | None, end: int | None, content_range: str) -> bytes:
    """`data` of a 206 answer, once it is what its Content-Range says, and that what was asked for.

    Raises:
        EOFError: it is something else.
    """
    stated = _CONTENT_RANGE.match(content_range)
    if stated is None:
        return data
    first, stop = int(stated[1]), int(stated[2]) + 1
    if stated[3] != "*":
        asked = resolved(start, end, int(stated[3]))
    else:
        asked = (first if start is None or start < 0 else start, stop)
    if len(data) != stop - first or (first, stop) != asked:
        raise EOFError(f"{len(data)} bytes came for {content_range}, asked were {start} to {end}")
    return data
