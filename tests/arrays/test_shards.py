"""Shards: which requests reading inner chunks takes, and what a damaged shard does."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.codecs
from zarr.storage import MemoryStore

from sluice.arrays.chunk_cache import ChunkCache
from sluice.arrays.metadata import ArrayMeta, parse_array
from sluice.arrays.plan import plan_orthogonal
from sluice.arrays.reader import StoreReader
from sluice.arrays.shards import ByteRange, ShardIndexes, coalesce
from sluice.errors import CorruptChunk
from tests.arrays.workshops import workshop
from tests.sources import DictSource, stored

VALUES = np.arange(64).reshape(8, 8)


def sharded(**options: Any) -> tuple[ArrayMeta, DictSource]:
    """An 8 x 8 array in shards of 4 x 8 with inner chunks of 2 x 2, its last shard unwritten."""
    store = MemoryStore()
    array = zarr.create_array(
        store, name="a", shape=(8, 8), chunks=(2, 2), shards=(4, 8), dtype="i8", fill_value=-1,
        compressors=None, config={"write_empty_chunks": False}, **options,
    )  # fmt: skip
    array[:4] = VALUES[:4]
    array[:2, :2] = -1  # an inner chunk that equals the fill value is not stored
    return parse_array("a", array.metadata.to_dict(), store), DictSource(asyncio.run(stored(store)))


def reader(source: DictSource) -> StoreReader:
    return StoreReader(
        source, ShardIndexes(source, budget_bytes=1000), workshop(), 4, ChunkCache(0), None
    )


def read(meta: ArrayMeta, source: DictSource, *keys: Any) -> np.ndarray:
    async def many() -> np.ndarray:
        shared = reader(source)
        plans = [plan_orthogonal(meta.shape, meta.chunks, key) for key in keys]
        return [await shared.read(meta, plan) for plan in plans][-1]

    return asyncio.run(many())


def test_partial_missing_and_absent_inner_chunks() -> None:
    """Inner chunks that are not there, and shards that are not there, are the fill value."""
    meta, source = sharded()
    expected = np.where(np.arange(8)[:, None] < 4, VALUES, -1)
    expected[:2, :2] = -1
    np.testing.assert_array_equal(read(meta, source, (slice(None), slice(None))), expected)


def test_index_is_read_once_and_kept() -> None:
    """Two points in one shard cost one request for the index and one for each inner chunk."""
    meta, source = sharded()
    read(meta, source, (0, 7), (3, 7))
    assert [r[0] for r in source.requests] == ["a/c/0/0"] * 3
    assert source.requests[0][1] == -(8 * 2 * 8 + 4)


def test_index_at_the_start_is_found() -> None:
    """`index_location: start` is honoured."""
    shards = zarr.codecs.ShardingCodec(chunk_shape=(2, 2), index_location="start")
    store = MemoryStore()
    array = zarr.create_array(
        store, name="a", shape=(8, 8), chunks=(4, 8), dtype="i8",
        serializer=shards, compressors=None, filters=None,
    )  # fmt: skip
    array[:] = VALUES
    meta = parse_array("a", array.metadata.to_dict(), store)
    source = DictSource(asyncio.run(stored(store)))
    np.testing.assert_array_equal(read(meta, source, (slice(None), 3)), VALUES[:, 3])
    assert source.requests[0][1:] == (0, 8 * 2 * 8 + 4)


def test_neighbouring_inner_chunks_share_a_request() -> None:
    """A row of inner chunks that lie side by side takes one ranged request."""
    meta, source = sharded()
    read(meta, source, (2, slice(None)))
    assert len(source.requests) == 2


def test_shard_that_ends_early_is_an_error() -> None:
    """A shard shorter than its index says, or than its index, never becomes fill values."""
    meta, source = sharded()
    whole = source.values["a/c/0/0"]
    source.values["a/c/0/0"] = whole[-132:]
    with pytest.raises(CorruptChunk):
        read(meta, source, (2, slice(None)))
    source.values["a/c/0/0"] = whole[:50]
    with pytest.raises(CorruptChunk):
        read(meta, source, (2, slice(None)))


def test_coalescing_keeps_to_gap_and_size() -> None:
    """Ranges merge across small gaps only, and never beyond the largest request."""
    places = [(0, 0, 10), (1, 15, 20), (2, 100, 110), (3, 110, 200)]
    assert coalesce(places, gap_bytes=5, most_bytes=50) == [
        ByteRange(0, 20, ((0, 0, 10), (1, 15, 20))),
        ByteRange(100, 110, ((2, 100, 110),)),
        ByteRange(110, 200, ((3, 110, 200),)),
    ]


def test_kept_indexes_stay_within_their_budget() -> None:
    """Only as many indexes are kept as the budget allows; the oldest go first."""
    meta, source = sharded()
    source.values["a/c/1/0"] = source.values["a/c/0/0"]
    assert meta.shards is not None

    async def ask() -> list[str]:
        indexes = ShardIndexes(source, budget_bytes=130)
        for key in ("a/c/0/0", "a/c/1/0", "a/c/1/0", "a/c/0/0"):
            await indexes.get(key, meta.shards)  # type: ignore[arg-type]
        return source.keys

    assert asyncio.run(ask()) == ["a/c/0/0", "a/c/1/0", "a/c/0/0"]
