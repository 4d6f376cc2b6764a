"""The order of the queue: shares of bytes between clients, arrival within one."""

from __future__ import annotations

import asyncio
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from app.admission.fair_queue import FairQueue, Waiter

COSTS = st.lists(st.integers(1, 100), min_size=1, max_size=12)


def served(queue: FairQueue) -> Waiter:
    waiter = queue.first()
    assert waiter is not None
    queue.serve(waiter)
    return waiter


async def order_of(lines: dict[str, list[int]]) -> list[Waiter]:
    """Who is served, one after the other, when all of `lines` wait from the start."""
    queue = FairQueue()
    for client, costs in lines.items():
        for cost in costs:
            queue.join(client, cost)
    return [served(queue) for _ in range(len(queue))]


@given(st.dictionaries(st.sampled_from("abcd"), COSTS, min_size=2))
def test_clients_that_wait_get_equal_bytes(lines: dict[str, list[int]]) -> None:
    """Between any two moments, two clients that wait differ by one largest request of each."""
    order = asyncio.run(order_of(lines))
    for one, other in combinations(lines, 2):
        bound = max(lines[one]) + max(lines[other])
        ahead, left, differences = 0, {one: len(lines[one]), other: len(lines[other])}, [0]
        for waiter in order:
            if waiter.client in left:
                left[waiter.client] -= 1
                ahead += waiter.cost if waiter.client == one else -waiter.cost
                differences.append(ahead)
            if 0 in left.values():
                break
        assert max(differences) - min(differences) <= bound


@given(st.dictionaries(st.sampled_from("abcd"), COSTS))
def test_a_client_is_served_in_its_own_order(lines: dict[str, list[int]]) -> None:
    """Nobody overtakes within a line, and everybody is served once."""
    order = asyncio.run(order_of(lines))
    found = {client: [w.cost for w in order if w.client == client] for client in lines}
    assert found == lines


async def test_a_light_request_is_next_whatever_another_client_has_queued() -> None:
    """A hundred heavy requests of one client do not keep the light one of another waiting."""
    queue = FairQueue()
    for _ in range(100):
        queue.join("heavy", 1000)
    assert served(queue).client == "heavy"
    queue.join("light", 1)
    assert [served(queue).client for _ in range(2)] == ["light", "heavy"]


async def test_a_heavy_request_is_served_among_light_ones_that_never_end() -> None:
    """After others had as many bytes as it wants, it is its turn."""
    queue = FairQueue()
    queue.join("heavy", 10)
    queue.join("light", 1)
    before = 0
    while served(queue).client == "light":
        before += 1
        queue.join("light", 1)
    assert 9 <= before <= 10


async def test_who_leaves_is_forgotten() -> None:
    """In the middle, at the end, twice; and nothing is kept of a client that does not wait."""
    queue = FairQueue()
    waiters = [queue.join("a", cost) for cost in (1, 2, 3)]
    queue.leave(waiters[1])
    queue.leave(waiters[1])
    assert len(queue) == 2
    assert [served(queue) for _ in range(2)] == [waiters[0], waiters[2]]
    queue.leave(waiters[2])
    assert (len(queue), queue.first(), queue._lines) == (0, None, {})
