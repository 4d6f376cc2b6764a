"""Threads for stores that have only blocking calls, such as local files: each store its own share.

A call to a disk that does not answer may never end, and a thread cannot be ended from outside. So
calls that hang use up the threads of their own store alone; once these are gone, further calls to
it fail at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Final, Protocol, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from sluice.errors import StoreTimeout

Made = TypeVar("Made")
Given = TypeVarTuple("Given")

# A call whose caller has left, and that has run for so long, counts as hanging.
HUNG_SECONDS: Final = 5.0


class Calls(Protocol):
    """Where the blocking calls of a store are made."""

    async def run(self, path: str, call: Callable[[*Given], Made], *arguments: *Given) -> Made:
        """What ``call(*arguments)``, which is about `path`, returns or raises."""
        ...


class LoopCalls:
    """Calls in the running loop's default executor, where no `BlockingThreads` are shared."""

    async def run(self, path: str, call: Callable[[*Given], Made], *arguments: *Given) -> Made:
        """As `Calls` says."""
        return await asyncio.to_thread(partial(call, *arguments))


@dataclass(eq=False, slots=True)
class _Call:
    """One call: `done` is what its caller awaits."""

    path: str
    work: Callable[[], object]
    done: asyncio.Future[object]
    began: float = 0.0

    @property
    def hangs(self) -> bool:
        return monotonic() - self.began >= HUNG_SECONDS


class _Thread(threading.Thread):
    """Makes one call after the other; a daemon, so that one that hangs does not block the exit."""

    def __init__(
        self, ended: Callable[[_Thread, _Call, object, BaseException | None], None]
    ) -> None:
        super().__init__(name="sluice-blocking", daemon=True)
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._ended = ended

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            result, error = None, None
            try:
                result = call.work()
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop is closed, and nobody there to be told
                call.done.get_loop().call_soon_threadsafe(self._ended, self, call, result, error)
            del call, result, error


class BlockingThreads:
    """At most `total` threads, of which each store has at most `per_store` at once.

    A call whose caller has left goes on in its thread as an abandoned one. Those are counted apart:
    there may be another `per_store` of one store, and `total` in all. Belongs to one event loop.
    """

    def __init__(self, *, per_store: int, total: int) -> None:
        self._per_store = per_store
        self._total = total
        self._stores: WeakValueDictionary[str, StoreThreads] = WeakValueDictionary()
        # Stores with waiting calls; the one whose turn is longest ago comes first.
        self._waiting: dict[StoreThreads, None] = {}
        self._idle: list[_Thread] = []
        self._in_flight: dict[_Call, StoreThreads] = {}
        self._abandoned: dict[_Call, StoreThreads] = {}
        self._closed = False

    def of(self, store: str) -> StoreThreads:
        """The share of this store, the same for all that read it."""
        threads = self._stores.get(store)
        if threads is None:
            threads = self._stores[store] = StoreThreads(self, self._per_store)
        return threads

    def close(self) -> None:
        """End idle threads now, and each of the others when its call ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().calls.put(None)

    @property
    def has_lost_all(self) -> bool:
        """Whether abandoned calls have used up all that may be abandoned."""
        return len(self._abandoned) >= self._total

    def wait(self, store: StoreThreads, call: _Call) -> None:
        """Begin `call` when it is its turn."""
        store.waiting.append(call)
        self._waiting.setdefault(store)
        self._begin_next()

    def leave(self, store: StoreThreads, call: _Call) -> None:
        """The caller of `call` has its result, or was cancelled: then the call is abandoned."""
        if self._in_flight.pop(call, None) is None:
            # (Not by trying: the error of `remove` would format the call, and its result in it.)
            if call in store.waiting:
                store.waiting.remove(call)
            return
        store.in_flight.discard(call)
        store.abandoned.add(call)
        self._abandoned[call] = store
        store.refuse_waiting()
        self._begin_next()

    def _begin_next(self) -> None:
        for store in list(self._waiting):
            del self._waiting[store]
            while store.waiting and store.has_room and len(self._in_flight) < self._total:
                self._begin(store, store.waiting.popleft())
            if store.waiting:
                self._waiting[store] = None

    def _begin(self, store: StoreThreads, call: _Call) -> None:
        if call.done.done():  # its caller left before its turn
            return
        self._in_flight[call] = store
        store.in_flight.add(call)
        call.began = monotonic()
        thread = self._idle.pop() if self._idle else self._started()
        thread.calls.put(call)

    def _started(self) -> _Thread:
        thread = _Thread(self._ended)
        thread.start()
        return thread

    def _ended(
        self, thread: _Thread, call: _Call, result: object, error: BaseException | None
    ) -> None:
        store = self._in_flight.pop(call, None) or self._abandoned.pop(call)
        store.in_flight.discard(call)
        store.abandoned.discard(call)
        if self._closed:
            thread.calls.put(None)
        else:
            self._idle.append(thread)
        if not call.done.done():
            if error is None:
                call.done.set_result(result)
            else:
                call.done.set_exception(error)
        self._begin_next()


class StoreThreads:
    """The share of one store (see `BlockingThreads`)."""

    def __init__(self, pool: BlockingThreads, most: int) -> None:
        self._pool = pool
        self._most = most
        self.waiting: deque[_Call] = deque()
        self.in_flight: set[_Call] = set()
        self.abandoned: set[_Call] = set()

    @property
    def has_room(self) -> bool:
        """Whether another of its calls may begin."""
        return len(self.in_flight) < self._most and not self._lost_all

    async def run(self, path: str, call: Callable[[*Given], Made], *arguments: *Given) -> Made:
        """What ``call(*arguments)``, which is about `path`, returns or raises, in its turn.

        Raises:
            StoreTimeout: an earlier call about `path` hangs, or so many others do that this one
                would never begin.
        """
        self._check(path)
        done = asyncio.get_running_loop().create_future()
        asked = _Call(path, partial(call, *arguments), done)
        self._pool.wait(self, asked)
        try:
            made: Made = await done
        finally:
            self._pool.leave(self, asked)
        return made

    def refuse_waiting(self) -> None:
        """Fail the waiting calls if the store's threads are all lost to calls that hang."""
        while self.waiting and self._hangs():
            call = self.waiting.popleft()
            if not call.done.done():
                call.done.set_exception(self._refusal())

    def _check(self, path: str) -> None:
        if any(call.path == path and call.hangs for call in self.abandoned):
            raise StoreTimeout(f"An earlier read of {path} has not ended yet.")
        if self._hangs():
            raise self._refusal()

    @property
    def _lost_all(self) -> bool:
        full = len(self.abandoned) >= self._most or self._pool.has_lost_all
        return bool(self.abandoned) and full

    def _hangs(self) -> bool:
        return self._lost_all and all(call.hangs for call in self.abandoned)

    def _refusal(self) -> StoreTimeout:
        return StoreTimeout(
            f"{len(self.abandoned)} earlier reads of this store have not ended yet."
        )
