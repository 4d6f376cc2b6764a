"""What is read once, and much of it: others' chunks stay in memory, and little is decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zarr.api.asynchronous
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.storage import MemoryStore

from sluice.arrays.array_metadata import ArrayMeta, parse_array
from sluice.arrays.chunk_cache import ENTRY_BYTES, ChunkCache, ChunkKey
from sluice.arrays.chunk_parts import PartDecoder
from sluice.arrays.plan import plan_orthogonal
from sluice.arrays.reading import placing
from sluice.arrays.shards import ShardIndexes
from sluice.arrays.store_reader import StoreReader
from tests.arrays.readers import shared_reader
from tests.sources import DictSource, stored

VALUES = 1000
HELD = VALUES + ENTRY_BYTES


def key(number: int) -> ChunkKey:
    return "store", "a", (number,)


def chunk() -> np.ndarray:
    return np.zeros(VALUES, "u1")


def scanned(cache: ChunkCache, numbers: Iterator[int], *, times: int, passing: bool) -> None:
    """Each chunk is read in so many parts, one after the other, and never again."""
    for number in numbers:
        for _ in range(times):
            found = cache.peek(key(number)) if passing else cache.get(key(number))
            if found is None:
                cache.keep(key(number), chunk(), passing=passing)


@pytest.mark.parametrize("uses", [0, 1, 5])
@pytest.mark.parametrize("share", [50, 85])
def test_what_others_use_survives_what_passes_by(uses: int, share: int) -> None:
    """Streams over ten times the budget, in parts of chunks, however little the others did."""
    cache = ChunkCache(100 * HELD)
    for _ in range(uses + 1):
        scanned(cache, iter(range(share)), times=1, passing=False)
    scanned(cache, iter(range(1000, 2000)), times=8, passing=True)
    hits = sum(cache.get(key(number)) is not None for number in range(share))
    assert hits >= 0.95 * share


def test_what_passes_by_is_found_by_the_next_part() -> None:
    """Also where others fill the budget: a range of a file finds the chunk of the one before."""
    cache = ChunkCache(100 * HELD)
    for start in (0, 0, 0, 500):
        scanned(cache, iter(range(start, start + 95)), times=1, passing=False)
    for number in range(1000, 1300):
        cache.keep(key(number), chunk(), passing=True)
        assert cache.peek(key(number)) is not None
        assert cache.peek(key(max(1000, number - 5))) is not None
        assert cache.held_bytes <= 100 * HELD


def test_what_passed_by_and_is_used_by_others_stays() -> None:
    """A part of a file that others have come to ask for is theirs from then on."""
    cache = ChunkCache(100 * HELD)
    cache.keep(key(1), chunk(), passing=True)
    for _ in range(4):
        assert cache.get(key(1)) is not None
    scanned(cache, iter(range(1000, 2000)), times=1, passing=True)
    scanned(cache, iter(range(2000, 2500)), times=1, passing=False)
    assert cache.get(key(1)) is not None
    assert cache.get(key(1000)) is None


def test_an_empty_cache_is_there_for_whoever_comes() -> None:
    """What passes by has the room that nobody wants, and gives it back when somebody does."""
    cache = ChunkCache(100 * HELD)
    scanned(cache, iter(range(1000, 1100)), times=1, passing=True)
    assert all(cache.peek(key(number)) is not None for number in range(1000, 1100))
    scanned(cache, iter(range(90)), times=1, passing=False)
    assert all(cache.get(key(number)) is not None for number in range(90))


def test_a_reading_is_wide_by_its_share_and_its_number_of_chunks() -> None:
    """Few chunks never are, and one that is larger than everything fits nowhere."""
    cache = ChunkCache(100 * HELD)
    judged = [cache.judge(*one) for one in ((7, 10 * HELD), (20, HELD), (30, HELD), (200, HELD))]
    assert judged == [(False, False), (False, False), (True, False), (True, True)]


STEPS, SIDE = 20, 160
MAPS = np.random.default_rng(5).normal(size=(STEPS, SIDE, SIDE)).astype("f4")
MAP_BYTES = 4 * SIDE * SIDE
CODECS = [
    pytest.param({"compressors": BloscCodec(blocksize=8192)}, id="blosc"),
    pytest.param({"compressors": ZstdCodec()}, id="zstd"),
    pytest.param({"compressors": ZstdCodec(), "shards": (4, SIDE, SIDE)}, id="shards"),
]


async def maps(**options: Any) -> tuple[ArrayMeta, DictSource]:
    """One chunk for each step; the last was never written."""
    store = MemoryStore()
    array = await zarr.api.asynchronous.create_array(
        store, name="a", shape=MAPS.shape, dtype="f4", fill_value=np.nan,
        chunks=(1, SIDE, SIDE), config={"write_empty_chunks": False}, **options,
    )  # fmt: skip
    values = MAPS.copy()
    values[-1] = np.nan
    await array.setitem(slice(None), values)
    return parse_array("a", array.metadata.to_dict(), store), DictSource(await stored(store))


def reader_of(source: DictSource, cache: ChunkCache) -> StoreReader:
    indexes = ShardIndexes(source, budget_bytes=9999)
    return StoreReader(source, indexes, shared_reader(0), cache, "store")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the spans that are decoded from now on."""
    found: list[int] = []

    def spied(self: PartDecoder, span: Any, data: bytes, do: Any = PartDecoder.chunk) -> Any:
        found.append(span.size)
        return do(self, span, data)

    monkeypatch.setattr(PartDecoder, "chunk", spied)
    return found


