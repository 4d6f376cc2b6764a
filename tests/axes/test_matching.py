"""Inexact matches within a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar
from sluice.axes.axis import Axis
from sluice.axes.resolve import resolve
from sluice.errors import QueryError, SelectionError


def pick(values: Any, text: str, tolerance: str, name: str = "x") -> Any:
    axis = Axis.of(name, np.asarray(values), {})
    pairs = [(name, text), ("tolerance", f"{name}:{tolerance}")]
    query = Grammar(dims={name: axis.size}, coords={name: (name,)}, by="label", formats=()).parse(
        pairs
    )
    return resolve(query.selection, {name: axis}, {name: axis.size}).positions[name]


numbers = st.lists(
    st.integers(-400, 400).map(lambda n: n / 8), min_size=1, max_size=12, unique=True
)


@given(
    numbers,
    st.sampled_from(["f8", "f4", "f2"]),
    st.booleans(),
    st.integers(-900, 900).map(lambda n: n / 16),
    st.integers(0, 600).map(lambda n: n / 16),
    st.sampled_from(["nearest", "pad", "backfill"]),
)
@settings(deadline=None)
def test_tolerances_agree_with_pandas(
    values: list[float], dtype: str, descending: bool, asked: float, tolerance: float, method: Any
) -> None:
    """Within a tolerance, and nowhere else, a label is matched as pandas matches it."""
    labels = np.array(sorted(values, reverse=descending), dtype)
    index = pd.Index(labels.astype("f4" if dtype == "f2" else dtype))
    expected = index.get_indexer(np.array([asked], index.dtype), method, tolerance=tolerance)[0]
    if expected == -1:
        with pytest.raises(SelectionError):
            pick(labels, f"{method}::{asked}", str(tolerance))
    else:
        assert pick(labels, f"{method}::{asked}", str(tolerance)) == expected


def test_a_tolerance_replaces_the_rule_of_one_step() -> None:
    """Farther than a step is allowed when it is asked for, and less than one when that is."""
    assert pick([0, 10], "nearest::35", "25") == 1
    assert pick([5], "nearest::6", "1") == 0
    with pytest.raises(SelectionError) as caught:
        pick([0, 10], "nearest::12", "1")
    assert caught.value.facts == {"dimension": "x", "label": "12", "range": [0, 10]}
    assert pick([0, 10], "nearest::10", "0") == 1


def test_rounding_does_not_decide() -> None:
    """A distance of 0.15 that computes as a little more is within 0.15."""
    assert pick([13.25, 13.5], "nearest::13.10", "0.15") == 0
    assert pick([0.3, 1.3], "nearest::0.4", "0.1") == 0


def test_times_are_exact() -> None:
    """Durations bound the distances of instants and of durations, to the nanosecond."""
    days = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    assert pick(days, "nearest::2020-01-01T01:00Z", "PT1H") == 0
    with pytest.raises(SelectionError):
        pick(days, "nearest::2020-01-01T01:00:00.000000001Z", "PT1H")
    leads = np.arange(3) * np.timedelta64(6, "h").astype("m8[s]")
    assert pick(leads, "nearest::PT7H", "PT1H") == 1


def test_distance_is_modulo_a_turn_on_a_circle() -> None:
    """Across the seam the distance is the short way round."""
    globe = np.arange(0.0, 360.0, 10.0)
    assert pick(globe, "nearest::-2", "2", name="lon") == 0
    assert pick(globe, "pad::-2", "8", name="lon") == 35
    for text, tolerance in (("nearest::-2", "1.9"), ("pad::-2", "7.9"), ("backfill::-2", "1.9")):
        with pytest.raises(SelectionError):
            pick(globe, text, tolerance, name="lon")


@pytest.mark.parametrize("tolerance", ["-1", "PT1H", "one", "1e999", "nan"])
def test_bad_distances_of_numbers(tolerance: str) -> None:
    """A tolerance that the axis cannot measure is refused by name."""
    with pytest.raises(QueryError) as caught:
        pick([0.0, 1.0], "nearest::0.2", tolerance)
    assert caught.value.facts == {"parameter": "tolerance", "dimension": "x"}


@pytest.mark.parametrize("tolerance", ["1", "-PT1H", "P1M", "2020-01-01"])
def test_bad_distances_of_times(tolerance: str) -> None:
    """Times are apart by durations of a fixed length, and by nothing else."""
    with pytest.raises(QueryError, match="PT30M"):
        pick(np.array(["2020-01-01"], "M8[s]"), "nearest::2020-01-01T01:00Z", tolerance)
