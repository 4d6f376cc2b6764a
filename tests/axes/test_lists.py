"""Long lists are found as their labels are one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.axes.axis import Axis
from sluice.axes.labels import find_listed
from sluice.axes.lists import UNKNOWN, find_many
from sluice.axes.matching import Inexact
from sluice.errors import SluiceError

NEAREST = Inexact("nearest")
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
numbers = st.one_of(
    st.floats(-400, 400).map(lambda x: f"{x:.3f}"),
    st.integers(-400, 400).map(str),
    st.sampled_from(["1e3", "-0", "0.30000000000000004", "9" * 39, "9" * 41, "359.99999999"]),
)


def one_by_one(axis: Axis, text: str, inexact: Inexact | None) -> Any:
    try:
        return find_listed(axis, text, inexact)
    except SluiceError as error:
        return type(error)


@pytest.mark.parametrize("name", AXES)
@settings(deadline=None)
@given(texts=st.lists(numbers, min_size=9, max_size=20), data=st.data())
def test_what_is_known_is_what_one_label_finds(name: str, texts: list[str], data: Any) -> None:
    """On axes of every kind, among labels, halfway between them, beyond them, and no labels."""
    axis = AXES[name]
    inexact = data.draw(st.sampled_from([None, NEAREST, Inexact("pad"), Inexact("nearest", 0.1)]))
    if len(axis.keys):
        stored = st.sampled_from(axis.values.tolist()).map(lambda x: f"{x:.17f}".rstrip("0") + "0")
        texts = texts + data.draw(st.lists(stored, max_size=5))
    for text, position in zip(texts, find_many(axis, texts, inexact), strict=True):
        if position != UNKNOWN:
            assert one_by_one(axis, text, inexact) == [position]


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
