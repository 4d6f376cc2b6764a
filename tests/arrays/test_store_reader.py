"""The reader over its cache: how often the store is asked, and that nobody can spoil the memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.codecs
from zarr.storage import MemoryStore

from sluice.arrays.array_metadata import ArrayMeta, parse_array
from sluice.arrays.chunk_cache import ENTRY_BYTES, ChunkCache
from sluice.arrays.plan import ReadPlan, plan_element, plan_orthogonal, plan_pointwise
from sluice.arrays.shards import ShardIndexes
from sluice.arrays.store_reader import StoreReader
from sluice.errors import CorruptChunk, StoreRefused
from tests.arrays.readers import rounds_counted, shared_reader
from tests.sources import DictSource, stored

VALUES = np.arange(64, dtype="i8").reshape(8, 8)
BUDGET = 2**20


class SlowSource(DictSource):
    """A DictSource whose answers take a moment; `chunk_asked` once anything but an index was."""

    def __init__(self, values: dict[str, bytes]) -> None:
        super().__init__(values)
        self.chunk_asked = asyncio.Event()

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        data = await super().get(key, start, end)
        if start is None or start >= 0:
            self.chunk_asked.set()
        await asyncio.sleep(0.01)
        return data


async def written(**options: Any) -> tuple[ArrayMeta, SlowSource]:
    """An 8 x 8 array of 4 x 4 chunks, the last of which is not stored; fill value -1."""
    store = MemoryStore()
    array = await zarr.api.asynchronous.create_array(
        store, name="a", shape=(8, 8), dtype="i8", fill_value=-1,
        config={"write_empty_chunks": False}, **{"chunks": (4, 4), **options},
    )  # fmt: skip
    values = VALUES.copy()
    values[4:, 4:] = -1
    await array.setitem(slice(None), values)
    return parse_array("a", array.metadata.to_dict(), store), SlowSource(await stored(store))


SHARDED = {"chunks": (2, 2), "shards": (4, 4)}
LAYOUTS = [pytest.param({}, id="chunks"), pytest.param(SHARDED, id="shards")]


def reader(
    source: DictSource, cache: ChunkCache | None = None, *, identity: str = "store", inline: int = 0
) -> StoreReader:
    cache = ChunkCache(BUDGET) if cache is None else cache
    return StoreReader(
        source, ShardIndexes(source, budget_bytes=9999), shared_reader(inline), cache, identity
    )


def decodes_of(meta: ArrayMeta) -> list[bytes]:
    """What the array's decoder is given from now on."""
    decoded: list[bytes] = []

    def decoder(data: bytes, decode: Any = meta.decoder) -> Any:
        decoded.append(data)
        return decode(data)

    object.__setattr__(meta, "decoder", decoder)
    return decoded


def everything(meta: ArrayMeta) -> Any:
    return plan_orthogonal(meta.shape, meta.chunks, (slice(None), slice(None)))


def point(meta: ArrayMeta, y: int, x: int) -> Any:
    return plan_orthogonal(meta.shape, meta.chunks, (y, x))


@pytest.mark.parametrize("options", LAYOUTS)
@pytest.mark.parametrize("inline", [0, 10**9])
async def test_what_is_in_memory_is_not_asked_for_again(
    options: dict[str, Any], inline: int
) -> None:
    """A second reading, whichever way it selects, asks for nothing but what was not there."""
    meta, source = await written(**options)
    reads = reader(source, inline=inline)
    whole = await reads.read(meta, everything(meta))
    np.testing.assert_array_equal(whole[:4], VALUES[:4])
    np.testing.assert_array_equal(whole[4:, 4:], -1)
    source.requests.clear()
    np.testing.assert_array_equal(await reads.read(meta, everything(meta)), whole)
    rows, columns = np.array([7, 0, 3]), np.array([1, 7, 7])
    pointwise = plan_pointwise(meta.shape, meta.chunks, (rows, columns))
    np.testing.assert_array_equal(await reads.read(meta, pointwise), whole[rows, columns])
    assert await reads.read(meta, point(meta, 6, 6)) == -1
    assert {key for key, *_ in source.requests} == {"a/c/1/1"}


