"""How many further tries a store gets, and when."""

from __future__ import annotations

import pytest

from sluice.store.retries import LONGEST_PAUSE_SECONDS, MOST_RETRIES, RetryBudget, pause_seconds


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
