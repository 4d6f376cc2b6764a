"""The kinds of axes (numbers, times, durations, texts): how a label's text becomes a sortable key.

Keys are NumPy arrays whose items compare with plain Python values. Axes of time are keyed by
their integer ticks, so that search, distance and domain need one arithmetic for all kinds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, DType
from sluice.axes.label_text import (
    DAY,
    Calendar,
    CftimeDate,
    KeyRange,
    calendar_of,
    civil_days,
    read_duration,
    read_time,
)
from sluice.labels import format_duration, format_label, format_texts
from sluice.selection import Value

_TICKS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_MICROSECOND = 10**3
# So many labels are compared at once.
_PIECE = 2**16
# JSON's grammar (RFC 8259 section 6); the length is bounded where it is read.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
# The same without exponents, between commas.
_NUMBERS = re.compile(r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:,(?!\Z)|\Z))*+")
_LONGEST_NUMBER = 400
_LONGEST_INTEGER = 40
# IEEE 754's half and single precision.
_PACKING = {2: Struct("=e"), 4: Struct("=f")}


class Scale(Protocol):
    """One kind of axis: how the text of a label is read, and what labels have in common."""

    @property
    def expects(self) -> str:
        """What a label looks like, for messages."""

    @property
    def tick(self) -> int:
        """How many units of what `read` returns (nanoseconds for times) one unit of a key is."""

    @property
    def metric(self) -> bool:
        """Whether labels have distances, so that methods and nearly equal labels make sense."""

    @property
    def rounds(self) -> bool:
        """Whether a label within a rounding error of a stored one is that one."""

    def read(self, text: str) -> KeyRange:
        """The keys that the text names; `ValueError` when it is no label of this kind."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Integers or floats; a float label takes the axis' own precision, as in xarray."""

    dtype: DType
    expects: str = "a number"
    tick: int = 1
    metric: bool = True
    rounds: bool = True

    def read(self, text: str) -> KeyRange:
        number = read_number(text)
        if self.dtype.kind == "f":
            number = in_precision(float(number), self.dtype)
        return KeyRange(number, number)


@dataclass(frozen=True, slots=True)
class Clock:
    """Instants, counted in ticks of so many nanoseconds on a calendar of their own."""

    tick: int
    calendar: Calendar
    expects: str = "an RFC 3339 time such as 2020-01-01T00:00Z, or a year, month or day"
    metric: bool = True
    rounds: bool = False

    def read(self, text: str) -> KeyRange:
        return read_time(text, self.calendar)


@dataclass(frozen=True, slots=True)
class Durations:
    """Lengths of time, counted in ticks of so many nanoseconds."""

    tick: int
    expects: str = "an ISO 8601 duration such as PT6H or P1DT12H"
    metric: bool = True
    rounds: bool = False

    def read(self, text: str) -> KeyRange:
        nanoseconds = read_duration(text)
        return KeyRange(nanoseconds, nanoseconds)


@dataclass(frozen=True, slots=True)
class Texts:
    """Strings as answers write them, ordered by code point."""

    expects: str = "text"
    tick: int = 1
    metric: bool = False
    rounds: bool = False

    def read(self, text: str) -> KeyRange:
        return KeyRange(text, text)


@dataclass(frozen=True, slots=True)
class Truths:
    """Booleans, ``false`` before ``true``."""

    expects: str = "true or false"
    tick: int = 1
    metric: bool = False
    rounds: bool = False

    def read(self, text: str) -> KeyRange:
        if text not in ("true", "false"):
            raise ValueError("it is neither")
        return KeyRange(text == "true", text == "true")


@dataclass(frozen=True, slots=True)
class Unwritable:
    """Labels without a text form: complex numbers, tuples, mixtures of types."""

    expects: str = "a position, because its labels have no text form"
    tick: int = 1
    metric: bool = False
    rounds: bool = False

    def read(self, text: str) -> KeyRange:
        raise ValueError("it names none of them")


def in_precision(number: float, dtype: DType | None) -> float:
    """The float of that dtype nearest to `number`; without one, itself."""
    if dtype is None or dtype.itemsize == 8:
        return number
    # NumPy's own casts take several times as long, and its warning switch most of all.
    packing = _PACKING[dtype.itemsize]
    try:
        return packing.unpack(packing.pack(number))[0]  # type: ignore[no-any-return]
    except OverflowError:
        # Beyond its range the label becomes infinite: outside every axis, which is right.
        return math.copysign(math.inf, number)


def spell_distance(scale: Scale, apart: float) -> str | float:
    """A distance between two keys, spelled as a tolerance that it is just within."""
    if isinstance(scale, Clock | Durations):
        return format_duration(round(apart))
    if isinstance(apart, int):
        return apart
    # In fewer digits, since the last ones come of subtracting, unless rounding makes it too small.
    short = float(f"{apart:.6g}")
    return short if apart <= short * (1 + 1e-6) else float(f"{apart:.9g}")


