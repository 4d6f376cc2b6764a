"""Inexact matches: which label stands for one that is not on the axis, and when none does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, assert_never

from sluice.axes.arcs import distance, neighbours
from sluice.axes.axis import ROUNDING, Axis
from sluice.axes.scales import Clock, Durations, read_number
from sluice.axes.selection_errors import outside
from sluice.axes.times import read_duration
from sluice.axes.values import spell_value
from sluice.errors import QueryError, SelectionError
from sluice.selection import Match, Method, Value
from sluice.wording import excerpt


@dataclass(frozen=True, slots=True)
class Inexact:
    """How far from a label its match may lie, and on which side.

    `tolerance` is in the units of the axis' keys (nanoseconds for times); without one, a match
    may lie up to one step beyond the ends.
    """

    method: Method
    tolerance: Any = None


UNBOUNDED: Final[Mapping[Method, Inexact]] = MappingProxyType(
    {"nearest": Inexact("nearest"), "pad": Inexact("pad"), "backfill": Inexact("backfill")}
)


def inexact_of(axis: Axis, match: Match | None) -> Inexact | None:
    """How labels along `axis` may match inexactly, if at all."""
    if match is None:
        return None
    if match.tolerance is None:
        return UNBOUNDED[match.method]
    if not axis.scale.metric:
        raise SelectionError(
            f"{axis.name} has no distances, so no tolerance; name its labels exactly",
            parameter="tolerance",
            dimension=axis.name,
        )
    return Inexact(match.method, read_tolerance(axis, match.tolerance))


def read_tolerance(axis: Axis, tolerance: Value) -> Any:
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


def match_inexactly(axis: Axis, label: Value, key: Any, asked: Inexact) -> int:
    """The position of the label that the method takes for `key`, which `label` names.

    The axis has an order. Raises `SelectionError` for a key that is farther away than the
    tolerance or, without one, more than one step beyond the ends.
    """
    first, after = axis.find(key)
    if first != after:
        return axis.position(first)
    between = 0 < first < len(axis.keys)
    if asked.tolerance is None and not between and not axis.circular:
        _check_domain(axis, label, key, first)
    chosen = _choose(axis, key, first, asked.method)
    if not between and not 0 <= chosen < len(axis.keys):
        text = excerpt(spell_value(label))
        raise outside(axis, label, f"no label to {asked.method} {text} from")
    if asked.tolerance is not None and _too_far(axis, key, chosen, asked.tolerance):
        text = excerpt(spell_value(label))
        raise outside(axis, label, f"{text} is farther than the tolerance from its match")
    return axis.position(chosen)


def _too_far(axis: Axis, key: Any, chosen: int, tolerance: Any) -> bool:
    apart = distance(axis, key, chosen)
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


def _check_domain(axis: Axis, label: Value, key: Any, place: int) -> None:
    """Refuse a key beyond the labels that is more than one step beyond the one at that end."""
    if len(axis.keys):
        end, step = (0, axis.first_step) if place == 0 else (-1, axis.last_step)
        if step is not None and abs(axis.key(end) - key) <= step * (1 + ROUNDING):
            return
    raise outside(axis, label, f"{excerpt(spell_value(label))} is more than one step outside")


def _choose(axis: Axis, key: Any, place: int, method: Method) -> int:
    """The index into `keys` that pandas would choose for a key between ``place - 1`` and it."""
    below, above = neighbours(axis, place)
    if method == "nearest":
        return _nearest(axis, key, below, above)
    # pad takes the label before and backfill the one after in the store's order, as pandas does.
    before, behind = (below, above) if axis.direction == "ascending" else (above, below)
    match method:
        case "pad":
            return before
        case "backfill":
            return behind
        case _:
            assert_never(method)


def _nearest(axis: Axis, key: Any, below: int, above: int) -> int:
    if below < 0:
        return above
    if above >= len(axis.keys):
        return below
    # A tie goes to the larger label, as in pandas on indexes of either direction; to the eastern
    # one across a seam.
    return below if distance(axis, key, below) < distance(axis, key, above) else above
