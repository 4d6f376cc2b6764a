"""What is kept is bounded in bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.bounded_cache import BoundedCache


def test_the_oldest_goes_first() -> None:
    """Whoever comes when all is full pushes out what was kept first."""
    kept: BoundedCache[int, str] = BoundedCache(80)
    for key in range(9):
        kept.put(key, str(key), 10)
    assert [kept.get(key) for key in (0, 1, 8)] == [None, "1", "8"]
    assert kept.held_bytes == 80


def test_what_is_long_is_not_kept_and_pushes_nothing_out() -> None:
    """One entry takes an eighth of all at most."""
    kept: BoundedCache[int, str] = BoundedCache(80)
    kept.put(1, "short", 10)
    kept.put(2, "long", 11)
    assert (kept.get(1), kept.get(2)) == ("short", None)


def test_a_key_that_is_kept_counts_once() -> None:
    """Two who made the same at the same time are no leak."""
    kept: BoundedCache[int, str] = BoundedCache(80)
    for _ in range(3):
        kept.put(1, "a", 10)
    assert kept.held_bytes == 10


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200))))
def test_never_more_than_it_may(entries: list[tuple[int, int]]) -> None:
    """Whatever is kept in whatever order, the sum is right and within its bound."""
    kept: BoundedCache[int, int] = BoundedCache(1000)
    for key, nbytes in entries:
        kept.put(key, nbytes, nbytes)
        assert kept.held_bytes == sum(kept.values.values()) <= 1000