def read_number(text: str) -> int | float:
    """The number that JSON's grammar reads; whole floats are integers, exactly.

    Raises `ValueError` for another form and for a number beyond float64.
    """
    found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if found is None:
        raise ValueError("it is not a number as JSON writes them")
    if found[2] is None and len(text) <= _LONGEST_INTEGER and not (found[1] or "").strip(".0"):
        # Not by way of a float, which has no room for 9007199254740993.0.
        return int(text.partition(".")[0])
    number = float(text)
    if math.isinf(number):
        raise ValueError("it is too large for a number")
    return int(number) if number.is_integer() else number


def read_numbers(labels: Sequence[Value]) -> list[float] | None:
    """The numbers of many labels as floats, several times as fast as one by one.

    None where a label is no number, or one with an exponent or of many digits.
    """
    texts = [label for label in labels if isinstance(label, str)]
    if not texts:
        plain = all(isinstance(label, int | float) for label in labels)
        return [float(label) for label in labels] if plain else None
    if len(texts) < len(labels):
        return None
    listed = ",".join(texts)
    if listed.count(",") >= len(texts) or max(map(len, texts), default=0) > _LONGEST_INTEGER:
        return None
    return list(map(float, texts)) if _NUMBERS.fullmatch(listed) else None


def scale_of(values: Array, present: NDArray[np.bool_]) -> tuple[Scale, Array]:
    """The scale of an axis and the keys of its `values`; no keys where text cannot name labels.

    `present` marks the values that are labels at all (not NaN, NaT or None); keys of the others
    mean nothing.
    """
    match values.dtype.kind:
        case "i" | "u":
            return Numbers(values.dtype), values
        case "f":
            floats = values.astype("f8") if values.dtype.itemsize > 8 else values
            return Numbers(floats.dtype), floats
        case "b":
            return Truths(), values
        case "M" | "m":
            return _time_scale(values)
        case "U" | "T" | "S":
            return Texts(), _written(values, present)
        case "O":
            return _object_scale(values, present)
        case _:
            return Unwritable(), np.empty(0, dtype="i8")


def _time_scale(values: Array) -> tuple[Scale, Array]:
    kind = values.dtype.kind
    unit, count = np.datetime_data(values.dtype)
    if count != 1 or unit not in _TICKS:
        unit = "ns" if unit in ("ps", "fs", "as", "generic") else "s"
        values = values.astype(f"{kind}8[{unit}]")
    ticks = values.astype(values.dtype.newbyteorder("="), copy=False).view("i8")
    tick = _TICKS[unit]
    return (Clock(tick, civil_days) if kind == "M" else Durations(tick)), ticks


def _object_scale(values: Array, present: NDArray[np.bool_]) -> tuple[Scale, Array]:
    labels = values[present]
    if labels.size and all(isinstance(label, str | bytes) for label in labels):
        return Texts(), _written(values, present)
    if labels.size and all(hasattr(label, "has_year_zero") for label in labels):
        keys = np.zeros(values.size, dtype="i8")
        keys[present] = _each(_microseconds, labels)
        return Clock(_MICROSECOND, calendar_of(labels[0])), keys
    return Unwritable(), np.empty(0, dtype="i8")


def _written(values: Array, present: NDArray[np.bool_]) -> Array:
    """Keys of texts and bytes: as an answer writes them, which is how a request names them."""
    labels = values[present].tolist()
    try:
        written = format_texts(labels)
    except TypeError:
        written = [str(format_label(label)) for label in labels]
    if written is labels:
        return values
    keys = np.full(values.shape, "", dtype=object)
    keys[present] = written
    return keys


def _each(function: Callable[[CftimeDate], int], labels: Array) -> NDArray[np.int64]:
    return np.fromiter((function(label) for label in labels), dtype="i8", count=labels.size)


def _microseconds(label: CftimeDate) -> int:
    """Microseconds since the calendar's day 0 of a cftime date."""
    seconds = (label.hour * 60 + label.minute) * 60 + label.second
    day = label.toordinal() * (DAY // _MICROSECOND)
    return int(day + seconds * 10**6 + label.microsecond)


def step_of(values: Array) -> np.generic | None:
    """The distance between neighbours of 1-D `values`; None where it is not the same for all.

    Negative where they fall. Of integers it is an int64, which also holds the distances that their
    own type does not.
    """
    if len(values) < 2 or values.dtype.kind not in "iufmM":
        return None
    if values.dtype.kind in "iu":
        # (Beyond 2**63 unsigned ones wrap round, and their differences wrap back.)
        values = values.astype("i8", copy=False)
    starts = range(0, len(values) - 1, _PIECE)
    slack = 0.0
    with np.errstate(all="ignore"):  # NaN and infinities are no distance
        first: np.generic = np.diff(values[:2])[0]
        if values.dtype.kind == "f":
            # Labels are rounded to their own precision, so their distances differ by as much.
            most = max([np.abs(values[start : start + _PIECE + 1]).max() for start in starts])
            slack = 4 * np.spacing(most)
        for start in starts:
            steps = np.diff(values[start : start + _PIECE + 1])
            even = np.abs(steps - first) <= slack if values.dtype.kind == "f" else steps == first
            if not even.all():
                return None
    return first
