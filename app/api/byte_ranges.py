"""Parts of an answer by their bytes (RFC 9110, section 14): which one a request asks for."""

from __future__ import annotations

import re
from typing import Final

from sluice.record import record

from ..errors import RangeNotSatisfiable

# One range of bytes; of several the server may send the whole (section 14.2), and this one does.
_RANGE: Final = re.compile(r"\s*bytes\s*=[\s,]*(\d*)\s*-\s*(\d*)[\s,]*", re.IGNORECASE)
# No file is longer than a number of so many digits can say.
_MOST_DIGITS: Final = 19


@record
class ByteRange:
    """The bytes from `start` to `stop` of an answer of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        """The header ``Content-Range`` of a 206 (section 14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def asked_range(given: str | None, if_range: str | None, tag: str, size: int) -> ByteRange | None:
    """The part that a request wants of an answer of `size` bytes with the strong tag `tag`.

    `given` is its header ``Range`` and `if_range` its ``If-Range``. None where the whole is to be
    sent: without a range, with several or a misspelt one, and where the answer is another by now.
    Raises RangeNotSatisfiable.
    """
    if given is None or (if_range is not None and if_range.strip() != tag):
        return None
    found = _RANGE.fullmatch(given)
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if len(first) > _MOST_DIGITS or len(last) > _MOST_DIGITS:
        raise _none_of(size)
    if not first:
        start, stop = max(0, size - int(last)), size
    elif last and int(last) < int(first):
        return None
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    if start >= stop:
        raise _none_of(size)
    return ByteRange(start, stop, size)


def _none_of(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(f"The answer has {size} bytes; none is in this range.", size=size)
