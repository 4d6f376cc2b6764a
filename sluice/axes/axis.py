"""One dimension's labels, prepared for searching once when a dataset is opened.

Axes of longitudes (CF conventions 1.11, section 4.2) are recognised, and whether they are periodic.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, Document, DType
from sluice.axes.label_text import AxisKey, spell_value
from sluice.axes.scales import Numbers, Scale, scale_of, step_of
from sluice.errors import SelectionError, excerpt
from sluice.labels import JsonScalar, format_label, spell_label
from sluice.selection import Value

# Positions along an axis: one, evenly spaced ones, or any.
Indexer: TypeAlias = int | slice | NDArray[np.int64]
Direction: TypeAlias = Literal["ascending", "descending", "unsorted"]
# The distances at the lower and the upper end of an axis.
_Steps: TypeAlias = tuple[float | None, float | None]
# The part of a step that computing a label may have lost to rounding.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The labels of one dimension and an ascending view of them to search in.

    name, values, attrs: the coordinate: 1-D, ``size`` labels as the dataset has them.
    scale: the kind of axis, by which labels are read.
    keys: the labels that are not null, ascending, as `scale` counts them, as Python values.
    places: for each key its position in `values`.
    order: `places` as an array; None on a sorted axis.
    direction, unique: how the labels are sorted in `values`, and whether none is repeated.
    first_step, last_step: the distances between the two distinct keys at the lower and the upper
        end; None where there are no two.
    longitude: whether labels 360 apart are one place.
    periodic: whether, besides, the last label and the first are neighbours.
    narrow: the dtype of labels that are floats of less than 64 bits; else None.
    has_order: whether methods such as "nearest" apply: sorted and unique, with distances.
    step: the distance between labels stored next to each other; None if it is not always the same.

    The keys of an axis of numbers or times are a view of its values: a long axis takes hardly any
    memory beside these.
    """

    name: str
    values: Array
    attrs: Document
    scale: Scale
    keys: Sequence[AxisKey]
    places: Sequence[int]
    order: NDArray[np.int64] | None
    direction: Direction
    unique: bool
    first_step: float | None
    last_step: float | None
    longitude: bool = False
    periodic: bool = False
    narrow: DType | None = None
    has_order: bool = False
    step: np.generic | None = None

    @classmethod
    def of(cls, name: str, values: Array, attrs: Document) -> Self:
        """The axis of a 1-D coordinate; costs one pass over it, a sort if it is unsorted."""
        present = _present(values)
        scale, keys = scale_of(values, present)
        direction = _direction(keys) if len(keys) < len(values) or present.all() else "unsorted"
        order: NDArray[np.int64] | None = None
        if direction == "descending":
            keys = keys[::-1]
        elif direction == "unsorted":
            positions = np.flatnonzero(present)
            order = positions[np.argsort(keys[positions], kind="stable")].astype("i8")
            keys = keys[order]
        unique = bool((keys[1:] != keys[:-1]).all())
        search = _searchable(keys)
        steps = _end_steps(scale, search)
        circle = _longitude_facts(name, attrs, scale, search, steps)
        has_order = unique and order is None and scale.metric
        form = (direction, unique, *steps, *circle, _narrow(scale), has_order, step_of(values))
        places = _places(len(search), direction, order)
        return cls(name, values, attrs, scale, search, places, order, *form)

    @property
    def size(self) -> int:
        """How many positions the axis has, null labels included."""
        return int(self.values.shape[0])

    @property
    def is_sorted(self) -> bool:
        """Whether the labels that are not null rise or fall all the way."""
        if self.order is None:
            return True
        steps = np.diff(self.order)
        return bool((steps > 0).all() or (steps < 0).all())

    def label(self, index: int) -> JsonScalar:
        """The label at `index` of `keys` as an answer writes it."""
        return format_label(self.values[self.places[index]])

    @property
    def range(self) -> list[JsonScalar]:
        """Lowest and highest label as an answer writes them; empty on an axis without labels."""
        return [self.label(0), self.label(len(self.keys) - 1)] if len(self.keys) else []


def _places(count: int, direction: Direction, order: NDArray[np.int64] | None) -> Sequence[int]:
    """The position in the axis' values of each of `count` keys."""
    if order is not None:
        buffer: Any = order  # see `_searchable`
        return memoryview(buffer)
    return range(count - 1, -1, -1) if direction == "descending" else range(count)


def _narrow(scale: Scale) -> DType | None:
    match scale:
        case Numbers(dtype) if dtype.kind == "f" and dtype.itemsize < 8:
            return dtype
        case _:
            return None


