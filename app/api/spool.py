"""Answers that must be whole before their first byte leaves: kept in files for a while.

The files have no name (they are unlinked as soon as they are open), so that nothing is left of them
when the process ends, however it ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from sluice.concurrency import wait_done
from sluice.errors import LimitError

from ..errors import Overloaded
from ..telemetry.events import SpoolFilled

log = logging.getLogger(__name__)

READ_BYTES: Final = 256 * 2**10
# Who was told to come back for a file that is being made has so many times as long as it waited.
_LINGERING: Final = 3
_RETRY_SECONDS: Final = 10


class SpooledFile:
    """A file without a name: written once, then read from any place by any number."""

    def __init__(self, folder: Path | None, room: Callable[[int], None]) -> None:
        """`room` is told how many bytes come next, and raises where there is no room for them.

        Raises Overloaded where the folder cannot have a file.
        """
        try:
            self._descriptor, name = tempfile.mkstemp(prefix="sluice-", dir=folder)
            os.unlink(name)
        except OSError as error:
            raise _no_room(error) from error
        self._room = room
        self.size = 0

    async def write(self, content: bytes | memoryview) -> None:
        """Append `content`. Raises what there is against it: no room, or a full disk."""
        self._room(len(content))
        place, self.size = self.size, self.size + len(content)
        await self.put(content, place)

    async def put(self, content: bytes | memoryview, place: int) -> None:
        """Write `content` over what is at this place."""
        writing = asyncio.ensure_future(asyncio.to_thread(_write, self._descriptor, content, place))
        try:
            await wait_done(writing)
        except asyncio.CancelledError:
            # The thread must not find another file under the descriptor.
            await wait_done(writing)
            writing.exception()
            raise
        if (error := writing.exception()) is not None:
            raise (_no_room(error) if isinstance(error, OSError) else error) from error

    def place_of(self, start: int, nbytes: int) -> int:
        """`start` itself: nothing has to be read from a store any more."""
        return start

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """The bytes from `start` to `stop`, piece by piece."""
        for place in range(start, stop, READ_BYTES):
            most = min(READ_BYTES, stop - place)
            yield memoryview(await asyncio.to_thread(os.pread, self._descriptor, most, place))

    def close(self) -> None:
        """Give the disk its room back."""
        os.close(self._descriptor)


def _write(descriptor: int, content: bytes | memoryview, place: int) -> None:
    rest = memoryview(content)
    while rest:
        written = os.pwrite(descriptor, rest, place)
        place, rest = place + written, rest[written:]


def _no_room(error: OSError) -> Overloaded:
    log.error("the spool cannot be written", exc_info=error)
    return Overloaded(
        "The server has no room on its disk for the file. Ask again later, or for a format that is"
        " sent while it is read.",
        retry_after=60,
    )


# Writes the whole answer into a new file.
Make: TypeAlias = Callable[[SpooledFile], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Kept:
    """A file of the spool, what writes it, and how many write it, wait for it or read it.

    It is due to go at `ends` of the loop's time, or was `dropped`.
    """

    file: SpooledFile
    making: asyncio.Future[None] | None = None
    users: int = 1
    dropped: bool = False
    ends: float = 0.0


class Spool:
    """Files of at most `capacity` bytes in all, in `folder` (None: that of temporary files).

    A file is kept for `kept_seconds` after its last use; of those that nobody reads the least
    recently used make room for new ones. Whoever asks for a file that is being written waits for
    it, at most `patience_seconds`. One event loop uses a spool.
    """

    def __init__(
        self, folder: Path | None, *, capacity: int, kept_seconds: float, patience_seconds: float
    ) -> None:
        self._folder = folder
        self._capacity = capacity
        self._kept_seconds = kept_seconds
        self._patience_seconds = patience_seconds
        # In the order of their last use.
        self._kept: dict[Hashable, _Kept] = {}
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """The bytes of all files, of those too that are dropped and still read."""
        return self._held

    def filled(self) -> SpoolFilled:
        """The event that tells of `held_bytes`."""
        return SpoolFilled(self._held)

    def size(self, key: Hashable) -> int | None:
        """The length of the file under `key`, if it is there and whole."""
        kept = self._kept.get(key)
        return kept.file.size if kept is not None and kept.making is None else None

    @asynccontextmanager
    async def file(
        self, key: Hashable, make: Make, *, keep: bool = True
    ) -> AsyncIterator[SpooledFile]:
        """The file under `key` as long as the block lasts; ``make`` writes it if there is none.

        When all have left that waited for it, it is written no further, but for those who were told
        to come back. Unless it is to `keep`, it goes with the last who reads it. Raises what `make`
        raises, LimitError where the file would be too long, Overloaded where there is no room for
        it or it takes longer than they wait.
        """
        kept = self._kept.pop(key, None) or self._begin(key, make)
        self._kept[key] = kept
        kept.users += 1
        try:
            if kept.making is not None:
                await self._made_in_time(kept, kept.making)
            yield kept.file
        finally:
            self._touch(key, kept)
            self._left(kept)
            if not keep:
                self._drop(key, kept)
            self._end_unwanted(key, kept)

    def close(self) -> None:
        """Drop all files, and make none any more; who reads one reads on."""
        for key, kept in list(self._kept.items()):
            if kept.making is not None:
                kept.making.cancel()
            self._drop(key, kept)

    def _begin(self, key: Hashable, make: Make) -> _Kept:
        kept = _Kept(SpooledFile(self._folder, lambda size: self._room(kept, size)))
        kept.making = asyncio.ensure_future(make(kept.file))
        kept.making.add_done_callback(partial(self._made, key, kept))
        return kept

    async def _made_in_time(self, kept: _Kept, making: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience_seconds) as patience:
                await wait_done(making)
        except TimeoutError:
            if not patience.expired():
                raise
            # They may come back, and somebody else may not.
            now = asyncio.get_running_loop().time()
            kept.ends = now + _LINGERING * self._patience_seconds
            raise Overloaded(
                f"The file is still being made; {kept.file.size} bytes of it are written. Ask again"
                f" in {_RETRY_SECONDS} seconds.",
                retry_after=_RETRY_SECONDS,
            ) from None
        if making.cancelled():
            raise Overloaded("The server stops. Ask again.", retry_after=_RETRY_SECONDS)
        making.result()

    def _made(self, key: Hashable, kept: _Kept, making: asyncio.Future[None]) -> None:
        """The file is whole, or will never be."""
        kept.making = None
        if making.cancelled() or making.exception() is not None:
            self._drop(key, kept)
        else:
            self._touch(key, kept)
            self._expire(key, kept)
        self._left(kept)

    def _touch(self, key: Hashable, kept: _Kept) -> None:
        """The file was used just now; while it is made this says nothing of when it goes."""
        if kept.making is None and not kept.dropped:
            kept.ends = asyncio.get_running_loop().time() + self._kept_seconds

    def _expire(self, key: Hashable, kept: _Kept) -> None:
        """Drop the file if its time has come, else look again when it comes."""
        loop = asyncio.get_running_loop()
        if loop.time() >= kept.ends:
            self._drop(key, kept)
        elif not kept.dropped:
            loop.call_at(kept.ends, self._expire, key, kept)

    def _end_unwanted(self, key: Hashable, kept: _Kept) -> None:
        """Write no further what nobody waits for and nobody is expected for."""
        if kept.making is None or kept.users > 1 or kept.dropped:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < kept.ends:
            loop.call_at(kept.ends, self._end_unwanted, key, kept)
            return
        kept.making.cancel()
        self._drop(key, kept)

    def _left(self, kept: _Kept) -> None:
        kept.users -= 1
        if kept.users == 0 and kept.dropped:
            self._free(kept)

    def _drop(self, key: Hashable, kept: _Kept) -> None:
        """Give this file to nobody any more; it goes when the last has left it."""
        if kept.dropped:
            return
        kept.dropped = True
        if self._kept.get(key) is kept:
            del self._kept[key]
        if kept.users == 0:
            self._free(kept)

    def _free(self, kept: _Kept) -> None:
        self._held -= kept.file.size
        kept.file.close()

    def _room(self, kept: _Kept, size: int) -> None:
        """Count `size` more bytes of a file that is written; older ones that nobody reads go."""
        needed = kept.file.size + size
        if needed > self._capacity:
            raise LimitError(
                f"The file would be longer than {self._capacity} bytes, which is all the room that"
                " there is for files that must be whole. Ask for a smaller part, or for a format"
                " that is sent while it is read: f=netcdf without compression, f=arrow, f=csv.",
                limited="spool_bytes",
                estimate=needed,
                limit=self._capacity,
            )
        for key, other in list(self._kept.items()):
            if self._held + size <= self._capacity:
                break
            if other.users == 0:
                self._drop(key, other)
        if self._held + size > self._capacity:
            raise Overloaded(
                "Files that others read or make need all the room there is for them. Ask again"
                f" in {_RETRY_SECONDS} seconds, or for a format that is sent while it is read.",
                retry_after=_RETRY_SECONDS,
            )
        self._held += size
