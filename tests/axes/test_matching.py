"""Labels along an axis: exactly, in long lists, and by a match policy within a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar
from sluice.axes.axis import Axis
from sluice.axes.matching import MatchPolicy, find_listed
from sluice.axes.resolve import UNKNOWN, find_many, resolve
from sluice.errors import QueryError, SelectionError, SluiceError

numbers = st.lists(
    st.integers(-400, 400).map(lambda n: n / 8), min_size=1, max_size=12, unique=True
)
NEAREST = MatchPolicy("nearest")
LON = {"units": "degrees_east"}
AXES = {
    "descending": Axis.of("lat", np.linspace(90, -90, 73, dtype="f4"), {}),
    "fine": Axis.of("lat", np.arange(-90, 90, 0.1), {}),
    "uneven": Axis.of("depth", np.array([0, 0.5, 1.25, 10, 1e6, 1e38], dtype="f4"), {}),
    "round": Axis.of("lon", np.arange(0, 360, 2.5, dtype="f4"), LON),
    "wide": Axis.of("lon", np.array([0.0, 300.0]), LON),
    "part": Axis.of("lon", np.arange(-20, 20, 0.25), LON),
    "unsorted": Axis.of("x", np.array([3.0, 1.0, 2.0]), {}),
    "twice": Axis.of("x", np.array([1.0, 1.0, 2.0]), {}),
    "integers": Axis.of("level", np.array([1000, 850, 500]), {}),
    "half": Axis.of("x", np.array([0.1, 0.2, 0.4], dtype="f2"), {}),
    "alone": Axis.of("x", np.array([5.0]), {}),
    "empty": Axis.of("x", np.array([]), {}),
}
NUMBER_TEXTS = st.one_of(
    st.floats(-400, 400).map(lambda x: f"{x:.3f}"),
    st.integers(-400, 400).map(str),
    st.sampled_from(["1e3", "-0", "0.30000000000000004", "9" * 39, "9" * 41, "359.99999999"]),
)


def pick(values: Any, text: str, tolerance: str, name: str = "x") -> Any:
    axis = Axis.of(name, np.asarray(values), {})
    pairs = [(name, text), ("tolerance", f"{name}:{tolerance}")]
    query = Grammar(dims={name: axis.size}, coords={name: (name,)}, by="label", formats={}).parse(
        pairs
    )
    return resolve(query.selection, {name: axis}, {name: axis.size}).positions[name]


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
    facts = {"dimension": "x", "label": "12", "range": [0, 10], "match": 10, "distance": 2}
    assert caught.value.facts == facts
    assert pick([0, 10], "nearest::10", "0") == 1


HOURS = np.array(["2020-01-01T00", "2020-01-01T06"], "M8[ns]")


@pytest.mark.parametrize(
    ("values", "text", "match", "distance"),
    [
        ([52.0, 53.0], "nearest::52.52", 53.0, 0.48),
        (np.array([52, 53], "f4"), "pad::52.52", 52.0, 0.52),
        ([1000, 850], "nearest::990", 1000, 10),
        (HOURS, "nearest::2020-01-01T05:20Z", "2020-01-01T06:00:00Z", "PT40M"),
        (HOURS - HOURS[0], "pad::PT5H", "PT0S", "PT5H"),
    ],
)
def test_what_is_too_far_is_told_with_its_distance(
    values: Any, text: str, match: object, distance: str | float
) -> None:
    """The match that was found, and the tolerance by which it would be the answer."""
    is_timed = isinstance(distance, str)
    with pytest.raises(SelectionError) as caught:
        pick(values, text, "PT1S" if is_timed else "0.01")
    assert (caught.value.facts["match"], caught.value.facts["distance"]) == (match, distance)
    assert f"is {distance} from its match, {match}" in caught.value.detail
    assert pick(values, text, str(distance)) in (0, 1)


def test_a_distance_across_the_seam_is_the_short_one() -> None:
    """Of longitudes, in the label of the store."""
    with pytest.raises(SelectionError) as caught:
        pick(np.arange(0.0, 360.0, 10.0), "nearest::-2", "1", name="lon")
    assert (caught.value.facts["match"], caught.value.facts["distance"]) == (0.0, 2.0)


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


def one_by_one(axis: Axis, text: str, policy: MatchPolicy | None) -> Any:
    try:
        return find_listed(axis, text, policy)
    except SluiceError as error:
        return type(error)


@pytest.mark.parametrize("name", AXES)
@settings(deadline=None)
@given(texts=st.lists(NUMBER_TEXTS, min_size=9, max_size=20), data=st.data())
def test_what_is_known_is_what_one_label_finds(name: str, texts: list[str], data: Any) -> None:
    """On axes of every kind, among labels, halfway between them, beyond them, and no labels."""
    axis = AXES[name]
    policy = data.draw(
        st.sampled_from([None, NEAREST, MatchPolicy("pad"), MatchPolicy("nearest", 0.1)])
    )
    if len(axis.keys):
        stored = st.sampled_from(axis.values.tolist()).map(lambda x: f"{x:.17f}".rstrip("0") + "0")
        texts = texts + data.draw(st.lists(stored, max_size=5))
    for text, position in zip(texts, find_many(axis, texts, policy), strict=True):
        if position != UNKNOWN:
            assert one_by_one(axis, text, policy) == [position]


def test_points_inside_an_axis_are_known() -> None:
    """Stations between the labels of a grid, and stored labels, are not looked at one by one."""
    inside = [f"{x:.3f}" for x in np.linspace(-89.9, 89.9, 50)]
    assert (find_many(AXES["descending"], inside, NEAREST) != UNKNOWN).all()
    stored = [f"{x}" for x in np.arange(2.5, 355, 2.5)]
    assert (find_many(AXES["round"], stored, None) == np.arange(1, 142)).all()


@pytest.mark.parametrize(
    "odd", ["x", "", "1,2", "1\n2", " 1", "+1", "01", ".5", "1.", "NaN", "٣", "1e5"]
)
def test_a_text_that_is_no_plain_number_leaves_all_to_be_read_alone(odd: str) -> None:
    """One text outside the plain grammar, in any place, and nothing is known."""
    for place in (0, 5, 9):
        texts = ["1.5"] * 9
        texts.insert(place, odd)
        assert (find_many(AXES["descending"], texts, NEAREST) == UNKNOWN).all()
