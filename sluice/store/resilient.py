"""Reading from stores that fail: deadlines, retries and a circuit breaker for each store.

The libraries below try each request once (see `_s3fs`, `protocols`, `obstore_options`): all retries
are made here.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from math import ceil
from time import monotonic, perf_counter
from typing import TypeVar

from sluice.aliases import Document
from sluice.errors import StoreError, StoreSlow, StoreTimeout
from sluice.instrumentation import CircuitChanged, Emit, StoreAsked, StoreRetried, phase
from sluice.store.addresses import store_key, store_label
from sluice.store.retry_policy import (
    PASSING,
    Circuit,
    CircuitState,
    RetryBudget,
    RetryPolicy,
    pause_seconds,
    slow_pause_seconds,
)
from sluice.store.source import (
    ByteSource,
    DatedSource,
    Part,
    Tagged,
    Unchanged,
    get_tagged,
    part_source,
)

Answer = TypeVar("Answer")


class StoreGuard:
    """What all readers of one store share: its gate, its circuit breaker and its retry budget."""

    def __init__(self, place: str, policy: RetryPolicy, emit: Emit | None) -> None:
        self.place = place
        self.datasets: dict[str, None] = {}
        # Whether it has ever answered, be it to say that it is slow.
        self.has_answered = False
        self.circuit = Circuit(
            failures=policy.failures,
            open_seconds=policy.open_seconds,
            clock=monotonic,
            on_change=self._changed,
        )
        self._emit = emit
        # Set while no caller tries a half-open circuit for all others.
        self._no_trial = asyncio.Event()
        self._policy = policy
        self._gate = asyncio.Semaphore(policy.concurrency)
        self._budget = RetryBudget()

    def _changed(self, state: CircuitState) -> None:
        if state is CircuitState.HALF_OPEN:
            self._no_trial.clear()
        else:
            self._no_trial.set()
        if self._emit is not None:
            self._emit(CircuitChanged(self.place, tuple(self.datasets), state.value))

    async def ask(
        self,
        ask: Callable[[], Awaitable[Answer]],
        *,
        doing: str,
        retried: Callable[[StoreError], None],
    ) -> Answer:
        """What ``ask()`` returns, after as many tries as time, number and budget allow.

        All waiting counts against the deadline: for the gate, for answers, between tries. While a
        store says that it is only slow, it is asked again after the pauses that it wants, until the
        deadline. `doing` is for messages; `retried` is called before each further try.

        Raises:
            StoreTimeout: no answer in time.
            StoreUnavailable: the circuit is open; the store was not asked.
            StoreError: of the last try, or of one whose failure no further try would change.
        """
        deadline = asyncio.get_running_loop().time() + self._policy.read_seconds
        tries = slowed = 0
        slow: StoreSlow | None = None
        while True:
            try:
                answer = await self._try(ask, deadline, doing)
            except StoreSlow as failure:
                slow = failure
                slowed += 1
                pause = slow_pause_seconds(slowed, failure.facts.get("retry_after"))
                if not self._in_time(deadline - pause):
                    raise self._given_up(failure, pause) from failure
                retried(failure)
            except PASSING as failure:
                tries += 1
                pause = pause_seconds(tries)
                if slow is not None and not self._in_time(deadline):
                    # The deadline cut this try off; the store's own word for it is still: slow.
                    raise self._given_up(slow, pause) from failure
                if not self._may_retry(tries, deadline - pause):
                    raise
                retried(failure)
            else:
                self._budget.earn()
                return answer
            await asyncio.sleep(pause)

    def _may_retry(self, tries: int, latest: float) -> bool:
        in_time = self._in_time(latest)
        return tries < self._policy.attempts and in_time and self._budget.spend()

    def _in_time(self, latest: float) -> bool:
        return asyncio.get_running_loop().time() < latest

    def _given_up(self, failure: StoreSlow, pause: float) -> StoreSlow:
        """The error of a read whose pauses have used up its time; counts as one failed read."""
        self.circuit.given_up()
        facts = {**failure.facts, "retry_after": max(1, ceil(pause))}
        return StoreSlow(failure.detail, **facts)

    async def _try(
        self, ask: Callable[[], Awaitable[Answer]], deadline: float, doing: str
    ) -> Answer:
        """One request. Its time limit begins once it may ask: the store is not to blame before."""
        clock = asyncio.get_running_loop().time
        waits = self._gate.locked() or self.circuit.state is CircuitState.HALF_OPEN
        ends = clock() + self._policy.attempt_seconds
        try:
            until = deadline if waits else min(ends, deadline)
            async with asyncio.timeout_at(until) as time, self._gate:
                ticket = await self._admitted()
                if waits:
                    ends = clock() + self._policy.attempt_seconds
                    time.reschedule(min(ends, deadline))
                return await self._judged(ask, ticket, lambda: ends < deadline and time.expired())
        except StoreError:
            raise
        except TimeoutError as error:
            raise StoreTimeout(f"The store did not answer in time, {doing}.") from error

    async def _admitted(self) -> int:
        """The circuit's ticket; other callers of a half-open circuit wait for the end of the trial.

        Were they refused, the request that they and the trial may both belong to would end, and
        cancel the trial. After the gate, so that the circuit is met as it is by then.
        """
        while self.circuit.state is CircuitState.HALF_OPEN:
            await self._no_trial.wait()
        return self.circuit.admit()

    async def _judged(
        self, ask: Callable[[], Awaitable[Answer]], ticket: int, took_too_long: Callable[[], bool]
    ) -> Answer:
        """One request, whose end is reported to the circuit."""
        try:
            answer = await ask()
        except StoreSlow:
            # An answer: the circuit stays closed, unless the read ends without a value.
            self.has_answered = True
            self.circuit.slowed(ticket)
            raise
        except PASSING:
            self.circuit.failed(ticket)
            raise
        except asyncio.CancelledError:
            if took_too_long():
                self.circuit.failed(ticket)
            else:
                self.circuit.abandoned(ticket)
            raise
        except BaseException:
            self._answered(ticket)
            raise
        self._answered(ticket)
        return answer

    def _answered(self, ticket: int) -> None:
        self.has_answered = True
        self.circuit.succeeded(ticket)


class StoreGuards:
    """The guards of a process's stores, one for each; `emit` is called when a circuit changes."""

    def __init__(self, policy: RetryPolicy, emit: Emit | None = None) -> None:
        self._policy = policy
        self._emit = emit
        self._guards: dict[str, StoreGuard] = {}

    def guard(self, dataset: str, url: str, storage_options: Document) -> StoreGuard:
        """The guard of the store behind `url`, which `dataset` now reads."""
        name = store_key(url, storage_options)
        if name not in self._guards:
            self._guards[name] = StoreGuard(store_label(url), self._policy, self._emit)
        guard = self._guards[name]
        guard.datasets[dataset] = None
        return guard

    def has_answered(self, dataset: str) -> bool:
        """Whether any store that `dataset` reads has answered so far."""
        read = (guard for guard in self._guards.values() if dataset in guard.datasets)
        return any(guard.has_answered for guard in read)


