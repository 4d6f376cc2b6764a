"""Sources of stores that misbehave: deadlines, retries and a circuit, shared by all of a store.

The libraries below try each request once (see `openers` and `obstore_options`): all tries are here.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from math import ceil
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from sluice.aliases import Document
from sluice.errors import StoreError, StoreSlow, StoreTimeout
from sluice.phases import phase
from sluice.store.addresses import place_of, store_of
from sluice.store.retry_policy import (
    PASSING,
    Circuit,
    CircuitState,
    RetryBudget,
    RetryPolicy,
    pause_seconds,
    slow_pause_seconds,
)
from sluice.store.source import ByteSource, Tagged, Unchanged, get_all, get_tagged

Answer = TypeVar("Answer")

# Operation and failure of each request that is tried again.
Retried: TypeAlias = Callable[[str, StoreError], None]
# The place of a store, its datasets, and the new state of its circuit.
OnChange: TypeAlias = Callable[[str, tuple[str, ...], CircuitState], None]


class StoreGuard:
    """What the readers of one store share: its gate, its circuit and its budget of retries."""

    def __init__(self, place: str, patience: RetryPolicy, on_change: OnChange) -> None:
        self._place = place
        self.datasets: dict[str, None] = {}
        # Whether it has ever answered, be it that it is slow.
        self.has_answered = False
        self.circuit = Circuit(
            failures=patience.failures,
            open_seconds=patience.open_seconds,
            clock=monotonic,
            on_change=self._changed,
        )
        self._on_change = on_change
        self._no_trial = asyncio.Event()
        self._patience = patience
        self._gate = asyncio.Semaphore(patience.concurrency)
        self._budget = RetryBudget()

    def _changed(self, state: CircuitState) -> None:
        if state is CircuitState.HALF_OPEN:
            self._no_trial.clear()
        else:
            self._no_trial.set()
        self._on_change(self._place, tuple(self.datasets), state)

    async def ask(
        self, ask: Callable[[], Awaitable[Answer]], *, doing: str, retried: Callable[[Any], None]
    ) -> Answer:
        """What ``ask()`` brings, after as many tries as time, number and budget allow.

        All waiting counts against the deadline: for the gate, for answers, between tries. A store
        that says that it is only slow is asked for as long as there is time, after the pauses that
        it wants.

        Raises:
            StoreTimeout: no answer in time.
            StoreUnavailable: the circuit is open; the store was not asked.
            StoreError: what the last try, or one that no other would mend, raised.
        """
        deadline = asyncio.get_running_loop().time() + self._patience.read_seconds
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
                    # The time ended within a try; what it ended with is still that it is slow.
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
        return tries < self._patience.attempts and in_time and self._budget.spend()

    def _in_time(self, latest: float) -> bool:
        return asyncio.get_running_loop().time() < latest

    def _given_up(self, failure: StoreSlow, pause: float) -> StoreSlow:
        """What a read is told that no pause helps any more: the circuit hears of it, once."""
        self.circuit.given_up()
        facts = {**failure.facts, "retry_after": max(1, ceil(pause))}
        return StoreSlow(failure.detail, **facts)

    async def _try(
        self, ask: Callable[[], Awaitable[Answer]], deadline: float, doing: str
    ) -> Answer:
        """One request. Its own time begins when it may ask: the wait before is not the store's."""
        clock = asyncio.get_running_loop().time
        waits = self._gate.locked() or self.circuit.state is CircuitState.HALF_OPEN
        ends = clock() + self._patience.attempt_seconds
        try:
            until = deadline if waits else min(ends, deadline)
            async with asyncio.timeout_at(until) as patience, self._gate:
                ticket = await self._admitted()
                if waits:
                    ends = clock() + self._patience.attempt_seconds
                    patience.reschedule(min(ends, deadline))
                return await self._judged(
                    ask, ticket, lambda: ends < deadline and patience.expired()
                )
        except StoreError:
            raise
        except TimeoutError as error:
            raise StoreTimeout(f"The store did not answer in time, {doing}.") from error

    async def _admitted(self) -> int:
        """The circuit's ticket; while another caller tries for all, its end is awaited.

        Were those refused who come with it, the request that all belong to would end, and take the
        trial with it. Behind the gate, so that who waits there learns what has failed meanwhile.
        """
        while self.circuit.state is CircuitState.HALF_OPEN:
            await self._no_trial.wait()
        return self.circuit.admit()

    async def _judged(
        self, ask: Callable[[], Awaitable[Answer]], ticket: int, took_too_long: Callable[[], bool]
    ) -> Answer:
        """One request, of whose end the circuit hears."""
        try:
            answer = await ask()
        except StoreSlow:
            # An answer of a store that lives; whether it is good for anything, shows in the end.
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
    """The guards of all stores of a process; datasets of one store share one."""

    def __init__(self, patience: RetryPolicy, on_change: OnChange) -> None:
        self._patience = patience
        self._on_change = on_change
        self._guards: dict[str, StoreGuard] = {}

    def guard(self, dataset: str, url: str, storage_options: Document) -> StoreGuard:
        """The guard of the store behind `url`, which `dataset` now reads."""
        name = store_of(url, storage_options)
        if name not in self._guards:
            self._guards[name] = StoreGuard(place_of(url), self._patience, self._on_change)
        guard = self._guards[name]
        guard.datasets[dataset] = None
        return guard

    def has_answered(self, dataset: str) -> bool:
        """Whether any store that `dataset` reads has answered so far."""
        read = (guard for guard in self._guards.values() if dataset in guard.datasets)
        return any(guard.has_answered for guard in read)


