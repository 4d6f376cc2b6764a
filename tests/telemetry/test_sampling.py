"""Sums that are told now and then."""

from __future__ import annotations

import asyncio
from itertools import count

from app.telemetry.events import Event, LoopLag
from app.telemetry.sampling import sample


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