@pytest.mark.parametrize("options", LAYOUTS)
async def test_a_burst_for_a_cold_chunk_asks_once(options: dict[str, Any]) -> None:
    """Two hundred readers of one chunk that come together share one request and one decode."""
    meta, source = await written(**options)
    decoded = decodes_of(meta)
    reads = reader(source)
    answers = await asyncio.gather(
        *(reads.read(meta, point(meta, i % 2, i % 2)) for i in range(200))
    )
    assert [int(a) for a in answers] == [0, 9] * 100
    # Of a shard the index is asked for, too.
    assert len(source.requests) == (1 if meta.shards is None else 2)
    assert len(decoded) == 1


async def test_overlapping_readings_of_a_shard_decode_each_chunk_once() -> None:
    """Readings that overlap share the chunks that they have in common."""
    meta, source = await written(**SHARDED)
    decoded = decodes_of(meta)
    reads = reader(source)
    left = plan_orthogonal(meta.shape, meta.chunks, (slice(0, 4), slice(0, 4)))
    top = plan_orthogonal(meta.shape, meta.chunks, (slice(0, 2), slice(0, 8)))
    a, b = await asyncio.gather(reads.read(meta, left), reads.read(meta, top))
    np.testing.assert_array_equal(a, VALUES[:4, :4])
    np.testing.assert_array_equal(b, VALUES[:2])
    assert len(decoded) == 6


@pytest.mark.parametrize("options", LAYOUTS)
async def test_a_reader_that_leaves_does_not_fail_another(options: dict[str, Any]) -> None:
    """Of two readings of one chunk, the first may be cancelled: the other has its values."""
    meta, source = await written(**options)
    reads = reader(source)
    first = asyncio.create_task(reads.read(meta, everything(meta)))
    second = asyncio.create_task(reads.read(meta, everything(meta)))
    await source.chunk_asked.wait()
    first.cancel()
    np.testing.assert_array_equal((await second)[:4], VALUES[:4])
    assert first.cancelled()


@pytest.mark.parametrize("options", LAYOUTS)
async def test_an_answer_is_nobody_elses_memory(options: dict[str, Any]) -> None:
    """Whoever changes an answer changes that answer alone."""
    meta, source = await written(**options)
    reads = reader(source)
    one_chunk = plan_orthogonal(meta.shape, meta.chunks, tuple(slice(0, n) for n in meta.chunks))
    for plan in (one_chunk, everything(meta), point(meta, 0, 0)):
        answer = await reads.read(meta, plan)
        answer[...] = 99
        assert not (await reads.read(meta, plan) == 99).any()


@pytest.mark.parametrize("options", LAYOUTS)
async def test_versions_and_stores_do_not_mix(options: dict[str, Any]) -> None:
    """In a shared cache, another version or another store has its own chunks."""
    meta, source = await written(**options)
    cache = ChunkCache(BUDGET)
    assert await reader(source, cache, identity="v1").read(meta, point(meta, 0, 0)) == 0
    meta, other = await written(**options)
    other.values["a/c/0/0"] = source.values["a/c/0/1"]
    assert await reader(other, cache, identity="v1").read(meta, point(meta, 0, 0)) == 0
    assert await reader(other, cache, identity="v2").read(meta, point(meta, 0, 0)) == VALUES[0, 4]


async def test_failures_are_tried_anew() -> None:
    """A chunk that was refused or broken is asked for again, and found once it is mended."""
    meta, source = await written()
    reads = reader(source)
    right = source.values["a/c/0/0"]
    source.values["a/c/0/0"] = b"nonsense"
    with pytest.raises(CorruptChunk, match="a/c/0/0"):
        await reads.read(meta, point(meta, 0, 0))
    source.refused.add("a/c/0/0")
    with pytest.raises(StoreRefused):
        await reads.read(meta, point(meta, 0, 0))
    source.refused.clear()
    source.values["a/c/0/0"] = right
    assert await reads.read(meta, point(meta, 0, 0)) == 0


