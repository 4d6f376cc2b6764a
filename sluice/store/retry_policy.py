"""How a store that fails is asked: which failures are tried again, when, how often, and when not.

A circuit breaker (M. Nygard, "Release It!", 2007) decides whether it is asked at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from random import random
from typing import Final

from sluice.errors import StoreFaltered, StoreTimeout, StoreUnavailable

# These may pass, and say that the store is failing. What is refused, missing or wrong in itself
# stays so, and was an answer.
PASSING: Final = (StoreFaltered, StoreTimeout)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0
# A store that answers earns a retry with every fifth answer; so many are saved up for a bad moment.
SHARE: Final = 0.2
MOST_RETRIES: Final = 100.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What is put up with from one store.

    At most `concurrency` requests run at once. Each may take `attempt_seconds`; a read takes at
    most `attempts` of them and, with its waits and pauses, `read_seconds`. After `failures` in a
    row the store's circuit is open for `open_seconds`.
    """

    concurrency: int
    attempts: int
    attempt_seconds: float
    read_seconds: float
    failures: int
    open_seconds: float


def pause_seconds(tries: int, draw: Callable[[], float] = random) -> float:
    """How long to wait after so many tries: anything from nothing to a bound that doubles.

    Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): readers
    that failed together do not come back together.
    """
    return draw() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1))


def slow_pause_seconds(
    times: int, wanted: float | None, draw: Callable[[], float] = random
) -> float:
    """How long to wait after a store has said so many times that it is slow.

    At least as long as it `wanted`, and never the same for all: who were sent away together do not
    come back together.
    """
    most = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(times, 10))
    return most * draw() if wanted is None else wanted + FIRST_PAUSE_SECONDS * draw()


class RetryBudget:
    """Retries that a store has left: a share of its answers, so that few answers mean few retries.

    Without it, a store that fails under its load would get a multiple of that load (gRPC proposal
    A6, "Throttling Retry Attempts and Hedged RPCs").
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
    """Closed lets everyone ask, open nobody, half open one."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Circuit:
    """Opens after `failures` failures in a row; after `open_seconds` one caller tries for all.

    How that trial ends closes it, or opens it for as long again. Nothing here waits or reads a
    clock of its own; `on_change` is told of each new state.
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
        # Counts the changes. Who asked before the last one brings old news.
        self._era = 0

    @property
    def state(self) -> CircuitState:
        """The state now; an open circuit stays so until somebody asks after its time."""
        return self._state

    def admit(self) -> int:
        """A ticket for one question to the store, to be handed in with how it ended.

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
        """The store answered that it is only slow: it works, and no better than before."""
        if ticket == self._era and self._state is CircuitState.HALF_OPEN:
            self._change(CircuitState.CLOSED)

    def given_up(self) -> None:
        """A read ended without a value, whatever its tries had met."""
        if self._state is CircuitState.CLOSED:
            self.failed(self._era)

    def abandoned(self, ticket: int) -> None:
        """The caller left before an answer, which says nothing; a trial is the next one's."""
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
