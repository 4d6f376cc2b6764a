"""Bytes in flight, and how many requests one client runs at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.admission import ClientLimit, MemoryBudget, client_at
from app.errors import Overloaded, TooManyRequests

CAPACITY = 100


def make(
    *, queue_requests: int = 1000, queue_seconds: float = 60.0, waits: list[float] | None = None
) -> MemoryBudget:
    return MemoryBudget(
        CAPACITY,
        queue_requests=queue_requests,
        queue_seconds=queue_seconds,
        on_wait=(waits if waits is not None else []).append,
    )


@dataclass
class Crowd:
    """Requests over one budget, each of which holds what it took until it is told to end."""

    budget: MemoryBudget = field(default_factory=make)
    holding: dict[int, int] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    ends: list[asyncio.Event] = field(default_factory=list)

    def arrive(self, client: str, cost: int) -> None:
        self.ends.append(asyncio.Event())
        self.tasks.append(asyncio.create_task(self._request(len(self.tasks), client, cost)))

    async def _request(self, number: int, client: str, cost: int) -> None:
        await self.budget.take(client, cost)
        self.holding[number] = min(cost, CAPACITY)
        try:
            await self.ends[number].wait()
        finally:
            del self.holding[number]
            self.budget.give_back(cost)

    async def end(self, how: str, number: int) -> None:
        """One of them ends, one is cancelled, or both: bytes then go to one who leaves just now."""
        if number >= len(self.tasks):
            return
        if how != "cancel":
            self.ends[number].set()
        if how == "both":
            await asyncio.sleep(0)
        if how != "end":
            self.tasks[-1 - number].cancel()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.check()

    def check(self) -> None:
        """What is held is what they have, within the capacity; the first who waits does not fit."""
        budget = self.budget
        assert budget.held_bytes == sum(self.holding.values()) <= CAPACITY
        running = sum(not task.done() for task in self.tasks)
        assert budget.waiting == running - len(self.holding)
        first = budget._scheduler._queue.first()
        assert first is None or budget.held_bytes + first.cost > CAPACITY


ARRIVE = st.tuples(st.just("arrive"), st.sampled_from("abc"), st.integers(1, 130))
LEAVE = st.tuples(st.sampled_from(["end", "cancel", "both"]), st.integers(0, 30), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(ARRIVE, LEAVE), max_size=40))
def test_bytes_are_kept_and_no_turn_is_lost(
    steps: list[tuple[str, Any, Any]],
) -> None:
    """However requests come, end and are cancelled: all bytes are accounted for, and at the end
    everyone who stayed was served."""
    asyncio.run(live(steps))


async def live(steps: list[tuple[str, Any, Any]]) -> None:
    crowd = Crowd()
    for step in steps:
        match step:
            case ("arrive", str(client), cost):
                crowd.arrive(client, cost)
                await crowd.settle()
            case (how, number, settles):
                await crowd.end(how, number)
                if settles:
                    await crowd.settle()
    for end in crowd.ends:
        end.set()
    ended = await asyncio.wait_for(asyncio.gather(*crowd.tasks, return_exceptions=True), 10)
    assert all(r is None or isinstance(r, asyncio.CancelledError) for r in ended)
    assert (crowd.budget.held_bytes, crowd.budget.waiting) == (0, 0)


async def test_what_fits_is_taken_without_waiting() -> None:
    """Nobody hears of a queue, and the loop is not asked."""
    waits: list[float] = []
    budget = make(waits=waits)
    steps = budget.take("a", 60)
    with pytest.raises(StopIteration):
        steps.send(None)
    assert (budget.held_bytes, waits) == (60, [])


async def test_more_than_all_is_all() -> None:
    """A request larger than the budget runs, alone."""
    budget = make()
    await budget.take("a", 10 * CAPACITY)
    assert budget.held_bytes == CAPACITY
    assert not budget.take_now(1)
    budget.give_back(10 * CAPACITY)
    assert budget.take_now(10 * CAPACITY)


async def test_nobody_overtakes_the_first() -> None:
    """Small requests that would fit wait behind a large one that does not."""
    budget = make()
    await budget.take("a", 60)
    large = asyncio.create_task(budget.take("b", 70))
    await asyncio.sleep(0)
    small = asyncio.create_task(budget.take("b", 10))
    await asyncio.sleep(0)
    assert not budget.take_now(10)
    budget.give_back(60)
    await asyncio.gather(large, small)
    assert budget.held_bytes == 80


async def test_a_light_request_passes_a_heavy_one_that_waits() -> None:
    """Another client's that fits is served as soon as it comes."""
    budget = make()
    await budget.take("a", 60)
    heavy = asyncio.create_task(budget.take("a", 70))
    await asyncio.sleep(0)
    await budget.take("b", 10)
    assert (budget.held_bytes, budget.waiting) == (70, 1)
    budget.give_back(10)
    budget.give_back(60)
    await heavy
    assert budget.held_bytes == 70


async def test_a_full_queue_refuses_at_once() -> None:
    """And says when to ask again."""
    budget = make(queue_requests=1, queue_seconds=4.2)
    await budget.take("a", CAPACITY)
    waiting = asyncio.create_task(budget.take("a", 1))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="Ask again in 5 seconds") as refused:
        await budget.take("b", 1)
    assert refused.value.facts == {"retry_after": 5}
    budget.give_back(CAPACITY)
    await waiting


async def test_a_turn_that_does_not_come_is_an_overload() -> None:
    """After the longest wait, which is told of; what was behind it moves on."""
    waits: list[float] = []
    budget = make(queue_seconds=0.05, waits=waits)
    await budget.take("a", 60)
    with pytest.raises(Overloaded):
        await budget.take("b", 50)
    assert (budget.held_bytes, budget.waiting, len(waits)) == (60, 0, 1)
    assert budget.take_now(40)


async def test_what_is_in_memory_anyway_is_charged() -> None:
    """It is taken though there is no room, and keeps others waiting until there is again."""
    budget = make()
    await budget.take("a", 90)
    with budget.charged(30):
        assert budget.held_bytes == 120
        waiting = asyncio.create_task(budget.take("b", 10))
        await asyncio.sleep(0)
        assert budget.waiting == 1
    await waiting
    assert budget.held_bytes == 100


def test_one_client_is_refused_and_others_are_not() -> None:
    """The most is of each client; who leaves makes room, and is forgotten in the end."""
    clients = ClientLimit(2)
    clients.enter("a")
    clients.enter("a")
    with pytest.raises(TooManyRequests) as refused:
        clients.enter("a")
    assert refused.value.facts == {"limit": 2, "retry_after": 1}
    clients.enter("b")
    clients.leave("a")
    clients.enter("a")
    for client in "aab":
        clients.leave(client)
    assert len(clients) == 0


def test_what_counts_without_being_refused_counts() -> None:
    """An answer that is being sent keeps its client from beginning another."""
    clients = ClientLimit(1)
    with clients.counted("a"), clients.counted("a"):
        assert not clients.fits("a")
    assert clients.fits("a")


def test_none_is_any_number() -> None:
    """Zero does not limit."""
    clients = ClientLimit(0)
    for _ in range(100):
        clients.enter("a")
    assert clients.fits("a")


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1:ffff::", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::7", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("unix:socket", "unix:socket"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_client(address: str, client: str) -> None:
    """However it is spelled; an IPv4 address is one by itself, also inside an IPv6 one."""
    assert client_at(address) == client
