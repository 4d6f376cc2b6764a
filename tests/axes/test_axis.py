"""Axes as they are prepared at open."""

from __future__ import annotations

from typing import Any, Literal

import cftime
import numpy as np
import pytest

from app.doors.native.grammar import Grammar
from app.doors.native.names import By
from sluice.axes.axis import Axis
from sluice.axes.matching import find, read_label
from sluice.axes.resolve import resolve
from sluice.errors import QueryError, SluiceError


def axis(values: object, dtype: str | None = None) -> Axis:
    return Axis.of("x", np.array(values, dtype=dtype), {})


@pytest.mark.parametrize(
    ("values", "direction", "unique"),
    [
        ([1, 2, 3], "ascending", True),
        ([3.5, 2, 1], "descending", True),
        ([1, 3, 2], "unsorted", True),
        ([1, 1, 2], "ascending", False),
        ([2, 1, 1], "descending", False),
        ([1, 2, 1], "unsorted", False),
        ([7], "ascending", True),
        ([], "ascending", True),
        ([1.0, np.nan], "unsorted", True),
        (["a", "b"], "ascending", True),
        ([True, False], "descending", True),
    ],
)
def test_direction_and_uniqueness(values: list[object], direction: str, unique: bool) -> None:
    """The direction and the uniqueness of the labels are known before a request asks."""
    prepared = axis(values)
    assert (prepared.direction, prepared.unique) == (direction, unique)


@pytest.mark.parametrize(
    ("values", "dtype", "step"),
    [
        ([300, 200, 100], "u2", -100),
        ([0, 255], "u1", 255),
        ([-90, 90], "i1", 180),
        ([2**63 + 1, 2**63, 2**63 - 1], "u8", -1),
        ([3, 2, 1], ">i4", -1),
        ([0.5, 0.25, 0.0], "f2", -0.25),
        ([1, 2, 4], "i8", None),
        ([1], "i8", None),
    ],
)
def test_the_step_is_that_between_labels(values: list[Any], dtype: str, step: object) -> None:
    """Also where their own type does not hold it."""
    assert axis(values, dtype).step == step


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        ([1, 2, 5], 1, 3),
        ([5, 2, 1], 1, 3),
        ([1, 1, 4, 9, 9], 3, 5),
        ([1], None, None),
        ([2, 2], None, None),
        ([], None, None),
        (["a", "b"], None, None),
    ],
)
def test_end_steps(values: list[object], first: int | None, last: int | None) -> None:
    """The steps at both ends are between distinct labels, lower end first."""
    prepared = axis(values)
    assert (prepared.first_step, prepared.last_step) == (first, last)


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_time_axes_of_any_unit(unit: str, order: str) -> None:
    """Instants are found on axes of any unit and byte order."""
    prepared = axis(["2020-01-01", "2020-01-02", "NaT"], f"{order}M8[{unit}]")
    assert find(prepared, read_label(prepared, "2020-01-02T00:00Z").first) == (1, 2)
    assert prepared.range == ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"]


@pytest.mark.parametrize(
    ("values", "dtype", "good", "bad"),
    [
        ([1, 2], "i4", "1", "one"),
        ([0.5, 2], ">f4", "0.5", "2020-01-01"),
        ([0, 2**64 - 1], "u8", "18446744073709551615", "nan"),
        ([0.5, 2], "f2", "5e-1", "Infinity"),
        ([0.5, 2], "f8", "0.5", "0x1"),
        ([0.5, 2], "f8", "2", "1e999"),
        ([0.5, 2], "f8", "2", "1" * 5000),
        ([0.5, 2], "f8", "2", "1_0"),
        ([0.5, 2], "f8", "2", "+2"),
        ([0.5, 2], "f8", "2", ".5"),
        ([False, True], "?", "true", "1"),
        (["2020"], "M8[s]", "2020-01-01T00:00Z", "52"),
        ([6], "m8[h]", "PT6H", "6"),
        ([cftime.DatetimeNoLeap(2020, 2, 28)], "O", "2020-02-28T00:00Z", "2020-02-29"),
        (["a"], "O", "a", None),
        (["a"], "U1", "a", None),
        ([b"a"], "S1", "a", None),
        ([1j], "c16", None, "1"),
        ([(1, 2), "a"], "O", None, "a"),
    ],
)
def test_labels_by_kind(
    values: list[object], dtype: str, good: str | None, bad: str | None
) -> None:
    """Each kind of axis finds its own labels and refuses, by name, what it cannot hold."""
    filled = np.empty(len(values), dtype=dtype)
    filled[:] = values
    prepared = Axis.of("x", filled, {})
    if good is not None:
        first, after = find(prepared, read_label(prepared, good).first)
        assert after - first == 1
    if bad is not None:
        with pytest.raises(QueryError) as caught:
            read_label(prepared, bad)
        assert caught.value.facts == {"parameter": "x", "label": bad}
        assert "x expects" in caught.value.detail