async def test_a_reader_may_leave_the_cache_alone() -> None:
    """What is read to be kept elsewhere takes no room."""
    meta, source = await written()
    reads = reader(source)
    await reads.without_cache().read(meta, everything(meta))
    assert reads.cache.held_bytes == 0
    await reads.read(meta, everything(meta))
    assert reads.cache.held_bytes == 3 * (ENTRY_BYTES + 16 * 8)


async def test_thousands_of_chunks_from_memory_let_others_run() -> None:
    """A reading that is all in memory gives the loop away every few milliseconds."""
    store = MemoryStore()
    array = await zarr.api.asynchronous.create_array(
        store, name="a", shape=(8_000,), chunks=(1,), dtype="u1"
    )
    await array.setitem(slice(0, 1), 1)
    meta = parse_array("a", array.metadata.to_dict(), store)
    source = DictSource(await stored(store))
    source.values.update({f"a/c/{place}": source.values["a/c/0"] for place in range(8_000)})
    reads = reader(source, ChunkCache(2**30))
    plan = plan_orthogonal(meta.shape, meta.chunks, (slice(None),))
    await reads.read(meta, plan)
    source.requests.clear()
    async with rounds_counted() as rounds:
        await reads.read(meta, plan)
        assert rounds() > 2
    assert source.requests == []


@pytest.mark.parametrize("options", LAYOUTS)
@pytest.mark.parametrize(
    ("make", "key"),
    [
        (plan_element, (3, -7)),
        (plan_orthogonal, (slice(3, None, -2), np.array([7, 0, 7]))),
        (plan_orthogonal, (3, slice(None))),
        (plan_pointwise, (np.array([0, 5, 5]), np.array([1, 2, 0]))),
    ],
    ids=["element", "orthogonal", "row", "points"],
)
async def test_what_is_in_memory_is_read_without_waiting(
    options: dict[str, Any], make: Callable[..., ReadPlan], key: tuple[Any, ...]
) -> None:
    """The same values as those that were read, and nobody else's memory."""
    meta, source = await written(**options)
    plan = make(meta.shape, meta.chunks, key)
    reads = reader(source)
    assert reads.read_cached(meta, plan) is None
    read = await reads.read(meta, plan)
    source.requests.clear()
    for _ in range(2):
        cached = reads.read_cached(meta, plan)
        assert cached is not None
        assert (cached.dtype, cached.shape) == (read.dtype, read.shape)
        np.testing.assert_array_equal(cached, read)
        cached[...] = 99
    assert source.requests == []


async def test_what_is_absent_is_never_cached() -> None:
    """A chunk that is absent is looked for again: it may have been written meanwhile."""
    meta, source = await written()
    reads = reader(source)
    await reads.read(meta, everything(meta))
    assert reads.read_cached(meta, everything(meta)) is None
    assert reads.read_cached(meta, plan_element(meta.shape, meta.chunks, (7, 7))) is None
    assert reads.read_cached(meta, plan_element(meta.shape, meta.chunks, (7, 3))) is not None


@pytest.mark.parametrize(
    ("compressors", "on_loop"), [(zarr.codecs.ZstdCodec(), True), (zarr.codecs.GzipCodec(), False)]
)
async def test_chunks_of_slow_codecs_leave_the_loop_sooner(compressors: Any, on_loop: bool) -> None:
    """A chunk of 128 bytes is within the bound; four times that is not."""
    meta, source = await written(compressors=compressors)
    threads: set[threading.Thread] = set()

    def decoder(data: bytes, decode: Any = meta.decoder) -> Any:
        threads.add(threading.current_thread())
        return decode(data)

    object.__setattr__(meta, "decoder", decoder)
    await reader(source, inline=4 * 4 * 8).read(meta, everything(meta))
    assert (threads == {threading.current_thread()}) is on_loop