def _present(values: Array) -> NDArray[np.bool_]:
    """Which values are labels: everything but NaN, NaT and None."""
    missing: NDArray[np.bool_]
    match values.dtype.kind:
        case "f":
            missing = np.isnan(values)
            return ~missing
        case "M" | "m":
            missing = np.isnat(values)
            return ~missing
        case "O" | "T":
            # NaN is the one value that differs from itself.
            labels = (value is not None and bool(value == value) for value in values)
            return np.fromiter(labels, dtype=bool, count=values.size)
        case _:
            return np.ones(values.shape, dtype=bool)


def _direction(keys: Array) -> Direction:
    if bool((keys[1:] >= keys[:-1]).all()):
        return "ascending"
    return "descending" if bool((keys[1:] <= keys[:-1]).all()) else "unsorted"


def _searchable(keys: Array) -> Sequence[AxisKey]:
    """The same keys as a sequence of Python values: bisect is several times faster over these."""
    buffer: Any  # that an array is a Buffer, NumPy's stubs only say from Python 3.12 on
    match keys.dtype.kind:
        case "f" if keys.dtype.itemsize == 2:
            buffer = keys.astype("f4")
            return memoryview(buffer)
        case "i" | "u" | "f" | "b":
            native = keys.dtype.newbyteorder("=")
            # NumPy calls "<f4" and "=f4" equal, but only the latter's memoryview can be indexed.
            buffer = keys.astype(native, copy=False).view(native)
            return memoryview(buffer)
        case _:
            return keys.tolist()  # type: ignore[no-any-return]


def _end_steps(scale: Scale, keys: Sequence[AxisKey]) -> _Steps:
    """Distances between the two lowest and the two highest distinct keys."""
    if not scale.metric or len(keys) < 2 or keys[0] == keys[-1]:
        return None, None
    second = keys[bisect_right(keys, keys[0])]
    last_but_one = keys[bisect_left(keys, keys[-1]) - 1]
    return (second - keys[0]) * scale.tick, (keys[-1] - last_but_one) * scale.tick


def _longitude_facts(
    name: str, attrs: Document, scale: Scale, keys: Sequence[AxisKey], steps: _Steps
) -> tuple[bool, bool]:
    """Whether the axis is one of longitudes, and whether it is periodic."""
    if not isinstance(scale, Numbers) or not len(keys):
        return False, False
    low, high = keys[0], keys[-1]
    if not is_longitude(name, attrs, low, high):
        return False, False
    first, last = steps
    if first is None or last is None:
        return True, False
    spacing = float(np.spacing(scale.dtype.type(TURN))) if scale.dtype.kind == "f" else 0.0
    return True, is_periodic(low, high, max(first, last), spacing)


def no_overlap(axis: Axis, label: Value) -> SelectionError:
    """The error for an interval or period that holds no label."""
    return SelectionError(
        f"{axis.name} has no labels inside {excerpt(spell_value(label))}; {_spans(axis)}",
        dimension=axis.name,
        label=spell_value(label),
        range=axis.range,
    )


def out_of_range(axis: Axis, label: Value, reason: str, **facts: object) -> SelectionError:
    """The error for an inexact match, for a `reason`; it adds the range of the axis."""
    return SelectionError(
        f"{axis.name}: {reason}; {_spans(axis)}",
        dimension=axis.name,
        label=spell_value(label),
        range=axis.range,
        **facts,
    )


def no_such_label(
    axis: Axis, label: Value, around: tuple[int, int], why: str = ""
) -> SelectionError:
    """The error for a label that is not on the axis; the keys at `around` are its neighbours.

    `why` continues its first clause.
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


# A full circle, in degrees.
TURN: Final = 360
# Units of longitude (CF conventions, section 4.2): the recommended spelling and the accepted ones.
EAST = frozenset({"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"})
DEGREES = frozenset({"degrees", "degree"})
_LONGITUDE_NAMES = frozenset({"lon", "longitude"})
# Beyond two turns either way, labels that claim to be longitudes are something else.
_FARTHEST = 2 * TURN


def is_longitude(name: str, attrs: Document, low: float, high: float) -> bool:
    """Whether labels from `low` to `high` are degrees of longitude, by CF attributes or by name.

    Never where units are others than degrees (radians, metres).
    """
    if not (-_FARTHEST <= low <= high <= _FARTHEST):
        return False
    units = attrs.get("units")
    unit = units.strip().lower() if isinstance(units, str) else ""
    if unit in EAST:
        return True
    if unit and unit not in DEGREES:
        return False
    if attrs.get("standard_name") == "longitude" or name.lower() in _LONGITUDE_NAMES:
        return True
    return unit in DEGREES and attrs.get("axis") == "X"


def is_periodic(low: float, high: float, step: float, spacing: float) -> bool:
    """Whether one more step after the label `high` reaches ``low + 360``.

    Give or take a thousandth of a step and four times the labels' precision (`spacing`), for labels
    that were stored with few decimals.
    """
    return bool(high + step * 1.001 + 4 * spacing >= low + TURN)
