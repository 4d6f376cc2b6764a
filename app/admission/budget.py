"""Bytes in flight: what requests hold at once is bounded, and who does not fit waits its turn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from ..errors import Overloaded
from .fair_queue import FairQueue, Waiter


class Budget:
    """`capacity` bytes that requests of one event loop take before they begin, and give back.

    Whoever does not fit waits in a `FairQueue`, at most `queue_requests` at once and each for
    `queue_seconds` at most. Nobody overtakes the first, so that a large request is not kept waiting
    by small ones for ever. `on_wait` is called with the seconds that each has waited.
    """

    def __init__(
        self,
        capacity: int,
        *,
        queue_requests: int,
        queue_seconds: float,
        on_wait: Callable[[float], None],
    ) -> None:
        self._capacity = capacity
        self._queue_requests = queue_requests
        self._queue_seconds = queue_seconds
        self._on_wait = on_wait
        self._queue = FairQueue()
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """The bytes that are taken now."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def take_now(self, cost: int) -> bool:
        """Take `cost` bytes, if that keeps nobody waiting; whether they were taken."""
        held = self._held + min(cost, self._capacity)
        if held > self._capacity or self._queue:
            return False
        self._held = held
        return True

    async def take(self, client: str, cost: int) -> None:
        """Take `cost` bytes, or all there are where it is more, until they are given back.

        Raises Overloaded when too many wait already, or when the turn does not come in time.
        """
        if self.take_now(cost):
            return
        if len(self._queue) >= self._queue_requests:
            raise self._overloaded("Too many requests wait for memory.")
        waiter = self._queue.join(client, min(cost, self._capacity))
        self._serve()  # the light are first as soon as they come
        began = perf_counter()
        try:
            await self._wait(waiter)
        finally:
            self._on_wait(perf_counter() - began)

    def give_back(self, cost: int) -> None:
        """Return what was taken for `cost`; whoever fits now is served."""
        self._held -= min(cost, self._capacity)
        if self._queue:
            self._serve()

    @contextmanager
    def charged(self, cost: int) -> Iterator[None]:
        """The block holds `cost` bytes that are in memory anyway: it takes them without waiting.

        Others wait until what is held is within the capacity again.
        """
        self._held += cost
        try:
            yield
        finally:
            self._held -= cost
            self._serve()

    async def _wait(self, waiter: Waiter) -> None:
        try:
            async with asyncio.timeout(self._queue_seconds):
                await waiter.turn
        except BaseException as error:
            if waiter.turn.done() and not waiter.turn.cancelled():
                # Its turn came in the moment in which it gave up.
                self.give_back(waiter.cost)
            else:
                self._queue.leave(waiter)
                self._serve()
            if isinstance(error, TimeoutError):
                raise self._overloaded("There was no memory for the request in time.") from None
            raise

    def _serve(self) -> None:
        """Give all those their turn who are first and fit."""
        while (waiter := self._queue.first()) is not None:
            if waiter.turn.done():  # cancelled, and its task does not know yet
                self._queue.leave(waiter)
                continue
            if self._held + waiter.cost > self._capacity:
                return
            self._queue.serve(waiter)
            self._held += waiter.cost
            waiter.turn.set_result(None)

    def _overloaded(self, what: str) -> Overloaded:
        seconds = max(1, math.ceil(self._queue_seconds))
        return Overloaded(f"{what} Ask again in {seconds} seconds.", retry_after=seconds)
