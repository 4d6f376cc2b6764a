"""Sums that are told now and then."""

from __future__ import annotations

import asyncio
from itertools import count

from app.telemetry.events import Event, LoopLag
from app.telemetry.sampling import sample


async def test_sums_are_told_again_and_again_and_at_the_end():
    """What was counted after the last telling is told when the sampling ends: nothing is lost."""
    numbers = count()
    seen: list[Event] = []
    sampling = asyncio.create_task(
        sample(lambda: LoopLag(next(numbers)), seen.append, every_seconds=0.01)
    )
    await asyncio.sleep(0.05)
    before = len(seen)
    sampling.cancel()
    await asyncio.wait([sampling])
    assert before >= 2
    assert [event.seconds for event in seen] == list(range(before + 1))
