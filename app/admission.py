"""Which requests begin now, wait or are refused, by their memory and by client; knows no HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from time import perf_counter
from typing import TypeVar
from weakref import WeakValueDictionary

from sluice.scheduler import FairScheduler, Flow

from .errors import Overloaded, TooManyRequests
from .telemetry.events import Emit, InFlight, RequestRefused

T = TypeVar("T")

RETRY_SECONDS = 1
# What one subscriber gets at least, and picks addresses from at will (RFC 4291, section 2.5.4;
# RFC 6177).
_SUBSCRIBER_BITS = 64


def client_at(address: str) -> str:
    """Who asks from this address: all of an IPv6 subscriber's addresses are one client.

    What is no address, as under some servers, is a client of that name.
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found, _SUBSCRIBER_BITS), strict=False))


class ClientLimit:
    """Counts what runs for each client, `most` at once (0: any number); forgets who has nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[str, int] = {}

    def __len__(self) -> int:
        """How many clients have something running."""
        return len(self._running)

    def fits(self, client: str) -> bool:
        """Whether one more of this client may run now."""
        return not self._most or self._running.get(client, 0) < self._most

    def enter(self, client: str) -> None:
        """One more of this client runs, until it leaves; raises TooManyRequests."""
        if not self.fits(client):
            raise TooManyRequests(
                f"{self._most} requests of yours run already, which is the most at once."
                " Ask again when one of them is answered.",
                limit=self._most,
                retry_after=RETRY_SECONDS,
            )
        self._count(client)

    def leave(self, client: str) -> None:
        """One less of this client runs."""
        left = self._running[client] - 1
        if left:
            self._running[client] = left
        else:
            del self._running[client]

    @contextmanager
    def counted(self, client: str) -> Iterator[None]:
        """The block counts as one more of this client, which is not refused."""
        self._count(client)
        try:
            yield
        finally:
            self.leave(client)

    def _count(self, client: str) -> None:
        self._running[client] = self._running.get(client, 0) + 1


class MemoryBudget:
    """`capacity` bytes that requests of one event loop take before they begin, and give back.

    Whoever does not fit waits for its turn, which clients have by the bytes that each asks for; at
    most `queue_requests` at once and each for `queue_seconds` at most. `on_wait` is called with the
    seconds that each has waited.
    """

    def __init__(
        self,
        capacity: int,
        *,
        queue_requests: int,
        queue_seconds: float,
        on_wait: Callable[[float], None],
    ) -> None:
        self._scheduler = FairScheduler(capacity)
        self._queue_requests = queue_requests
        self._queue_seconds = queue_seconds
        self._on_wait = on_wait
        # Of clients that wait now.
        self._flows: WeakValueDictionary[str, Flow] = WeakValueDictionary()
        self.take_now = self._scheduler.take_now
        self.give_back = self._scheduler.give_back
        self.charged = self._scheduler.charged

    @property
    def held_bytes(self) -> int:
        """The bytes that are taken now."""
        return self._scheduler.held

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._scheduler.waiting

    async def take(self, client: str, cost: int) -> None:
        """Take `cost` bytes, or all there are where it is more, until they are given back.

        Raises Overloaded when too many wait already, or when the turn does not come in time.
        """
        if self.take_now(cost):
            return
        if self.waiting >= self._queue_requests:
            raise self._overloaded("Too many requests wait for memory.")
        flow = self._flows.setdefault(client, Flow())
        began = perf_counter()
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._scheduler.take(flow, cost)
        except TimeoutError:
            raise self._overloaded("There was no memory for the request in time.") from None
        finally:
            self._on_wait(perf_counter() - began)

    def _overloaded(self, what: str) -> Overloaded:
        seconds = max(1, math.ceil(self._queue_seconds))
        return Overloaded(f"{what} Ask again in {seconds} seconds.", retry_after=seconds)


@dataclass(frozen=True, slots=True)
class Admission:
    """What requests of one event loop may take together; `seconds` is what each may last."""

    budget: MemoryBudget
    clients: ClientLimit
    seconds: float
    emit: Emit

    async def run(self, client: str, cost: int, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work()`` brings, begun when `client` may have `cost` bytes.

        Raises TooManyRequests and Overloaded.
        """
        async with self.held(client, cost):
            return await work()

    @asynccontextmanager
    async def held(self, client: str, cost: int) -> AsyncIterator[None]:
        """The block has `cost` bytes for `client`, and begins when there are so many.

        Raises TooManyRequests and Overloaded.
        """
        if not self._begins(client, cost):
            await self._wait(client, cost)
        try:
            yield
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
