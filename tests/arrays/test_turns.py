"""Turns: a budget that holds, and an order in which nobody waits for what others have queued."""

from __future__ import annotations

import asyncio

import pytest

from sluice.arrays.turns import Share, Turns


class Hall:
    """Notes who has a turn, in which order, and how much is taken at once."""

    def __init__(self, budget: int) -> None:
        self.turns = Turns(budget)
        self.order: list[str] = []
        self.taken = self.most = 0
        self.open = asyncio.Event()

    async def visit(self, name: str, share: Share, cost: int) -> None:
        async with self.turns.turn(share, cost):
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
    hall, many, one = Hall(1), Share(), Share()
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
    hall, small, large = Hall(2), Share(), Share()
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
            group.create_task(hall.visit("some", Share(), 3))
    assert hall.most == 9
    async with asyncio.TaskGroup() as group:
        for cost in (3, 25, 3):
            group.create_task(hall.visit("some", Share(), cost))
    assert hall.most == 25


@pytest.mark.parametrize("leave_late", [False, True])
async def test_who_leaves_takes_no_turn_along(leave_late: bool) -> None:
    """A cancelled asker, even one whose turn came in that moment, leaves the budget whole."""
    hall = Hall(1)
    hall.open.set()
    async with hall.turns.turn(Share(), 1):
        leaving = asyncio.create_task(hall.visit("leaving", Share(), 1))
        last = asyncio.create_task(hall.visit("last", Share(), 1))
        await asyncio.sleep(0)
        if not leave_late:
            leaving.cancel()
            await asyncio.sleep(0)
    # By now the turn has gone to whoever stays first in line, and nobody has run since.
    leaving.cancel()
    await asyncio.wait((leaving, last))
    assert hall.order == ["last"]
    await asyncio.wait_for(hall.visit("after", Share(), 1), 1)
