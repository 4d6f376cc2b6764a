"""Which planned answers exceed a limit, and how much of them would fit; nothing is read."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from sluice.aliases import record
from sluice.axes.axis import Indexer
from sluice.datasets.indexers import ALL
from sluice.engine.costs import MOST_TIMES, Costs
from sluice.engine.plan import Plan, plan
from sluice.errors import LimitError, SluiceError
from sluice.selection import Along, Positions, PositionSlice, Selection

# Steps of a binary search: enough for any dimension whose labels fit into memory.
_TRIES = 40


def memory_excess(nbytes: int, most_bytes: int) -> LimitError | None:
    """The error for a reading with `nbytes` in memory at once; None where that is allowed."""
    if nbytes <= most_bytes:
        return None
    return LimitError(
        f"The chunks and rows that must be in memory at once take {nbytes} bytes; there are"
        f" {most_bytes} for them. Nothing was read: ask for a smaller part.",
        limited="memory_bytes",
        estimate=nbytes,
        limit=most_bytes,
    )


def deciding_excess(name: Hashable, cells: int, most_cells: int) -> LimitError:
    """The error where `cells` values, most of them of the variable `name`, must be read first."""
    return LimitError(
        f"How {name} lies in the file follows from its values, so these are read before the first"
        f" byte is sent: {cells} values, of which there may be {most_cells}. Nothing was read: ask"
        " for a smaller part, for other variables, or for f=csv or f=ndjson, which are sent while"
        " they are read.",
        limited="cells",
        estimate=cells,
        limit=most_cells,
        variable=str(name),
    )


def times_excess(costs: Costs) -> LimitError | None:
    """The error where chunks would be decoded too often, for several parts; None where not."""
    if costs.most_times <= MOST_TIMES:
        return None
    return LimitError(
        f"Written row by row, chunks would be decoded {costs.most_times} times; {MOST_TIMES} are"
        " allowed. Nothing was read: ask for f=netcdf, which has chunks of its own, or for a"
        " smaller part.",
        limited="decoded_times",
        estimate=costs.most_times,
        limit=MOST_TIMES,
        known=["netcdf"],
    )


def with_fitting(excess: SluiceError, fitting: Fitting | None, led_on: str = "") -> SluiceError:
    """The same error; says how much of which dimension would fit, and ends with `led_on`."""
    kind = type(excess)
    if fitting is None:
        return kind(f"{excess.detail}{led_on}", **excess.facts)
    name, positions, size = fitting.dimension, fitting.positions, fitting.size
    facts = {**excess.facts, "dimension": name, "positions": positions, "of": size}
    detail = f"{excess.detail} {positions} of {size} positions of {name} fit.{led_on}"
    return kind(detail, **facts)


@record
class Fitting:
    """How many `positions` of a dimension, out of `size` that were asked for, are within limits."""

    dimension: str
    positions: int
    size: int


def fitting(too_large: Plan, fits: Callable[[Plan], bool]) -> Fitting | None:
    """The most positions from the start of the longest dimension for which `fits` is true.

    Found by a binary search over plans; reads nothing. None where no dimension can be cut, or one
    position is too much already.
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
    key: Indexer = whole.found.positions.get(dimension, ALL)
    size = whole.prepared.sizes[dimension]
    assert not isinstance(key, int), "a dimension of the answer is selected by more than a position"
    wanted: Along
    if isinstance(key, np.ndarray):
        wanted = Positions(tuple(key[:count].tolist()))
    else:
        rows = range(*key.indices(size))[:count]
        wanted = PositionSlice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
    along = {**whole.selection.along, dimension: wanted}
    selection = Selection(along, whole.selection.variables, whole.selection.pointwise)
    return plan(whole.prepared, selection)
