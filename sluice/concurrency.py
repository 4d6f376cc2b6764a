"""What asyncio lacks: bounded fan-out, shared runs, reading one ahead, interruptible threads."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
)
from concurrent.futures import Executor
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, Generic, TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
Item = TypeVar("Item")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


async def map_concurrently(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, workers: int | None = None
) -> None:
    """Await `work` for every item, at most `workers` at a time (None: all at once).

    The first failure stops the rest and is raised itself, not inside an ExceptionGroup. One lone
    item costs no task.
    """
    waiting = iter(items)
    few = list(islice(waiting, 2))
    if len(few) < 2:
        for item in few:
            await work(item)
        return
    waiting = chain(few, waiting)

    async def worker(item: Item) -> None:
        await work(item)
        for following in waiting:
            await work(following)

    try:
        async with asyncio.TaskGroup() as group:
            for item in islice(waiting, workers):
                group.create_task(worker(item))
    except BaseExceptionGroup as failures:
        failure = _first(failures)
        raise failure from failure.__cause__


def _first(failure: BaseException) -> BaseException:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


async def wait_done(work: asyncio.Future[V]) -> None:
    """Return when `work` has ended, however it did; cancelling the caller does not cancel `work`.

    What ``asyncio.wait`` does for many, at half its cost. (A shield would report a failure
    that comes after its caller left to the loop's handler, although others receive it.)
    """
    if work.done():
        return
    end = asyncio.get_running_loop().create_future()

    def tell(_: asyncio.Future[V]) -> None:
        if not end.done():
            end.set_result(None)

    work.add_done_callback(tell)
    try:
        await end
    finally:
        work.remove_done_callback(tell)


class Interruption:
    """The interruption of work in a thread: its `interruptible` loops end once it is `requested`.

    A thread cannot be ended from outside, so its work has to look.
    """

    __slots__ = ("requested",)

    def __init__(self) -> None:
        self.requested = False

    def run(self, work: Callable[[*Given], V], *given: *Given) -> V:
        """What ``work(*given)`` returns; CancelledError where one of its loops has ended early."""
        before = _interruption.set(self)
        try:
            return work(*given)
        finally:
            _interruption.reset(before)


_interruption: ContextVar[Interruption | None] = ContextVar("interruption", default=None)
# How many items pass between two looks: some milliseconds of work in Python.
_UNLOOKED: Final = 4096


def interruptible(items: Iterable[Item]) -> Iterator[Item]:
    """The same items; raises CancelledError between two of them once nobody waits for the work.

    For long loops of work that `in_thread` runs; elsewhere it does nothing.
    """
    interruption = _interruption.get()
    for number, item in enumerate(items):
        if not number % _UNLOOKED and interruption is not None and interruption.requested:
            raise asyncio.CancelledError
        yield item


async def in_thread(work: Callable[[*Given], V], *given: *Given, pool: Executor | None = None) -> V:
    """What ``work(*given)`` returns in a thread of the `pool` (None: the loop's default executor).

    A caller that is cancelled returns only when the thread has ended, so that no thread works
    uncounted; that is soon where the work's loops are `interruptible`.
    """
    interruption = Interruption()
    running = asyncio.get_running_loop().run_in_executor(pool, interruption.run, work, *given)
    try:
        await wait_done(running)
    except asyncio.CancelledError:
        interruption.requested = True
        await wait_done(running)
        running.exception()  # nobody is there to be told
        raise
    return running.result()


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
            await wait_done(flight.task)
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


async def ahead(
    parts: Iterable[Item], read: Callable[[Item], Awaitable[V]]
) -> AsyncGenerator[V, None]:
    """What `read` brings of each of the `parts`, in order, reading one ahead of its consumer.

    Closing the generator cancels the read that is running, and waits for its end.
    """
    left = iter(parts)
    reading = _begun(left, read)
    try:
        while reading is not None:
            found = await reading
            # Begun no sooner: two are in memory, this one and the consumer's.
            reading = _begun(left, read)
            yield found
            del found
    finally:
        if reading is not None:
            reading.cancel()
            await wait_done(reading)
            if not reading.cancelled():
                reading.exception()  # nobody is there to be told


def _begun(left: Iterator[Item], read: Callable[[Item], Awaitable[V]]) -> asyncio.Task[V] | None:
    """A task that reads the next of the parts that are `left`; None where there is none."""
    for part in left:
        return asyncio.ensure_future(_made(read, part))
    return None


async def _made(read: Callable[[Item], Awaitable[V]], part: Item) -> V:
    return await read(part)
