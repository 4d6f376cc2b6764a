"""The cache of decoded chunks: what it keeps, for whom it loads, and what a scan does to it."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sluice.arrays.chunk_cache import ABSENT, ENTRY_BYTES, Chunk, ChunkCache, ChunkKey
from sluice.errors import StoreTimeout

VALUES = 1000
HELD = VALUES + ENTRY_BYTES
ROOMY = 100 * HELD


def key(number: int) -> ChunkKey:
    return "store", "a", (number,)


def chunk(number: int = 0) -> np.ndarray:
    return np.full(VALUES, number % 100, dtype="u1")


class Loads:
    """A loader that answers when it is told to, and knows how often it ran and how it ended."""

    def __init__(self, answer: Chunk | Exception) -> None:
        self.answer = answer
        self.started = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self) -> Chunk:
        self.started += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_many_callers_share_one_load_and_one_array() -> None:
    """Two hundred who ask at once for a chunk cause one load, and later ones none."""
    cache, loads = ChunkCache(ROOMY), Loads(chunk(7))
    asking = [asyncio.create_task(cache.load(key(1), loads)) for _ in range(200)]
    await asyncio.sleep(0)
    loads.go.set()
    answers = await asyncio.gather(*asking)
    assert loads.started == 1
    assert all(answer is answers[0] for answer in answers)
    assert cache.get(key(1)) is answers[0]
    assert await cache.load(key(1), loads) is answers[0]
    assert loads.started == 1


async def test_a_budget_of_nothing_keeps_nothing_and_still_shares() -> None:
    """Without memory those who ask at once share a load; who comes later loads anew."""
    cache, loads = ChunkCache(0), Loads(chunk())
    asking = [asyncio.create_task(cache.load(key(1), loads)) for _ in range(5)]
    await asyncio.sleep(0)
    loads.go.set()
    await asyncio.gather(*asking)
    assert (loads.started, cache.held_bytes, cache.get(key(1))) == (1, 0, None)
    await cache.load(key(1), loads)
    assert loads.started == 2


async def test_one_caller_leaving_does_not_fail_the_others() -> None:
    """The load outlives the caller that began it while another one waits."""
    cache, loads = ChunkCache(ROOMY), Loads(chunk())
    first = asyncio.create_task(cache.load(key(1), loads))
    second = asyncio.create_task(cache.load(key(1), loads))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    loads.go.set()
    np.testing.assert_array_equal(await second, chunk())
    assert first.cancelled()
    assert (loads.started, loads.cancelled) == (1, 0)


async def test_the_last_caller_takes_the_load_along() -> None:
    """A load for which nobody waits any more is cancelled, and nothing is kept of it."""
    cache, loads = ChunkCache(ROOMY), Loads(chunk())
    asking = [asyncio.create_task(cache.load(key(1), loads)) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    await asyncio.sleep(0)
    assert (loads.started, loads.cancelled, cache.held_bytes) == (1, 1, 0)
    loads.go.set()
    np.testing.assert_array_equal(await cache.load(key(1), loads), chunk())


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    """Every waiter gets the error; the next caller tries anew."""
    cache, loads = ChunkCache(ROOMY), Loads(StoreTimeout("too slow"))
    asking = [asyncio.create_task(cache.load(key(1), loads)) for _ in range(3)]
    await asyncio.sleep(0)
    loads.go.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreTimeout] * 3
    loads.answer = chunk()
    np.testing.assert_array_equal(await cache.load(key(1), loads), chunk())
    assert loads.started == 2


async def test_what_it_gives_out_cannot_be_changed() -> None:
    """Kept arrays are read-only, whoever made them."""
    cache, loads = ChunkCache(ROOMY), Loads(chunk())
    loads.go.set()
    found = await cache.load(key(1), loads)
    assert isinstance(found, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


async def test_that_a_chunk_is_absent_is_not_kept() -> None:
    """Somebody may write it under the same metadata: the next one asks the store again."""
    cache, loads = ChunkCache(ROOMY), Loads(ABSENT)
    loads.go.set()
    assert await cache.load(key(1), loads) is ABSENT
    assert cache.get(key(1)) is None
    assert cache.held_bytes == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros(100_000, "u1")[:VALUES],
        lambda: np.frombuffer(bytes(100_000), "u1")[5 : 5 + VALUES],
        lambda: np.frombuffer(memoryview(bytes(100_000))[:VALUES], "u1"),
        lambda: np.zeros((VALUES, 100), "u1")[:, 3],
    ],
)
async def test_a_part_of_a_larger_buffer_does_not_keep_it_alive(
    make: Callable[[], np.ndarray],
) -> None:
    """What is counted is what is held: views of larger buffers are copied."""
    cache, loads = ChunkCache(ROOMY), Loads(make())
    loads.go.set()
    kept = owner = await cache.load(key(1), loads)
    assert isinstance(kept, np.ndarray)
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    assert memoryview(owner).nbytes == VALUES  # type: ignore[arg-type]
    assert cache.held_bytes == HELD


@pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()])
async def test_text_of_variable_length_counts_with_its_letters(dtype: object) -> None:
    """The texts that an array points to are held too."""
    cache, loads = ChunkCache(10**7), Loads(np.array(["x" * 10_000] * 3, dtype=dtype))  # type: ignore[call-overload]
    loads.go.set()
    await cache.load(key(1), loads)
    assert cache.held_bytes >= 30_000


def test_the_budget_is_kept_and_a_giant_is_not() -> None:
    """However much is put in, no more is held; more than an eighth of it is not worth it."""
    cache = ChunkCache(20 * HELD)
    for number in range(500):
        cache.keep(key(number), chunk())
        cache.get(key(number // 2))
        assert cache.held_bytes <= 20 * HELD
    assert cache.held_bytes > 18 * HELD
    cache.keep(key(1000), np.zeros(20 * HELD // 8 + 1, "u1"))
    assert cache.get(key(1000)) is None


def test_a_key_is_seen_once_and_the_memory_of_keys_is_bounded() -> None:
    """Asked about again, a key was seen recently; after very many others it is forgotten."""
    cache = ChunkCache(ROOMY)
    cache.keep(key(-1), chunk())
    asked = [cache.seen_recently(key(number)) for number in (-1, 1, 1)]
    assert asked == [True, False, True]
    for number in range(1000, 2000):
        cache.seen_recently(key(number))
    assert not cache.seen_recently(key(1))


async def test_lookups_are_told_once() -> None:
    """Hits and misses are counted from one telling to the next; a look before a load is none."""
    cache = ChunkCache(ROOMY)
    cache.keep(key(1), chunk())
    for number in (1, 2):
        assert (cache.get(key(number)) is None) is (number == 2)
    loads = Loads(chunk())
    loads.go.set()
    await cache.load(key(1), loads)
    await cache.load(key(2), loads)
    cache.missed()
    told = cache.lookups()
    assert (told.hits, told.misses, told.held_bytes) == (2, 2, 2 * HELD)
    told = cache.lookups()
    assert (told.hits, told.misses, told.held_bytes) == (0, 0, 2 * HELD)


def test_several_chunks_are_had_together_or_not_at_all() -> None:
    """Where one is missing, none of the others is used."""
    cache = ChunkCache(ROOMY)
    for number in (1, 2):
        cache.keep(key(number), chunk())
    assert cache.get_all([key(1), key(2), key(3)]) is None
    assert cache.lookups().hits == 0
    assert cache.get_all([key(1), key(2)]) == [cache.get(key(1)), cache.get(key(2))]
    assert cache.lookups().hits == 4


class LeastRecentlyUsed:
    """The policy to compare with."""

    def __init__(self, budget_bytes: int) -> None:
        self.room = budget_bytes // HELD
        self.kept: OrderedDict[ChunkKey, np.ndarray] = OrderedDict()

    def get(self, key: ChunkKey) -> np.ndarray | None:
        if key in self.kept:
            self.kept.move_to_end(key)
        return self.kept.get(key)

    def keep(self, key: ChunkKey, chunk: np.ndarray) -> None:
        self.kept[key] = chunk
        while len(self.kept) > self.room:
            self.kept.popitem(last=False)


def mixed_trace(room: int) -> Iterator[tuple[ChunkKey, bool]]:
    """Points on a hot set of half the room; after a while, passes over four times the room as well.

    Each is a key and whether it counts: the points among the passes do, one for eight chunks.
    """
    dice = random.Random(20)
    hot = room // 2
    for _ in range(10 * hot):
        yield key(dice.randrange(hot)), False
    for scan in range(1, 6):
        for number in range(4 * room):
            yield key(10_000 * scan + number), False
            if not number % 8:
                yield key(dice.randrange(hot)), True


def hit_rate(
    cache: ChunkCache | LeastRecentlyUsed, trace: Iterator[tuple[ChunkKey, bool]]
) -> float:
    hits = counted = 0
    for asked, counts in trace:
        found = cache.get(asked) is not None
        if not found:
            cache.keep(asked, chunk())
        counted += counts
        hits += counts and found
    return hits / counted


def test_a_mixed_trace_is_served_better_than_by_lru() -> None:
    """Of points among passes over four times the budget nearly all hit; with LRU few do."""
    room = 200
    assert hit_rate(ChunkCache(room * HELD), mixed_trace(room)) > 0.95
    assert hit_rate(LeastRecentlyUsed(room * HELD), mixed_trace(room)) < 0.4


def test_a_hot_set_survives_a_scan() -> None:
    """After one pass over four times the budget, every hot chunk is still there."""
    cache = ChunkCache(100 * HELD)
    for _ in range(3):
        for number in range(60):
            if cache.get(key(number)) is None:
                cache.keep(key(number), chunk())
    for number in range(1000, 1400):
        assert cache.get(key(number)) is None
        cache.keep(key(number), chunk())
    assert all(cache.get(key(number)) is not None for number in range(60))


def test_a_new_hot_set_takes_the_old_ones_place() -> None:
    """Chunks that were hot once make room when others become hot: nothing stays for ever."""
    cache = ChunkCache(100 * HELD)
    for start in (0, 1000):
        for _ in range(6):
            for number in range(start, start + 80):
                if cache.get(key(number)) is None:
                    cache.keep(key(number), chunk())
    assert sum(cache.get(key(number)) is not None for number in range(1000, 1080)) >= 75
