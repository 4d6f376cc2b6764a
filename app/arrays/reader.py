"""Plan, fetch, decode, place: the coroutine that turns an `ArrayPlan` into values.

Each touched chunk is fetched, decoded as it arrives and placed into one preallocated output. A
few workers walk the plan; the source's gate bounds the requests of all readers together.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.arrays.fallback import read_through_zarr
from app.arrays.metadata import ArrayMeta, ShardLayout
from app.arrays.plan import ArrayPlan, ChunkRead
from app.arrays.shards import ByteRange, ShardIndexes, coalesce, locate
from app.errors import CorruptChunk
from app.store.fan_out import spread
from app.store.source import ByteSource
from app.telemetry.phases import phase

Array = np.ndarray[Any, Any]

_GAP_BYTES = 64 * 1024
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoreReader:
    """What all arrays of one opened store share: where bytes come from and how work is spread.

    Chunks that decode to more than `inline_bytes` are decoded in the loop's default executor,
    smaller ones on the loop; `workers` bounds the chunks that one read has under way.
    """

    source: ByteSource
    indexes: ShardIndexes
    inline_bytes: int
    workers: int

    async def read(self, meta: ArrayMeta, plan: ArrayPlan) -> Array:
        """The planned values as an array of `plan.shape`, in the array's stored dtype."""
        if meta.decoder is None:
            return plan.finish(await read_through_zarr(meta, plan))
        out = np.empty(plan.buffer_shape, dtype=meta.dtype)
        if meta.shards is None:
            await spread(
                plan.reads(), lambda r: self._chunk(meta, plan, r, out), workers=self.workers
            )
        else:
            layout = meta.shards
            shards = _by_shard(plan.reads(), layout)
            await spread(
                shards.items(),
                lambda item: self._shard(meta, plan, *item, out),
                workers=self.workers,
            )
        return plan.finish(out)

    async def _chunk(self, meta: ArrayMeta, plan: ArrayPlan, read: ChunkRead, out: Array) -> None:
        key = meta.key(read.coords)
        data = await self.source.get(key)
        if data is None:
            out[read.into] = meta.fill
        else:
            await self._place(meta, plan, read, key, data, out)

    async def _shard(
        self,
        meta: ArrayMeta,
        plan: ArrayPlan,
        shard: tuple[int, ...],
        reads: list[tuple[tuple[int, ...], ChunkRead]],
        out: Array,
    ) -> None:
        key = meta.key(shard)
        assert meta.shards is not None
        index = await self.indexes.get(key, meta.shards)
        if index is None:
            for _, read in reads:
                out[read.into] = meta.fill
            return
        found = []
        places = locate(index, [inner for inner, _ in reads])
        for number, (place, (_, read)) in enumerate(zip(places, reads, strict=True)):
            if place is None:
                out[read.into] = meta.fill
            else:
                found.append((number, *place))
        ranges = coalesce(found, gap_bytes=_GAP_BYTES, most_bytes=_MOST_BYTES)

        async def read_range(part: ByteRange) -> None:
            async for number, data in self._range(key, part):
                await self._place(meta, plan, reads[number][1], key, data, out)

        await spread(ranges, read_range, workers=self.workers)

    async def _range(self, key: str, part: ByteRange) -> AsyncIterator[tuple[int, bytes]]:
        data = await self.source.get(key, part.start, part.end)
        if data is None or len(data) != part.end - part.start:
            raise CorruptChunk(f"shard {key!r} does not hold what its index says")
        for number, start, end in part.parts:
            yield number, data[start - part.start : end - part.start]

    async def _place(
        self, meta: ArrayMeta, plan: ArrayPlan, read: ChunkRead, key: str, data: bytes, out: Array
    ) -> None:
        assert meta.decoder is not None
        try:
            with phase("decode"):
                if meta.chunk_bytes > self.inline_bytes:
                    chunk = await asyncio.to_thread(meta.decoder, data)
                else:
                    chunk = meta.decoder(data)
        except CorruptChunk as error:
            raise CorruptChunk(f"{key!r}: {error.detail}") from error
        if plan.points is not None:
            chunk = chunk.transpose(plan.order)
        out[read.into] = chunk[read.take]


def _by_shard(
    reads: Iterable[ChunkRead], layout: ShardLayout
) -> dict[tuple[int, ...], list[tuple[tuple[int, ...], ChunkRead]]]:
    """Reads grouped by the shard that holds them, each with its place inside that shard."""
    shards: dict[tuple[int, ...], list[tuple[tuple[int, ...], ChunkRead]]] = defaultdict(list)
    for read in reads:
        pairs = [divmod(c, n) for c, n in zip(read.coords, layout.per_shard, strict=True)]
        shards[tuple(shard for shard, _ in pairs)].append((tuple(i for _, i in pairs), read))
    return shards
