"""Parts of objects: shards by their index, and stretches of uncompressed chunks."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.codecs
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from sluice.arrays.array_metadata import ArrayMeta, object_key, parse_array
from sluice.arrays.chunk_cache import ChunkCache
from sluice.arrays.chunk_parts import Span, touched_span
from sluice.arrays.plan import ArrayPlan, plan_orthogonal, plan_pointwise
from sluice.arrays.shards import ByteRange, ShardIndexes, coalesce
from sluice.arrays.store_reader import StoreReader
from sluice.errors import CorruptChunk
from tests.arrays.readers import shared_reader
from tests.sources import DictSource, stored

SHARDED_VALUES = np.arange(64).reshape(8, 8)


def sharded(**options: Any) -> tuple[ArrayMeta, DictSource]:
    """An 8 x 8 array in shards of 4 x 8 with inner chunks of 2 x 2, its last shard unwritten."""
    store = MemoryStore()
    array = zarr.create_array(
        store, name="a", shape=(8, 8), chunks=(2, 2), shards=(4, 8), dtype="i8", fill_value=-1,
        compressors=None, config={"write_empty_chunks": False}, **options,
    )  # fmt: skip
    array[:4] = SHARDED_VALUES[:4]
    array[:2, :2] = -1  # an inner chunk that equals the fill value is not stored
    return parse_array("a", array.metadata.to_dict(), store), DictSource(asyncio.run(stored(store)))


def shards_reader(source: DictSource) -> StoreReader:
    return StoreReader(
        source, ShardIndexes(source, budget_bytes=1000), shared_reader(), ChunkCache(0), None
    )


def read_sharded(meta: ArrayMeta, source: DictSource, *keys: Any) -> np.ndarray:
    async def many() -> np.ndarray:
        shared = shards_reader(source)
        plans = [plan_orthogonal(meta.shape, meta.chunks, key) for key in keys]
        return [await shared.read(meta, plan) for plan in plans][-1]

    return asyncio.run(many())


def test_partial_missing_and_absent_inner_chunks() -> None:
    """Inner chunks that are not there, and shards that are not there, are the fill value."""
    meta, source = sharded()
    expected = np.where(np.arange(8)[:, None] < 4, SHARDED_VALUES, -1)
    expected[:2, :2] = -1
    np.testing.assert_array_equal(read_sharded(meta, source, (slice(None), slice(None))), expected)


def test_index_is_read_once_and_kept() -> None:
    """Two points in one shard cost one request for the index and one for each inner chunk."""
    meta, source = sharded()
    read_sharded(meta, source, (0, 7), (3, 7))
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
    array[:] = SHARDED_VALUES
    meta = parse_array("a", array.metadata.to_dict(), store)
    source = DictSource(asyncio.run(stored(store)))
    np.testing.assert_array_equal(
        read_sharded(meta, source, (slice(None), 3)), SHARDED_VALUES[:, 3]
    )
    assert source.requests[0][1:] == (0, 8 * 2 * 8 + 4)


def test_neighbouring_inner_chunks_share_a_request() -> None:
    """A row of inner chunks that lie side by side takes one ranged request."""
    meta, source = sharded()
    read_sharded(meta, source, (2, slice(None)))
    assert len(source.requests) == 2


def test_the_index_of_a_growing_shard_is_confirmed_once_for_each_request() -> None:
    """However many inner chunks the request has: after its bytes, and before they are believed."""
    store = MemoryStore()
    array = zarr.create_array(
        store, name="a", shape=(3, 8), chunks=(1, 1), shards=(4, 8), dtype="i8", compressors=None
    )
    array[:] = SHARDED_VALUES[:3]
    meta = parse_array("a", array.metadata.to_dict(), store)
    source = DictSource(asyncio.run(stored(store)))
    row = read_sharded(meta, source, (2, slice(None)))
    np.testing.assert_array_equal(row, SHARDED_VALUES[2])
    index = ("a/c/0/0", -(32 * 2 * 8 + 4), None)
    assert [source.requests[0], source.requests[-1]] == [index, index]
    assert len(source.requests) == 3


def test_shard_that_ends_early_is_an_error() -> None:
    """A shard shorter than its index says, or than its index, never becomes fill values."""
    meta, source = sharded()
    whole = source.values["a/c/0/0"]
    source.values["a/c/0/0"] = whole[-132:]
    with pytest.raises(CorruptChunk):
        read_sharded(meta, source, (2, slice(None)))
    source.values["a/c/0/0"] = whole[:50]
    with pytest.raises(CorruptChunk):
        read_sharded(meta, source, (2, slice(None)))


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


SHAPE, CHUNKS = (300, 250), (200, 250)
VALUES = np.arange(300 * 250, dtype="f8").reshape(SHAPE)
PLAIN: list[dict[str, Any]] = [
    {"zarr_format": 2, "compressors": None, "dtype": "<f8"},
    {"zarr_format": 2, "compressors": None, "dtype": ">f8"},
    {"zarr_format": 3, "compressors": None, "dtype": "f8"},
    {
        "zarr_format": 3,
        "compressors": None,
        "dtype": "f8",
        "serializer": zarr.codecs.BytesCodec(endian="big"),
    },
]


@st.composite
def plans(draw: st.DrawFn) -> tuple[tuple[int, ...], ArrayPlan]:
    """A small array's shape, and a selection of it in chunks that may be smaller."""
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    chunks = tuple(draw(st.integers(1, size)) for size in shape)
    count = draw(st.integers(1, 4))
    pointwise = draw(st.booleans())

    def lists(size: int) -> st.SearchStrategy[Any]:
        return st.lists(st.integers(0, size - 1), min_size=count, max_size=count).map(np.array)

    def slices(size: int) -> st.SearchStrategy[slice]:
        return st.slices(size)

    key = [draw(st.one_of(lists(size), slices(size))) for size in shape]
    if pointwise and any(isinstance(k, np.ndarray) for k in key):
        return chunks, plan_pointwise(shape, chunks, key)
    return chunks, plan_orthogonal(shape, chunks, key)


