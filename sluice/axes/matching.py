"""Labels, lists and intervals along one prepared axis -> positions, exactly or by a match policy.

Raises `QueryError` for a label that the axis' type cannot hold and `SelectionError` for one that
is not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array
from sluice.axes.axis import ROUNDING, Axis, Indexer, no_overlap, no_such_label, out_of_range
from sluice.axes.label_text import AxisKey, Wanted, read_duration, spell_value
from sluice.axes.roles import TURN
from sluice.axes.scales import Clock, Durations, Numbers, read_number, read_numbers
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.labels import format_duration, spell_label
from sluice.selection import Interval, Match, Method, Value

UNKNOWN: Final = -1
# So few labels are found sooner one by one.
_FEW: Final = 8


@dataclass(frozen=True, slots=True)
class MatchPolicy:
    """How far from a label its match may lie, and on which side.

    `tolerance` is in the units of the axis' keys (nanoseconds for times); without one, a match
    may lie up to one step beyond the ends.
    """

    method: Method
    tolerance: float | None = None


UNBOUNDED: Final[Mapping[Method, MatchPolicy]] = MappingProxyType(
    {
        "nearest": MatchPolicy("nearest"),
        "pad": MatchPolicy("pad"),
        "backfill": MatchPolicy("backfill"),
    }
)


def policy_of(axis: Axis, match: Match) -> MatchPolicy:
    """How labels along `axis` may match inexactly."""
    if match.tolerance is None:
        return UNBOUNDED[match.method]
    if not axis.scale.metric:
        raise SelectionError(
            f"{axis.name} has no distances, so no tolerance; name its labels exactly",
            parameter="tolerance",
            dimension=axis.name,
        )
    return MatchPolicy(match.method, read_tolerance(axis, match.tolerance))


def read_tolerance(axis: Axis, tolerance: Value) -> float:
    """The distance that is named on this axis: a number, or an ISO 8601 duration for times.

    Raises `QueryError` for another form and for a distance below 0.
    """
    timed, text = isinstance(axis.scale, Clock | Durations), spell_value(tolerance)
    try:
        distance = read_duration(text) if timed else read_number(text)
        if distance < 0:
            raise ValueError("it is less than nothing")
    except ValueError as reason:
        expects = "an ISO 8601 duration such as PT30M" if timed else "a number from 0 up"
        raise QueryError(
            f"tolerance: {axis.name} expects {expects}; {excerpt(text)}: {reason}",
            parameter="tolerance",
            dimension=axis.name,
        ) from None
    return distance


def match_by_policy(axis: Axis, label: Value, key: AxisKey, asked: MatchPolicy) -> int:
    """The position of the label that the method takes for `key`, which `label` names.

    The axis has an order. Raises `SelectionError` for a key that is farther away than the
    tolerance or, without one, more than one step beyond the ends.
    """
    first, after = axis.find(key)
    if first != after:
        return axis.position(first)
    between = 0 < first < len(axis.keys)
    if asked.tolerance is None and not between and not axis.periodic:
        _check_domain(axis, label, key, first)
    chosen = _choose(axis, key, first, asked.method)
    if not between and not 0 <= chosen < len(axis.keys):
        text = excerpt(spell_value(label))
        raise out_of_range(axis, label, f"no label to {asked.method} {text} from")
    if asked.tolerance is not None and _too_far(axis, key, chosen, asked.tolerance):
        raise _beyond_tolerance(axis, label, chosen, axis.distance(key, chosen))
    return axis.position(chosen)


def _beyond_tolerance(axis: Axis, label: Value, chosen: int, apart: float) -> SelectionError:
    """The refusal of a match that is farther away than the tolerance: which one, and how far."""
    match, text = axis.label(chosen), excerpt(spell_value(label))
    distance = _as_tolerance(axis, apart)
    reason = f"{text} is {distance} from its match, {spell_label(match)}"
    refusal = out_of_range(axis, label, f"{reason}, which is farther than the tolerance")
    return SelectionError(refusal.detail, **refusal.facts, match=match, distance=distance)


def _as_tolerance(axis: Axis, apart: float) -> str | float:
    """A distance along the axis as a tolerance of just that is written."""
    if isinstance(axis.scale, Clock | Durations):
        return format_duration(round(apart))
    if isinstance(apart, int):
        return apart
    # Without the last digits, which are those of subtracting, where it is enough without them.
    short = float(f"{apart:.6g}")
    return short if apart <= short * (1 + ROUNDING) else float(f"{apart:.9g}")


def _too_far(axis: Axis, key: AxisKey, chosen: int, tolerance: float) -> bool:
    apart = axis.distance(key, chosen)
    # Times count in whole nanoseconds; elsewhere the distance itself is the result of rounding.
    return bool(apart > (tolerance * (1 + ROUNDING) if axis.scale.rounds else tolerance))


def no_method(axis: Axis, method: Method) -> str:
    """Why an axis without an order takes labels of its own alone."""
    if not axis.scale.metric:
        return f"without distances no method {method} applies: name its labels exactly"
    missing = axis.size - len(axis.keys)
    if missing and axis.is_sorted:
        state = f"{missing} of its {axis.size} labels {'is' if missing == 1 else 'are'} missing"
    else:
        state = f"its labels are {'unsorted' if axis.direction == 'unsorted' else 'not unique'}"
    return f"since {state}, no method {method} applies: name them exactly"


def _check_domain(axis: Axis, label: Value, key: AxisKey, place: int) -> None:
    """Refuse a key beyond the labels that is more than one step beyond the one at that end."""
    text = excerpt(spell_value(label))
    if len(axis.keys):
        end, step = (0, axis.first_step) if place == 0 else (-1, axis.last_step)
        if step is None:
            reason = f"one label has no step, so a tolerance has to say how far {text} may be"
            raise out_of_range(axis, label, reason)
        if abs(axis.keys[end] * axis.scale.tick - key) <= step * (1 + ROUNDING):
            return
    raise out_of_range(axis, label, f"{text} is more than one step outside")


def _choose(axis: Axis, key: AxisKey, place: int, method: Method) -> int:
    """The index into `keys` that pandas would choose for a key between ``place - 1`` and it."""
    below, above = axis.neighbours(place)
    if method == "nearest":
        if below < 0 or above >= len(axis.keys):
            return above if below < 0 else below
        # A tie goes to the larger label, as in pandas on indexes of either direction; to the
        # eastern one across a seam.
        return below if axis.distance(key, below) < axis.distance(key, above) else above
    # pad takes the label before and backfill the one after in the store's order, as pandas does.
    before, behind = (below, above) if axis.direction == "ascending" else (above, below)
    match method:
        case "pad":
            return before
        case "backfill":
            return behind
        case _:
            assert_never(method)


def _read(axis: Axis, label: Value) -> Wanted:
    """What a label covers; a longitude by that of its names, turns apart, nearest to the axis."""
    if not axis.longitude:
        return axis.read(label)
    number = axis.read_longitude(label)
    low, high = axis.keys[0], axis.keys[-1]
    if not low <= number <= high:
        number -= TURN * math.floor((number - low) / TURN)
        if number > high and low - (number - TURN) < number - high:
            number -= TURN
    key = axis.rounded(number)
    return Wanted(key, key)


def find_label(axis: Axis, label: Value, match: Match | None) -> Indexer:
    """The position of one label; a slice or an array for a period and for a repeated label."""
    policy = None if match is None else policy_of(axis, match)
    wanted = _read(axis, label)
    if policy is not None and axis.has_order:
        return match_by_policy(axis, label, wanted.first, policy)
    if wanted.period and policy is None:
        first, after = axis.find(wanted.first)[0], axis.find(wanted.last)[1]
        return _run(axis, first, after, 1, label)
    first, after = _find_exactly(axis, label, wanted.first, policy)
    # A repeated label answers with all its positions and keeps the dimension, as in xarray.
    return axis.position(first) if after - first == 1 else _run(axis, first, after, 1, label)


def find_listed(axis: Axis, label: Value, policy: MatchPolicy | None) -> list[int]:
    """The positions of one label of a list: several where it is repeated on the axis."""
    key = _read(axis, label).first
    if policy is not None and axis.has_order:
        return [match_by_policy(axis, label, key, policy)]
    first, after = _find_exactly(axis, label, key, policy)
    return sorted(axis.position(index) for index in range(first, after))


def _find_exactly(
    axis: Axis, label: Value, key: AxisKey, policy: MatchPolicy | None
) -> tuple[int, int]:
    """The range of the keys that equal `key`, as on an axis without order or method they must."""
    first, after = axis.find(key)
    if first == after:
        why = "" if policy is None else f", and {no_method(axis, policy.method)}"
        raise no_such_label(axis, label, axis.neighbours(first), why)
    return first, after


def find_interval(axis: Axis, interval: Interval) -> Indexer:
    """The positions of an inclusive interval, in the store's order."""
    # Longitudes come here with an open end alone: it lies on the axis, so nothing is turned.
    ends = [axis.read(end) for end in (interval.start, interval.stop) if end is not None]
    if len(ends) == 2:
        # Either end may be named first. A period counts whole where it is an end: 2020/2020-03 are
        # the three months from the beginning of 2020.
        low, high = ends if ends[0].first <= ends[1].last else reversed(ends)
        first, after = axis.find(low.first)[0], axis.find(high.last)[1]
    else:
        first = 0 if interval.start is None else axis.find(ends[0].first)[0]
        after = len(axis.keys) if interval.stop is None else axis.find(ends[-1].last)[1]
    asked = "/".join(".." if e is None else spell_value(e) for e in (interval.start, interval.stop))
    return _run(axis, first, after, interval.step, asked)


