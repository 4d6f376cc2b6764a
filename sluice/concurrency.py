"""Work beside other work: tasks of one event loop, and threads that can be cancelled.

Tasks: many items at once, one run shared by all who ask for it, one part read ahead of its use, and
waiting for work that others own.
"""

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
    """Return when `work` has ended, however it did; a caller that is cancelled does not cancel it.

    What ``asyncio.wait`` does for many, at half its cost. (``asyncio.shield`` would report a
    failure that comes after its caller has left to the loop's handler, although others get it.)
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


class CancelToken:
    """Tells a thread that nobody waits for its work any more: loops of `until_cancelled` end."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def run(self, work: Callable[[*Given], V], *given: *Given) -> V:
        """What ``work(*given)`` returns; CancelledError where it was cancelled before its end.

        Work that was cancelled before it began is not begun.
        """
        if self.cancelled:
            raise asyncio.CancelledError
        before = _running.set(self)
        try:
            return work(*given)
        finally:
            _running.reset(before)


# The token of the work that this thread does.
_running: ContextVar[CancelToken | None] = ContextVar("running", default=None)
# How often a loop looks: some milliseconds of work in Python.
_LOOK_EVERY: Final = 4096


def until_cancelled(items: Iterable[Item]) -> Iterator[Item]:
    """The same items; raises CancelledError among them once the thread's work is cancelled."""
    token = _running.get()
    for number, item in enumerate(items):
        if not number % _LOOK_EVERY and token is not None and token.cancelled:
            raise asyncio.CancelledError
        yield item


async def in_thread(work: Callable[[*Given], V], *given: *Given, pool: Executor | None = None) -> V:
    """What ``work(*given)`` returns, from a thread of the `pool` or of the loop's own executor.

    A caller that is cancelled waits for the thread to end; `until_cancelled` ends its loops.
    """
    token = CancelToken()
    running = asyncio.get_running_loop().run_in_executor(pool, token.run, work, *given)
    try:
        await wait_done(running)
    except asyncio.CancelledError:
        token.cancelled = True
        await wait_done(running)
        running.exception()  # retrieved, or the loop would report it as never seen
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

        The work is cancelled when the last of its callers is; the others go on waiting.
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


async def read_ahead(
    parts: Iterable[Item], read: Callable[[Item], Awaitable[V]]
) -> AsyncGenerator[V, None]:
    """What `read` returns for each of `parts`, in order; one is read while the last is in use.

    At most two results are in memory. Closing the generator cancels what is being read.
    """
    left = iter(parts)
    reading = _reading(left, read)
    try:
        while reading is not None:
            found = await reading
            # Begun no sooner: three results would be in memory.
            reading = _reading(left, read)
            yield found
            del found
    finally:
        if reading is not None:
            reading.cancel()
            await wait_done(reading)
            if not reading.cancelled():
                reading.exception()  # retrieved, or the loop would report it as never seen


def _reading(left: Iterator[Item], read: Callable[[Item], Awaitable[V]]) -> asyncio.Task[V] | None:
    """A task that reads the next of the parts that are `left`; None where there is none."""
    for part in left:
        return asyncio.ensure_future(_awaited(read, part))
    return None


async def _awaited(read: Callable[[Item], Awaitable[V]], part: Item) -> V:
    # A task wants a coroutine; `read` may return any awaitable.
    return await read(part)
