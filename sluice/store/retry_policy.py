"""Retries of failing stores: which failures are tried again, after which pause, and how often.

A circuit breaker (M. Nygard, "Release It!", 2007) decides whether a store is asked at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from random import random
from typing import Final

from sluice.errors import StoreFaltered, StoreTimeout, StoreUnavailable

# Failures that may pass: they are retried, and count against the circuit. What is refused, missing
# or wrong stays so, and shows that the store answers.
PASSING: Final = (StoreFaltered, StoreTimeout)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0
# Every fifth answer earns a retry; at most so many are saved up.
SHARE: Final = 0.2
MOST_RETRIES: Final = 100.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits of requests to one store.

    At most `concurrency` requests run at once. Each may take `attempt_seconds`; a read makes at
    most `attempts` of them and takes at most `read_seconds`, waits and pauses included. After
    `failures` in a row the store's circuit is open for `open_seconds`.
    """

    concurrency: int
    attempts: int
    attempt_seconds: float
    read_seconds: float
    failures: int
    open_seconds: float


def pause_seconds(tries: int, draw: Callable[[], float] = random) -> float:
    """Seconds to wait after `tries` failures: a random part of a bound that doubles each time.

    Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): readers
    that failed together do not come back together.
    """
    return draw() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1))


def slow_pause_seconds(
    times: int, wanted: float | None, draw: Callable[[], float] = random
) -> float:
    """Seconds to wait after a store has said for the `times`-th time that it is slow.

    At least as long as it `wanted` (None: it named no time), and a random while more: readers that
    were sent away together do not come back together.
    """
    most = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(times, 10))
    return most * draw() if wanted is None else wanted + FIRST_PAUSE_SECONDS * draw()


class RetryBudget:
    """How many retries a store still gets: answers earn them, so few answers mean few retries.

    Without it, retries would multiply the load of a store that fails under load (gRPC proposal A6,
    "Throttling Retry Attempts and Hedged RPCs").
    """

    def __init__(self) -> None:
        self._left = MOST_RETRIES

    def earn(self) -> None:
        """The store has answered."""
        self._left = min(MOST_RETRIES, self._left + SHARE)

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class CircuitState(StrEnum):
    """Closed: all requests pass. Open: none does. Half open: one does, as a trial."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Circuit:
    """Opens after `failures` failures in a row; after `open_seconds` one request is let through.

    The end of that trial closes the circuit, or opens it for as long again. Nothing here waits;
    time is that of `clock`, and `on_change` is called with each new state.
    """

    def __init__(
        self,
        *,
        failures: int,
        open_seconds: float,
        clock: Callable[[], float],
        on_change: Callable[[CircuitState], None],
    ) -> None:
        self._most_failures = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._on_change = on_change
        self._failures = 0
        self._until = 0.0
        self._state = CircuitState.CLOSED
        # Counts the changes: tickets from before the last one are outdated, and ignored.
        self._era = 0

    @property
    def state(self) -> CircuitState:
        """The state now; an open circuit stays open until the first request after its time."""
        return self._state

    def admit(self) -> int:
        """A ticket for one request to the store, to be returned with how the request ended.

        Raises:
            StoreUnavailable: nobody may ask now; says in how many seconds to come back.
        """
        if self._state is CircuitState.CLOSED:
            return self._era
        left = self._until - self._clock()
        if self._state is CircuitState.OPEN and left <= 0:
            self._change(CircuitState.HALF_OPEN)
            return self._era
        raise StoreUnavailable(
            f"The store failed {self._most_failures} times in a row: its circuit is open for now.",
            retry_after=max(1, ceil(left)),
        )

    def succeeded(self, ticket: int) -> None:
        """The store answered, be it that it has no such key or that it refuses."""
        if ticket != self._era:
            return
        self._failures = 0
        if self._state is CircuitState.HALF_OPEN:
            self._change(CircuitState.CLOSED)

    def failed(self, ticket: int) -> None:
        """The store failed."""
        if ticket != self._era:
            return
        self._failures += 1
        if self._state is CircuitState.HALF_OPEN or self._failures >= self._most_failures:
            self._open(self._open_seconds)

    def slowed(self, ticket: int) -> None:
        """The store answered that it is only slow: it works, but no failure is forgiven."""
        if ticket == self._era and self._state is CircuitState.HALF_OPEN:
            self._change(CircuitState.CLOSED)

    def given_up(self) -> None:
        """A read ended without a value after the store was slow: counts as one failure."""
        if self._state is CircuitState.CLOSED:
            self.failed(self._era)

    def abandoned(self, ticket: int) -> None:
        """The caller left before an answer, which says nothing; the next caller is the trial."""
        if ticket == self._era and self._state is CircuitState.HALF_OPEN:
            self._open(0.0)

    def _open(self, seconds: float) -> None:
        self._until = self._clock() + seconds
        self._change(CircuitState.OPEN)

    def _change(self, state: CircuitState) -> None:
        self._state = state
        self._failures = 0
        self._era += 1
        self._on_change(state)
