"""The door that every answer passes which costs memory: its client's count, then the budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ..errors import Overloaded, TooManyRequests
from ..telemetry.events import Emit, InFlight, RequestRefused
from .budget import Budget
from .clients import ClientLimit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Admission:
    """What requests of one event loop may take together; `seconds` is what each may last."""

    budget: Budget
    clients: ClientLimit
    seconds: float
    emit: Emit

    async def run(self, client: str, cost: int, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work()`` brings, begun when `client` may have `cost` bytes.

        Raises TooManyRequests and Overloaded.
        """
        if not self._begins(client, cost):
            await self._wait(client, cost)
        try:
            return await work()
        finally:
            self.clients.leave(client)
            self.budget.give_back(cost)

    def _begins(self, client: str, cost: int) -> bool:
        """Whether there was room, which is now taken."""
        if not (self.clients.fits(client) and self.budget.take_now(cost)):
            return False
        self.clients.enter(client)
        return True

    async def _wait(self, client: str, cost: int) -> None:
        """Take room as soon as there is some; whoever waits for it counts for its client."""
        try:
            self.clients.enter(client)
        except TooManyRequests:
            self.refuse("client")
            raise
        try:
            await self.budget.take(client, cost)
        except BaseException as error:
            self.clients.leave(client)
            if isinstance(error, Overloaded):
                self.refuse("overload")
            raise

    @contextmanager
    def sending(self, client: str, size: int) -> Iterator[None]:
        """The block sends an answer of `size` bytes to `client`: both count as long as it lasts."""
        with self.clients.counted(client), self.budget.charged(size):
            yield

    def refuse(self, reason: str) -> None:
        """Tell that a request was refused, for one of a few reasons."""
        self.emit(RequestRefused(reason))

    def in_flight(self) -> InFlight:
        """What is held, and how many wait, now."""
        return InFlight(self.budget.held_bytes, self.budget.waiting)
