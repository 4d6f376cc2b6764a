"""The fair scheduler: an order in which nobody waits for what others have queued, and its bounds.

Shares of bytes between flows, arrival within one; a capacity that holds; threads, one a turn.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scheduler import (
    Calm,
    FairQueue,
    FairScheduler,
    Flow,
    Threads,
    Waiter,
    low_priority_pool,
)
from tests.arrays.readers import rounds_counted

COSTS = st.lists(st.integers(1, 100), min_size=1, max_size=12)


def served(queue: FairQueue) -> Waiter:
    waiter = queue.first()
    assert waiter is not None
    queue.serve(waiter)
    return waiter


async def order_of(lines: dict[str, list[int]]) -> list[tuple[str, int]]:
    """Who is served, in their order, with their costs, when all of `lines` wait from the start."""
    queue, names = FairQueue(), {}
    for client, costs in lines.items():
        names[flow := Flow()] = client
        for cost in costs:
            queue.join(flow, cost)
    order = [served(queue) for _ in range(len(queue))]
    return [(names[waiter.flow], waiter.cost) for waiter in order]


@given(st.dictionaries(st.sampled_from("abcd"), COSTS, min_size=2))
def test_clients_that_wait_get_equal_bytes(lines: dict[str, list[int]]) -> None:
    """Between any two moments, two clients that wait differ by one largest request of each."""
    order = asyncio.run(order_of(lines))
    for one, other in combinations(lines, 2):
        bound = max(lines[one]) + max(lines[other])
        ahead, left, differences = 0, {one: len(lines[one]), other: len(lines[other])}, [0]
        for client, cost in order:
            if client in left:
                left[client] -= 1
                ahead += cost if client == one else -cost
                differences.append(ahead)
            if 0 in left.values():
                break
        assert max(differences) - min(differences) <= bound


@given(st.dictionaries(st.sampled_from("abcd"), COSTS))
def test_a_client_is_served_in_its_own_order(lines: dict[str, list[int]]) -> None:
    """Nobody overtakes within a line, and everybody is served once."""
    order = asyncio.run(order_of(lines))
    found = {client: [cost for name, cost in order if name == client] for client in lines}
    assert found == lines


async def test_a_light_request_is_next_whatever_another_client_has_queued() -> None:
    """A hundred heavy requests of one client do not keep the light one of another waiting."""
    queue, heavy, light = FairQueue(), Flow(), Flow()
    for _ in range(100):
        queue.join(heavy, 1000)
    assert served(queue).flow is heavy
    queue.join(light, 1)
    assert [served(queue).flow for _ in range(2)] == [light, heavy]


async def test_a_heavy_request_is_served_among_light_ones_that_never_end() -> None:
    """After others had as many bytes as it wants, it is its turn."""
    queue, heavy, light = FairQueue(), Flow(), Flow()
    queue.join(heavy, 10)
    queue.join(light, 1)
    before = 0
    while served(queue).flow is light:
        before += 1
        queue.join(light, 1)
    assert 9 <= before <= 10


async def test_a_heavy_request_is_served_among_light_ones_of_ever_new_flows() -> None:
    """Whoever comes later has no right to go before it for ever."""
    queue, heavy = FairQueue(), Flow()
    queue.join(heavy, 10)
    before = 0
    queue.join(Flow(), 1)
    while served(queue).flow is not heavy:
        before += 1
        queue.join(Flow(), 1)
    assert 9 <= before <= 10


async def test_who_leaves_is_forgotten() -> None:
    """In the middle, at the end, twice; and nothing is kept of who does not wait."""
    queue, flow = FairQueue(), Flow()
    waiters = [queue.join(flow, cost) for cost in (1, 2, 3)]
    queue.leave(waiters[1])
    queue.leave(waiters[1])
    assert len(queue) == 2
    assert [served(queue) for _ in range(2)] == [waiters[0], waiters[2]]
    queue.leave(waiters[2])
    assert (len(queue), queue.first(), queue._heap) == (0, None, [])


async def test_those_who_left_do_not_pile_up() -> None:
    """However many come and go behind one who stays."""
    queue = FairQueue()
    first = queue.join(Flow(), 1)
    for _ in range(1000):
        queue.leave(queue.join(Flow(), 10))
    assert len(queue._heap) < 100
    assert queue.first() is first


async def test_who_leaves_is_not_charged() -> None:
    """What was asked for last and not had does not count against those who come later."""
    queue, flow = FairQueue(), Flow()
    queue.leave(queue.join(flow, 100))
    assert queue.join(flow, 1).finish == 1


class Hall:
    """Notes who has a turn, in which order, and how much is taken at once."""

    def __init__(self, budget: int) -> None:
        self.scheduler = FairScheduler(budget)
        self.order: list[str] = []
        self.taken = self.most = 0
        self.open = asyncio.Event()

    async def visit(self, name: str, flow: Flow, cost: int) -> None:
        async with self.scheduler.turn(flow, cost):
            self.order.append(name)
            self.taken += cost
            self.most = max(self.most, self.taken)
            try:
                await self.open.wait()
                await asyncio.sleep(0)
            finally:
                self.taken -= cost


async def test_who_wants_one_is_not_behind_who_wants_many() -> None:
    """A newcomer's one turn comes next, though another has asked for a hundred before."""
    hall, many, one = Hall(1), Flow(), Flow()
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(hall.visit("many", many, 1))
        await asyncio.sleep(0)
        group.create_task(hall.visit("one", one, 1))
        await asyncio.sleep(0)
        hall.open.set()
    assert hall.order.index("one") == 1
    assert len(hall.order) == 101


