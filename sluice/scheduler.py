"""A capacity of bytes, or of threads, shared fairly among flows: whose turn is next.

Self-clocked fair queueing (S. J. Golestani, "A self-clocked fair queueing scheme for broadband
applications", IEEE INFOCOM 1994): a turn comes by what its flow has had before, not by how long it
waits. So who wants one chunk is next, beside however many chunks that others have asked for. It
gives what deficit round robin gives (M. Shreedhar and G. Varghese, "Efficient fair queueing using
deficit round robin", SIGCOMM 1995), without a quantum to choose: costs here range from a chunk to
all that there is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from time import perf_counter, thread_time
from typing import Final, TypeVar, TypeVarTuple

from sluice.concurrency import in_thread

Made = TypeVar("Made")
Given = TypeVarTuple("Given")

# So many entries of waiters that have left may stand in the queue before it is cleared of them.
_FEW_LEFT: Final = 16
# The niceness of low-priority threads: where they and the loop want one core, the loop gets three
# quarters of it (sched(7), "The nice value").
_NICENESS: Final = 5
# A loop that is busy for less of its time than this share is calm: nobody waits for it.
_CALM_SHARE: Final = 0.25
# How often that is measured.
_CALM_SECONDS: Final = 0.01
# Work on the loop goes on for so long before the loop's other callbacks have their round.
_ROUND_SECONDS: Final = 0.005


class Flow:
    """A source of requests that gets a fair share: a client, or one reading of an array.

    `finish` is the virtual time at which what it asked for so far would be served, if all flows
    were served at once, each at the same pace.
    """

    __slots__ = ("__weakref__", "finish")

    def __init__(self) -> None:
        self.finish = 0


@dataclass(slots=True, eq=False)
class Waiter:
    """A request for `cost` that waits in the queue; `turn` gets its result when it is served."""

    flow: Flow
    cost: int
    finish: int
    turn: asyncio.Future[None]
    waits: bool = True


class FairQueue:
    """Waiters: those of each flow in their order, flows by what each asks for.

    While two flows wait, what they were served differs by no more than the largest cost of each. A
    flow that does not wait, and was served from here, can be forgotten.
    """

    __slots__ = ("_heap", "_length", "_now", "_numbers")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Waiter]] = []
        self._length = 0
        # Virtual time: the finish of whoever was served last.
        self._now = 0
        self._numbers = count()

    def __len__(self) -> int:
        """How many wait."""
        return self._length

    def pass_by(self, flow: Flow, cost: int) -> None:
        """The flow is served without waiting; that counts for its later waiters."""
        self._now = max(self._now, flow.finish)
        flow.finish = self._now + cost

    def join(self, flow: Flow, cost: int) -> Waiter:
        """A new waiter, behind those of its own flow."""
        flow.finish = max(self._now, flow.finish) + cost
        turn = asyncio.get_running_loop().create_future()
        waiter = Waiter(flow, cost, flow.finish, turn)
        heappush(self._heap, (waiter.finish, next(self._numbers), waiter))
        self._length += 1
        return waiter

    def first(self) -> Waiter | None:
        """The waiter that is served next; of equals the one that has waited longer."""
        while self._heap:
            waiter = self._heap[0][-1]
            if waiter.waits:
                return waiter
            heappop(self._heap)
        return None

    def serve(self, waiter: Waiter) -> None:
        """`waiter`, which is the first, waits no more."""
        self._now = max(self._now, waiter.finish)
        waiter.waits = False
        self._length -= 1

    def leave(self, waiter: Waiter) -> None:
        """`waiter` waits no more, wherever it stood; nothing happens if it did not wait."""
        if not waiter.waits:
            return
        waiter.waits = False
        self._length -= 1
        if waiter.flow.finish == waiter.finish:
            waiter.flow.finish -= waiter.cost
        if len(self._heap) > 2 * self._length + _FEW_LEFT:
            self._heap = [entry for entry in self._heap if entry[-1].waits]
            heapify(self._heap)


class FairScheduler:
    """At most `capacity` (bytes, threads) is taken at once; a larger cost takes all of it.

    Nobody overtakes the first in the queue, so that a large cost is not kept waiting by small ones
    for ever. It belongs to one event loop.
    """

    __slots__ = ("_capacity", "_queue", "held")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queue = FairQueue()
        self.held = 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def take_now(self, cost: int) -> bool:
        """Take `cost`, if that keeps nobody waiting; whether it was taken."""
        held = self.held + min(cost, self._capacity)
        if held > self._capacity or self._queue:
            return False
        self.held = held
        return True

    async def take(self, flow: Flow, cost: int) -> None:
        """Take `cost` as soon as it is the turn of this flow; it is to be given back."""
        if self.take_now(cost):
            self._queue.pass_by(flow, min(cost, self._capacity))
            return
        waiter = self._queue.join(flow, min(cost, self._capacity))
        self._serve()  # the light are first as soon as they come
        try:
            await waiter.turn
        except BaseException:
            if waiter.turn.done() and not waiter.turn.cancelled():
                # The turn came in the moment in which its asker left.
                self.give_back(waiter.cost)
            else:
                self._queue.leave(waiter)
                self._serve()
            raise

    def give_back(self, cost: int) -> None:
        """Return what was taken for `cost`; whoever fits now is served."""
        self.held -= min(cost, self._capacity)
        if self._queue:
            self._serve()

    def turn(self, flow: Flow, cost: int) -> Turn:
        """The block is a turn of this flow, which has `cost` as long as it lasts."""
        return Turn(self, flow, cost)

    @contextmanager
    def charged(self, cost: int) -> Iterator[None]:
        """The block takes `cost` at once, even beyond the capacity: whoever comes later waits."""
        self.held += cost
        try:
            yield
        finally:
            self.held -= cost
            self._serve()

    def _serve(self) -> None:
        """Serve waiters from the front of the queue, as far as they fit."""
        while (waiter := self._queue.first()) is not None:
            if waiter.turn.done():  # cancelled, and its task does not know yet
                self._queue.leave(waiter)
                continue
            if self.held + waiter.cost > self._capacity:
                return
            self._queue.serve(waiter)
            self.held += waiter.cost
            waiter.turn.set_result(None)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, as a block; a class, since a generator takes three times as long."""

    _scheduler: FairScheduler
    _flow: Flow
    _cost: int

    async def __aenter__(self) -> None:
        await self._scheduler.take(self._flow, self._cost)

    async def __aexit__(self, *failure: object) -> None:
        self._scheduler.give_back(self._cost)


