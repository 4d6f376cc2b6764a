"""A `Selection` along prepared axes -> positions, one per dimension, for one ``_isel``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hashlib import blake2b
from itertools import chain
from typing import assert_never

import numpy as np

from sluice.aliases import Array
from sluice.axes.arcs import Indexer, arc
from sluice.axes.axis import Axis
from sluice.axes.labels import axis_of, find_interval, find_label, find_listed
from sluice.axes.lists import UNKNOWN, find_many
from sluice.axes.matching import inexact_of
from sluice.axes.points import resolve_points
from sluice.axes.positions import in_range, python_slice
from sluice.record import record
from sluice.selection import Interval, Label, Labels, Position, Positions, PositionSlice, Selection


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
        """What tells this from any other, however it was asked for: names, and where they lead.

        The text has the signs that an entity tag may have.
        """
        names, renamed = tuple(sorted(self.positions)), tuple(sorted(self.labels))
        spelled = [_spelled(self.positions[name]) for name in names]
        spelled += [_spelled(self.labels[name]) for name in renamed]
        return (names, renamed, self.pointwise), ".".join(spelled)


def _spelled(found: Indexer | Array) -> str:
    """Positions or labels in a few signs, none of them a dot."""
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
                axis = axis_of(name, axes)
                positions[name] = find_label(axis, wanted.value, inexact_of(axis, wanted.match))
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
            inexact = inexact_of(axis, match)
            known = zip(values, find_many(axis, values, inexact).tolist(), strict=True)
            found = [find_listed(axis, v, inexact) if i == UNKNOWN else (i,) for v, i in known]
            return np.array(list(chain.from_iterable(found)), dtype="i8")
        case Interval():
            return find_interval(axis_of(name, axes), wanted)
        case Position(index):
            return in_range(name, index, sizes[name])
        case Positions(indexes):
            return np.array([in_range(name, index, sizes[name]) for index in indexes], dtype="i8")
        case PositionSlice():
            return python_slice(name, wanted, sizes[name])
        case _:
            assert_never(wanted)
