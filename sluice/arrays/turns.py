"""Whose chunk is next: a bound on what is under way at once, shared fairly among readings.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): a turn comes
by what its reading has had before, not by how long it waits. So who wants one chunk is next, beside
however many chunks that others have asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count


@dataclass(slots=True)
class Share:
    """What one reading has had of the turns, which is its place in their order."""

    had: int = 0


@dataclass(slots=True)
class Shares:
    """What one reading has had of a workshop."""

    under_way: Share = field(default_factory=Share)
    threads: Share = field(default_factory=Share)


@dataclass(order=True, frozen=True, slots=True)
class _Waiting:
    start: int
    number: int
    size: int = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


class Turns:
    """Turns that take at most `budget` at once, of bytes or whatever; larger ones are had alone.

    It belongs to one event loop.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._free = budget
        self._clock = 0
        self._waiting: list[_Waiting] = []
        self._numbers = count()

    def turn(self, share: Share, cost: int) -> Turn:
        """The block is a turn of the reading that has `share`, and takes `cost` of the budget."""
        return Turn(self, share, min(cost, self._budget))

    async def begin(self, share: Share, size: int) -> None:
        """Wait for the turn; it has begun when this returns."""
        start = max(self._clock, share.had)
        share.had = start + size
        if self._waiting or size > self._free:
            await self._wait(start, size)
        else:
            self._begin(start, size)

    async def _wait(self, start: int, size: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, _Waiting(start, next(self._numbers), size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the moment in which its asker left.
            if turn.done() and not turn.cancelled():
                self.end(size)
            raise

    def _begin(self, start: int, size: int) -> None:
        self._clock = max(self._clock, start)
        self._free -= size

    def end(self, size: int) -> None:
        """Give the turn back."""
        self._free += size
        while self._waiting:
            first = self._waiting[0]
            if not first.turn.cancelled():
                if first.size > self._free:
                    return
                self._begin(first.start, first.size)
                first.turn.set_result(None)
            heappop(self._waiting)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, as a block; a class, since a generator takes three times as long."""

    _turns: Turns
    _share: Share
    _size: int

    async def __aenter__(self) -> None:
        await self._turns.begin(self._share, self._size)

    async def __aexit__(self, *failure: object) -> None:
        self._turns.end(self._size)
