"""How much of a selection that is too large would fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sluice.datasets.indexers import ALL
from sluice.engine.plan import Plan, plan
from sluice.record import record
from sluice.selection import Along, Positions, PositionSlice, Selection

# Halvings: enough for any dimension that memory can hold labels of.
_TRIES = 40


@record
class Fitting:
    """So many positions of a dimension, of the `size` that were asked for, are within limits."""

    dimension: str
    positions: int
    size: int


def fitting(too_large: Plan, fits: Callable[[Plan], bool]) -> Fitting | None:
    """The most positions from the start of the longest dimension with which `fits` is true.

    None where no dimension can be cut, or where one position is too much already. Plans, and
    reads nothing.
    """
    keys = too_large.keys
    sizes = {str(d): n for d, n in too_large.schema.sizes.items() if n > 1}
    asked = [name for name in sizes if name in too_large.prepared.sizes]
    if keys is None or not asked:
        return None
    dimension = max(asked, key=sizes.__getitem__)
    least, most = 0, sizes[dimension]
    for _ in range(_TRIES):
        middle = (least + most) // 2
        if middle == least:
            break
        if fits(_cut(too_large, dimension, middle)):
            least = middle
        else:
            most = middle
    return Fitting(dimension, least, sizes[dimension]) if least else None


def _cut(whole: Plan, dimension: str, count: int) -> Plan:
    """The plan of the first `count` positions of what was asked along the dimension."""
    key: Any = whole.found.positions.get(dimension, ALL)
    size = whole.prepared.sizes[dimension]
    wanted: Along
    if isinstance(key, np.ndarray):
        wanted = Positions(tuple(key[:count].tolist()))
    else:
        rows = range(*key.indices(size))[:count]
        wanted = PositionSlice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
    along = {**whole.selection.along, dimension: wanted}
    selection = Selection(along, whole.selection.variables, whole.selection.pointwise)
    return plan(whole.prepared, selection)
