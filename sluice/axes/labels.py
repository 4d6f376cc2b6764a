"""Labels, lists and intervals along one prepared axis -> positions.

Raises `QueryError` for a label that the axis' type cannot hold and `SelectionError` for one that
is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sluice.axes.arcs import Indexer, longitude_key, neighbours
from sluice.axes.axis import Axis
from sluice.axes.matching import Inexact, match_inexactly, no_method
from sluice.axes.selection_errors import absent, empty
from sluice.axes.times import Wanted
from sluice.axes.values import spell_value
from sluice.errors import SelectionError
from sluice.selection import Interval, Value


def axis_of(name: str, axes: Mapping[str, Axis]) -> Axis:
    """The prepared axis of a dimension; `SelectionError` where it has no labels."""
    axis = axes.get(name)
    if axis is None:
        raise SelectionError(f"{name} has no labels; select by position", dimension=name)
    return axis


def _read(axis: Axis, label: Value) -> Wanted:
    if not axis.longitude:
        return axis.read(label)
    key = longitude_key(axis, label)
    return Wanted(key, key)


def find_label(axis: Axis, label: Value, inexact: Inexact | None) -> Indexer:
    """The position of one label; a slice or an array for a period and for a repeated label."""
    wanted = _read(axis, label)
    if inexact is not None and axis.has_order:
        return match_inexactly(axis, label, wanted.first, inexact)
    if wanted.period and inexact is None:
        first, after = axis.find(wanted.first)[0], axis.find(wanted.last)[1]
        return _run(axis, first, after, 1, label)
    first, after = _find_exactly(axis, label, wanted.first, inexact)
    # A repeated label answers with all its positions and keeps the dimension, as in xarray.
    return axis.position(first) if after - first == 1 else _run(axis, first, after, 1, label)


def find_listed(axis: Axis, label: Value, inexact: Inexact | None) -> list[int]:
    """The positions of one label of a list: several where it is repeated on the axis."""
    key = _read(axis, label).first
    if inexact is not None and axis.has_order:
        return [match_inexactly(axis, label, key, inexact)]
    first, after = _find_exactly(axis, label, key, inexact)
    return sorted(axis.position(index) for index in range(first, after))


def _find_exactly(axis: Axis, label: Value, key: Any, inexact: Inexact | None) -> tuple[int, int]:
    """The range of the keys that equal `key`, as on an axis without order or method they must."""
    first, after = axis.find(key)
    if first == after:
        why = "" if inexact is None else f", and {no_method(axis, inexact.method)}"
        raise absent(axis, label, neighbours(axis, first), why)
    return first, after


def find_interval(axis: Axis, interval: Interval) -> Indexer:
    """The positions of an inclusive interval, in the store's order."""
    # Longitudes come here with an open end alone: it lies on the axis, so nothing is turned.
    ends = [axis.read(end) for end in (interval.start, interval.stop) if end is not None]
    if len(ends) == 2:
        # Either end may be named first. A period counts whole where it is an end: 2020/2020-03 are
        # the three months from the beginning of 2020.
        low, high = ends if ends[0].first <= ends[1].last else reversed(ends)
        first, after = axis.find(low.first)[0], axis.find(high.last)[1]
    else:
        first = 0 if interval.start is None else axis.find(ends[0].first)[0]
        after = len(axis.keys) if interval.stop is None else axis.find(ends[-1].last)[1]
    asked = "/".join(".." if e is None else spell_value(e) for e in (interval.start, interval.stop))
    return _run(axis, first, after, interval.step, asked)


def _run(axis: Axis, first: int, after: int, step: int, label: Value) -> Indexer:
    """The stored positions of ``keys[first:after]``, every `step`-th of them, in store order."""
    if first >= after:
        raise empty(axis, label)
    if axis.order is not None:
        return np.sort(axis.order[first:after])[::step]
    if axis.direction == "descending":
        first, after = len(axis.keys) - after, len(axis.keys) - first
    return slice(first, after, step)
