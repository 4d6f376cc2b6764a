"""One running piece of work per key, however many callers wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice.store.ending import ended

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiters: int = 0


class SingleFlight(Generic[K, V]):
    """Callers that ask for the same key at the same time share one run of the work.

    Nothing is remembered after a run: the next caller starts a new one, also in the moment in
    which the run has ended and its callbacks have not been called. (Who joined it then would get
    the old result without ever giving way to the loop.) Keeping results is a cache's job. An
    instance belongs to one event loop.
    """

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}

    def __len__(self) -> int:
        """How many pieces of work run now."""
        return len(self._flights)

    async def do(self, key: K, make: Callable[[], Coroutine[object, object, V]]) -> V:
        """The result, or the exception, of the one running ``make()`` for `key`.

        A caller that is cancelled leaves alone; the work is cancelled when its last caller leaves.
        """
        flight = self._flights.get(key)
        if flight is None or flight.task.done():
            flight = self._start(key, make)
        flight.waiters += 1
        try:
            await ended(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                # Forgotten at once: whoever comes next must not join work that is being cancelled.
                self._forget(key, flight)
                flight.task.cancel()
        return flight.task.result()

    def _start(self, key: K, make: Callable[[], Coroutine[object, object, V]]) -> _Flight[V]:
        flight = self._flights[key] = _Flight(asyncio.create_task(make()))

        def land(task: asyncio.Task[V]) -> None:
            self._forget(key, flight)
            if not task.cancelled():
                # Looked at here, so that work which fails after its callers left stays silent.
                task.exception()

        flight.task.add_done_callback(land)
        return flight

    def _forget(self, key: K, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
