"""Values that come in pieces, of which no more is held than was asked for."""

from __future__ import annotations


class OversizedBody(Exception):
    """More bytes came, or are said to come, than the value can have; the rest was not taken."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"it has more than the {most_bytes} bytes that it may have")
        self.most_bytes = most_bytes


def most_of_answer(start: int | None, end: int | None, most_bytes: int | None) -> int | None:
    """The most bytes of an answer that has the range, and nothing else, of a bounded value."""
    if end is not None:
        asked = end - (start or 0)
    elif start is not None and start < 0:
        asked = -start
    else:
        return most_bytes
    return asked if most_bytes is None else min(asked, most_bytes)


def checked(data: bytes, start: int | None, end: int | None, most_bytes: int | None) -> bytes:
    """`data` that came for the range, unless it is more than that can have (OversizedBody)."""
    most = most_of_answer(start, end, most_bytes)
    if most is not None and len(data) > most:
        raise OversizedBody(most)
    return data


class PartTaken:
    """The range of a value that comes in pieces (see `sluice.store.ranges`): holds no more than it.

    Raises OversizedBody where the value goes on beyond `most_bytes`.
    """

    def __init__(self, start: int | None, end: int | None, most_bytes: int | None) -> None:
        self._start = start or 0
        self._end = end
        self._most_bytes = most_bytes
        self._seen = 0
        self._kept = bytearray()

    @property
    def data(self) -> bytes:
        """What the range has of the pieces so far."""
        return bytes(self._kept)

    def add(self, piece: bytes | memoryview) -> bool:
        """Take what the range has of the next piece; whether the range is complete."""
        before = self._seen
        self._seen += len(piece)
        if self._start < 0:
            self._kept += piece
            del self._kept[: self._start]
        else:
            end = None if self._end is None else max(self._end - before, 0)
            self._kept += piece[max(self._start - before, 0) : end]
        if self._end is not None and self._seen >= self._end:
            return True
        if self._most_bytes is not None and self._seen > self._most_bytes:
            self._kept.clear()  # an error keeps whatever raised it
            raise OversizedBody(self._most_bytes)
        return False
