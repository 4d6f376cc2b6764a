"""When a store is asked again, and when not at all."""

from __future__ import annotations

import pytest

from sluice.errors import StoreUnavailable
from sluice.store.retry_policy import (
    LONGEST_PAUSE_SECONDS,
    MOST_RETRIES,
    Circuit,
    CircuitState,
    RetryBudget,
    pause_seconds,
)


class Bench:
    """A circuit that opens after three failures and rests for ten seconds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.seen: list[str] = []
        self.circuit = Circuit(
            failures=3, open_seconds=10, clock=lambda: self.now, on_change=self.seen.append
        )

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.circuit.failed(self.circuit.admit())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_failures_in_a_row_open_it(bench: Bench) -> None:
    """Three do; an answer in between begins the count anew."""
    bench.fail(2)
    bench.circuit.succeeded(bench.circuit.admit())
    bench.fail(2)
    assert bench.circuit.state is CircuitState.CLOSED
    bench.fail(1)
    assert bench.seen == ["open"]
    bench.now += 7.5
    with pytest.raises(StoreUnavailable) as raised:
        bench.circuit.admit()
    assert raised.value.facts == {"retry_after": 3}


def test_one_caller_tries_for_all(bench: Bench) -> None:
    """After the rest one is let through; the others are not, until it succeeds."""
    bench.fail(3)
    bench.now += 10
    trial = bench.circuit.admit()
    assert bench.circuit.state is CircuitState.HALF_OPEN
    with pytest.raises(StoreUnavailable) as raised:
        bench.circuit.admit()
    assert raised.value.facts == {"retry_after": 1}
    bench.circuit.succeeded(trial)
    bench.fail(2)
    assert bench.seen == ["open", "half-open", "closed"]


def test_a_trial_that_fails_means_another_rest(bench: Bench) -> None:
    """One failure is enough then."""
    bench.fail(3)
    bench.now += 10
    bench.fail(1)
    bench.now += 9
    with pytest.raises(StoreUnavailable):
        bench.circuit.admit()
    bench.now += 1
    bench.circuit.succeeded(bench.circuit.admit())
    assert bench.seen == ["open", "half-open", "open", "half-open", "closed"]


def test_a_trial_that_is_given_up_is_the_next_ones(bench: Bench) -> None:
    """A caller that leaves says nothing of the store, and holds nobody up."""
    bench.circuit.abandoned(bench.circuit.admit())
    bench.fail(3)
    bench.now += 10
    bench.circuit.abandoned(bench.circuit.admit())
    bench.circuit.succeeded(bench.circuit.admit())
    assert bench.circuit.state is CircuitState.CLOSED


def test_news_from_before_the_last_change_is_old(bench: Bench) -> None:
    """Requests that began while it was closed neither end a rest nor a trial."""
    early = [bench.circuit.admit() for _ in range(6)]
    bench.fail(3)
    bench.circuit.succeeded(early[0])
    bench.circuit.failed(early[1])
    assert bench.seen == ["open"]
    bench.now += 10
    trial = bench.circuit.admit()
    bench.circuit.succeeded(early[2])
    bench.circuit.failed(early[3])
    bench.circuit.abandoned(early[4])
    states = [bench.circuit.state]
    bench.circuit.succeeded(trial)
    assert [*states, bench.circuit.state] == [CircuitState.HALF_OPEN, CircuitState.CLOSED]


@pytest.mark.parametrize(("tries", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (60, 2.0)])
def test_pauses_are_drawn_below_a_bound_that_doubles(tries: int, longest: float) -> None:
    """From nothing up to the bound, and never more than the longest."""
    assert pause_seconds(tries, lambda: 0.0) == 0
    assert pause_seconds(tries, lambda: 1.0) == pytest.approx(longest)
    assert pause_seconds(tries) <= LONGEST_PAUSE_SECONDS


def spent(budget: RetryBudget) -> int:
    count = 0
    while budget.spend():
        count += 1
    return count


def test_retries_are_a_share_of_the_answers() -> None:
    """A store begins with some; later every fifth answer brings one, and few are kept."""
    budget = RetryBudget()
    assert spent(budget) == MOST_RETRIES
    for _ in range(51):
        budget.earn()
    assert spent(budget) == 10
    for _ in range(10_000):
        budget.earn()
    assert spent(budget) == MOST_RETRIES
