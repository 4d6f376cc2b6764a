"""Labels as text: reading RFC 3339 instants, periods and ISO 8601 durations; spelling labels.

Times are exact nanoseconds. A calendar is a function from (year, month, day) to a day number,
raising `ValueError` for a date that it lacks. All arithmetic is that of Python's integers, so
nothing wraps at the ends of datetime64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias

import numpy as np

from sluice.selection import Value

Calendar: TypeAlias = Callable[[int, int, int], int]
# A label as its axis orders it: an int or a float, or a str or bool where there are no distances.
AxisKey: TypeAlias = Any
SECOND = 10**9
DAY = 86_400 * SECOND
_EPOCH = date(1970, 1, 1).toordinal()
# RFC 3339, with what a URL does to it: a space where a "+" or a "T" was, seconds left out.
# Years before 0 and after 9999 are as answers print them; such a one alone might be any number.
_TIME = re.compile(
    r"([0-9]{4}|-[0-9]{4,6}(?=-)|[0-9]{5,6}(?=-))(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"([Zz]|[+ -][0-9]{2}:[0-9]{2})?)?)?)?"
)
_DURATION = re.compile(
    r"(-?)P(?:([0-9]{1,9})W|(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,12})(?:\.([0-9]{1,9}))?S)?)?)"
)
# Units of datetime64 that are coarser than those of an instant's text.
_COARSE = frozenset(("Y", "M", "W", "D", "h", "m"))
_NANOSECONDS = 10**9


_NO_DATE: Final = "this calendar has no such date"


class CftimeDate(Protocol):
    """The members of a cftime date that are used; cftime itself is not imported."""

    @property
    def has_year_zero(self) -> bool: ...
    @property
    def hour(self) -> int: ...
    @property
    def minute(self) -> int: ...
    @property
    def second(self) -> int: ...
    @property
    def microsecond(self) -> int: ...
    def replace(self, *, year: int, month: int, day: int) -> Self: ...
    def toordinal(self) -> int: ...


class KeyRange(NamedTuple):
    """First and last key that a label covers, for times in nanoseconds; equal unless a `period`."""

    first: AxisKey
    last: AxisKey
    period: bool = False


def civil_days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, for any year.

    Raises `ValueError` for a date that the calendar does not have.
    """
    # The calendar repeats every 400 years (146,097 days); datetime.date ends at both 1 and 9999.
    cycles, year_in_cycle = divmod(year, 400)
    try:
        inside = date(2000 + year_in_cycle, month, day).toordinal()
    except ValueError:
        raise ValueError(_NO_DATE) from None
    return inside - _EPOCH + (cycles - 5) * 146_097


def calendar_of(example: CftimeDate) -> Calendar:
    """The calendar of a cftime date, through its own methods."""

    def days(year: int, month: int, day: int) -> int:
        if year == 0 and not example.has_year_zero:
            raise ValueError("this calendar has no year 0")
        try:
            return int(example.replace(year=year, month=month, day=day).toordinal())
        except ValueError:
            raise ValueError(_NO_DATE) from None

    return days


# Clients ask for the same few times again and again.
@lru_cache(maxsize=4096)
def read_time(text: str, calendar: Calendar) -> KeyRange:
    """The keys that `text` covers: an instant, or a whole year, month or day, in nanoseconds.

    Raises `ValueError` for another form and for a date or time of day that does not exist. A text
    without a zone is UTC.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("it is not an RFC 3339 time")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if hour is not None:
        instant = calendar(int(year), int(month), int(day)) * DAY + _clock(hour, minute, second)
        if fraction is not None:
            instant += _fraction(fraction)
        if zone is not None and zone not in "Zz":
            instant -= _offset(zone)
        return KeyRange(instant, instant)
    first, after = _period(calendar, int(year), month, day)
    return KeyRange(first * DAY, after * DAY - 1, period=True)


def _period(calendar: Calendar, year: int, month: str | None, day: str | None) -> tuple[int, int]:
    if month is None:
        return calendar(year, 1, 1), calendar(year + 1, 1, 1)
    if day is not None:
        number = calendar(year, int(month), int(day))
        return number, number + 1
    first = calendar(year, int(month), 1)
    return first, calendar(year + 1, 1, 1) if int(month) == 12 else calendar(
        year, int(month) + 1, 1
    )


def _clock(hour: str, minute: str, second: str | None) -> int:
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    # A leap second (60) has no place on an axis that counts 86,400 seconds a day.
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("there is no such time of day")
    return ((hours * 60 + minutes) * 60 + seconds) * SECOND


def _offset(zone: str) -> int:
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError("there is no such offset")
    sign = -1 if zone[0] == "-" else 1
    return sign * (hours * 60 + minutes) * 60 * SECOND


def _fraction(digits: str) -> int:
    return int(digits.ljust(9, "0")) if digits else 0


def read_duration(text: str) -> int:
    """Nanoseconds of an ISO 8601 duration in weeks, or in days, hours, minutes and seconds.

    Raises `ValueError` for another form; years and months have no fixed length.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()[1:6]):
        raise ValueError("it is not an ISO 8601 duration")
    sign, weeks, days, hours, minutes, seconds, fraction = found.groups(default="")
    total = int(weeks or 0) * 7 * DAY + int(days or 0) * DAY
    total += (int(hours or 0) * 60 + int(minutes or 0)) * 60 * SECOND
    total += int(seconds or 0) * SECOND + _fraction(fraction)
    return -total if sign else total


def spell_value(value: Value) -> str:
    """The text of a label, by which its axis reads it; a text is itself.

    A datetime64 is spelled as an instant whatever its unit, and never as a period.
    """
    match value:
        case str():
            return value
        case bool() | np.bool_():
            return "true" if value else "false"
        case np.datetime64():
            unit = np.datetime_data(value.dtype)[0]
            text = str(np.datetime_as_string(value, unit="s" if unit in _COARSE else "auto"))
            # (NumPy spells midnight as the day alone.)
            return f"{text}Z" if "T" in text else f"{text}T00:00Z"
        case np.timedelta64():
            return _spell_duration(int(value.astype("m8[ns]").astype("i8")))
        case float() | np.floating():
            return repr(float(value))
        case _:
            return str(int(value))


def _spell_duration(nanoseconds: int) -> str:
    seconds, rest = divmod(abs(nanoseconds), _NANOSECONDS)
    return f"{'-' if nanoseconds < 0 else ''}PT{seconds}.{rest:09d}S"
