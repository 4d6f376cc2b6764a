"""Which failures are worth another try, when it comes, and how many tries a store gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Final

from sluice.errors import StoreFaltered, StoreTimeout

# These may pass, and say that the store is ill. What is refused, missing or wrong in itself stays
# so, and was an answer.
PASSING: Final = (StoreFaltered, StoreTimeout)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0
# A store that answers earns a retry with every fifth answer; so many are kept for a bad moment.
SHARE: Final = 0.2
MOST_RETRIES: Final = 100.0


@dataclass(frozen=True, slots=True)
class Patience:
    """What is put up with from one store.

    At most `concurrency` requests run at once. Each may take `attempt_seconds`; a read takes at
    most `attempts` of them and, with its waits and pauses, `read_seconds`. After `failures` in a
    row the store rests for `rest_seconds`.
    """

    concurrency: int
    attempts: int
    attempt_seconds: float
    read_seconds: float
    failures: int
    rest_seconds: float


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