@given(plans())
def test_a_span_holds_exactly_from_the_first_to_the_last_value(drawn: Any) -> None:
    """Every value asked for lies inside; of a mesh the ends are among them: none is wasted."""
    chunks, plan = drawn
    whole = np.arange(np.prod(chunks)).reshape(chunks)
    for read in plan.reads():
        span = touched_span(chunks, plan.order, read.take)
        wanted = whole.transpose(plan.order)[read.take]
        assert span.first <= wanted.min()
        assert wanted.max() < span.end
        if plan.points is None:
            assert (span.first, span.end) == (wanted.min(), wanted.max() + 1)
        part = whole.reshape(-1)[span.first : span.end]
        rebuilt = span.chunk(part.tobytes(), part.dtype, chunks)
        np.testing.assert_array_equal(rebuilt.transpose(plan.order)[read.take], wanted)


def test_a_part_of_the_wrong_size_is_an_error() -> None:
    """Bytes that are missing never become values."""
    with pytest.raises(CorruptChunk):
        Span(2, 5).chunk(bytes(23), np.dtype("f8"), (4, 4))


async def written(**options: Any) -> tuple[ArrayMeta, DictSource]:
    store = MemoryStore()
    array = await zarr.api.asynchronous.create_array(
        store, name="a", shape=SHAPE, chunks=CHUNKS, fill_value=-1, **options
    )
    await array.setitem(slice(None), VALUES)
    document = array.metadata.to_dict()
    return parse_array("a", document, store), DictSource(await stored(store))


def reader(source: DictSource, budget_bytes: int) -> StoreReader:
    indexes = ShardIndexes(source, budget_bytes=0)
    return StoreReader(source, indexes, shared_reader(), ChunkCache(budget_bytes), "store")


async def read(reads: StoreReader, meta: ArrayMeta, *key: Any) -> np.ndarray:
    return await reads.read(meta, plan_orthogonal(meta.shape, meta.chunks, key))


@pytest.mark.parametrize("options", PLAIN)
async def test_a_point_of_an_uncompressed_chunk_reads_its_bytes_alone(
    options: dict[str, Any],
) -> None:
    """First eight bytes; asked again, the chunk is worth keeping; then nothing is asked."""
    meta, source = await written(**options)
    reads = reader(source, 10**8)
    key = object_key(meta, (1, 0))
    for place in ((201, 3), (202, 4), (203, 5)):
        assert await read(reads, meta, *place) == VALUES[place]
    at = (1 * 250 + 3) * 8
    assert source.requests == [(key, at, at + 8), (key, None, None)]


@pytest.mark.parametrize("options", PLAIN)
async def test_chunks_that_are_not_kept_are_read_in_parts(options: dict[str, Any]) -> None:
    """Without room for the chunk, each reading takes what it needs; a large part is read whole."""
    meta, source = await written(**options)
    reads = reader(source, 0)
    for _ in range(2):
        rows = await read(reads, meta, slice(10, 30), slice(None))
        np.testing.assert_array_equal(rows, VALUES[10:30])
    assert source.requests == [(object_key(meta, (0, 0)), 10 * 250 * 8, 30 * 250 * 8)] * 2
    source.requests.clear()
    np.testing.assert_array_equal(await read(reads, meta, slice(0, 200), 7), VALUES[:200, 7])
    assert source.requests == [(object_key(meta, (0, 0)), None, None)]


async def test_a_burst_for_one_point_asks_once() -> None:
    """Those who ask at once for the same bytes share a request."""
    meta, source = await written(**PLAIN[2])
    reads = reader(source, 0)
    answers = await asyncio.gather(*(read(reads, meta, 3, 4) for _ in range(50)))
    assert {float(answer) for answer in answers} == {VALUES[3, 4]}
    assert len(source.requests) == 1


async def test_a_part_of_an_absent_or_short_chunk() -> None:
    """A chunk that is not there is the fill value; one that ends early is an error."""
    meta, source = await written(**PLAIN[2])
    reads = reader(source, 0)
    source.values["a/c/0/0"] = source.values["a/c/0/0"][:100]
    with pytest.raises(CorruptChunk, match="a/c/0/0"):
        await read(reads, meta, 3, 4)
    del source.values["a/c/0/0"]
    assert await read(reads, meta, 3, 4) == -1


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "f8", "zarr_format": 2, "compressors": None, "order": "F"},
        {"dtype": "f8", "zarr_format": 3, "compressors": zarr.codecs.ZstdCodec()},
        {"dtype": "f8", "compressors": zarr.codecs.Crc32cCodec()},
        {"dtype": "f8", "compressors": None, "filters": zarr.codecs.TransposeCodec(order=(1, 0))},
    ],
)
async def test_what_is_not_plain_is_read_whole(options: dict[str, Any]) -> None:
    """Compressed, filtered, transposed or checked chunks are never read in parts."""
    meta, source = await written(**options)
    assert await read(reader(source, 0), meta, 3, 4) == VALUES[3, 4]
    assert source.requests == [(object_key(meta, (0, 0)), None, None)]
