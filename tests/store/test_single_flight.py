"""Single flight: one run per key, shared by whoever waits."""

from __future__ import annotations

import asyncio
import gc

import pytest

from sluice.store.single_flight import SingleFlight


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
