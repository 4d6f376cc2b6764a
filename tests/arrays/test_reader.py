"""The decode pool: what is done on the loop, what beside it, and how much at once."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from sluice.arrays.reader import Threads, Workshop, busy_pool
from sluice.arrays.turns import Share, Shares
from tests.arrays.workshops import rounds_counted


class Slow:
    """Work that begins when it does, and ends when it may."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.may_end, self.ended = (threading.Event() for _ in range(3))
        self._error = error

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(30)
        self.ended.set()
        if self._error is not None:
            raise self._error
        return "made"


async def test_what_is_made_or_raised_comes_back() -> None:
    """As if it were called here."""
    with busy_pool(1, "busy") as pool:
        threads = Threads(1, pool)
        assert await threads.run(Share(), divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await threads.run(Share(), divmod, 7, 0)


@pytest.mark.parametrize("error", [None, ValueError("unheard")])
async def test_who_is_cancelled_leaves_when_the_thread_has_ended(error: Exception | None) -> None:
    """And not before: what the thread has in its hands is in memory until then."""
    with busy_pool(1, "busy") as pool:
        slow = Slow(error)
        task = asyncio.create_task(Threads(1, pool).run(Share(), slow))
        while not slow.begun.is_set():  # noqa: ASYNC110 - a thread cannot set the loop's event
            await asyncio.sleep(0.001)
        task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        slow.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.ended.is_set()


async def test_who_waits_for_a_turn_leaves_at_once() -> None:
    """Its work is never begun, and the turn of the next one comes all the same."""
    with busy_pool(1, "busy") as pool:
        threads = Threads(1, pool)
        first, second = Slow(), Slow()
        tasks = [asyncio.create_task(threads.run(Share(), work)) for work in (first, second)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks[1:])
        assert not tasks[0].done()
        first.may_end.set()
        assert await tasks[0] == "made"
        assert await threads.run(Share(), str, 1) == "1"
        assert not second.begun.is_set()


async def test_on_the_loop_others_have_their_turn_in_between() -> None:
    """However much waits, the loop goes round between works that take their time."""
    threads = Threads(1, None)
    async with rounds_counted() as rounds:

        def work() -> tuple[int, threading.Thread]:
            time.sleep(0.006)
            return rounds(), threading.current_thread()

        made = await asyncio.gather(*(threads.between(Share(), work) for _ in range(5)))
    assert len({seen for seen, _ in made}) == len(made)
    assert {where for _, where in made} == {threading.current_thread()}


async def test_what_fails_on_the_loop_gives_its_turn_back() -> None:
    """The next one has it."""
    threads = Threads(1, None)
    with pytest.raises(ZeroDivisionError):
        await threads.between(Share(), divmod, 7, 0)
    assert await threads.between(Share(), divmod, 7, 2) == (3, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness on Linux alone")
def test_busy_threads_give_way() -> None:
    """Threads of the pool are nicer than the process, which stays as it was."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with busy_pool(1, "busy") as pool:
        told = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        assert told.result() > before or before == 19
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


async def test_small_work_stays_on_the_loop_and_large_work_does_not() -> None:
    """Up to the bound in the caller's thread, above it in the pool's."""
    with busy_pool(2, "decode") as pool:
        shop = Workshop(inline_bytes=10, under_way_bytes=100, threads=2, pool=pool)

        def where(_: None) -> threading.Thread:
            return threading.current_thread()

        assert await shop.run(Shares(), where, None, 10) is threading.current_thread()
        assert (await shop.run(Shares(), where, None, 11)).name.startswith("decode")


async def test_work_between_rounds_needs_no_thread() -> None:
    """Where threads have no core of their own, up to a bound of its own."""
    with busy_pool(1, "decode") as pool:
        shop = Workshop(
            inline_bytes=10, between_bytes=20, under_way_bytes=100, threads=1, pool=pool
        )

        def where(_: None) -> threading.Thread:
            return threading.current_thread()

        assert await shop.run(Shares(), where, None, 20) is threading.current_thread()
        assert (await shop.run(Shares(), where, None, 21)).name.startswith("decode")


async def test_nothing_waits_inside_the_pool() -> None:
    """Of many works at most as many run as there are threads, and a newcomer's is the next."""
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        time.sleep(0.002)

    with busy_pool(1, "decode") as pool:
        shop = Workshop(inline_bytes=0, under_way_bytes=100, threads=1, pool=pool)
        many, one = Shares(), Shares()
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(shop.run(many, work, "many", 1))
            await asyncio.sleep(0)
            group.create_task(shop.run(one, work, "one", 1))
    assert begun.index("one") == 1
