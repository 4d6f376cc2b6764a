"""From a `Selection` to positions along each dimension, by the prepared axes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Final, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, record
from sluice.axes.arcs import arc
from sluice.axes.axis import TURN, Axis, Indexer
from sluice.axes.label_text import spell_value
from sluice.axes.matching import (
    MatchPolicy,
    find_interval,
    find_label,
    find_listed,
    policy_of,
)
from sluice.axes.scales import Numbers, read_numbers
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.selection import (
    Interval,
    Label,
    Labels,
    Position,
    Positions,
    PositionSlice,
    Selection,
    Value,
)

T = TypeVar("T")
# In place of a position that has to be looked up, or refused, by itself.
UNKNOWN: Final = -1
# So few labels are found faster one by one.
_FEW: Final = 8
# Farther than any axis reaches, and still an integer of 64 bits.
FARTHEST = 10**18


@record
class Resolved:
    """Where the selections lie, and under which labels the answer shows them.

    `positions` by dimension: an int drops it, a slice or an int64 array keeps it. The arrays of
    the dimensions in `pointwise` are equally long and go together. `labels` are those of
    dimensions that answer with other labels than the stored ones, one per position.
    """

    positions: Mapping[str, Indexer]
    labels: Mapping[str, Array]
    pointwise: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[Hashable, str]:
        """A key of these positions, the same however they were asked for: names, and a text.

        The text has only characters that an entity tag may have.
        """
        names, renamed = tuple(sorted(self.positions)), tuple(sorted(self.labels))
        found = [self.positions[name] for name in names]
        spelled = [str(place) if type(place) is int else _spelled(place) for place in found]
        spelled += [_spelled(self.labels[name]) for name in renamed]
        return (names, renamed, self.pointwise), ".".join(spelled)


def _spelled(found: Indexer | Array) -> str:
    """Positions or labels in a short text without a dot; arrays by a digest."""
    match found:
        case int():
            return str(found)
        case slice():
            return f"{found.start}:{found.stop}:{found.step}"
        case _:
            kind = found.dtype.str.encode()
            return blake2b(found.tobytes(), digest_size=16, person=kind).hexdigest()


def resolve(selection: Selection, axes: Mapping[str, Axis], sizes: Mapping[str, int]) -> Resolved:
    """Positions along each selected dimension.

    Slices of intervals and periods run in the store's order, on longitudes from west to east;
    arrays of lists in the asked order. Raises `QueryError` for a label that an axis' type cannot
    hold and `SelectionError` for what is not there: the facts name the dimension and, for labels,
    the axis' range; along the dimensions of `pointwise`, also the number of the point.
    """
    positions: dict[str, Indexer] = {}
    labels: dict[str, Array] = {}
    for name, wanted in selection.along.items():
        if name in selection.pointwise:
            continue
        match wanted:
            case Label():
                axis = axes.get(name) or axis_of(name, axes)
                positions[name] = find_label(axis, wanted.value, wanted.match)
            case Interval(step=step) if step < 1:
                raise QueryError(f"{name}: the step of an interval is 1 or more", parameter=name)
            case Interval(start, stop, step) if (
                start is not None and stop is not None and _is_longitude(name, axes)
            ):
                positions[name], renamed = arc(axes[name], start, stop, step)
                if renamed is not None:
                    labels[name] = renamed
            case _:
                positions[name] = _resolve_one(name, wanted, axes, sizes)
    if selection.pointwise:
        positions |= resolve_points(selection, axes, sizes)
    return Resolved(positions, labels, selection.pointwise)


def axis_of(name: str, axes: Mapping[str, Axis]) -> Axis:
    """The axis of a dimension; `SelectionError` where it has no labels."""
    axis = axes.get(name)
    if axis is None:
        raise SelectionError(f"{name} has no labels; select by position", dimension=name)
    return axis


def _is_longitude(name: str, axes: Mapping[str, Axis]) -> bool:
    axis = axes.get(name)
    return axis is not None and axis.longitude


def _resolve_one(
    name: str,
    wanted: Labels | Interval | Position | Positions | PositionSlice,
    axes: Mapping[str, Axis],
    sizes: Mapping[str, int],
) -> Indexer:
    match wanted:
        case Labels(values, match):
            axis = axis_of(name, axes)
            policy = None if match is None else policy_of(axis, match)
            known = zip(values, find_many(axis, values, policy).tolist(), strict=True)
            found = [find_listed(axis, v, policy) if i == UNKNOWN else (i,) for v, i in known]
            return np.array(list(chain.from_iterable(found)), dtype="i8")
        case Interval():
            return find_interval(axis_of(name, axes), wanted)
        case Position(index):
            return in_range(name, index, sizes[name])
        case Positions(indexes):
            counted = counted_from_start(indexes, sizes[name])
            for number in np.flatnonzero(counted == UNKNOWN).tolist():
                counted[number] = in_range(name, indexes[number], sizes[name])
            return counted
        case PositionSlice():
            return python_slice(name, wanted, sizes[name])
        case _:
            assert_never(wanted)


def resolve_points(
    selection: Selection, axes: Mapping[str, Axis], sizes: Mapping[str, int]
) -> dict[str, NDArray[np.int64]]:
    """Equally long positions along each dimension that `selection` reads pointwise.

    Raises what `resolve` raises; its facts give the number of the point, from 0, as ``point``.
    """
    found = {name: _along(name, selection, axes, sizes) for name in selection.pointwise}
    # A scalar is for every point.
    together = np.broadcast_arrays(*found.values())
    return dict(zip(found, together, strict=True))


def _along(
    name: str, selection: Selection, axes: Mapping[str, Axis], sizes: Mapping[str, int]
) -> NDArray[np.int64]:
    wanted = selection.along[name]
    match wanted:
        case Label(label, match):
            axis = axis_of(name, axes)
            policy = None if match is None else policy_of(axis, match)
            return np.array([_only(axis, label, policy)])
        case Labels(labels, match):
            axis = axis_of(name, axes)
            policy = None if match is None else policy_of(axis, match)
            known = find_many(axis, labels, policy)
            return _numbered(labels, lambda label: _only(axis, label, policy), known)
        case Position(index):
            return np.array([in_range(name, index, sizes[name])])
        case Positions(indexes):
            known = counted_from_start(indexes, sizes[name])
            return _numbered(indexes, lambda index: in_range(name, index, sizes[name]), known)
        case Interval() | PositionSlice():
            raise QueryError(f"{name}: an interval has no points", parameter="pointwise")
        case _:
            assert_never(wanted)


def _only(axis: Axis, label: Value, policy: MatchPolicy | None) -> int:
    positions = find_listed(axis, label, policy)
    if len(positions) == 1:
        return positions[0]
    text = spell_value(label)
    raise SelectionError(
        f"{axis.name} has the label {excerpt(text)} {len(positions)} times: it is no point",
        dimension=axis.name,
        label=text,
    )


def _numbered(
    items: Sequence[T], find: Callable[[T], int], known: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`known`, with the result of `find` wherever that is `UNKNOWN`; its errors name the point."""
    found = known.copy()
    for number in np.flatnonzero(known == UNKNOWN).tolist():
        try:
            found[number] = find(items[number])
        except (QueryError, SelectionError) as error:
            facts: dict[str, object] = {**error.facts, "point": number}
            raise type(error)(f"point {number}: {error.detail}", **facts) from None
    return found


