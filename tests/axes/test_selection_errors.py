"""What a refusal says is true, and what it proposes would be understood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.doors.native.grammar import Grammar
from app.doors.native.names import By
from sluice.axes.axis import Axis
from sluice.axes.resolve import resolve
from sluice.errors import SluiceError


def refusal(values: Any, text: str, by: By = "label") -> SluiceError:
    """The error that ``x=text`` raises on an axis of these values."""
    axis = Axis.of("x", np.asarray(values), {})
    sizes = {"x": axis.size}
    query = Grammar(dims=sizes, coords={"x": ("x",)}, by=by, formats=()).parse([("x", text)])
    with pytest.raises(SluiceError) as caught:
        resolve(query.selection, {"x": axis}, sizes)
    return caught.value


@pytest.mark.parametrize("text", ["../5", "50/..", "11/12"])
def test_an_empty_interval_is_repeated_as_it_was_asked(text: str) -> None:
    """Open ends are written with two dots, in the sentence and among the facts."""
    error = refusal([10, 20, 30], text)
    assert f"inside '{text}'; it spans 10 to 30" in error.detail
    assert error.facts["label"] == text


@pytest.mark.parametrize(
    ("values", "text", "hint"),
    [
        ([10, 20], "30", "the nearest is 20"),
        ([10, 20], "15", "the nearest are 10 and 20"),
        ([True], "false", "the nearest is true"),
        (["a", "c"], "b", "the nearest are a and c"),
    ],
)
def test_neighbours_are_named_as_a_request_names_them(values: Any, text: str, hint: str) -> None:
    """One neighbour is not called several, and truths are spelled as they are asked for."""
    assert refusal(values, text).detail.endswith(hint)


def test_the_example_is_a_label() -> None:
    """Whoever repeats the example of a refusal is understood."""
    for values in ([True, False], [0.5, 1.5], np.array(["2020-01-01", "2020-01-02"], "M8[ns]")):
        detail = refusal(values, "so").detail
        example = detail.partition("for example ")[2].partition(";")[0]
        assert Axis.of("x", np.asarray(values), {}).read(example)


@pytest.mark.parametrize("text", ["3", "-4", "9" * 18, "9" * 19, "-" + "9" * 5000])
def test_any_position_beyond_the_axis_is_refused_alike(text: str) -> None:
    """How many digits a position has makes no difference, and no sentence repeats thousands."""
    error = refusal([1, 2, 3], text, by="position")
    assert error.facts == {"dimension": "x", "size": 3}
    assert error.detail.startswith("x has 3 positions; ")
    assert len(error.detail) < 80


@pytest.mark.parametrize("text", ["10/30/" + "9" * 30, "30/10/" + "9" * 18])
@pytest.mark.parametrize("values", [[10, 20, 30], [30, 20, 10], [20, 10, 30]])
def test_a_step_beyond_the_axis_takes_the_first(values: list[int], text: str) -> None:
    """A step may be larger than any axis is long."""
    axis = Axis.of("x", np.asarray(values), {})
    query = Grammar(dims={"x": 3}, coords={"x": ("x",)}, by="label", formats=()).parse(
        [("x", text)]
    )
    found = resolve(query.selection, {"x": axis}, {"x": 3}).positions["x"]
    assert axis.values[found].tolist() == values[:1]
