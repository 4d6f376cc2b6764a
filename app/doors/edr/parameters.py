"""The parameters of an EDR query: levels, times and names as text -> what they select.

(OGC API - Environmental Data Retrieval 1.1, OGC 19-086r6, sections 8.2.2 to 8.2.12; the forms that
version 1.2 adds are taken, too.) What no query knows is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sluice.aliases import record
from sluice.axes.axis import Axis
from sluice.axes.label_text import Calendar, KeyRange, read_duration, read_time
from sluice.axes.resolve import resolve
from sluice.axes.scales import Clock
from sluice.errors import LimitError, QueryError, SelectionError, excerpt
from sluice.selection import Along, Interval, Label, Labels, Match, Position, Selection, Value

from .collection import PARAMETER_NAMES, Collection, parameter_of_dim
from .geometry import read_number

Pairs: TypeAlias = Sequence[tuple[str, str]]

NEAREST: Final = Match("nearest")
_OPEN: Final = ("..", "")
_MONTH: Final = re.compile("(-?[0-9]+)(-[0-9]{2})?")
_MOST_NAMES: Final = 1000
# No time has so many letters.
_LONGEST_TIME: Final = 100


@record
class Asked:
    """What a query asks for beside its place: the along of each dimension, and the parameters."""

    along: Mapping[str, Along]
    names: tuple[str, ...]


@record
class Period:
    """A time from `start` to `stop`, in RFC 3339; an end that is open is None."""

    start: str | None
    stop: str | None

    def meets(self, axis: Axis) -> bool:
        """Whether some of it lies between the first and the last label of an axis of times."""
        assert isinstance(axis.scale, Clock)
        calendar, tick = axis.scale.calendar, axis.scale.tick
        low, high = axis.keys[0] * tick, axis.keys[-1] * tick
        if self.start is not None and _in_calendar(self.start, calendar).first > high:
            return False
        return self.stop is None or _in_calendar(self.stop, calendar).last >= low


def _in_calendar(text: str, calendar: Calendar) -> KeyRange:
    """The keys that a time covers in this calendar.

    A day that it lacks covers nothing, between the days before and after it.
    """
    try:
        return read_time(text, calendar)
    except ValueError:
        # (Some have no year 0, either.)
        found = _MONTH.match(text)
        assert found is not None
        if int(found[1]):
            after = read_time(found[0], calendar).last + 1
        else:
            after = read_time("0001", calendar).first
        return KeyRange(after, after - 1)


def single(pairs: Pairs, *names: str) -> str | None:
    """The value of the parameter that has one of these names; an empty one if all are empty.

    Raises `QueryError` where there are two: neither is taken for the other.
    """
    found = [value for name, value in pairs if name in names]
    given = [value for value in found if value.strip()]
    if len(given) > 1:
        raise QueryError(
            f"{names[0]} is given {len(given)} times: give it once", parameter=names[0]
        )
    return given[0] if given else found[0] if found else None


def read_asked(collection: Collection, pairs: Pairs, most_labels: int) -> Asked:
    """Levels, times, parameters and labels of the collection's own dimensions.

    Raises `QueryError` for texts that mean nothing, `LimitError` for lists that are too long, and
    `SelectionError` where there is no such time.
    """
    along: dict[str, Along] = {}
    times, levels = collection.axis("t"), collection.axis("z")
    text = single(pairs, "datetime")
    if times is not None and text:
        along[times.name] = read_times(times, text.strip(), most_labels)
    text = single(pairs, "z")
    if levels is not None and text:
        along[levels.name] = read_levels(levels, text.strip(), most_labels)
    for name in collection.others:
        if text := single(pairs, parameter_of_dim(collection, name), f"sel[{name}]"):
            along[name] = _own(collection, name, text.strip(), most_labels)
    return Asked(along, read_names(collection, pairs))


def read_names(collection: Collection, pairs: Pairs) -> tuple[str, ...]:
    """The parameters that are asked for, in the collection's order; all where none is.

    Names may stand in one list, or in several.
    """
    texts = [value for name, value in pairs if name in PARAMETER_NAMES]
    asked = [name.strip() for text in texts for name in text.split(",", _MOST_NAMES)]
    wanted = set(filter(None, asked))
    for name in wanted:
        if name not in collection.parameters:
            raise QueryError(
                f"parameter-name: the collection has no {excerpt(name)}; it has"
                f" {', '.join(list(collection.parameters)[:20])}",
                parameter="parameter-name",
                known=list(collection.parameters),
            )
    return tuple(name for name in collection.parameters if not wanted or name in wanted)


def read_period(text: str) -> Period:
    """An instant, a day, month or year, or an interval of them with open ends.

    Raises `QueryError` for other texts.
    """
    parts = [part.strip() for part in text.split("/", 2)]
    if len(parts) > 2 or (len(parts) == 1 and parts[0] in _OPEN):
        raise QueryError(f"datetime: {excerpt(text)} is no time; {_TIMES}", parameter="datetime")
    start, stop = (None if part in _OPEN else part for part in (parts[0], parts[-1]))
    first, last = (None if one is None else _in_any_calendar(one) for one in (start, stop))
    if first is not None and last is not None and first.first > last.last:
        raise QueryError(f"datetime: {excerpt(text)} ends before it begins", parameter="datetime")
    return Period(start, stop)


_TIMES: Final = (
    "it takes an instant such as 2024-01-01T00:00:00Z, a day, a month or a year, or start/end, of"
    " which one may be .. for an open end"
)


def _in_any_calendar(text: str) -> KeyRange:
    """Keys that tell which of two times is the earlier one, in all calendars."""
    try:
        if len(text) > _LONGEST_TIME:
            raise ValueError("it is too long")
        return read_time(text, _longest_months)
    except ValueError as error:
        raise QueryError(
            f"datetime: {excerpt(text)} is no time: {error}; {_TIMES}", parameter="datetime"
        ) from None


def _longest_months(year: int, month: int, day: int) -> int:
    """Days as if each month had 31: every date of every calendar has its place."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError("no calendar has such a date")
    return (year * 12 + month - 1) * 31 + day


