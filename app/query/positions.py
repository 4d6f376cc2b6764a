"""A `Query` along prepared axes -> positions, one per dimension, for one ``_isel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from app.errors import QueryError, SelectionError
from app.query.axes import ROUNDING, Axis
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
from app.query.words import excerpt

Indexer: TypeAlias = int | slice | NDArray[np.int64]


def resolve(query: Query, axes: Mapping[str, Axis], sizes: Mapping[str, int]) -> dict[str, Indexer]:
    """Positions by dimension: an int drops it, a slice or an int64 array keeps it.

    Slices of intervals and periods run in the store's order; arrays of lists in the asked order.
    Raises `QueryError` for a label that an axis' type cannot hold and `SelectionError` for what
    is not there: the facts name the dimension and, for labels, the axis' range.
    """
    return {
        name: _resolve_one(name, selection, query.method, axes, sizes)
        for name, selection in query.selections.items()
    }


def _resolve_one(
    name: str,
    selection: Selection,
    default: Method | None,
    axes: Mapping[str, Axis],
    sizes: Mapping[str, int],
) -> Indexer:
    match selection:
        case Label(text, method):
            return _label(_axis(name, axes), text, method or default)
        case Labels(texts, method):
            return _labels(_axis(name, axes), texts, method or default)
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


def _label(axis: Axis, text: str, method: Method | None) -> Indexer:
    wanted = axis.read(text)
    if method is not None:
        return _inexact(axis, text, wanted.first, method)
    if wanted.period:
        first, after = axis.find(wanted.first)[0], axis.find(wanted.last)[1]
        return _run(axis, first, after, 1, text)
    first, after = axis.find(wanted.first)
    if first == after:
        raise _absent(axis, text, first)
    # A repeated label answers with all its positions and keeps the dimension, as in xarray.
    return axis.position(first) if after - first == 1 else _run(axis, first, after, 1, text)


def _labels(axis: Axis, texts: tuple[str, ...], method: Method | None) -> NDArray[np.int64]:
    found: list[int] = []
    for text in texts:
        key = axis.read(text).first
        if method is not None:
            found.append(_inexact(axis, text, key, method))
            continue
        first, after = axis.find(key)
        if first == after:
            raise _absent(axis, text, first)
        found.extend(sorted(axis.position(index) for index in range(first, after)))
    return np.array(found, dtype="i8")


def _interval(axis: Axis, interval: Interval) -> Indexer:
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
        raise SelectionError(
            f"{axis.name} has no labels inside {excerpt(text)}; {_spans(axis)}",
            dimension=axis.name,
            label=text,
            range=axis.range,
        )
    if axis.order is not None:
        return np.sort(axis.order[first:after])[::step]
    if axis.direction == "descending":
        first, after = len(axis.keys) - after, len(axis.keys) - first
    return slice(first, after, step)


def _inexact(axis: Axis, text: str, key: Any, method: Method) -> int:
    _check_method(axis, method)
    first, after = axis.find(key)
    if first != after:
        return axis.position(first)
    _check_domain(axis, text, key, first)
    chosen = _choose(axis, key, first, method)
    if not 0 <= chosen < len(axis.keys):
        raise _outside(axis, text, f"no label to {method} {excerpt(text)} from")
    return axis.position(chosen)


def _check_method(axis: Axis, method: Method) -> None:
    if not axis.scale.metric:
        raise SelectionError(
            f"{axis.name} has no distances, so no method {method}; name its labels exactly",
            dimension=axis.name,
        )
    if axis.direction == "unsorted" or not axis.unique:
        state = "unsorted" if axis.direction == "unsorted" else "not unique"
        raise SelectionError(
            f"the labels of {axis.name} are {state}, so no method {method} applies",
            dimension=axis.name,
        )


def _check_domain(axis: Axis, text: str, key: Any, place: int) -> None:
    """Refuse a key more than one step beyond the label at that end."""
    if 0 < place < len(axis.keys):
        return
    if len(axis.keys):
        end, step = (0, axis.first_step) if place == 0 else (-1, axis.last_step)
        if step is not None and abs(axis.key(end) - key) <= step * (1 + ROUNDING):
            return
    raise _outside(axis, text, f"{excerpt(text)} is more than one step outside")


def _choose(axis: Axis, key: Any, place: int, method: Method) -> int:
    """The index into `keys` that pandas would choose for a key between ``place - 1`` and it."""
    below, above = place - 1, place
    # pad takes the label before and backfill the one after in the store's order, as pandas does.
    before, behind = (below, above) if axis.direction == "ascending" else (above, below)
    match method:
        case "pad":
            return before
        case "backfill":
            return behind
        case "nearest":
            return _nearest(axis, key, below, above)
        case _:
            assert_never(method)


def _nearest(axis: Axis, key: Any, below: int, above: int) -> int:
    if below < 0:
        return above
    if above >= len(axis.keys):
        return below
    # A tie goes to the larger label, as in pandas on indexes of either direction.
    return below if axis.distance(key, below) < axis.distance(key, above) else above


def _spans(axis: Axis) -> str:
    if not len(axis.keys):
        return "it is empty"
    low, high = axis.range
    units = axis.attrs.get("units")
    return f"it spans {low} to {high}{f' {units}' if isinstance(units, str) else ''}"


def _outside(axis: Axis, text: str, reason: str) -> SelectionError:
    return SelectionError(
        f"{axis.name}: {reason}; {_spans(axis)}",
        dimension=axis.name,
        label=text,
        range=axis.range,
    )


def _absent(axis: Axis, text: str, place: int) -> SelectionError:
    around = [index for index in (place - 1, place) if 0 <= index < len(axis.keys)]
    nearest = [axis.label(index) for index in around]
    hint = f"; the nearest are {' and '.join(map(str, nearest))}" if nearest else ""
    return SelectionError(
        f"{axis.name} has no label {excerpt(text)}{hint}",
        dimension=axis.name,
        label=text,
        nearest=nearest,
        range=axis.range,
    )


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
