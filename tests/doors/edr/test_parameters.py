"""Times and levels as text: each form, and any text at all."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doors.edr.parameters import read_levels, read_period, read_times, single
from sluice.axes.axis import Axis
from sluice.axes.resolve import resolve
from sluice.errors import LimitError, QueryError, SluiceError
from sluice.selection import Along, Selection

TIMES = Axis.of("time", np.arange("2024-01-01", "2024-01-11", dtype="M8[D]").astype("M8[ns]"), {})
LEVELS = Axis.of("z", np.array([1000.0, 850, 500, 100]), {})
pieces = st.sampled_from(
    [
        "2024-01-02",
        "T06:00:00Z",
        "/",
        "..",
        ",",
        "R",
        "5",
        "PT6H",
        "P1D",
        "-",
        "850",
        "1e3",
        " ",
        "Z",
    ]
)
texts = st.one_of(st.text(min_size=1, max_size=20), st.lists(pieces, min_size=1).map("".join))


def chosen(axis: Axis, along: Along) -> list[int]:
    selection = Selection({axis.name: along})
    found = resolve(selection, {axis.name: axis}, {axis.name: axis.size}).positions[axis.name]
    return [int(one) for one in np.atleast_1d(np.arange(axis.size)[found])]


@given(texts)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for axis, read in ((TIMES, read_times), (LEVELS, read_levels)):
        with suppress(SluiceError):
            chosen(axis, read(axis, text, 100))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2024-01-03T00:00:00Z", [2]),
        ("2024-01-03T05:00:00+01:00", [2]),
        ("2024-01-03", [2]),
        ("2024-01", list(range(10))),
        ("2024-01-09/..", [8, 9]),
        ("../2024-01-02", [0, 1]),
        ("/2024-01-02", [0, 1]),
        ("2024-01-02/2024-01-03T12:00Z", [1, 2]),
        ("2024-01-02T05:00Z/2024-01-02T05:00Z", [1]),
        ("2024-01-01,2024-01-05", [0, 4]),
        ("R3/2024-01-01T00:00:00Z/P2D", [0, 2, 4]),
    ],
)
def test_forms_of_times(text: str, found: list[int]) -> None:
    assert chosen(TIMES, read_times(TIMES, text, 100)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("850", [1]),
        ("840", [1]),
        ("500/1000", [0, 1, 2]),
        ("1000/500", [0, 1, 2]),
        ("../500", [2, 3]),
        ("100,1000", [3, 0]),
        ("R3/100/400", [3, 2, 1]),
        ("840/840", [1]),
    ],
)
def test_forms_of_levels(text: str, found: list[int]) -> None:
    assert chosen(LEVELS, read_levels(LEVELS, text, 100)) == found


@given(texts)
@settings(max_examples=200, deadline=None)
def test_any_period_is_read_or_refused(text: str) -> None:
    """And lies somewhere before, in or after an axis."""
    with suppress(QueryError):
        assert read_period(text).meets(TIMES) in (True, False)


def test_a_parameter_stands_once() -> None:
    """Empty ones are none; a name that it has besides is the same."""
    pairs = [("a", " "), ("b", "1"), ("a", "2")]
    assert single(pairs, "a") == "2"
    assert single(pairs[:1], "a") == " "
    assert single(pairs, "c") is None
    with pytest.raises(QueryError, match="a is given 2 times"):
        single(pairs, "a", "b")


def dates(calendar: str, start: str, count: int) -> Axis:
    """An axis of days in a calendar of CF."""
    days = xr.date_range(start, periods=count, freq="D", calendar=calendar, use_cftime=True)
    return Axis.of("time", np.asarray(days, object), {})


@pytest.mark.parametrize(
    ("calendar", "start", "asked", "found"),
    [
        ("360_day", "2004-02-25", "R5/2004-02-28T00:00Z/P1D", [3, 4, 5, 6, 7]),
        ("360_day", "2004-02-25", "R2/2004-02-30/P1D", [5, 6]),
        ("noleap", "2004-02-25", "R3/2004-02-27T00:00Z/P1D", [2, 3, 4]),
        ("all_leap", "2003-02-25", "R3/2003-02-28T00:00Z/P1D", [3, 4, 5]),
        ("julian", "1500-02-25", "R3/1500-02-28T00:00Z/P1D", [3, 4, 5]),
        ("standard", "1582-10-01", "R3/1582-10-04T06:00Z/P1D", [3, 4, 5]),
        ("standard", "1582-10-01", "R2/1582-10-15T00:00Z/-P1D", [4, 3]),
    ],
)
def test_repeated_times_count_in_the_axis_calendar(
    calendar: str, start: str, asked: str, found: list[int]
) -> None:
    """Each day of these is there, so that none may be left out or come twice."""
    axis = dates(calendar, start, 10)
    assert chosen(axis, read_times(axis, asked, 100)) == found


@pytest.mark.parametrize("asked", ["R2/2004-02-31/P1D", "R2/2004-13-01/P1D", "R9/2004-01-01/P1M"])
def test_repeated_times_that_no_axis_has(asked: str) -> None:
    """Refused for what was written, in words of our own."""
    for axis in (TIMES, dates("360_day", "2004-01-01", 3)):
        with pytest.raises(QueryError, match=r"no such date|no ISO 8601|not an ISO 8601"):
            read_times(axis, asked, 100)


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("2001-02-30", True),
        ("2001-02-30/2001-02-30T12:00Z", True),
        ("2001-12-30/..", True),
        ("2001-12-31/..", False),
        ("2002-01-01/..", False),
        ("../2000-12-31", True),
        ("../2000-11-30", False),
    ],
)
def test_periods_in_a_calendar_of_360_days(asked: str, listed: bool) -> None:
    """Its own dates are taken; a day that it lacks lies between its neighbours."""
    assert read_period(asked).meets(dates("360_day", "2000-12-30", 361)) == listed


@pytest.mark.parametrize("asked", ["2001-02-32", "2001-13", "2001-00-01", "2001-02-30/2001-02-29"])
def test_periods_of_no_calendar(asked: str) -> None:
    """None has 32 days in a month."""
    with pytest.raises(QueryError):
        read_period(asked)


def test_lists_have_a_limit() -> None:
    for text in ("R101/0/1", ",".join(["1"] * 101)):
        with pytest.raises(LimitError):
            read_levels(LEVELS, text, 100)
    with pytest.raises(LimitError):
        read_times(TIMES, "R999999999/2024-01-01T00:00Z/PT1S", 100)
