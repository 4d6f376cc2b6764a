"""What the readings of many datasets share: where chunks are decoded, and how much at once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

from sluice.aliases import Array
from sluice.arrays.chunk_cache import ABSENT, Chunk
from sluice.arrays.chunk_decoders import SHORT_TEXT_BYTES
from sluice.arrays.plan import ChunkRead, Reading, encoded_part_bytes, part_bytes
from sluice.arrays.texts import TextDecoder, text_bytes
from sluice.arrays.turns import Share, Shares, Turns
from sluice.concurrency import wait_done
from sluice.errors import CorruptChunk
from sluice.phases import phase

Made = TypeVar("Made")

# The loop must not wait for a core that such work has: where both want it, the loop gets three
# quarters (sched(7), "The nice value").
_NICENESS: Final = 5
# Work on the loop begins within so long of a round of the loop, in which all others had theirs.
_ROUND_SECONDS: Final = 0.005


class Threads:
    """At most `number` threads of a `pool` (None: the loop's default executor), one a turn.

    What waits inside a pool could not be overtaken: it waits before it. Belongs to one event loop;
    whoever made the pool closes it.
    """

    def __init__(self, number: int, pool: Executor | None) -> None:
        self._turns = Turns(number)
        self._pool = pool
        self._round_ends = 0.0

    async def run(self, share: Share, work: Callable[..., Made], *given: Any) -> Made:
        """What ``work(*given)`` makes, in a turn of whoever has `share`.

        Who is cancelled meanwhile leaves when the thread has ended: no thread works for nobody, and
        what it has in its hands is counted for as long as it has it.
        """
        async with self._turns.turn(share, 1):
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, work, *given)
            try:
                await wait_done(running)
            except asyncio.CancelledError:
                await wait_done(running)
                running.exception()  # nobody is there to be told
                raise
            return running.result()

    async def between(self, share: Share, work: Callable[..., Made], *given: Any) -> Made:
        """What ``work(*given)`` makes, on the loop, in the same turns.

        Every few milliseconds the loop goes round, however much of this waits.
        """
        async with self._turns.turn(share, 1):
            if perf_counter() > self._round_ends:
                await asyncio.sleep(0)
                self._round_ends = perf_counter() + _ROUND_SECONDS
            return work(*given)


def busy_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Threads for work that keeps a core busy; they give way to the loop."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_give_way)


def _give_way() -> None:
    # On Linux it is the thread's own (nice(2), "C library/kernel differences").
    if sys.platform == "linux":
        os.nice(_NICENESS)


Given = TypeVar("Given")


class Workshop:
    """What all readings of a process share, so that many of them together stay within bounds.

    Work on up to `inline_bytes` is done on the loop, since the hop to a thread costs more; larger
    work in the `pool` (None: the loop's default executor), of which it takes at most `threads`.
    Up to `between_bytes` it is done on the loop too, but a piece between two rounds of it: for
    where threads have no core of their own. There they do not work beside the loop but in its
    place, and it takes the core back from them at each event.

    Chunks that are fetched and decoded at once have at most `under_way_bytes`. It belongs to one
    event loop; whoever made the pool closes it.
    """

    def __init__(
        self,
        *,
        inline_bytes: int,
        between_bytes: int = 0,
        under_way_bytes: int,
        threads: int,
        pool: Executor | None,
    ) -> None:
        self._inline_bytes = inline_bytes
        self._between_bytes = between_bytes
        self._under_way = Turns(under_way_bytes)
        self._threads = Threads(threads, pool)

    def under_way(self, shares: Shares, chunk_bytes: int) -> AbstractAsyncContextManager[None]:
        """The block is the turn of a chunk of so many bytes to be fetched and decoded."""
        return self._under_way.turn(shares.under_way, chunk_bytes)

    def is_small(self, nbytes: int) -> bool:
        """Whether work on so many bytes is done on the loop."""
        return nbytes <= self._inline_bytes

    async def run(
        self, shares: Shares, work: Callable[[Given], Made], given: Given, nbytes: int
    ) -> Made:
        """What ``work(given)`` makes, which takes about as long as decoding `nbytes` does."""
        if self.is_small(nbytes):
            return work(given)
        if nbytes <= self._between_bytes:
            return await self._threads.between(shares.threads, work, given)
        return await self._threads.run(shares.threads, work, given)


# What counting one text costs, in bytes that Zstandard decodes meanwhile.
_COUNTING_EFFORT: Final = 64
# What is not short is too long for the loop.
_UNKNOWN_BYTES: Final = 2**40


async def count_texts(workshop: Workshop, shares: Shares, values: Array) -> int:
    """The bytes of the texts in `values`."""
    return await workshop.run(shares, text_bytes, values, _COUNTING_EFFORT * values.size)


async def count_part(workshop: Workshop, reading: Reading, read: ChunkRead, chunk: Chunk) -> int:
    """The bytes of the texts that `read` takes of its chunk."""
    cost = 0 if chunk is ABSENT else _COUNTING_EFFORT * chunk.size
    return await workshop.run(reading.shares, partial(part_bytes, reading, read), chunk, cost)


async def decode_chunk(
    workshop: Workshop, reading: Reading, read: ChunkRead, key: str, data: bytes
) -> Array:
    """The values of the chunk `key`, of which `read` wants some, in the shape of such chunks.

    Raises:
        CorruptChunk: the bytes are no such chunk; it names the key.
        LimitError: `read` takes more text of it than its reading may have; none was made.
    """
    meta = reading.meta
    assert meta.decoder is not None
    try:
        with phase("decode"):
            if isinstance(meta.decoder, TextDecoder):
                return await _decode_texts(workshop, reading, read, meta.decoder, data)
            cost = meta.effort * meta.chunk_bytes
            return await workshop.run(reading.shares, meta.decoder, data, cost)
    except CorruptChunk as error:
        raise CorruptChunk(f"{key!r}: {error.detail}") from error


async def _decode_texts(
    workshop: Workshop, reading: Reading, read: ChunkRead, decoder: TextDecoder, data: bytes
) -> Array:
    """A chunk of texts, whose size shows once it is inflated: on the loop if that is short."""
    texts = reading.meta.texts
    assert texts is not None

    def make(encoded: Any) -> tuple[Array, int]:
        size = decoder.size(encoded)
        if reading.meter is not None:
            part = partial(encoded_part_bytes, reading, read, decoder, encoded)
            reading.meter.foresee(size, part)
        return decoder.values(encoded), size

    short = _short(workshop, reading, decoder, data)
    if short is not None:
        cost = _COUNTING_EFFORT * decoder.count + len(short)
        chunk, found = await workshop.run(reading.shares, make, short, cost)
    else:
        work = partial(_whole, decoder, make)
        chunk, found = await workshop.run(reading.shares, work, data, _UNKNOWN_BYTES)
    texts.see(found, decoder.count)
    if reading.meter is not None:
        reading.meter.decode(found)
    return chunk


def _whole(decoder: TextDecoder, make: Callable[[Any], Made], data: bytes) -> Made:
    return make(decoder.inflate(data))


def _short(workshop: Workshop, reading: Reading, decoder: TextDecoder, data: bytes) -> Any | None:
    """The encoded form of a chunk, where it is short enough to look at on the loop."""
    most = max(len(data), reading.meta.effort * SHORT_TEXT_BYTES)
    if not workshop.is_small(most):
        return None
    try:
        return decoder.inflate_short(data)
    except CorruptChunk:  # or damaged, which shows again
        return None
