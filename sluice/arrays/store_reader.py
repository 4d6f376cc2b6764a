"""Plan, fetch, decode, place: the coroutine that turns an `ArrayPlan` into values.

Touched chunks that are in memory are placed at once into one preallocated output. A few workers
fetch, decode, keep and place the others. The source's gate bounds the requests of all readers
together, and the turns of the `Reader` bound their bytes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array
from sluice.arrays.array_metadata import ArrayMeta, object_key
from sluice.arrays.chunk_cache import ABSENT, Chunk, ChunkCache, ChunkKey
from sluice.arrays.chunk_parts import Span, worthwhile_span
from sluice.arrays.plan import ChunkRead, ElementPlan, ReadPlan
from sluice.arrays.reader import Reader
from sluice.arrays.reading import (
    Reading,
    count_texts,
    decode_chunk,
    decode_part,
    naming,
    placing,
    put_part,
)
from sluice.arrays.shards import (
    ByteRange,
    Shard,
    ShardIndexes,
    ShardMoved,
    ShardRead,
    by_shard,
    coalesce,
    locate,
    may_grow,
)
from sluice.arrays.texts import TextMeter
from sluice.arrays.zarr_fallback import read_through_zarr
from sluice.concurrency import SingleFlight, map_concurrently
from sluice.errors import CorruptChunk, LimitError
from sluice.instrumentation import count_chunks
from sluice.scheduler import Flow
from sluice.store.source import ByteSource

Fetch: TypeAlias = Callable[[], Awaitable[bytes | None]]

_GAP_BYTES: Final = 64 * 1024
_MOST_BYTES: Final = 16 * 1024 * 1024
# How often a shard may be written anew while it is read; an append does it once.
_MOST_MOVES: Final = 4
# For how long chunks from memory are placed before the loop has a round: there may be thousands.
_TURN_SECONDS: Final = 0.005
# So few chunks from memory are placed in one go.
_FEW_CHUNKS: Final = 100
# More chunks are grouped by their shards in a thread.
_FEW_GROUPED: Final = 4096


@dataclass(frozen=True, slots=True)
class StoreReader:
    """Reads the arrays of one opened store, from its `source` and with its shard `indexes`.

    `reader` is what it shares with other stores. Chunks are kept in `cache`, in which `identity`
    stands for this store at this version. `ranges` are the requests for (parts of) chunks that are
    in flight, by key, start and end.
    """

    source: ByteSource
    indexes: ShardIndexes
    reader: Reader
    cache: ChunkCache
    identity: Hashable
    ranges: SingleFlight[tuple[str, int, int], bytes | None] = field(default_factory=SingleFlight)

    @classmethod
    def of(cls, source: ByteSource, reader: Reader, identity: Hashable) -> StoreReader:
        """A store behind `source`, whose chunks are kept in the cache of `reader`."""
        most = reader.shard_index_bytes
        indexes = ShardIndexes(source, budget_bytes=most, most_bytes=most)
        return cls(source, indexes, reader, reader.cache, identity)

    def without_cache(self) -> StoreReader:
        """The same without the shared cache, for values that the caller keeps."""
        return replace(self, cache=ChunkCache(0))

    def read_cached(self, meta: ArrayMeta, plan: ReadPlan) -> Array | None:
        """What `read` returns, if it takes few chunks and all of them are in memory; else None."""
        if isinstance(plan, ElementPlan):
            chunk = self.cache.get((self.identity, meta.path, plan.coords))
            if chunk is None:
                return None
            count_chunks(1, 0)
            return np.array(chunk[plan.place], dtype=meta.dtype)
        if meta.decoder is None or plan.chunks > _FEW_CHUNKS:
            return None
        reads = list(plan.reads())
        chunks = self.cache.get_all([self._name(meta, read) for read in reads])
        if chunks is None:
            return None
        count_chunks(plan.chunks, 0)
        out = np.empty(plan.buffer_shape, dtype=meta.dtype)
        place = placing(meta, plan, out)
        for read, chunk in zip(reads, chunks, strict=True):
            place(read, chunk)
        return plan.finish(out)

    def working_bytes(self, meta: ArrayMeta, chunks: int) -> int:
        """The most decoded bytes in memory at once while so many chunks are read.

        An array that zarr-python reads may have all of them in memory.
        """
        if meta.decoder is not None:
            chunks = min(chunks, self.reader.workers)
        beside = 0.0
        if meta.texts is not None and meta.texts.mean_bytes is not None:
            beside = math.prod(meta.chunks) * meta.texts.mean_bytes
        return chunks * (meta.chunk_bytes + int(beside))

    async def read(
        self,
        meta: ArrayMeta,
        plan: ReadPlan,
        meter: TextMeter | None = None,
        *,
        passing: bool = False,
    ) -> Array:
        """The planned values as an array of `plan.shape`, in the array's stored dtype.

        Texts are counted by the `meter`; LimitError as soon as there are too many. Chunks that are
        read in `passing` take no room in the cache from others. Raises a StoreError where the store
        fails, and CorruptChunk, which is one, for a damaged chunk.
        """
        if not meta.texts:
            meter = None
        if meta.decoder is None:
            read = await read_through_zarr(meta.zarr, plan)
            if meter is not None:
                meter.take(await count_texts(self.reader.pool, Flow(), read))
            return plan.finish(read)
        out = await self.reader.pool.empty(plan.buffer_shape, meta.dtype)
        place, points = placing(meta, plan, out), plan.points is not None
        wide, scan = self.cache.judge(plan.chunks, meta.chunk_bytes)
        reading = Reading(meta, plan.order, place, out, points, meter, wide, passing or scan)
        unknown = await self._place_known(reading, plan)
        count_chunks(plan.chunks - len(unknown), len(unknown))
        if unknown:
            await self._load(reading, unknown)
        return plan.finish(out)

    async def _place_known(self, reading: Reading, plan: ReadPlan) -> list[ChunkRead]:
        """Place what is in memory, without a task; the rest is returned."""
        if isinstance(plan, ElementPlan):
            return list(plan.reads())  # who loads it looks there
        unknown, look = [], self.cache.peek if reading.passing else self.cache.get
        turn_ends = perf_counter() + _TURN_SECONDS
        for read in plan.reads():
            chunk = look(self._name(reading.meta, read))
            if chunk is None:
                unknown.append(read)
            elif reading.meter is None:
                reading.place(read, chunk)
            else:
                await put_part(self.reader.pool, reading, read, chunk)
            if perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = perf_counter() + _TURN_SECONDS
        return unknown

    async def _load(self, reading: Reading, unknown: list[ChunkRead]) -> None:
        if (layout := reading.meta.shards) is not None:
            group, workers = partial(by_shard, unknown, layout), self.reader.workers
            few = len(unknown) <= _FEW_GROUPED
            shards = (group() if few else await asyncio.to_thread(group)).items()
            await map_concurrently(shards, lambda of: self._shard(reading, *of), workers=workers)
            return

        async def load(read: ChunkRead) -> None:
            span = None if reading.meta.raw is None else self._span(reading, read)
            chunk = self._chunk(reading, read) if span is None else self._part(reading, read, span)
            await put_part(self.reader.pool, reading, read, await chunk)

        await map_concurrently(unknown, load, workers=self.reader.workers)

    def _span(self, reading: Reading, read: ChunkRead) -> Span | None:
        """What to read, or decode, of a chunk instead of all of it; None to read it whole.

        Whole where that costs little more, and where it is asked for again and can be kept.
        """
        meta = reading.meta
        span = worthwhile_span(meta.chunks, meta.dtype.itemsize, reading.order, read.take)
        if span is None or (reading.wide and reading.passing):
            return span
        kept = self.cache.would_keep(meta.chunk_bytes)
        return None if kept and self.cache.seen_recently(self._name(meta, read)) else span

    def _name(self, meta: ArrayMeta, read: ChunkRead) -> ChunkKey:
        return self.identity, meta.path, read.coords

    async def _chunk(self, reading: Reading, read: ChunkRead) -> Chunk:
        meta, key = reading.meta, object_key(reading.meta, read.coords)

        async def get() -> bytes | None:
            return await self.source.get(key, most_bytes=meta.stored_bytes)

        fetch = partial(self.ranges.do, (key, 0, meta.stored_bytes), get) if reading.wide else get
        return await self._found(reading, read, key, fetch)

    async def _found(self, reading: Reading, read: ChunkRead, key: str, fetch: Fetch) -> Chunk:
        """The chunk from memory, or decoded from what `fetch` brings.

        Where little of many chunks is wanted, it has only these values, and is not kept.
        """
        meta = reading.meta
        span = self._span(reading, read) if reading.wide and meta.part is not None else None
        if span is None:
            return await self._cached(reading, read, key, fetch)
        self.cache.missed()
        async with self.reader.in_flight(reading.fetching, meta.in_flight_bytes):
            data = await fetch()
            pool = self.reader.pool
            return ABSENT if data is None else await decode_part(pool, reading, span, key, data)

    async def _cached(self, reading: Reading, read: ChunkRead, key: str, fetch: Fetch) -> Chunk:
        """The chunk from memory, or of the bytes that `fetch` brings once it has its turn."""
        meta, refused = reading.meta, False

        async def load() -> Chunk:
            nonlocal refused
            async with self.reader.in_flight(reading.fetching, meta.in_flight_bytes):
                data = await fetch()
                if data is None:
                    return ABSENT
                try:
                    return await decode_chunk(self.reader.pool, reading, read, key, data)
                except LimitError:
                    refused = True
                    raise

        while True:
            try:
                name = self._name(meta, read)
                return await self.cache.load(name, load, passing=reading.passing)
            except LimitError:
                # The limit may be that of another reading, whose load this one has joined.
                if refused:
                    raise

    async def _part(self, reading: Reading, read: ChunkRead, span: Span) -> Chunk:
        """A chunk of which only `span` has its values."""
        meta = reading.meta
        assert meta.raw is not None
        self.cache.missed()
        key = object_key(meta, read.coords)
        start, end = span.first * meta.raw.itemsize, span.end * meta.raw.itemsize
        async with self.reader.in_flight(reading.fetching, end - start):
            data = await self.ranges.do(
                (key, start, end),
                lambda: self.source.get(key, start, end, most_bytes=meta.stored_bytes),
            )
        if data is None:
            return ABSENT
        with naming(key):
            return span.chunk(data, meta.raw, meta.chunks)

    async def _shard(
        self, reading: Reading, shard: tuple[int, ...], reads: list[ShardRead]
    ) -> None:
        """Place chunks of one shard; from the start again if it is written anew meanwhile."""
        for move in range(1, _MOST_MOVES + 1):
            try:
                await self._by_index(reading, shard, reads)
                return
            except ShardMoved:
                if move == _MOST_MOVES:
                    raise

    async def _by_index(
        self, reading: Reading, place: tuple[int, ...], reads: list[ShardRead]
    ) -> None:
        key, layout = object_key(reading.meta, place), reading.meta.shards
        assert layout is not None
        index = self.indexes.known(key)
        if index is None:
            async with self.reader.in_flight(reading.fetching, layout.index_working_bytes):
                index = await self.indexes.get(key, layout)
        shard = Shard(key, layout, index, may_grow(place, layout, reading.meta))
        found = []
        places = locate(index, [inner for inner, _ in reads])
        for number, (at, (_, read)) in enumerate(zip(places, reads, strict=True)):
            if at is None:
                self.cache.missed()
                await put_part(self.reader.pool, reading, read, ABSENT)
            else:
                found.append((number, *at))
        try:
            await map_concurrently(
                coalesce(found, gap_bytes=_GAP_BYTES, most_bytes=_MOST_BYTES),
                lambda part: self._range(reading, shard, part, reads),
                workers=self.reader.workers,
            )
        except ShardMoved:
            raise
        except CorruptChunk:
            if index is not None:  # it may be that of a shard that was rewritten in place
                await self.indexes.confirm(key, layout, index)
            raise

    async def _range(
        self, reading: Reading, shard: Shard, part: ByteRange, reads: list[ShardRead]
    ) -> None:
        """Place the chunks of one range; it is fetched for the first that nobody else loads."""
        shard.check(part, reading.meta.stored_bytes)
        # A chunk's turn is taken inside of a range's, and never the other way round.
        async with self.reader.range_in_flight(reading.fetching, part.end - part.start):
            await self._chunks(reading, shard, part, reads)

    async def _chunks(
        self, reading: Reading, shard: Shard, part: ByteRange, reads: list[ShardRead]
    ) -> None:
        arrived: bytes | None = None
        arriving = asyncio.Lock()

        async def whole() -> bytes:
            nonlocal arrived
            async with arriving:
                if arrived is None:
                    arrived = await self.indexes.read(shard, part.start, part.end)
            return arrived

        async def chunk(inner: tuple[int, int, int]) -> None:
            number, start, end = inner
            read = reads[number][1]

            async def fetch() -> bytes:
                return (await whole())[start - part.start : end - part.start]

            await put_part(
                self.reader.pool, reading, read, await self._found(reading, read, shard.key, fetch)
            )

        await map_concurrently(part.parts, chunk, workers=self.reader.workers)