def read_times(axis: Axis, text: str, most_labels: int) -> Along:
    """An instant, a period, an interval with open ends, a list, or ``Rn/start/duration``."""
    if "," in text:
        return Labels(_listed(text, "datetime", most_labels), NEAREST)
    parts = text.split("/", 3)
    if parts[0][:1] in ("R", "r"):
        return Labels(_repeated(axis, parts, most_labels), NEAREST)
    if len(parts) == 2:
        start, stop = (None if part.strip() in _OPEN else part.strip() for part in parts)
        return span(axis, start, stop)
    if len(parts) > 2 or text in _OPEN:
        raise QueryError(
            f"datetime takes an instant, or start/end, and not {excerpt(text)}",
            parameter="datetime",
        )
    if "T" in text.upper() or ":" in text:
        return Label(text, NEAREST)
    # A year, a month or a day is all of its times.
    period = Label(text)
    return period if _is_there(axis, period) else Label(text, NEAREST)


def _repeated(axis: Axis, parts: Sequence[str], most_labels: int) -> tuple[Value, ...]:
    """The instants of a repeating interval (ISO 8601, section 4.5.3), in the axis's calendar."""
    count, text = parts[0][1:], excerpt("/".join(parts))
    if len(parts) != 3 or not (count.isdecimal() and count.isascii()) or len(count) > 9:
        raise QueryError(f"datetime: {text} is no Rn/start/duration", parameter="datetime")
    _check_length(int(count), "datetime", most_labels)
    assert isinstance(axis.scale, Clock)
    try:
        start = read_time(parts[1].strip(), axis.scale.calendar).first
        step = read_duration(parts[2].strip())
        return tuple(_instants(axis, start, step, int(count)))
    except (ValueError, OverflowError) as error:
        raise QueryError(
            f"datetime: {text} is no Rn/start/duration that this axis can have: {error}",
            parameter="datetime",
        ) from None