async def test_two_who_want_many_alternate() -> None:
    """Turns go round by what each has had: twice the size, half as often."""
    hall, small, large = Hall(2), Flow(), Flow()
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(hall.visit("large", large, 2))
        for _ in range(40):
            group.create_task(hall.visit("small", small, 1))
        await asyncio.sleep(0)
        hall.open.set()
    first = hall.order[:30]
    assert 18 <= first.count("small") <= 22


async def test_the_budget_holds_and_what_is_larger_goes_alone() -> None:
    """Never more than the budget at once, but for one that is larger than all of it."""
    hall = Hall(10)
    hall.open.set()
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(hall.visit("some", Flow(), 3))
    assert hall.most == 9
    async with asyncio.TaskGroup() as group:
        for cost in (3, 25, 3):
            group.create_task(hall.visit("some", Flow(), cost))
    assert hall.most == 25


@pytest.mark.parametrize("leave_late", [False, True])
async def test_who_leaves_takes_no_turn_along(leave_late: bool) -> None:
    """A cancelled asker, even one whose turn came in that moment, leaves the budget whole."""
    hall = Hall(1)
    hall.open.set()
    async with hall.scheduler.turn(Flow(), 1):
        leaving = asyncio.create_task(hall.visit("leaving", Flow(), 1))
        last = asyncio.create_task(hall.visit("last", Flow(), 1))
        await asyncio.sleep(0)
        if not leave_late:
            leaving.cancel()
            await asyncio.sleep(0)
    # By now the turn has gone to whoever stays first in line, and nobody has run since.
    leaving.cancel()
    await asyncio.wait((leaving, last))
    assert hall.order == ["last"]
    await asyncio.wait_for(hall.visit("after", Flow(), 1), 1)


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
    with low_priority_pool(1, "busy") as pool:
        threads = Threads(1, pool)
        assert await threads.run(Flow(), divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await threads.run(Flow(), divmod, 7, 0)


@pytest.mark.parametrize("error", [None, ValueError("unheard")])
async def test_who_is_cancelled_leaves_when_the_thread_has_ended(error: Exception | None) -> None:
    """And not before: what the thread has in its hands is in memory until then."""
    with low_priority_pool(1, "busy") as pool:
        slow = Slow(error)
        task = asyncio.create_task(Threads(1, pool).run(Flow(), slow))
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
    with low_priority_pool(1, "busy") as pool:
        threads = Threads(1, pool)
        first, second = Slow(), Slow()
        tasks = [asyncio.create_task(threads.run(Flow(), work)) for work in (first, second)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks[1:])
        assert not tasks[0].done()
        first.may_end.set()
        assert await tasks[0] == "made"
        assert await threads.run(Flow(), str, 1) == "1"
        assert not second.begun.is_set()


async def test_on_the_loop_others_have_their_turn_in_between() -> None:
    """However much waits, the loop goes round between works that take their time."""
    threads = Threads(1, None)
    async with rounds_counted() as rounds:

        def work() -> tuple[int, threading.Thread]:
            time.sleep(0.006)
            return rounds(), threading.current_thread()

        made = await asyncio.gather(*(threads.cooperatively(Flow(), work) for _ in range(5)))
    assert len({seen for seen, _ in made}) == len(made)
    assert {where for _, where in made} == {threading.current_thread()}


async def test_what_fails_on_the_loop_gives_its_turn_back() -> None:
    """The next one has it."""
    threads = Threads(1, None)
    with pytest.raises(ZeroDivisionError):
        await threads.cooperatively(Flow(), divmod, 7, 0)
    assert await threads.cooperatively(Flow(), divmod, 7, 2) == (3, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness on Linux alone")
def test_busy_threads_give_way() -> None:
    """Threads of the pool are nicer than the process, which stays as it was."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with low_priority_pool(1, "busy") as pool:
        told = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        assert told.result() > before or before == 19
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_thread_is_calm_that_had_a_core_for_little_of_its_time() -> None:
    """Looked at since the last time that it was."""
    calm = Calm()
    seen = [calm.see(now, busy) for now, busy in ((100, 3), (101, 3.1), (102, 4.0), (103, 4.1))]
    assert seen == [True, True, False, True]


async def test_work_of_a_calm_loop_has_threads_that_do_not_give_way() -> None:
    """Who has waited for nothing has left the core to others meanwhile."""
    with low_priority_pool(1, "nice") as pool, ThreadPoolExecutor(1, "calm") as calm:
        threads = Threads(1, pool, calm)

        def where() -> str:
            return threading.current_thread().name

        await threads.run(Flow(), where)
        await asyncio.sleep(0.3)
        assert (await threads.run(Flow(), where)).startswith("calm")
        assert (await Threads(1, pool).run(Flow(), where)).startswith("nice")
