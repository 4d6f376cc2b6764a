"""One dimension's labels, prepared once when a dataset is opened, and searched by every request."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, Document, DType
from sluice.axes.label_text import AxisKey, Wanted, spell_value
from sluice.axes.roles import TURN, is_longitude, is_periodic
from sluice.axes.scales import Numbers, Scale, in_precision, read_number, scale_of, step_of
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.labels import JsonScalar, format_label, spell_label
from sluice.selection import Value

# Positions along an axis: one, evenly spaced ones, or any.
Indexer: TypeAlias = int | slice | NDArray[np.int64]
Direction: TypeAlias = Literal["ascending", "descending", "unsorted"]
# The distances at the lower and the upper end of an axis.
_Steps: TypeAlias = tuple[float | None, float | None]
# The part of a step that computing a label may have lost to rounding.
ROUNDING = 1e-6
_FARTHEST_LONGITUDE = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The labels of one dimension and an ascending view of them to search in.

    `values` (1-D, ``size`` labels) are as the dataset has them; `keys` are those that are not
    null, ascending, as `scale` counts them, as plain Python values. `order` holds each key's
    position on an unsorted axis (elsewhere the direction says it). `first_step` and `last_step`
    are the distances between the two distinct keys at the lower and the upper end, ``None`` where
    there are no two. `longitude` says that labels 360 apart are one place, `periodic` that the
    last label's other neighbour is the first. `step` is the one distance between labels that are
    stored next to each other, ``None`` where they are not evenly spaced.

    The keys of an axis of numbers or times are a view of its values: beside these a long axis
    takes no memory to speak of.
    """

    name: str
    values: Array
    attrs: Document
    scale: Scale
    keys: Sequence[AxisKey]
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
        return cls(name, values, attrs, scale, search, order, *form)

    @property
    def size(self) -> int:
        """How many positions the axis has, null labels included."""
        return int(self.values.shape[0])

    @property
    def is_sorted(self) -> bool:
        """Whether the labels that are there rise or fall all the way; some may be missing."""
        if self.order is None:
            return True
        steps = np.diff(self.order)
        return bool((steps > 0).all() or (steps < 0).all())

    def read(self, label: Value) -> Wanted:
        """What a label covers on this axis.

        Raises `QueryError` when this kind of axis cannot hold it.
        """
        try:
            return self.scale.read(label if type(label) is str else spell_value(label))
        except ValueError as reason:
            raise self._unreadable(label, reason) from None

    def read_longitude(self, label: Value) -> int | float:
        """The longitude that a label names, before it takes the axis' own precision.

        It keeps that of its text until it has turned: -0.1 is 359.9, in float32 too. Raises
        `QueryError` for a label that is no longitude.
        """
        try:
            number = read_number(label if type(label) is str else spell_value(label))
        except ValueError as reason:
            raise self._unreadable(label, reason) from None
        if abs(number) > _FARTHEST_LONGITUDE:
            text = spell_value(label)
            raise QueryError(
                f"{self.name}: {excerpt(text)} is no longitude", parameter=self.name, label=text
            )
        return number

    def _unreadable(self, label: Value, reason: ValueError) -> QueryError:
        text = spell_value(label)
        example = f", for example {spell_label(self.label(0))}" if len(self.keys) else ""
        return QueryError(
            f"{self.name} expects {self.scale.expects}{example}; {excerpt(text)}: {reason}",
            parameter=self.name,
            label=text,
        )

    def find(self, key: AxisKey) -> tuple[int, int]:
        """The range of indexes into `keys` that equal `key`; empty, where it would go, if none.

        On axes of numbers a key that rounding moved away from a stored one is that one.
        """
        keys, scale = self.keys, self.scale
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
                return low, low + 1 if self.unique else bisect_right(keys, key)
            if low and scale.rounds:
                below = keys[low - 1]
                # Their distance from each other is at least as large as the step at either.
                slack = ROUNDING * (above - below)
                if key - below > slack and above - key > slack:
                    return low, low
        return self._nearly(key, low) if scale.rounds else (low, low)

    def _nearly(self, key: AxisKey, place: int) -> tuple[int, int]:
        """The range of the keys that `key`, which would go to `place`, is after rounding."""
        keys = self.keys
        for index in range(max(place - 1, 0), min(place + 1, len(keys))):
            if abs(keys[index] - key) <= ROUNDING * self._step_at(index):
                return bisect_left(keys, keys[index]), bisect_right(keys, keys[index])
        return place, place

    def _step_at(self, index: int) -> float:
        """The distance from a number to the nearer of its neighbours; 0 where there is none.

        Whole numbers are at most one apart from the next that could have been meant.
        """
        around = range(max(index - 1, 0), min(index + 1, len(self.keys) - 1))
        gaps = [self.keys[low + 1] - self.keys[low] for low in around]
        step = min((gap for gap in gaps if 0 < gap < math.inf), default=0)
        return min(step, 1) if isinstance(step, int) else step

    def distance(self, key: AxisKey, index: int) -> float:
        """How far `key` is from the label at `index` of `keys`, in the axis' own precision.

        It is modulo 360 on an axis that goes all the way round.
        """
        # pandas subtracts in float32 on a float32 index, which decides its ties.
        straight: float = abs(self.keys[index] * self.scale.tick - key)
        if self.narrow is not None:
            straight = in_precision(straight, self.narrow)
        return min(straight, abs(TURN - straight)) if self.periodic else straight

    def rounded(self, number: float) -> float:
        """The number in the precision of the axis."""
        return number if self.narrow is None else in_precision(number, self.narrow)

    def neighbours(self, place: int) -> tuple[int, int]:
        """Indexes of the keys below and above an insertion point; out of range where none is.

        On an axis that goes all the way round the last key lies below the first.
        """
        size = len(self.keys)
        if self.periodic and not 0 < place < size:
            return size - 1, 0
        return place - 1, place

    def position(self, index: int) -> int:
        """Where on the axis the label at `index` of `keys` is stored."""
        if self.order is not None:
            return int(self.order[index])
        return len(self.keys) - 1 - index if self.direction == "descending" else index

    def label(self, index: int) -> JsonScalar:
        """The label at `index` of `keys` as an answer writes it."""
        return format_label(self.values[self.position(index)])

    @property
    def range(self) -> list[JsonScalar]:
        """Lowest and highest label as an answer writes them; empty on an axis without labels."""
        return [self.label(0), self.label(len(self.keys) - 1)] if len(self.keys) else []


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
    """The same keys as Python values; bisect over them is several times faster than over arrays."""
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
    """Whether the axis is one of longitudes, and whether it goes all the way round."""
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
    """The refusal of an interval or period that holds no label."""
    return SelectionError(
        f"{axis.name} has no labels inside {excerpt(spell_value(label))}; {_spans(axis)}",
        dimension=axis.name,
        label=spell_value(label),
        range=axis.range,
    )


def out_of_range(axis: Axis, label: Value, reason: str) -> SelectionError:
    """The refusal of an inexact match, for a `reason` that the range explains."""
    return SelectionError(
        f"{axis.name}: {reason}; {_spans(axis)}",
        dimension=axis.name,
        label=spell_value(label),
        range=axis.range,
    )


def no_such_label(
    axis: Axis, label: Value, around: tuple[int, int], why: str = ""
) -> SelectionError:
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