class Watch:
    """How one dataset asks stores beside its own, such as that of its references: as it asks its.

    `retried` hears of each further try.
    """

    def __init__(self, guards: StoreGuards, dataset: str, retried: Retried) -> None:
        self._guards = guards
        self._dataset = dataset
        self._retried = retried

    async def ask(
        self,
        url: str,
        storage_options: Document,
        ask: Callable[[], Awaitable[Answer]],
        *,
        doing: str,
    ) -> Answer:
        """What ``ask()`` brings of the store behind `url`; see `StoreGuard.ask`."""
        guard = self._guards.guard(self._dataset, url, storage_options)
        return await guard.ask(
            ask, doing=doing, retried=lambda failure: self._retried("get", failure)
        )


class GuardedSource:
    """`source` behind the `guard` of its store; `retried` hears of each further try."""

    def __init__(self, source: ByteSource, guard: StoreGuard, retried: Retried) -> None:
        self._source = source
        self._retried = retried
        self.guard = guard

    def __repr__(self) -> str:
        return f"GuardedSource({self._source!r})"

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        """As the source's own; see `StoreGuard.ask` for what it raises."""
        return await self._ask(
            "get",
            f"reading {key}",
            lambda: self._source.get(key, start, end, most_bytes=most_bytes),
        )

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """As the source's own; a read like any other."""
        return await self._ask(
            "get", f"reading {key}", lambda: get_tagged(self._source, key, known)
        )

    async def getitems(self, keys: Iterable[str]) -> dict[str, bytes]:
        """As the source's own; each key is read by itself."""
        return await get_all(self.get, keys)

    async def exists(self, key: str) -> bool:
        """As the source's own."""
        return await self.get(key, 0, 1) is not None

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """As the source's own, once all keys are there: a listing that breaks off begins anew."""

        async def keys() -> builtins.list[str]:
            return [key async for key in self._source.list(prefix)]

        for key in await self._ask("list", f"listing {prefix}", keys):
            yield key

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """As the source's own."""
        return await self._ask("list", f"listing {prefix}", lambda: self._source.list_dir(prefix))

    async def _ask(
        self, operation: str, doing: str, ask: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        with phase("fetch"):
            return await self.guard.ask(
                ask, doing=doing, retried=lambda failure: self._retried(operation, failure)
            )
