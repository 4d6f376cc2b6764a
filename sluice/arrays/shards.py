"""Shards: where their inner chunks lie, by their indexes, and ranges of bytes that hold several.

Zarr v3 codec `sharding_indexed`: a shard's index is an array of (offset, length) pairs in C order
of the inner chunks; a pair of 2**64 - 1 marks an inner chunk that does not exist. An index is read
once and kept; inner chunks that lie close together are read by one request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.arrays.array_metadata import ArrayMeta, ShardLayout
from sluice.arrays.plan import ChunkRead
from sluice.concurrency import SingleFlight
from sluice.errors import CorruptChunk, StoreOversized
from sluice.store.source import ByteSource

Index: TypeAlias = NDArray[np.uint64]

# A chunk's place inside its shard, and what is wanted of it.
ShardRead: TypeAlias = tuple[tuple[int, ...], ChunkRead]

_MISSING = 2**64 - 1
# A larger index is decoded beside the loop.
_INLINE_BYTES: Final = 256 * 2**10


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One request: bytes `start` to `end` (exclusive) of a shard, and the inner chunks in it.

    `parts` has for each of these its number among those that are wanted, its start and its end.
    """

    start: int
    end: int
    parts: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as it is read, by its `index` (None: there is no such shard).

    One that `grows` may be written anew meanwhile, so its index has to be confirmed.
    """

    key: str
    layout: ShardLayout
    index: Index | None
    grows: bool

    def check(self, part: ByteRange, most_bytes: int) -> None:
        """CorruptChunk where the index has a chunk of more bytes than one may have."""
        if any(end - start > most_bytes for _, start, end in part.parts):
            raise CorruptChunk(
                f"shard {self.key!r} says that it has a chunk of more than the {most_bytes} bytes"
                " that one may have"
            )


class ShardMoved(CorruptChunk):
    """The shard was written anew, and its chunks lie elsewhere in it now."""


def may_grow(shard: tuple[int, ...], layout: ShardLayout, meta: ArrayMeta) -> bool:
    """Whether the shard reaches beyond its array: an append rewrites such a shard."""
    sizes = [count * length for count, length in zip(layout.per_shard, meta.chunks, strict=True)]
    ends = [(place + 1) * size for place, size in zip(shard, sizes, strict=True)]
    return any(end > length for end, length in zip(ends, meta.shape, strict=True))


class ShardIndexes:
    """The indexes of one store's recently read shards, each fetched once for all who need it.

    Holds at most `budget_bytes` of indexes, of which none has more than `most_bytes`; the least
    recently used go first. That a shard does not exist is not remembered: it may be written at any
    moment.
    """

    def __init__(
        self, source: ByteSource, *, budget_bytes: int, most_bytes: int | None = None
    ) -> None:
        self._source = source
        self._budget = budget_bytes
        self._most_bytes = most_bytes
        self._held = 0
        self._indexes: OrderedDict[str, Index] = OrderedDict()
        self._flight: SingleFlight[str, Index | None] = SingleFlight()
        self._ranges: SingleFlight[tuple[str, int, int, int], bytes | None] = SingleFlight()

    def known(self, key: str) -> Index | None:
        """The index of the shard at `key`, if it is here."""
        index = self._indexes.get(key)
        if index is not None:
            self._indexes.move_to_end(key)
        return index

    async def get(self, key: str, layout: ShardLayout) -> Index | None:
        """The index of the shard at `key`, of shape (\\*chunks per shard, 2); None: no shard.

        Raises StoreOversized where it has more than `most_bytes`.
        """
        index = self.known(key)
        if index is not None:
            return index
        return await self._flight.do(key, lambda: self._fetch(key, layout))

    async def read(self, shard: Shard, start: int, end: int) -> bytes:
        """Bytes `start` to `end` (exclusive) of a shard, at places that its index says.

        Raises CorruptChunk where they are not there, ShardMoved where the index is outdated.
        """
        # Shared only among readers of the same index: the bytes were asked for after it was known.
        bounds = shard.key, id(shard.index), start, end
        most = shard.layout.most_bytes
        data = await self._ranges.do(
            bounds, lambda: self._source.get(shard.key, start, end, most_bytes=most)
        )
        if shard.grows and shard.index is not None:
            await self.confirm(shard.key, shard.layout, shard.index)
        if data is None or len(data) != end - start:
            raise CorruptChunk(f"shard {shard.key!r} does not hold what its index says")
        return data

    async def confirm(self, key: str, layout: ShardLayout, index: Index) -> None:
        """Read the index once more; ShardMoved if it is not the same as `index` any more.

        If it is, what was read before this call did lie where `index` says.
        """
        # A request of its own: one that runs already may have been answered too early.
        now = await self._read(key, layout)
        if now is None or not np.array_equal(now, index):
            self._drop(key)
            raise ShardMoved(f"shard {key!r} was written anew while it was read")

    async def _fetch(self, key: str, layout: ShardLayout) -> Index | None:
        index = await self._read(key, layout)
        if index is not None:
            self._keep(key, index)
        return index

    async def _read(self, key: str, layout: ShardLayout) -> Index | None:
        size = layout.index_size
        if self._most_bytes is not None and size > self._most_bytes:
            raise StoreOversized(
                f"the index of shard {key!r} has {size} bytes, of at most {self._most_bytes}"
                " (SLUICE_SHARD_INDEX_BYTES): its shards have too many chunks each"
            )
        limits = (-size, None) if layout.index_at_end else (0, size)
        data = await self._source.get(key, *limits, most_bytes=layout.most_bytes)
        if data is None:
            return None
        if len(data) != size:
            raise CorruptChunk(f"shard {key!r} is shorter than its index")
        if size > _INLINE_BYTES:
            return await asyncio.to_thread(_decoded, layout, data)
        return _decoded(layout, data)

    def _drop(self, key: str) -> None:
        if (dropped := self._indexes.pop(key, None)) is not None:
            self._held -= dropped.nbytes

    def _keep(self, key: str, index: Index) -> None:
        self._drop(key)
        self._indexes[key] = index
        self._held += index.nbytes
        while self._held > self._budget and len(self._indexes) > 1:
            _, dropped = self._indexes.popitem(last=False)
            self._held -= dropped.nbytes


def _decoded(layout: ShardLayout, data: bytes) -> Index:
    return layout.decode_index(data).astype(np.uint64)


def locate(index: Index | None, inner: Sequence[tuple[int, ...]]) -> list[tuple[int, int] | None]:
    """Where each of the `inner` chunks lies in its shard, as (start, end); None: not there.

    A shard that does not exist has no index.
    """
    if index is None:
        return [None] * len(inner)
    pairs: list[list[int]] = index[tuple(np.array(inner).T)].reshape(-1, 2).tolist()
    return [
        None if offset == _MISSING and length == _MISSING else (offset, offset + length)
        for offset, length in pairs
    ]


def coalesce(
    places: Iterable[tuple[int, int, int]], *, gap_bytes: int, most_bytes: int
) -> list[ByteRange]:
    """Merge (number, start, end) places into few requests.

    Neighbours at most `gap_bytes` apart share a request, as long as it stays within `most_bytes`.
    """
    ranges: list[ByteRange] = []
    parts: list[tuple[int, int, int]] = []
    first = last = 0
    for place in sorted(places, key=lambda place: place[1]):
        _, start, end = place
        near = start - last <= gap_bytes and max(end, last) - first <= most_bytes
        if parts and not near:
            ranges.append(ByteRange(first, last, tuple(parts)))
            parts = []
        first, last = (first, max(end, last)) if parts else (start, end)
        parts.append(place)
    if parts:
        ranges.append(ByteRange(first, last, tuple(parts)))
    return ranges


def by_shard(
    reads: Iterable[ChunkRead], layout: ShardLayout
) -> dict[tuple[int, ...], list[ShardRead]]:
    """Reads grouped by the shard that holds them, each with its place inside that shard."""
    shards: dict[tuple[int, ...], list[ShardRead]] = defaultdict(list)
    for read in reads:
        pairs = [divmod(c, n) for c, n in zip(read.coords, layout.per_shard, strict=True)]
        shards[tuple(shard for shard, _ in pairs)].append((tuple(i for _, i in pairs), read))
    return shards
