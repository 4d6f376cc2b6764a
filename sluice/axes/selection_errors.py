"""How a label that an axis cannot satisfy is refused: in one sentence, with the axis' range."""

from __future__ import annotations

from sluice.axes.axis import Axis
from sluice.axes.values import spell_value
from sluice.errors import SelectionError
from sluice.labels import spell_label
from sluice.selection import Value
from sluice.wording import excerpt


def empty(axis: Axis, label: Value) -> SelectionError:
    """The refusal of an interval or period that holds no label."""
    return SelectionError(
        f"{axis.name} has no labels inside {excerpt(spell_value(label))}; {_spans(axis)}",
        dimension=axis.name,
        label=spell_value(label),
        range=axis.range,
    )


def outside(axis: Axis, label: Value, reason: str) -> SelectionError:
    """The refusal of an inexact match, for a `reason` that the range explains."""
    return SelectionError(
        f"{axis.name}: {reason}; {_spans(axis)}",
        dimension=axis.name,
        label=spell_value(label),
        range=axis.range,
    )


def absent(axis: Axis, label: Value, around: tuple[int, int], why: str = "") -> SelectionError:
    """The refusal of a label that is not on the axis; the keys at `around` are its neighbours.

    `why` says more of it, as the rest of a sentence.
    """
    nearest = [axis.label(index) for index in around if 0 <= index < len(axis.keys)]
    verb = "is" if len(nearest) == 1 else "are"
    hint = f"; the nearest {verb} {' and '.join(map(spell_label, nearest))}" if nearest else ""
    return SelectionError(
        f"{axis.name} has no label {excerpt(spell_value(label))}{why}{hint}",
        dimension=axis.name,
        label=spell_value(label),
        nearest=nearest,
        range=axis.range,
    )


def _spans(axis: Axis) -> str:
    if not len(axis.keys):
        return "it is empty"
    low, high = map(spell_label, axis.range)
    units = axis.attrs.get("units")
    return f"it spans {low} to {high}{f' {units}' if isinstance(units, str) else ''}"
