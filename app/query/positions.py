"""A `Query` along prepared axes -> positions, one per dimension, for one ``_isel``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from app.errors import QueryError, SelectionError
from app.query.axes import Axis
from app.query.circle import Indexer, arc, longitude_key, neighbours
from app.query.methods import Inexact, match_inexactly, read_tolerance
from app.query.refusals import absent, empty
from app.query.scales import Wanted
from app.query.selection import (
    Interval,
    Label,
    Labels,
    Method,
    Position,
    Positions,
    PositionSlice,
    Query,
    Selection,
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where the selections lie, and under which labels the answer shows them.

    `positions` by dimension: an int drops it, a slice or an int64 array keeps it. `labels` are
    those of dimensions that answer with other labels than the stored ones, one per position.
    """

    positions: Mapping[str, Indexer]
    labels: Mapping[str, NDArray[Any]]


def resolve(query: Query, axes: Mapping[str, Axis], sizes: Mapping[str, int]) -> Resolved:
    """Positions along each selected dimension.

    Slices of intervals and periods run in the store's order, on longitudes from west to east;
    arrays of lists in the asked order. Raises `QueryError` for a label that an axis' type cannot
    hold and `SelectionError` for what is not there: the facts name the dimension and, for labels,
    the axis' range.
    """
    positions: dict[str, Indexer] = {}
    labels: dict[str, NDArray[Any]] = {}
    for name, selection in query.selections.items():
        match selection:
            case Interval(str(start), str(stop), step) if _is_longitude(name, axes):
                positions[name], renamed = arc(axes[name], start, stop, step)
                if renamed is not None:
                    labels[name] = renamed
            case _:
                positions[name] = _resolve_one(name, selection, query, axes, sizes)
    return Resolved(positions, labels)


def _is_longitude(name: str, axes: Mapping[str, Axis]) -> bool:
    axis = axes.get(name)
    return axis is not None and axis.longitude


def _resolve_one(
    name: str,
    selection: Selection,
    query: Query,
    axes: Mapping[str, Axis],
    sizes: Mapping[str, int],
) -> Indexer:
    match selection:
        case Label(text, method):
            axis = _axis(name, axes)
            return _label(axis, text, _inexact(axis, method, query))
        case Labels(texts, method):
            axis = _axis(name, axes)
            return _labels(axis, texts, _inexact(axis, method, query))
        case Interval():
            return _interval(_axis(name, axes), selection)
        case Position(index):
            return _in_range(name, index, sizes[name])
        case Positions(indexes):
            found = [_in_range(name, index, sizes[name]) for index in indexes]
            return np.array(found, dtype="i8")
        case PositionSlice():
            return _slice(name, selection, sizes[name])
        case _:
            assert_never(selection)


def _axis(name: str, axes: Mapping[str, Axis]) -> Axis:
    axis = axes.get(name)
    if axis is None:
        raise SelectionError(f"{name} has no labels; select by position", dimension=name)
    return axis


def _inexact(axis: Axis, own: Method | None, query: Query) -> Inexact | None:
    method = own or query.method
    if method is None:
        return None
    text = query.tolerances.get(axis.name)
    return Inexact(method, None if text is None else read_tolerance(axis, text))


def _read(axis: Axis, text: str) -> Wanted:
    if not axis.longitude:
        return axis.read(text)
    key = longitude_key(axis, text)
    return Wanted(key, key)


def _label(axis: Axis, text: str, inexact: Inexact | None) -> Indexer:
    wanted = _read(axis, text)
    if inexact is not None:
        return match_inexactly(axis, text, wanted.first, inexact)
    if wanted.period:
        first, after = axis.find(wanted.first)[0], axis.find(wanted.last)[1]
        return _run(axis, first, after, 1, text)
    first, after = axis.find(wanted.first)
    if first == after:
        raise absent(axis, text, neighbours(axis, first))
    # A repeated label answers with all its positions and keeps the dimension, as in xarray.
    return axis.position(first) if after - first == 1 else _run(axis, first, after, 1, text)


def _labels(axis: Axis, texts: tuple[str, ...], inexact: Inexact | None) -> NDArray[np.int64]:
    found: list[int] = []
    for text in texts:
        key = _read(axis, text).first
        if inexact is not None:
            found.append(match_inexactly(axis, text, key, inexact))
            continue
        first, after = axis.find(key)
        if first == after:
            raise absent(axis, text, neighbours(axis, first))
        found.extend(sorted(axis.position(index) for index in range(first, after)))
    return np.array(found, dtype="i8")


def _interval(axis: Axis, interval: Interval) -> Indexer:
    # Longitudes come here with an open end alone: it lies on the axis, so nothing is turned.
    ends = [axis.read(end) for end in (interval.start, interval.stop) if end is not None]
    if len(ends) == 2:
        # Either end may be named first; a period counts whole whichever side it is on.
        first = axis.find(min(end.first for end in ends))[0]
        after = axis.find(max(end.last for end in ends))[1]
    else:
        first = 0 if interval.start is None else axis.find(ends[0].first)[0]
        after = len(axis.keys) if interval.stop is None else axis.find(ends[-1].last)[1]
    return _run(axis, first, after, interval.step, f"{interval.start}/{interval.stop}")


def _run(axis: Axis, first: int, after: int, step: int, text: str) -> Indexer:
    """The stored positions of ``keys[first:after]``, every `step`-th of them, in store order."""
    if first >= after:
        raise empty(axis, text)
    if axis.order is not None:
        return np.sort(axis.order[first:after])[::step]
    if axis.direction == "descending":
        first, after = len(axis.keys) - after, len(axis.keys) - first
    return slice(first, after, step)


def _in_range(name: str, index: int, size: int) -> int:
    if -size <= index < size:
        return index + size if index < 0 else index
    raise SelectionError(
        f"{name} has {size} positions; {index} is not one of them", dimension=name, size=size
    )


def _slice(name: str, asked: PositionSlice, size: int) -> slice:
    if asked.step == 0:
        raise QueryError(f"{name}: a step cannot be 0", parameter=name)
    start, stop, step = slice(asked.start, asked.stop, asked.step).indices(size)
    if not range(start, stop, step):
        raise SelectionError(
            f"{name} has {size} positions; the slice selects none", dimension=name, size=size
        )
    # A stop of -1 would mean the last position again.
    return slice(start, stop if stop >= 0 else None, step)
