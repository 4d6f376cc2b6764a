"""Times and durations as text."""

from __future__ import annotations

from datetime import datetime, timedelta

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.axes.label_text import (
    DAY,
    SECOND,
    calendar_of,
    civil_days,
    read_duration,
    read_time,
    spell_value,
)
from sluice.labels import format_label

NOON = "2020-01-01T12:00:00"


def instant(text: str) -> int:
    span = read_time(text, civil_days)
    assert span.first == span.last
    assert not span.period
    return int(span.first)


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01T12:00:00Z",
        "2020-01-01t12:00:00z",
        "2020-01-01T12:00Z",
        "2020-01-01T12:00",
        "2020-01-01 12:00Z",
        "2020-01-01T12:00:00.000000000Z",
        "2020-01-01T14:00:00+02:00",
        "2020-01-01T14:00:00 02:00",
        "2020-01-01 14:00 02:00",
        "2020-01-01T10:30:00-01:30",
        "2020-01-02T11:59:00+23:59",
    ],
)
def test_one_instant_in_many_forms(text: str) -> None:
    """Zones, lost characters and absent seconds all name the same instant."""
    assert instant(text) == int(np.datetime64(NOON, "ns").astype("i8"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20200101",
        "2020-1-1",
        "2020-001",
        "2020-W01",
        "01/02/2020",
        "2020-01-01Z",
        "2020-01-01T",
        "2020-01-01T12",
        "2020-01-01T12Z",
        "2020-01-01T1200Z",
        "2020-01-01T12:00:00,5Z",
        "2020-01-01T12:00:00.Z",
        "2020-01-01T12:00:00.0000000001Z",
        "2020-01-01T12:00:00+0200",
        "2020-01-01T12:00:00+24:00",
        "2020-01-01T24:00:00Z",
        "2020-01-01T23:60:00Z",
        "2016-12-31T23:59:60Z",
        "2020-02-30",
        "2021-02-29T00:00Z",
        "2020-13",
        "2020-00",
        "now",
        "12020",
        "-2020",
        "20200101-01",
        "-020-01-01",
        "+12020-01-01",
        "٢٠٢٠",
        "2020-01-01T12:00:00Z\n",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    """What is not RFC 3339, or names a moment that never was, is refused."""
    with pytest.raises(ValueError, match=r"."):
        read_time(text, civil_days)


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2020", "2020-01-01", "2021-01-01"),
        ("2020-02", "2020-02-01", "2020-03-01"),
        ("2020-12", "2020-12-01", "2021-01-01"),
        ("2020-02-29", "2020-02-29", "2020-03-01"),
        ("0000", "0000-01-01", "0001-01-01"),
        ("9999", "9999-01-01", "10000-01-01"),
    ],
)
def test_periods(text: str, first: str, after: str) -> None:
    """A bare year, month or day covers everything from its first to its last nanosecond."""
    span = read_time(text, civil_days)
    days = [int(np.datetime64(end, "D").astype("i8")) for end in (first, after)]
    assert (span.first, span.last + 1, span.period) == (days[0] * DAY, days[1] * DAY, True)


@given(st.datetimes(), st.integers(0, 999))
def test_instants_round_trip(moment: datetime, nanosecond: int) -> None:
    """An instant written by the answers is read back to the nanosecond."""
    value = np.datetime64(moment, "us")
    ticks = int(value.astype("i8")) * 1000 + nanosecond
    text = str(value) + f"{nanosecond:03d}Z"
    assert instant(text) == ticks
    assert instant(str(format_label(value))) == ticks - nanosecond


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard", "julian", "all_leap"])
def test_calendars_are_their_own(calendar: str) -> None:
    """Days are counted, and dates refused, as the axis' own calendar does."""
    example = cftime.datetime(2001, 1, 1, calendar=calendar)
    days = calendar_of(example)
    for year, month, day in [(2020, 2, 29), (2020, 2, 30), (2021, 2, 29), (2020, 1, 31)]:
        try:
            date = cftime.datetime(year, month, day, calendar=calendar)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                days(year, month, day)
        else:
            assert timedelta(days=days(year, month, day) - days(2001, 1, 1)) == date - example


def test_year_zero_needs_a_calendar_with_one() -> None:
    """Year 0 is refused, quietly, where the calendar has none."""
    with pytest.raises(ValueError, match="year 0"):
        calendar_of(cftime.DatetimeGregorian(2000, 1, 1))(0, 1, 1)
    assert isinstance(calendar_of(cftime.DatetimeNoLeap(2000, 1, 1))(0, 1, 1), int)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT6H", 6 * 3600),
        ("P1DT12H", 36 * 3600),
        ("P2W", 14 * 86400),
        ("PT0H", 0),
        ("-PT30M", -1800),
        ("PT1M1.5S", 61.5),
        ("P1D", 86400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """ISO 8601 durations of fixed length are read exactly."""
    assert read_duration(text) == int(seconds * SECOND)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "P1Y", "P1M", "PT1", "6h", "PT1.5H", "P1W2D", "PT1S2M", "T1H"]
)
def test_other_durations_are_refused(text: str) -> None:
    """What is incomplete, or has no fixed length, is refused."""
    with pytest.raises(ValueError, match=r"."):
        read_duration(text)


@given(st.integers(-(2**62), 2**62))
def test_durations_round_trip(nanoseconds: int) -> None:
    """A duration written by the answers is read back to the nanosecond."""
    text = format_label(np.timedelta64(nanoseconds, "ns"))
    assert read_duration(str(text)) == nanoseconds


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us", "ns"])
def test_midnight_of_any_unit_is_an_instant(unit: str) -> None:
    """Not the day that NumPy writes."""
    text = spell_value(np.datetime64("2024-01-02").astype(f"M8[{unit}]"))
    assert instant(text) == int(np.datetime64("2024-01-02", "ns").astype("i8"))