def _run(axis: Axis, first: int, after: int, step: int, label: Value) -> Indexer:
    """The stored positions of ``keys[first:after]``, every `step`-th of them, in store order."""
    if first >= after:
        raise no_overlap(axis, label)
    if axis.order is not None:
        return np.sort(axis.order[first:after])[::step]
    if axis.direction == "descending":
        first, after = len(axis.keys) - after, len(axis.keys) - first
    return slice(first, after, step)


def find_many(axis: Axis, labels: Sequence[Value], policy: MatchPolicy | None) -> NDArray[np.int64]:
    """The position of each label; `UNKNOWN` wherever it must be found, or refused, by itself.

    Known are numbers between two labels of a sorted axis whose nearest is asked for, and those
    that are stored labels.
    """
    unknown = np.full(len(labels), UNKNOWN)
    if len(labels) <= _FEW or not (policy is None or policy == MatchPolicy("nearest")):
        return unknown
    numbers = read_numbers(labels) if _is_plain(axis) else None
    if numbers is None:
        return unknown
    keys = np.asarray(axis.keys)
    with np.errstate(over="ignore"):  # what becomes infinite is outside every axis
        wanted = np.array(numbers).astype(keys.dtype)
    # The last label is a neighbour of what lies beyond it, too.
    inside = (wanted > keys[0]) & (wanted < keys[-1])
    right = np.where(inside, keys.searchsorted(wanted), 1)
    below, above = (_distances(axis, keys[right - side], wanted) for side in (1, 0))
    known = inside if policy is not None else inside & (above == 0)
    # A tie goes to the larger label.
    found = np.where(below < above, right - 1, right)
    return np.where(
        known, found if axis.direction == "ascending" else len(keys) - 1 - found, unknown
    )


def _is_plain(axis: Axis) -> bool:
    """Whether the axis has floats of NumPy's own precisions in a strict order."""
    match axis.scale:
        case Numbers(dtype) if dtype.kind == "f" and dtype.itemsize > 2:
            return axis.unique and axis.order is None and len(axis.keys) > 1
        case _:
            return False


def _distances(axis: Axis, labels: Array, wanted: Array) -> NDArray[np.float64]:
    """As `Axis.distance`: rounded to the axis' own precision, which decides the ties."""
    apart: NDArray[np.float64] = np.abs(labels.astype("f8") - wanted)
    apart = apart.astype(labels.dtype).astype("f8")
    return np.minimum(apart, np.abs(TURN - apart)) if axis.periodic else apart
