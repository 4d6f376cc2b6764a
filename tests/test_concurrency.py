"""Work is shared, mapped over tasks, and awaited without being owned."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from sluice.concurrency import (
    CancelToken,
    SingleFlight,
    in_thread,
    map_concurrently,
    until_cancelled,
    wait_done,
)
from sluice.scheduler import Flow, Threads
from sluice.store.source import get_all


class Work:
    """Counts its runs and finishes when told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.runs


async def test_callers_of_one_key_share_one_run() -> None:
    """A hundred simultaneous callers cost one run and get its result."""
    flight, work = SingleFlight[str, int](), Work()
    tasks = [asyncio.create_task(flight.do("k", work)) for _ in range(100)]
    await asyncio.sleep(0.01)
    assert (work.runs, len(flight)) == (1, 1)
    work.go.set()
    assert [await task for task in tasks] == [1] * 100


async def test_keys_do_not_share() -> None:
    """Different keys run side by side."""
    flight, work = SingleFlight[int, int](), Work()
    tasks = [asyncio.create_task(flight.do(key, work)) for key in range(3)]
    await asyncio.sleep(0.01)
    assert work.runs == 3
    work.go.set()
    assert [await task for task in tasks] == [3, 3, 3]


async def test_nothing_is_kept() -> None:
    """After a run its key is free: the next caller starts another."""
    flight, work = SingleFlight[str, int](), Work()
    work.go.set()
    assert await flight.do("k", work) == 1
    assert len(flight) == 0
    assert await flight.do("k", work) == 2


async def test_a_run_that_has_ended_is_not_joined() -> None:
    """Who comes before its callbacks were called starts another run."""
    flight, runs = SingleFlight[str, int](), 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        return runs

    first = asyncio.create_task(flight.do("k", work))
    await asyncio.sleep(0)  # the first caller starts the run, and waits
    late = asyncio.create_task(flight.do("k", work))  # behind the run, before its callbacks
    assert await first == 1
    assert await late == 2
    assert runs == 2


async def test_asking_again_and_again_gives_way_to_the_loop() -> None:
    """Nobody who asks until a run has done what it wants keeps the loop from turning."""
    flight, done = SingleFlight[str, None](), False

    async def work() -> None:
        return None

    def is_done() -> None:
        nonlocal done
        done = True

    async def ask() -> int:
        asks = 0
        while not done and asks < 1000:
            await flight.do("k", work)
            asks += 1
        return asks

    first = asyncio.create_task(flight.do("k", work))
    await asyncio.sleep(0)
    late = asyncio.create_task(ask())
    asyncio.get_running_loop().call_later(0, is_done)
    await first
    assert await late < 1000


async def test_a_cancelled_caller_leaves_alone() -> None:
    """The others still get the result of the same run, also when the first caller leaves."""
    flight, work = SingleFlight[str, int](), Work()
    first, second, third = (asyncio.create_task(flight.do("k", work)) for _ in range(3))
    await asyncio.sleep(0.01)
    first.cancel()
    third.cancel()
    await asyncio.sleep(0.01)
    assert first.cancelled()
    assert work.cancelled == 0
    work.go.set()
    assert await second == 1


async def test_the_last_caller_takes_the_work_along() -> None:
    """The work is cancelled when nobody waits any more, and a newcomer starts afresh."""
    flight, work = SingleFlight[str, int](), Work()
    tasks = [asyncio.create_task(flight.do("k", work)) for _ in range(2)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0.01)
    assert (work.runs, work.cancelled, len(flight)) == (1, 1, 0)
    work.go.set()
    assert await flight.do("k", work) == 2