def counted_from_start(indexes: Sequence[int], size: int) -> NDArray[np.int64]:
    """The same positions, all counted from the start; `UNKNOWN` for those out of range."""
    unknown = np.full(len(indexes), UNKNOWN)
    if len(indexes) <= _FEW:
        return unknown
    try:
        found = np.array(indexes, "i8")
    except OverflowError:
        return unknown
    there = (found >= -size) & (found < size)
    return np.where(there, np.where(found < 0, found + size, found), unknown)


def in_range(name: str, index: int, size: int) -> int:
    """`index` counted from the start; `SelectionError` where there is no such position."""
    if -size <= index < size:
        return index + size if index < 0 else index
    told = f"{index} is not one" if abs(index) < FARTHEST else "one so far away is none"
    raise SelectionError(f"{name} has {size} positions; {told} of them", dimension=name, size=size)


def python_slice(name: str, asked: PositionSlice, size: int) -> slice:
    """The same slice with its ends on the axis; refused where it selects nothing."""
    if asked.step == 0:
        raise QueryError(f"{name}: a step cannot be 0", parameter=name)
    start, stop, step = slice(asked.start, asked.stop, asked.step).indices(size)
    if not range(start, stop, step):
        raise SelectionError(
            f"{name} has {size} positions; the slice selects none", dimension=name, size=size
        )
    # A stop of -1 would mean the last position again.
    return slice(start, stop if stop >= 0 else None, step)


def find_many(axis: Axis, labels: Sequence[Value], policy: MatchPolicy | None) -> NDArray[np.int64]:
    """The position of each label, by one vectorised search; `UNKNOWN` where that does not apply.

    It finds numbers that lie within a sorted axis: stored ones, and with "nearest" any.
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
    """As `distances`: rounded to the axis' own precision, which decides the ties."""
    apart: NDArray[np.float64] = np.abs(labels.astype("f8") - wanted)
    apart = apart.astype(labels.dtype).astype("f8")
    return np.minimum(apart, np.abs(TURN - apart)) if axis.periodic else apart
