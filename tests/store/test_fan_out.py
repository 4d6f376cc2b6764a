"""Fanning out: how many at once, and what happens to a failure."""

from __future__ import annotations

import asyncio

import pytest

from sluice.store.fan_out import get_all, spread


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 2), (3, 3), (None, 10)])
async def test_at_most_so_many_at_a_time(workers: int | None, most: int) -> None:
    """Every item is worked on once, never more than `workers` together."""
    running, highest, done = 0, 0, []

    async def work(item: int) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(item)

    await spread(range(10), work, workers=workers)
    assert sorted(done) == list(range(10))
    assert highest == most


@pytest.mark.parametrize("count", [0, 1])
async def test_one_lone_item_costs_no_task(count: int) -> None:
    """Nothing, and one item, run in the caller's own task."""
    before = asyncio.all_tasks()
    seen = []

    async def work(item: int) -> None:
        seen.append(asyncio.all_tasks())

    await spread(range(count), work)
    assert seen == [before] * count


async def test_first_failure_is_raised_itself_and_stops_the_rest() -> None:
    """No ExceptionGroup reaches the caller, and the cause of the failure stays."""
    cancelled = []

    async def work(item: int) -> None:
        if item == 1:
            raise KeyError("gone") from OSError("why")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(KeyError) as raised:
        await spread(range(3), work)
    assert isinstance(raised.value.__cause__, OSError)
    assert sorted(cancelled) == [0, 2]


async def test_get_all_leaves_out_what_is_not_there() -> None:
    """Missing keys are omitted and repeated ones asked once."""
    asked = []

    async def get(key: str) -> bytes | None:
        asked.append(key)
        return None if key == "b" else key.encode()

    assert await get_all(get, ["a", "b", "c", "a"]) == {"a": b"a", "c": b"c"}
    assert asked == ["a", "b", "c"]
