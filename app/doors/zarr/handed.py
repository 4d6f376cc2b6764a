"""Values of a store that are handed on as they are: not decoded, not kept, a piece at a time."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

from sluice.aliases import record
from sluice.concurrency import read_ahead
from sluice.errors import StoreFaltered
from sluice.store.source import ByteSource, Part, PartSource

# So much of a value is asked for at once, and so many pieces are in memory: the one that is being
# sent, the next one, and the first.
PIECE_BYTES: Final = 4 * 2**20
PIECES: Final = 3
_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def first_limits(given: str | None, condition: str | None, tag: str) -> tuple[int, int | None]:
    """What to ask of the store before the size of the value is known: a piece of what is wanted.

    `given` is the header ``Range``, and `tag` the one that the `condition` in ``If-Range`` has to
    name.
    """
    found = None if given is None else _RANGE.fullmatch(given)
    if found is None or (condition is not None and condition.strip() != tag):
        return 0, PIECE_BYTES
    first, last = found.groups()
    if first:
        start = int(first)
        stop = int(last) + 1 if last else start + PIECE_BYTES
        return (start, min(stop, start + PIECE_BYTES)) if stop > start else (0, PIECE_BYTES)
    nbytes = int(last or 0)
    # The size alone, of what is more than a piece, or nothing.
    return (-nbytes, None) if 0 < nbytes <= PIECE_BYTES else (0, 1)


@record
class HandedFile:
    """A value of the store, of which a part is here and the rest is read as it is sent."""

    parts: PartSource
    key: str
    size: int
    part: Part

    @classmethod
    async def of(
        cls,
        source: ByteSource,
        parts: PartSource,
        key: str,
        limits: tuple[int, int | None],
        most_bytes: int,
    ) -> HandedFile | None:
        """The value of `key` with the part in these `limits`; None where there is no such key.

        The `parts` are those of the source.

        Of a store that tells no sizes the whole is read, which may have `most_bytes`.
        """
        part = await parts.get_part(key, *limits)
        if part is not None and part.size is None and not part.data:
            # They lie behind its end, or it is empty.
            part = await parts.get_part(key, 0, 1)
            if part is not None and not part.data:
                part = Part(b"", 0, 0)
        if part is not None and part.size is None:
            data = await source.get(key, most_bytes=most_bytes)
            part = None if data is None else Part(data, 0, len(data))
        return None if part is None else cls(parts, key, part.size or 0, part)

    def known(self, start: int, stop: int) -> bytes | None:
        """The bytes from `start` to `stop`, if they are here."""
        own, data = self.part.start, self.part.data
        if start < own or stop > own + len(data):
            return None
        return data if (start, stop) == (own, own + len(data)) else data[start - own : stop - own]

    def place_of(self, start: int, nbytes: int) -> int:
        """Where that many bytes from `start` on end."""
        return min(self.size, start + nbytes)

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """The bytes from `start` to `stop`; StoreFaltered where another value is read meanwhile."""
        end = min(stop, self.part.start + len(self.part.data))
        if (known := self.known(start, end)) is not None and start < end:
            yield memoryview(known)
            start = end
        starts = range(start, stop, PIECE_BYTES)
        async for piece in read_ahead(starts, partial(self._piece, stop)):
            yield memoryview(piece)

    async def _piece(self, stop: int, start: int) -> bytes:
        end = min(stop, start + PIECE_BYTES)
        part = await self.parts.get_part(self.key, start, end)
        known = self.size if part is None or part.size is None else part.size
        if part is None or known != self.size or len(part.data) != end - start:
            raise StoreFaltered(f"{self.key} is another value since it is read")
        return part.data
