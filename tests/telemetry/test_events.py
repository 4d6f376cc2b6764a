"""What is told now and then: sums, and the loop's lag, which is what blocks it."""

from __future__ import annotations

import asyncio
import time
from itertools import count

from app.telemetry.events import Event, LoopLag, sample, watch_loop


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
    """Whoever blocks the loop for a while makes the next appointment late by about as much.

    Each appointment tells how many tasks there are: here this one and the watcher.
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