class GuardedStores:
    """One dataset's requests to any store, such as that of its references, by the store's guard.

    `emit` is called for each retry.
    """

    def __init__(self, guards: StoreGuards, dataset: str, emit: Emit | None = None) -> None:
        self._guards = guards
        self._dataset = dataset
        self._emit = emit

    async def ask(
        self,
        url: str,
        storage_options: Document,
        ask: Callable[[], Awaitable[Answer]],
        *,
        doing: str,
    ) -> Answer:
        """What ``ask()``, a request to the store behind `url`, returns; see `StoreGuard.ask`."""
        guard = self._guards.guard(self._dataset, url, storage_options)

        def retried(failure: StoreError) -> None:
            if self._emit is not None:
                self._emit(StoreRetried(guard.place, "get", failure))

        return await guard.ask(ask, doing=doing, retried=retried)


class ResilientSource(ByteSource):
    """A `source` with deadlines, retries and a circuit breaker: those of its store's `guard`.

    The guard has the gate, too. Without one each request is made once. `emit` is called for each
    request, failed ones included, and for each retry, with the store's label `place`; the time of a
    request includes the wait at the source's own gate.
    """

    def __init__(
        self,
        source: ByteSource,
        place: str,
        *,
        guard: StoreGuard | None = None,
        emit: Emit | None = None,
    ) -> None:
        self._source = source
        self._parts = part_source(source)
        self._place = place
        self._guard = guard
        self._emit = emit

    def __repr__(self) -> str:
        return f"ResilientSource({self._source!r})"

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        """As the source's own; see `StoreGuard.ask` for what it raises."""
        ask = partial(self._source.get, key, start, end, most_bytes=most_bytes)
        return await self._ask("get", f"reading {key}", partial(self._told, "get", ask))

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """As the source's own; an unchanged value is a request that brought nothing."""
        ask = partial(get_tagged, self._source, key, known)
        return await self._ask("get", f"reading {key}", partial(self._told, "get", ask))

    async def get_part(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> Part | None:
        """As the source's own."""
        ask = partial(self._parts.get_part, key, start, end)
        return await self._ask("get", f"reading {key}", partial(self._told, "get", ask))

    async def modified(self, key: str) -> float | None:
        """As the source's own, asked once; None where it knows no times."""
        source = self._source
        return await source.modified(key) if isinstance(source, DatedSource) else None

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """As the source's own, once all keys are there: a listing that breaks off begins anew.

        It emits no events: only the source knows how many requests it makes.
        """

        async def keys() -> builtins.list[str]:
            return [key async for key in self._source.list(prefix)]

        for key in await self._ask("list", f"listing {prefix}", keys):
            yield key

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """As the source's own."""
        ask = partial(self._source.list_dir, prefix)
        return await self._ask("list", f"listing {prefix}", partial(self._told, "list", ask))

    async def _ask(
        self, operation: str, doing: str, ask: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        with phase("fetch"):
            if self._guard is None:
                return await ask()
            retried = partial(self._retried, operation)
            return await self._guard.ask(ask, doing=doing, retried=retried)

    def _retried(self, operation: str, failure: StoreError) -> None:
        if self._emit is not None:
            self._emit(StoreRetried(self._place, operation, failure))

    async def _told(self, operation: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """One request, reported to `emit`: how long it took and how many bytes it brought."""
        if self._emit is None:
            return await ask()
        began = perf_counter()
        try:
            answer = await ask()
        except BaseException as error:
            self._emit(StoreAsked(self._place, operation, perf_counter() - began, 0, error))
            raise
        nbytes = _nbytes(answer)
        self._emit(StoreAsked(self._place, operation, perf_counter() - began, nbytes, None))
        return answer


def _nbytes(answer: object) -> int:
    match answer:
        case bytes():
            return len(answer)
        case Tagged(data=data) | Part(data=data):
            return len(data)
        case _:
            return 0