def series(meta: ArrayMeta, row: Any, column: Any) -> Any:
    return plan_orthogonal(meta.shape, meta.chunks, (slice(None), row, column))


@pytest.mark.parametrize("options", CODECS)
async def test_a_series_across_maps_is_decoded_in_parts_and_kept_if_it_comes_again(
    options: dict[str, Any], parts: list[int]
) -> None:
    """The first time little of each chunk is decoded; the second all of it; the third nothing."""
    meta, source = await maps(**options)
    cache = ChunkCache(2 * STEPS * MAP_BYTES)
    reader = reader_of(source, cache)
    written = STEPS - 1
    for place, decoded, kept in (
        ((7, 9), written, 0),
        ((7, 150), 0, written),
        ((90, 3), 0, written),
    ):
        parts.clear()
        found = await reader.read(meta, series(meta, *place))
        np.testing.assert_array_equal(found[:-1], MAPS[:-1, place[0], place[1]])
        assert np.isnan(found[-1])
        assert (len(parts), cache.held_bytes // MAP_BYTES) == (decoded, kept)
    asked = len(source.requests)
    await reader.read(meta, series(meta, slice(5, 8), np.array([3, 1])))
    # What is absent is asked for again, and a shard's index is known.
    assert len(source.requests) - asked <= 1


@pytest.mark.parametrize("options", CODECS)
@pytest.mark.parametrize("budget", [0, STEPS * MAP_BYTES // 2])
async def test_what_cannot_be_kept_is_decoded_in_parts_each_time(
    options: dict[str, Any], budget: int, parts: list[int]
) -> None:
    """A series that is larger than the cache leaves it alone, however often it comes."""
    meta, source = await maps(**options)
    cache = ChunkCache(budget)
    reader = reader_of(source, cache)
    for _ in range(3):
        parts.clear()
        found = await reader.read(meta, series(meta, slice(20, 30, 3), np.array([50, 40, 40])))
        np.testing.assert_array_equal(found[:-1], MAPS[:-1, 20:30:3][:, :, [50, 40, 40]])
        assert len(parts) == STEPS - 1
        assert cache.held_bytes == 0


@pytest.mark.parametrize("options", CODECS)
async def test_most_of_a_chunk_is_decoded_whole(options: dict[str, Any], parts: list[int]) -> None:
    """There is nothing to save; and few chunks are kept for whoever comes next."""
    meta, source = await maps(**options)
    cache = ChunkCache(3 * STEPS * MAP_BYTES)
    reader = reader_of(source, cache)
    found = await reader.read(meta, series(meta, slice(0, 100), slice(None)))
    np.testing.assert_array_equal(found[:-1], MAPS[:-1, :100])
    few = plan_orthogonal(meta.shape, meta.chunks, (slice(0, 3), 5, 5))
    np.testing.assert_array_equal(await reader.read(meta, few), MAPS[:3, 5, 5])
    assert not parts
    assert cache.held_bytes >= 10 * MAP_BYTES


async def test_parts_of_an_answer_take_nobodys_room() -> None:
    """What is read in passing is found by the next part, and gone when others want the room."""
    meta, source = await maps(compressors=ZstdCodec())
    cache = ChunkCache(10 * (MAP_BYTES + ENTRY_BYTES))
    reader = reader_of(source, cache)
    hot = plan_orthogonal(meta.shape, meta.chunks, (slice(0, 7), 5, 5))
    await reader.read(meta, hot)
    for first in range(0, SIDE, 40):
        for step in range(7, STEPS - 1):
            half = plan_orthogonal(
                meta.shape, meta.chunks, (step, slice(first, first + 40), slice(None))
            )
            await reader.read(meta, half, passing=True)
    asked = len(source.requests)
    assert reader.read_cached(meta, hot) is not None
    assert len(source.requests) == asked


@pytest.mark.parametrize("inline", [0, 10**9])
async def test_what_much_is_placed_of_is_placed_beside_the_loop(
    inline: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of large chunks are no less to do than decoding them; those of a value are nothing."""
    meta, source = await maps(compressors=ZstdCodec())
    where: list[bool] = []

    def spied(*given: Any, make: Any = placing) -> Any:
        place = make(*given)

        def placed(read: Any, found: Any) -> None:
            where.append(threading.current_thread() is threading.main_thread())
            place(read, found)

        return placed

    monkeypatch.setattr("sluice.arrays.store_reader.placing", spied)
    reader = replace(reader_of(source, ChunkCache(0)), reader=shared_reader(inline))
    found = await reader.read(meta, series(meta, slice(None), slice(None)))
    np.testing.assert_array_equal(found[:-1], MAPS[:-1])
    assert where == [bool(inline)] * STEPS