async def test_a_newcomer_does_not_join_cancelled_work() -> None:
    """Work that is still busy being cancelled is not handed to the next caller."""
    flight = SingleFlight[str, str]()
    leaving = asyncio.Event()

    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            leaving.set()
            await asyncio.sleep(0.05)
            raise
        return "never"

    async def fresh() -> str:
        return "fresh"

    task = asyncio.create_task(flight.do("k", stubborn))
    await asyncio.sleep(0.01)
    task.cancel()
    await leaving.wait()
    assert await flight.do("k", fresh) == "fresh"


async def test_an_exception_reaches_every_caller() -> None:
    """All callers see the failure, and the next call tries again."""
    flight = SingleFlight[str, int]()
    runs = 0

    async def fail() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.01)
        raise ValueError("broken")

    results = await asyncio.gather(
        *(flight.do("k", fail) for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ValueError] * 5
    assert runs == 1
    with pytest.raises(ValueError, match="broken"):
        await flight.do("k", fail)
    assert runs == 2


async def test_a_failure_after_everybody_left_is_silent() -> None:
    """Work that answers its cancellation with an error leaves no unretrieved exception."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    flight = SingleFlight[str, int]()

    async def fail_late() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("while leaving")

    task = asyncio.create_task(flight.do("k", fail_late))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert task.cancelled()
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


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

    await map_concurrently(range(10), work, workers=workers)
    assert sorted(done) == list(range(10))
    assert highest == most


@pytest.mark.parametrize("count", [0, 1])
async def test_one_lone_item_costs_no_task(count: int) -> None:
    """Nothing, and one item, run in the caller's own task."""
    before = asyncio.all_tasks()
    seen = []

    async def work(item: int) -> None:
        seen.append(asyncio.all_tasks())

    await map_concurrently(range(count), work)
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
        await map_concurrently(range(3), work)
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


async def test_any_end_is_an_end() -> None:
    """Results, failures and cancellations are for those whose work it is."""
    loop = asyncio.get_running_loop()
    results: list[asyncio.Future[int]] = [loop.create_future() for _ in range(3)]
    waits = [asyncio.create_task(wait_done(result)) for result in results]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    results[0].set_result(1)
    results[1].set_exception(ValueError("theirs"))
    results[2].cancel()
    assert await asyncio.gather(*waits) == [None] * 3
    for result in results:
        await wait_done(result)  # at once
    assert isinstance(results[1].exception(), ValueError)


async def test_who_leaves_leaves_the_work_alone() -> None:
    """A cancelled wait cancels nothing and leaves nothing behind; others go on waiting."""
    work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    leaver, stayer = (asyncio.create_task(wait_done(work)) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    assert not work.done()
    work.set_result(1)
    await asyncio.wait_for(stayer, 5)


def in_turn(work: Callable[[], None]) -> Awaitable[None]:
    """The work in one of the threads that are shared."""
    return Threads(1, None).run(Flow(), work)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", [in_thread, in_turn])
async def test_work_for_nobody_ends(run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
    """A loop that would never end does so soon after whoever waits for it has left."""
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        try:
            for _ in until_cancelled(count()):
                begun.set()
        finally:
            ended.set()

    task = asyncio.ensure_future(run(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_work_that_is_cancelled_in_its_queue_is_not_begun() -> None:
    """A pool that was busy all the while does nothing for who has left."""
    go_on, begun = threading.Event(), list[str]()
    with ThreadPoolExecutor(1) as pool:
        busy = asyncio.ensure_future(in_thread(go_on.wait, pool=pool))
        left = asyncio.ensure_future(in_thread(begun.append, "left", pool=pool))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        go_on.set()
        assert await busy
        with pytest.raises(asyncio.CancelledError):
            await left
    assert not begun


async def test_work_that_is_not_cancelled_is_done() -> None:
    """All items, in a thread and outside of any; and what fails there fails here."""
    assert await in_thread(lambda n: sum(until_cancelled(range(n))), 10_000) == sum(range(10_000))
    assert list(until_cancelled("abc")) == ["a", "b", "c"]
    assert CancelToken().run(list, until_cancelled(range(3))) == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)
