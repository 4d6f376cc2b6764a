"""Work that is watched from its first wait on: it runs as if it were simply awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.admission import watched


class Watch:
    """Counts how often it was entered and left."""

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        self.entered += 1
        try:
            yield
        finally:
            self.left += 1


@pytest.mark.parametrize("waits", [0, 1, 5])
async def test_only_what_waits_is_watched(waits: int) -> None:
    """Once, however often it waits; the result is the work's own."""
    watch = Watch()

    async def work() -> int:
        for _ in range(waits):
            await asyncio.sleep(0)
        return waits

    assert await watched(work(), watch) == waits
    assert watch.entered == watch.left == (1 if waits else 0)


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_errors_are_the_works_own(waits: int) -> None:
    """Before the first wait and after it."""
    watch = Watch()

    async def work() -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await watched(work(), watch)
    assert watch.entered == watch.left == (1 if waits else 0)


async def test_the_work_is_cancelled_where_it_waits() -> None:
    """At its first wait or later; work that goes on although it was cancelled goes on."""
    seen = []

    async def work(stubborn: bool) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(stubborn)
            if not stubborn:
                raise
        await asyncio.sleep(0.001)
        return "went on"

    for stubborn in (False, True):
        task = asyncio.create_task(watched(work(stubborn), Watch()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        if stubborn:
            assert await task == "went on"
        else:
            with pytest.raises(asyncio.CancelledError):
                await task
    assert seen == [False, True]


async def test_groups_and_timeouts_inside_and_outside_keep_apart() -> None:
    """A deadline around the rest of the work ends the tasks that the work began before it."""
    ended = []

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def work() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(part())

    with pytest.raises(TimeoutError):
        await watched(work(), lambda: _within(0.05))
    assert ended == [True] * 3


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield
