"""Lists that are read together, point by point, instead of crossed with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from sluice.axes.axis import Axis
from sluice.axes.labels import axis_of, find_listed
from sluice.axes.lists import UNKNOWN, find_many
from sluice.axes.matching import Inexact, inexact_of
from sluice.axes.positions import in_range
from sluice.axes.values import spell_value
from sluice.errors import QueryError, SelectionError
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
from sluice.wording import excerpt

T = TypeVar("T")


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
            return np.array([_only(axis, label, inexact_of(axis, match))])
        case Labels(labels, match):
            axis = axis_of(name, axes)
            inexact = inexact_of(axis, match)
            known = find_many(axis, labels, inexact)
            return _numbered(labels, lambda label: _only(axis, label, inexact), known)
        case Position(index):
            return np.array([in_range(name, index, sizes[name])])
        case Positions(indexes):
            unknown = np.full(len(indexes), UNKNOWN)
            return _numbered(indexes, lambda index: in_range(name, index, sizes[name]), unknown)
        case Interval() | PositionSlice():
            raise QueryError(f"{name}: an interval has no points", parameter="pointwise")
        case _:
            assert_never(wanted)


def _only(axis: Axis, label: Value, inexact: Inexact | None) -> int:
    positions = find_listed(axis, label, inexact)
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
    """`known`, with what `find` finds where that is `UNKNOWN`; errors tell the point's number."""
    found = known.copy()
    for number in np.flatnonzero(known == UNKNOWN).tolist():
        try:
            found[number] = find(items[number])
        except (QueryError, SelectionError) as error:
            facts: dict[str, Any] = {**error.facts, "point": number}
            raise type(error)(f"point {number}: {error.detail}", **facts) from None
    return found
