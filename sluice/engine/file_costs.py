"""What it costs to read a planned answer as a file, box by box, and when that is too much."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from sluice.datasets.lazy import VariableReadPlan
from sluice.encoders.answer_schema import FileFormat
from sluice.engine.boxes import Ends, Grid, box_stops, record_rows
from sluice.engine.costs import Costs, Parts
from sluice.engine.estimates import deciding_excess
from sluice.engine.plan import Plan
from sluice.errors import LimitError

# The size of a box of values, which is read at once; one row of chunks may have more.
BOX_BYTES: Final = 8 * 2**20
# The decoded size of the chunks that such a box touches.
BOX_CHUNK_BYTES: Final = 256 * 2**20
# How many values may be read before the first byte, where the file's layout depends on them.
MOST_DECIDING_CELLS: Final = 4 * 2**20
# A Python object, such as a text, beside its place in an array.
_OBJECT_BYTES: Final = 64


def file_costs(plan: Plan, file_format: FileFormat) -> Costs:
    """What reading the whole planned file by `FileAnswer.pieces` costs; reads nothing."""
    plan = as_written(plan, file_format)
    costs, decided = box_costs(plan, file_format), decided_in(plan, file_format)
    if not decided:
        return costs
    held = sum(_held_bytes(plan.reading.pending[name]) for name in decided)
    return replace(costs, window_bytes=costs.window_bytes + held)


def cells_excess(plan: Plan, file_format: FileFormat) -> LimitError | None:
    """The error where too many values must be read before the file's size is known; else None.

    Reads nothing. Raises NotAcceptable where the format cannot hold the answer.
    """
    plan = as_written(plan, file_format)
    cells = {n: math.prod(plan.schema.variables[n].shape) for n in decided_in(plan, file_format)}
    found = sum(cells.values())
    if found <= MOST_DECIDING_CELLS:
        return None
    return deciding_excess(max(cells, key=cells.__getitem__), found, MOST_DECIDING_CELLS)


def _held_bytes(variable: VariableReadPlan) -> int:
    """Memory of a variable whose values are read first: its array, objects and their encoding."""
    dtype = variable.dtype
    each = 4 * dtype.itemsize if dtype.kind in "fiu" else dtype.itemsize + _OBJECT_BYTES
    return math.prod(variable.shape) * each


def box_costs(
    plan: Plan, file_format: FileFormat | None = None, most_bytes: int = BOX_BYTES
) -> Costs:
    """What it costs to read all variables in boxes of at most `most_bytes`."""
    stops: dict[Hashable, dict[Hashable, Ends]] = {}
    count = largest = 0
    chunked = None if file_format is None else file_format.chunked
    grows = set(() if file_format is None else file_format.grows)
    rows: dict[Hashable, Grid] = {}
    for name, variable in plan.reading.pending.items():
        grid = plan.grid(name, variable.dtype.itemsize)
        grown = not grows.isdisjoint(variable.dims)
        if grown and chunked is False:
            rows[name] = grid
            continue
        own = None if chunked is False else grid.chunks(grown or chunked is True)
        found = box_stops(grid, own, box_bytes(plan, name, most_bytes))
        cut = {
            dim: ends for dim, ends in zip(variable.dims, found, strict=True) if ends is not None
        }
        lengths = [
            n if ends is None else int(np.diff(ends, prepend=0).max(initial=0))
            for n, ends in zip(grid.shape, found, strict=True)
        ]
        stops[name], count = cut, count + math.prod([len(ends) for ends in cut.values()])
        largest = max(largest, math.prod(lengths) * grid.itemsize)
    if rows:
        ends = _record_ends(plan, rows, most_bytes)
        stops |= {name: {plan.schema.variables[name].dims[0]: ends} for name in rows}
        longest = int(np.diff(ends, prepend=0).max(initial=0))
        # Records are put together from the rows of each: twice in memory.
        record_bytes = sum(map(_row_bytes, rows.values()))
        count, largest = count + len(ends), max(largest, 2 * longest * record_bytes)
    return plan.costs(Parts(count, largest, stops, together=False))


def _record_ends(plan: Plan, grids: Mapping[Hashable, Grid], most_bytes: int) -> Ends:
    """After which rows the parts end of variables that are written together, row by row."""
    most_rows = most_rows_of(plan, grids, most_bytes)
    length = next(iter(grids.values())).shape[0]
    parts = record_rows(grids.values(), 0, length, most_rows)
    return np.array([stop for _, stop in parts], np.int64)


def most_rows_of(plan: Plan, grids: Mapping[Hashable, Grid], most_bytes: int) -> int:
    """How many rows of all these variables are read at once; a row of chunks may have more."""
    rows = [most_bytes // max(1, sum(map(_row_bytes, grids.values())))]
    for name, grid in grids.items():
        rows.append(box_bytes(plan, name, most_bytes) // max(1, _row_bytes(grid)))
    return max(1, min(rows))


def _row_bytes(grid: Grid) -> int:
    """The bytes of one position along the first dimension."""
    return math.prod(grid.shape[1:]) * grid.itemsize


def box_bytes(plan: Plan, name: Hashable, most_bytes: int) -> int:
    """The most bytes of a box of the variable: fewer than `most_bytes` where it takes many chunks.

    So boxes come steadily, and memory is bounded, however little is taken of each chunk.
    """
    variable = plan.reading.pending.get(name)
    if variable is None:
        return most_bytes
    work = variable.chunk_bytes
    if work <= BOX_CHUNK_BYTES:
        return most_bytes
    values = math.prod(variable.shape) * BOX_CHUNK_BYTES // work
    return max(1, min(most_bytes, values * variable.dtype.itemsize))


def as_written(plan: Plan, file_format: FileFormat) -> Plan:
    """The plan for this format: packed values where it keeps them, from the cheapest copies."""
    plan = plan.as_stored() if file_format.stored else plan
    return plan.reading_least(partial(box_costs, file_format=file_format))


def decided_in(plan: Plan, file_format: FileFormat) -> list[Hashable]:
    """The variables on whose values the file's headers depend."""
    pending = plan.reading.pending.items()
    return [name for name, one in pending if file_format.decided_by_values(name, one)]
