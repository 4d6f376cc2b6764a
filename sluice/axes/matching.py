"""From labels, lists and intervals along one axis to positions, exactly or by a match policy.

Raises `QueryError` for a label that the axis' type cannot hold and `SelectionError` for one that
is not there.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, assert_never

import numpy as np

from sluice.axes.axis import ROUNDING, TURN, Axis, Indexer, no_overlap, no_such_label, out_of_range
from sluice.axes.label_text import AxisKey, KeyRange, read_duration, spell_value
from sluice.axes.scales import Clock, Durations, in_precision, read_number, spell_distance
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.labels import spell_label
from sluice.selection import Interval, Match, Method, Value

# Numbers beyond this are no longitudes: turning them by whole circles would lose their precision.
_FARTHEST_LONGITUDE: Final = 1_000_000


def read_label(axis: Axis, label: Value) -> KeyRange:
    """The keys that a label covers on this axis.

    Raises `QueryError` when this kind of axis cannot hold it.
    """
    try:
        return axis.scale.read(label if type(label) is str else spell_value(label))
    except ValueError as reason:
        raise _unreadable(axis, label, reason) from None


def read_longitude(axis: Axis, label: Value) -> int | float:
    """The longitude that a label names, in float64 whatever the precision of the axis.

    It is rounded to that only once whole circles were added: -0.1 is 359.9 in float32 too. Raises
    `QueryError` for a label that is no longitude.
    """
    try:
        number = read_number(label if type(label) is str else spell_value(label))
    except ValueError as reason:
        raise _unreadable(axis, label, reason) from None
    if abs(number) > _FARTHEST_LONGITUDE:
        text = spell_value(label)
        raise QueryError(
            f"{axis.name}: {excerpt(text)} is no longitude", parameter=axis.name, label=text
        )
    return number


def _unreadable(axis: Axis, label: Value, reason: ValueError) -> QueryError:
    text = spell_value(label)
    example = f", for example {spell_label(axis.label(0))}" if len(axis.keys) else ""
    return QueryError(
        f"{axis.name} expects {axis.scale.expects}{example}; {excerpt(text)}: {reason}",
        parameter=axis.name,
        label=text,
    )


def find(axis: Axis, key: AxisKey) -> tuple[int, int]:
    """The range of indexes into `keys` that equal `key`; an empty one at its place if none do.

    On axes of numbers a key within a rounding error of a stored one equals that.
    """
    keys, scale = axis.keys, axis.scale
    if scale.tick != 1:
        key, between = divmod(key, scale.tick)
        if between:
            # Finer than the axis' unit: it lies between two ticks and equals none.
            place = bisect_right(keys, key)
            return place, place
    low = bisect_left(keys, key)
    if low < len(keys):
        above = keys[low]
        if above == key:
            return low, low + 1 if axis.unique else bisect_right(keys, key)
        if low and scale.rounds:
            below = keys[low - 1]
            # No slack is larger than this: their distance is at least the step at either.
            slack = ROUNDING * (above - below)
            if key - below > slack and above - key > slack:
                return low, low
    return _nearly(axis, key, low) if scale.rounds else (low, low)


def _nearly(axis: Axis, key: AxisKey, place: int) -> tuple[int, int]:
    """The range of keys within a rounding error of `key`, which would be inserted at `place`."""
    keys = axis.keys
    for index in range(max(place - 1, 0), min(place + 1, len(keys))):
        if abs(keys[index] - key) <= ROUNDING * _step_at(axis, index):
            return bisect_left(keys, keys[index]), bisect_right(keys, keys[index])
    return place, place


def _step_at(axis: Axis, index: int) -> float:
    """The distance from a number to the nearer of its neighbours; 0 where there is none.

    At most 1 on axes of integers, between whose labels others could have been meant.
    """
    around = range(max(index - 1, 0), min(index + 1, len(axis.keys) - 1))
    gaps = [axis.keys[low + 1] - axis.keys[low] for low in around]
    step = min((gap for gap in gaps if 0 < gap < math.inf), default=0)
    return min(step, 1) if isinstance(step, int) else step


def distances(axis: Axis, key: AxisKey, indexes: Sequence[int]) -> list[float]:
    """How far `key` is from the labels at `indexes` of `keys`, in the axis' own precision.

    Modulo 360 on a periodic axis.
    """
    tick, narrow = axis.scale.tick, axis.narrow
    apart: list[float] = [abs(axis.keys[index] * tick - key) for index in indexes]
    if narrow is not None:
        # pandas subtracts in float32 on a float32 index, which decides its ties.
        apart = [in_precision(straight, narrow) for straight in apart]
    if axis.periodic:
        return [min(straight, abs(TURN - straight)) for straight in apart]
    return apart


def neighbours(axis: Axis, place: int) -> tuple[int, int]:
    """Indexes of the keys below and above an insertion point; out of range where there is none.

    On a periodic axis the last key is the one below the first.
    """
    size = len(axis.keys)
    if axis.periodic and not 0 < place < size:
        return size - 1, 0
    return place - 1, place


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
    """The policy of `match` on this axis; SelectionError for a tolerance without distances."""
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
    """The tolerance in the units of the axis' keys; a text is a number, for times a duration.

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
    """The position of the label that the policy takes for `key`, the key of `label`.

    The axis must have an order. Raises `SelectionError` if the match is farther away than the
    tolerance or, without one, `key` more than one step beyond the ends.
    """
    first, after = find(axis, key)
    if first != after:
        return axis.places[first]
    between = 0 < first < len(axis.keys)
    if asked.tolerance is None and not between and not axis.periodic:
        _check_domain(axis, label, key, first)
    chosen = _choose(axis, key, first, asked.method)
    if not between and not 0 <= chosen < len(axis.keys):
        text = excerpt(spell_value(label))
        raise out_of_range(axis, label, f"no label to {asked.method} {text} from")
    if asked.tolerance is not None and _too_far(axis, key, chosen, asked.tolerance):
        raise _beyond_tolerance(axis, label, chosen, distances(axis, key, (chosen,))[0])
    return axis.places[chosen]


