"""Whether a store is asked at all: a circuit breaker, after M. Nygard, "Release It!" (2007)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import ceil

from sluice.errors import StoreUnavailable


class State(StrEnum):
    """Closed lets everyone ask, open nobody, half open one."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Circuit:
    """Opens after `failures` failures in a row; after `rest_seconds` one caller tries for all.

    How that trial ends closes it, or opens it for another rest. Nothing here waits or reads a clock
    of its own; `on_change` is told of each new state.
    """

    def __init__(
        self,
        *,
        failures: int,
        rest_seconds: float,
        clock: Callable[[], float],
        on_change: Callable[[State], None],
    ) -> None:
        self._most_failures = failures
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._on_change = on_change
        self._failures = 0
        self._until = 0.0
        self._state = State.CLOSED
        # Counts the changes. Who asked before the last one brings old news.
        self._era = 0

    @property
    def state(self) -> State:
        """The state now; an open circuit stays open until somebody asks after its rest."""
        return self._state

    def admit(self) -> int:
        """A ticket for one question to the store, to be handed in with how it ended.

        Raises:
            StoreUnavailable: nobody may ask now; says in how many seconds to come back.
        """
        if self._state is State.CLOSED:
            return self._era
        left = self._until - self._clock()
        if self._state is State.OPEN and left <= 0:
            self._change(State.HALF_OPEN)
            return self._era
        raise StoreUnavailable(
            f"The store failed {self._most_failures} times in a row and is left alone for now.",
            retry_after=max(1, ceil(left)),
        )

    def succeeded(self, ticket: int) -> None:
        """The store answered, be it that it has no such key or that it refuses."""
        if ticket != self._era:
            return
        self._failures = 0
        if self._state is State.HALF_OPEN:
            self._change(State.CLOSED)

    def failed(self, ticket: int) -> None:
        """The store was ill."""
        if ticket != self._era:
            return
        self._failures += 1
        if self._state is State.HALF_OPEN or self._failures >= self._most_failures:
            self._open(self._rest_seconds)

    def slowed(self, ticket: int) -> None:
        """The store answered that it is only slow: it is well, and no better than before."""
        if ticket == self._era and self._state is State.HALF_OPEN:
            self._change(State.CLOSED)

    def given_up(self) -> None:
        """A read ended without a value, whatever its tries had met."""
        if self._state is State.CLOSED:
            self.failed(self._era)

    def abandoned(self, ticket: int) -> None:
        """The caller left before an answer, which says nothing; a trial is the next one's."""
        if ticket == self._era and self._state is State.HALF_OPEN:
            self._open(0.0)

    def _open(self, seconds: float) -> None:
        self._until = self._clock() + seconds
        self._change(State.OPEN)

    def _change(self, state: State) -> None:
        self._state = state
        self._failures = 0
        self._era += 1
        self._on_change(state)
