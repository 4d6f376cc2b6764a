"""What is told now and then: sums, and the loop's lag; and what lasts, which is not collected."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from itertools import count

import pytest

from app.telemetry.events import (
    DatasetOpened,
    Event,
    GcFreeze,
    LoopLag,
    freeze_objects,
    sample,
    watch_loop,
)


async def test_sums_are_told_again_and_again_and_at_the_end() -> None:
    """What was counted after the last telling is told when the sampling ends: nothing is lost."""
    numbers = count()
    seen: list[Event] = []
    twice = asyncio.Event()

    def emit(event: Event) -> None:
        seen.append(event)
        if len(seen) == 2:
            twice.set()

    sampling = asyncio.create_task(sample(lambda: LoopLag(next(numbers)), emit, every_seconds=0.01))
    await twice.wait()
    sampling.cancel()
    await asyncio.wait([sampling])
    assert seen == [LoopLag(0), LoopLag(1), LoopLag(2)]


async def test_a_blocked_loop_is_seen() -> None:
    """Whoever blocks the loop for a while makes the next timer late by about as much.

    Each event tells how many tasks there are: here this one and the watcher.
    """
    seen: list[float] = []
    tasks: list[int] = []

    def emit(event: object) -> None:
        assert isinstance(event, LoopLag)
        seen.append(event.seconds)
        tasks.append(event.tasks)

    watcher = asyncio.create_task(watch_loop(emit, every_seconds=0.01))
    await asyncio.sleep(0.005)
    time.sleep(0.2)  # noqa: ASYNC251 - blocking is the point
    await asyncio.sleep(0.05)
    watcher.cancel()
    assert max(seen) >= 0.15
    assert min(seen) >= 0
    assert set(tasks) == {len(asyncio.all_tasks())}


@pytest.fixture
def lasting() -> GcFreeze:
    return GcFreeze()


@pytest.fixture(autouse=True)
def back_in_sight() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_the_first_open_of_a_dataset_brings_is_spared(lasting: GcFreeze) -> None:
    """Once for each dataset, and not for an open that failed or for anything else."""
    brought: list[list[int]] = []

    def spared(event: DatasetOpened | LoopLag) -> bool:
        brought.append([1])
        lasting.record(event)
        return not any(one is brought[-1] for one in gc.get_objects())

    assert not spared(LoopLag(0.0))
    assert not spared(DatasetOpened("a", 0.1, ValueError("no")))
    assert spared(DatasetOpened("a", 0.1, None))
    assert not spared(DatasetOpened("a", 0.1, None))
    assert spared(DatasetOpened("b", 0.1, None))


def test_garbage_is_collected_before() -> None:
    """Rings that nothing refers to are not kept for ever."""

    class Ring:
        freed = False

        def __del__(self) -> None:
            Ring.freed = True

    ring = Ring()
    ring.itself = ring  # type: ignore[attr-defined]
    del ring
    freeze_objects()
    assert Ring.freed
