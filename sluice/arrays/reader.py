"""What the readings of many datasets share: room for chunks in flight, a cache, a decode pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Final, TypeVar

import numpy as np

from sluice.aliases import Array, DType
from sluice.arrays.chunk_cache import ABSENT, Chunk, ChunkCache
from sluice.arrays.chunk_decoders import SHORT_TEXT_BYTES
from sluice.arrays.chunk_parts import Span
from sluice.arrays.codec_table import Data
from sluice.arrays.plan import ChunkRead, Reading, encoded_part_bytes, part_bytes
from sluice.arrays.texts import TextDecoder, text_bytes
from sluice.cgroup import available_cores
from sluice.errors import CorruptChunk
from sluice.instrumentation import phase
from sluice.scheduler import FairScheduler, Flow, Threads

Given = TypeVar("Given")
Made = TypeVar("Made")

_MIB: Final = 2**20
# What counting one text costs, in bytes that Zstandard decodes meanwhile.
_COUNTING_COST: Final = 64
# What is not short is too long for the loop.
_UNKNOWN_BYTES: Final = 2**40
# Larger arrays get their memory from the kernel, which clears it page by page as it is written
# to: 40 ms for 30 MB, where it has no huge pages.
_SCANT_BYTES: Final = _MIB
_PAGE: Final = 4096


class DecodePool:
    """Where chunks are decoded: on the loop if that takes little, else in threads.

    Work on up to `inline_bytes` is done on the loop, since the hop to a thread costs more; larger
    work in the `pool` (None: the loop's default executor), of which it takes at most `threads`, or
    as many of the `calm_pool` while the loop has little to do.
    Up to `cooperative_bytes` it is done on the loop too, but a piece between two rounds of it: for
    where threads have no core of their own. There they do not work beside the loop but in its
    place, and it takes the core back from them at each event.

    It belongs to one event loop; whoever made the pool closes it.
    """

    def __init__(
        self,
        *,
        inline_bytes: int,
        cooperative_bytes: int = 0,
        threads: int,
        pool: Executor | None = None,
        calm_pool: Executor | None = None,
    ) -> None:
        self.inline_bytes = inline_bytes
        self._cooperative_bytes = cooperative_bytes
        self._threads = Threads(threads, pool, calm_pool)

    async def run(
        self, flow: Flow, work: Callable[[Given], Made], given: Given, nbytes: int
    ) -> Made:
        """What ``work(given)`` makes, which takes about as long as decoding `nbytes` does."""
        if nbytes <= self.inline_bytes:
            return work(given)
        if nbytes <= self._cooperative_bytes:
            return await self._threads.cooperatively(flow, work, given)
        return await self._threads.run(flow, work, given)

    async def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array of any content, which takes little time to write to."""
        made = np.empty(shape, dtype)
        if made.nbytes > _SCANT_BYTES and dtype.kind not in "OT":
            pages = made.reshape(-1).view("u1")[::_PAGE]
            step = _SCANT_BYTES // _PAGE if self._cooperative_bytes else pages.size
            for start in range(0, pages.size, step):
                await self.run(Flow(), _write, pages[start : start + step], step * _PAGE)
        return made


def _write(values: Array) -> None:
    values[...] = 0


class Reader:
    """What datasets share that are opened with it: a gate for chunks, their cache, a decode pool.

    Chunks that are fetched and decoded at once have at most `in_flight_bytes`, and so have ranges
    of shards; each reading has its fair share of them. (How many requests run at once is up to the
    source of each store.) Decoded chunks are kept in `cache_bytes`: those that are asked for again
    stay, see `ChunkCache`.

    Chunks of up to `inline_bytes` are decoded on the loop; larger ones in `threads` of the `pool`
    (None: one for each core, of the loop's default executor), or of the `calm_pool` while the loop
    has little to do. Where there is one core alone, up to
    `single_core_bytes` are decoded on the loop as well, between its rounds.

    `shard_index_bytes` bounds the shard indexes that are kept of one store, and each of them,
    `workers` the chunks that one array reads at once. It belongs to one event loop; whoever made
    the pool closes it.
    """

    def __init__(
        self,
        *,
        cache_bytes: int = 256 * _MIB,
        in_flight_bytes: int = 64 * _MIB,
        inline_bytes: int = 256 * 1024,
        single_core_bytes: int = 2 * _MIB,
        threads: int | None = None,
        pool: Executor | None = None,
        calm_pool: Executor | None = None,
        shard_index_bytes: int = 64 * _MIB,
        workers: int = 32,
        cores: int | None = None,
    ) -> None:
        cores = available_cores() if cores is None else cores
        self.cache = ChunkCache(cache_bytes)
        self.pool = DecodePool(
            inline_bytes=inline_bytes,
            cooperative_bytes=single_core_bytes if cores == 1 else 0,
            threads=cores if threads is None else threads,
            pool=pool,
            calm_pool=calm_pool,
        )
        self.shard_index_bytes = shard_index_bytes
        self.workers = workers
        self.in_flight_bytes = in_flight_bytes
        self._gate = FairScheduler(in_flight_bytes)
        self._ranges = FairScheduler(in_flight_bytes)

    def range_in_flight(self, flow: Flow, nbytes: int) -> AbstractAsyncContextManager[None]:
        """The block is the turn of so many bytes of a shard to be in memory, with its chunks'."""
        return self._ranges.turn(flow, nbytes)

    def in_flight(self, flow: Flow, nbytes: int) -> AbstractAsyncContextManager[None]:
        """The block is the turn of a chunk of so many bytes to be fetched and decoded."""
        return self._gate.turn(flow, nbytes)


async def count_texts(pool: DecodePool, flow: Flow, values: Array) -> int:
    """The bytes of the texts in `values`."""
    return await pool.run(flow, text_bytes, values, _COUNTING_COST * values.size)


async def put_part(pool: DecodePool, reading: Reading, read: ChunkRead, chunk: Chunk) -> None:
    """Place what `read` takes of its chunk; its texts are counted before they are copied.

    Much is placed where it would be decoded, and next: what is placed is no longer in memory twice.
    """
    if reading.meter is not None:
        cost = 0 if chunk is ABSENT else _COUNTING_COST * chunk.size
        work = partial(part_bytes, reading, read)
        reading.meter.take(await pool.run(reading.decoding, work, chunk, cost))
    if reading.meta.chunk_bytes <= pool.inline_bytes or reading.meta.dtype.kind in "OT":
        reading.place(read, chunk)
    else:
        nbytes = _taken(read) * reading.meta.dtype.itemsize
        # A flow of its own has had nothing yet.
        await pool.run(Flow(), partial(reading.place, read), chunk, nbytes)


def _taken(read: ChunkRead) -> int:
    """About how many values `read` takes."""
    counts = [
        within.size if isinstance(within, np.ndarray) else within.stop - within.start
        for within in read.take
    ]
    return math.prod(counts)


@contextmanager
def naming(key: str) -> Iterator[None]:
    """A CorruptChunk in the block says that the chunk `key` is meant."""
    try:
        yield
    except CorruptChunk as error:
        raise CorruptChunk(f"{key!r}: {error.detail}") from error


async def decode_chunk(
    pool: DecodePool, reading: Reading, read: ChunkRead, key: str, data: bytes
) -> Array:
    """The values of the chunk `key`, of which `read` wants some, in the shape of such chunks.

    Raises:
        CorruptChunk: the bytes are no such chunk; it names the key.
        LimitError: `read` takes more text of it than its reading may have; none was made.
    """
    meta = reading.meta
    assert meta.decoder is not None
    with naming(key), phase("decode"):
        if isinstance(meta.decoder, TextDecoder):
            return await _decode_texts(pool, reading, read, meta.decoder, data)
        cost = meta.decode_cost * meta.chunk_bytes
        return await pool.run(reading.decoding, meta.decoder, data, cost)


async def decode_part(
    pool: DecodePool, reading: Reading, span: Span, key: str, data: bytes
) -> Array:
    """A chunk of which only `span` has its values; the rest as in `decode_chunk`."""
    part = reading.meta.part
    assert part is not None
    with naming(key), phase("decode"):
        work, cost = partial(part.chunk, span), part.cost(span, data)
        return await pool.run(reading.decoding, work, data, cost)


async def _decode_texts(
    pool: DecodePool, reading: Reading, read: ChunkRead, decoder: TextDecoder, data: bytes
) -> Array:
    """A chunk of texts, whose size shows once it is inflated: on the loop if that is short."""
    texts = reading.meta.texts
    assert texts is not None

    def make(encoded: Data) -> tuple[Array, int]:
        size = decoder.size(encoded)
        if reading.meter is not None:
            part = partial(encoded_part_bytes, reading, read, decoder, encoded)
            reading.meter.foresee(size, part)
        return decoder.values(encoded), size

    short = _short(pool, reading, decoder, data)
    if short is not None:
        cost = _COUNTING_COST * decoder.count + len(short)
        chunk, found = await pool.run(reading.decoding, make, short, cost)
    else:
        work = partial(_whole, decoder, make)
        chunk, found = await pool.run(reading.decoding, work, data, _UNKNOWN_BYTES)
    texts.see(found, decoder.count)
    if reading.meter is not None:
        reading.meter.decode(found)
    return chunk


def _whole(decoder: TextDecoder, make: Callable[[Data], Made], data: bytes) -> Made:
    return make(decoder.inflate(data))


def _short(pool: DecodePool, reading: Reading, decoder: TextDecoder, data: bytes) -> Data | None:
    """The encoded form of a chunk, where it is short enough to look at on the loop."""
    most = max(len(data), reading.meta.decode_cost * SHORT_TEXT_BYTES)
    if most > pool.inline_bytes:
        return None
    try:
        return decoder.inflate_short(data)
    except CorruptChunk:  # or damaged, which shows again
        return None
