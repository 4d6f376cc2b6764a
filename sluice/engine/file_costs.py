"""What it costs to read a planned answer as a file, box by box, and what is too much of it."""

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

# Of a box of values that is read at once; where rows of chunks are wider, of one of these.
BOX_BYTES: Final = 8 * 2**20
# Of the chunks that such a box touches, decoded.
BOX_CHUNK_BYTES: Final = 256 * 2**20
# So many values that decide how they are written are read before the first byte.
MOST_DECIDING_CELLS: Final = 4 * 2**20
# Of a text or another object of Python, beside the array that it is in.
_OBJECT_BYTES: Final = 64


def file_costs(plan: Plan, file_format: FileFormat) -> Costs:
    """What the `pieces` of the whole planned file cost, and have in memory; reads nothing."""
    plan = as_written(plan, file_format)
    costs, decided = box_costs(plan, file_format), decided_in(plan, file_format)
    if not decided:
        return costs
    held = sum(_held_bytes(plan.reading.pending[name]) for name in decided)
    return replace(costs, window_bytes=costs.window_bytes + held)


def cells_excess(plan: Plan, file_format: FileFormat) -> LimitError | None:
    """What is raised where too much must be in memory before the file has a size; None where not.

    Reads nothing. Raises what the format has against the answer.
    """
    plan = as_written(plan, file_format)
    cells = {n: math.prod(plan.schema.variables[n].shape) for n in decided_in(plan, file_format)}
    found = sum(cells.values())
    if found <= MOST_DECIDING_CELLS:
        return None
    return deciding_excess(max(cells, key=cells.__getitem__), found, MOST_DECIDING_CELLS)


def _held_bytes(variable: VariableReadPlan) -> int:
    """What a variable takes in memory whose values decide: objects of Python, or arrays of them."""
    dtype = variable.dtype
    each = 4 * dtype.itemsize if dtype.kind in "fiu" else dtype.itemsize + _OBJECT_BYTES
    return math.prod(variable.shape) * each


def box_costs(
    plan: Plan, file_format: FileFormat | None = None, most_bytes: int = BOX_BYTES
) -> Costs:
    """What it costs to read all variables in boxes of at most so many bytes."""
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
    """After which rows a part ends of variables that are written row by row together."""
    most_rows = most_rows_of(plan, grids, most_bytes)
    length = next(iter(grids.values())).shape[0]
    parts = record_rows(grids.values(), 0, length, most_rows)
    return np.array([stop for _, stop in parts], np.int64)


def most_rows_of(plan: Plan, grids: Mapping[Hashable, Grid], most_bytes: int) -> int:
    """How many rows of all of them are read at once, where the store's chunks let it be."""
    rows = [most_bytes // max(1, sum(map(_row_bytes, grids.values())))]
    for name, grid in grids.items():
        rows.append(box_bytes(plan, name, most_bytes) // max(1, _row_bytes(grid)))
    return max(1, min(rows))


def _row_bytes(grid: Grid) -> int:
    """The bytes of one position along the first dimension."""
    return math.prod(grid.shape[1:]) * grid.itemsize


def box_bytes(plan: Plan, name: Hashable, most_bytes: int) -> int:
    """The most bytes of a box of the variable: less than `most_bytes` where it is of many chunks.

    So there is progress to be seen, and a window, however little is taken of each chunk.
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
    """The plan as the file has its values, which are read from where the least is decoded."""
    plan = plan.as_stored() if file_format.stored else plan
    return plan.reading_least(partial(box_costs, file_format=file_format))


def decided_in(plan: Plan, file_format: FileFormat) -> list[Hashable]:
    """The variables whose values decide what the file says of them."""
    pending = plan.reading.pending.items()
    return [name for name, one in pending if file_format.decided_by_values(name, one)]