def test_large_integers_are_exact() -> None:
    """Integers beyond 2**53 are told apart."""
    prepared = axis([2**60, 2**60 + 1])
    assert find(prepared, read_label(prepared, str(2**60 + 1)).first) == (1, 2)


def test_rounding_is_forgiven() -> None:
    """A number within a millionth of a step of a stored one is that one, on either side."""
    prepared = axis([0.1, 0.2, 0.3])
    for key, found in [(0.1 * 3, 2), (0.2 - 9e-8, 1), (0.1 - 9e-8, 0), (0.3 + 9e-8, 2)]:
        assert find(prepared, key) == (found, found + 1)
    assert find(prepared, 0.2 + 2e-7) == (2, 2)
    assert find(axis([0.3]), 0.1 * 3) == (1, 1)


def test_labels_take_the_precision_of_the_axis() -> None:
    """What a float32 axis shows as 179.9 is found as 179.9, as in xarray."""
    prepared = axis([179.8, 179.9], "f4")
    assert find(prepared, read_label(prepared, "179.9").first) == (1, 2)


def test_an_axis_is_a_view() -> None:
    """Preparing a sorted numeric axis copies no labels."""
    for values in (np.arange(5.0), np.arange(5.0)[::-1]):
        prepared = Axis.of("x", values, {})
        assert np.shares_memory(np.asarray(prepared.keys), values)


@pytest.mark.parametrize("order", ["<", ">", "="])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i2", "u8"])
def test_labels_of_any_byte_order(kind: str, order: Literal["<", ">", "="]) -> None:
    """Stored labels name their byte order, explicitly little-endian ones too."""
    values = np.array([1, 2, 3], np.dtype(kind).newbyteorder(order))
    prepared = Axis.of("x", values, {})
    assert (prepared.direction, prepared.unique) == ("ascending", True)


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        (np.array([7, 1001, 5_000_000_000, 9_000_000_000]), 1002),
        (np.array([0, 5_000_000_000]), 1),
        (np.array([10, 2**53, 2**62]), 2**53 + 1),
        (np.array([0, 2**63, 2**64 - 1], "u8"), 2**64 - 2),
        (np.array([1e-8, 1.0, 1e9]), 500.0),
        (np.array([1e-8, 1.0, 1e9]), 1.001),
        (np.array([0.0, 0.001, 1e9]), 0.5),
    ],
)
def test_rounding_is_measured_by_the_nearer_neighbour(values: np.ndarray, asked: float) -> None:
    """Beside a wide gap, or among whole numbers, another number is another label."""
    first, after = find(Axis.of("x", values, {}), asked)
    assert first == after


@pytest.mark.parametrize(
    ("values", "asked", "index"),
    [
        (np.array([0.1, 0.2, 0.1 * 3]), 0.3, 2),
        (np.array([0.0, 10.0, 1e9]), 10.000001, 1),
        (np.array([-1e-17, 0.25, 0.5]), 0.0, 0),
        (np.array([0, 10, 20]), 10.0000001, 1),
    ],
)
def test_rounding_does_not_lose_a_label(values: np.ndarray, asked: float, index: int) -> None:
    """A number within 1e-6 of a step of a stored label is that label."""
    assert find(Axis.of("x", values, {}), asked) == (index, index + 1)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (np.array([b"b", b"\xff", b"a"]), ["a", "b", "base64url:_w=="]),
        (np.array([b"b", None, "a", b"\xff"], dtype=object), ["a", "b", "base64url:_w=="]),
        (np.array(["\ud800", "a"]), ["a", "base64url:7aCA"]),
        (np.array(["b", None, "a"], dtype=object), ["a", "b"]),
        (np.array(["b", "a"], dtype=np.dtypes.StringDType()), ["a", "b"]),
    ],
)
def test_labels_are_found_as_they_are_written(values: np.ndarray, written: list[str]) -> None:
    """Text and bytes of any dtype; what is missing is no label."""
    prepared = Axis.of("x", values, {})
    assert list(prepared.keys) == written
    for index, label in enumerate(written):
        assert read_label(prepared, label).first == label
        assert find(prepared, label) == (index, index + 1)
        assert prepared.label(index) == label


def refusal(values: Any, text: str, by: By = "label") -> SluiceError:
    """The error that ``x=text`` raises on an axis of these values."""
    axis = Axis.of("x", np.asarray(values), {})
    sizes = {"x": axis.size}
    query = Grammar(dims=sizes, coords={"x": ("x",)}, by=by, formats={}).parse([("x", text)])
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
        assert read_label(Axis.of("x", np.asarray(values), {}), example)


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
    query = Grammar(dims={"x": 3}, coords={"x": ("x",)}, by="label", formats={}).parse(
        [("x", text)]
    )
    found = resolve(query.selection, {"x": axis}, {"x": 3}).positions["x"]
    assert axis.values[found].tolist() == values[:1]