def _instants(axis: Axis, start: int, step: int, count: int) -> Iterator[str]:
    """So many instants as texts, `step` nanoseconds apart; to the microsecond.

    Raises `ValueError` or `OverflowError` for what its calendar cannot count.
    """
    scale, origin = axis.scale, axis.values[axis.places[0]]
    assert isinstance(scale, Clock)
    apart = start - int(axis.keys[0]) * scale.tick
    if axis.values.dtype.kind == "M":
        # Dates of Python count in the calendar of NumPy's, and have more years in microseconds.
        origin, apart = datetime(1970, 1, 1), start
    for number in range(count):
        # (A date of cftime counts in its own calendar.)
        found = origin + timedelta(microseconds=(apart + number * step) // 1000)
        yield f"{found.isoformat()}Z"


def read_levels(axis: Axis, text: str, most_labels: int) -> Along:
    """A level, an interval in either order, a list, or ``Rn/least/step``."""
    if "," in text:
        levels = _listed(text, "z", most_labels)
        return Labels(tuple(read_number(str(level), "z") for level in levels), NEAREST)
    parts = [part.strip() for part in text.split("/", 3)]
    if parts[0][:1] in ("R", "r") and len(parts) == 3:
        count = parts[0][1:]
        if not (count.isdecimal() and count.isascii()) or len(count) > 9:
            raise QueryError(f"z: {excerpt(text)} is no Rn/least/step", parameter="z")
        _check_length(int(count), "z", most_labels)
        least, step = (read_number(part, "z") for part in parts[1:])
        return Labels(tuple(least + number * step for number in range(int(count))), NEAREST)
    if len(parts) == 2:
        start, stop = (None if part in _OPEN else read_number(part, "z") for part in parts)
        return span(axis, start, stop)
    if len(parts) > 2:
        raise QueryError(f"z takes a level, or least/most, and not {excerpt(text)}", parameter="z")
    return Label(read_number(text, "z"), NEAREST)


def span(axis: Axis, start: Value | None, stop: Value | None) -> Along:
    """An interval; where its ends are one label, which is not on the axis, the nearest one."""
    interval = Interval(start, stop)
    if start is None or start != stop or _is_there(axis, interval):
        return interval
    return Labels((start,), NEAREST)


def _is_there(axis: Axis, wanted: Along) -> bool:
    try:
        resolve(Selection({axis.name: wanted}), {axis.name: axis}, {axis.name: axis.size})
    except SelectionError:
        return False
    return True


def _own(collection: Collection, name: str, text: str, most_labels: int) -> Along:
    """Labels along a dimension that is neither place, level nor time."""
    axis = collection.prepared.axes.get(name)
    if axis is None:
        number = read_number(text, name)
        if number != int(number) or abs(number) > 2**62:
            raise QueryError(f"{name}: it has positions, such as {name}=0", parameter=name)
        return Position(int(number))
    if "," in text:
        return Labels(_listed(text, name, most_labels))
    if axis.scale.metric and text.count("/") == 1:
        start, stop = (None if part.strip() in _OPEN else part for part in text.split("/"))
        return Interval(start, stop)
    return Label(text)


def _listed(text: str, name: str, most_labels: int) -> tuple[Value, ...]:
    parts = [part.strip() for part in text.split(",", most_labels)]
    found = tuple(part for part in parts if part)
    _check_length(len(found) and len(parts), name, most_labels)
    return found


def _check_length(count: int, name: str, most: int) -> None:
    if not count:
        raise QueryError(f"{name}: nothing is asked for", parameter=name)
    if count > most:
        raise LimitError(
            f"{name} asks for more than {most} labels, which one request may have: ask for fewer.",
            parameter=name,
            limited="labels",
            limit=most,
        )