class Calm:
    """Whether the calling thread has little to do: by its CPU time since it was last measured."""

    __slots__ = ("_busy", "_found", "_looked")

    def __init__(self) -> None:
        self._looked = self._busy = 0.0
        self._found = True

    def __bool__(self) -> bool:
        """As it was found last, or as it is now where that was a while ago."""
        now = perf_counter()
        return self._found if now - self._looked < _CALM_SECONDS else self.see(now, thread_time())

    def see(self, now: float, busy: float) -> bool:
        """Measure: `now` is a clock's time, `busy` the thread's CPU time, both in seconds."""
        self._found = busy - self._busy < _CALM_SHARE * (now - self._looked)
        self._looked, self._busy = now, busy
        return self._found


class Threads:
    """At most `number` threads of a `pool` (None: the loop's default executor), shared by flows.

    With a `calm` pool, work goes there while the loop has little to do: the threads of `pool` have
    a low priority, which would then favour other processes and nobody in this one.

    Work waits for its turn here, and not in the executor's queue, where nobody could overtake it.
    Belongs to one event loop; whoever made the pools closes them.
    """

    def __init__(self, number: int, pool: Executor | None, calm: Executor | None = None) -> None:
        self._scheduler = FairScheduler(number)
        self._pool = pool
        self._calm_pool = calm
        self._calm = Calm()
        self._round_ends = 0.0

    async def run(self, flow: Flow, work: Callable[[*Given], Made], *given: *Given) -> Made:
        """What ``work(*given)`` returns, from a thread, in a turn of this flow.

        A caller that is cancelled waits for the thread to end (see `in_thread`): no thread works
        unseen, and its turn is counted for as long as it holds memory.
        """
        async with self._scheduler.turn(flow, 1):
            calm = self._calm_pool is not None and self._calm
            pool = self._calm_pool if calm else self._pool
            return await in_thread(work, *given, pool=pool)

    async def cooperatively(
        self, flow: Flow, work: Callable[[*Given], Made], *given: *Given
    ) -> Made:
        """What ``work(*given)`` returns, called on the loop, in the same turns.

        Every few milliseconds the loop has a round for its other callbacks, however much waits.
        """
        async with self._scheduler.turn(flow, 1):
            if perf_counter() > self._round_ends:
                await asyncio.sleep(0)
                self._round_ends = perf_counter() + _ROUND_SECONDS
            return work(*given)


def low_priority_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """An executor for work that keeps a core busy; its threads give way to the loop's."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_give_way)


def _give_way() -> None:
    # On Linux it is the thread's own (nice(2), "C library/kernel differences").
    if sys.platform == "linux":
        os.nice(_NICENESS)