def _beyond_tolerance(axis: Axis, label: Value, chosen: int, apart: float) -> SelectionError:
    """The error for a match that is farther away than the tolerance: which one, and how far."""
    match, distance = axis.label(chosen), spell_distance(axis.scale, apart)
    reason = f"{excerpt(spell_value(label))} is {distance} from its match, {spell_label(match)}"
    words = f"{reason}, which is farther than the tolerance"
    return out_of_range(axis, label, words, match=match, distance=distance)


def _too_far(axis: Axis, key: AxisKey, chosen: int, tolerance: float) -> bool:
    (apart,) = distances(axis, key, (chosen,))
    # Times count in whole nanoseconds; elsewhere the distance itself is the result of rounding.
    return bool(apart > (tolerance * (1 + ROUNDING) if axis.scale.rounds else tolerance))


def no_method(axis: Axis, method: Method) -> str:
    """Why no method applies to an axis without an order, as the rest of a sentence."""
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
    below, above = neighbours(axis, place)
    if method == "nearest":
        if below < 0 or above >= len(axis.keys):
            return above if below < 0 else below
        # A tie goes to the larger label, as in pandas on indexes of either direction; to the
        # eastern one across a seam.
        left, right = distances(axis, key, (below, above))
        return below if left < right else above
    # pad takes the label before and backfill the one after in the store's order, as pandas does.
    before, behind = (below, above) if axis.direction == "ascending" else (above, below)
    match method:
        case "pad":
            return before
        case "backfill":
            return behind
        case _:
            assert_never(method)


def _read_turned(axis: Axis, label: Value) -> KeyRange:
    """The key of a longitude, moved by whole circles onto the axis or as near to it as possible."""
    number = read_longitude(axis, label)
    low, high = axis.keys[0], axis.keys[-1]
    if not low <= number <= high:
        number -= TURN * math.floor((number - low) / TURN)
        if number > high and low - (number - TURN) < number - high:
            number -= TURN
    key = in_precision(number, axis.narrow)
    return KeyRange(key, key)


def find_label(axis: Axis, label: Value, match: Match | None) -> Indexer:
    """The position of one label; a slice or an array for a period and for a repeated label."""
    policy = None
    if match is not None:
        plain = match.tolerance is None
        policy = UNBOUNDED[match.method] if plain else policy_of(axis, match)
    wanted = _read_turned(axis, label) if axis.longitude else read_label(axis, label)
    if policy is not None and axis.has_order:
        return match_by_policy(axis, label, wanted.first, policy)
    if wanted.period and policy is None:
        first, after = find(axis, wanted.first)[0], find(axis, wanted.last)[1]
        return _run(axis, first, after, 1, label)
    # On an axis without order or method the label must be there.
    first, after = find(axis, wanted.first)
    if first == after:
        raise _absent(axis, label, first, policy)
    # A repeated label answers with all its positions and keeps the dimension, as in xarray.
    return axis.places[first] if after - first == 1 else _run(axis, first, after, 1, label)


def find_listed(axis: Axis, label: Value, policy: MatchPolicy | None) -> list[int]:
    """The positions of one label of a list: several where it is repeated on the axis."""
    key = (_read_turned(axis, label) if axis.longitude else read_label(axis, label)).first
    if policy is not None and axis.has_order:
        return [match_by_policy(axis, label, key, policy)]
    first, after = find(axis, key)
    if first == after:
        raise _absent(axis, label, first, policy)
    return sorted(axis.places[index] for index in range(first, after))


def _absent(axis: Axis, label: Value, place: int, policy: MatchPolicy | None) -> SelectionError:
    """The error for a label that would be inserted at `place` of the keys."""
    why = "" if policy is None else f", and {no_method(axis, policy.method)}"
    return no_such_label(axis, label, neighbours(axis, place), why)


def find_interval(axis: Axis, interval: Interval) -> Indexer:
    """The positions of an inclusive interval, in the store's order."""
    # Of longitudes only intervals with an open end come here, whose ends are those of the axis.
    ends = [read_label(axis, end) for end in (interval.start, interval.stop) if end is not None]
    if len(ends) == 2:
        # Either end may be named first. A period counts whole where it is an end: 2020/2020-03 are
        # the three months from the beginning of 2020.
        low, high = ends if ends[0].first <= ends[1].last else reversed(ends)
        first, after = find(axis, low.first)[0], find(axis, high.last)[1]
    else:
        first = 0 if interval.start is None else find(axis, ends[0].first)[0]
        after = len(axis.keys) if interval.stop is None else find(axis, ends[-1].last)[1]
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
