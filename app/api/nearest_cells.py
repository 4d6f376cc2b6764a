"""The cells that are nearest to the places of a request, and their distances."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import Request, Response

from sluice.engine.estimates import memory_excess
from sluice.engine.nearest import (
    GridCells,
    Located,
    LonLat,
    cells_plan,
    changing,
    check_free,
    compared,
    grid_for,
    locate,
    one_of,
    only_position,
    placed,
    read_cells,
)
from sluice.selection import Near, Selection

from ..catalog.opened import Opened
from .reading import redacting
from .requests import caller, cancellable
from .state import Service
from .weighing import memory_bytes

# In so few cells a place is found in less than a hop to a thread takes.
_FEW_CELLS = 2**16
# So often are coordinates in memory while their cells are made: as stored, and in tiles.
_FORMS = 3


async def near_places(
    request: Request, serving: Service, opened: Opened, selection: Selection, near: Near
) -> tuple[Selection, Located]:
    """The selection with the cells that are nearest to the places, and where these are.

    Raises QueryError, SelectionError and LimitError for what cannot be, and what kept the
    coordinates of a grid without axes from being read.
    """
    prepared = opened.prepared
    grid = grid_for(prepared, selection.variables)
    check_free(selection, grid, near)
    cells = None
    if not grid.axes:
        position = only_position(prepared, grid, selection)
        cells = await cells_of(request, serving, opened, grid, position)
    find = partial(locate, prepared, grid, near, cells)
    if cells is None or len(near.points) * cells.size <= _FEW_CELLS:
        found = find()
    else:
        found = await cancellable(request, asyncio.to_thread(find))
    return placed(selection, near, found), found


async def cells_of(
    request: Request, serving: Service, opened: Opened, grid: LonLat, position: int | None
) -> GridCells:
    """The cells of the grid, which stay as long as the dataset is open.

    Where its coordinates have a dimension besides (`grid.over`), they are those at this position
    along it; with None, those of all positions. Raises SelectionError where these differ.
    """
    kept = opened.cells
    for key in ((grid, None), (grid, position)):
        if (known := kept.by_grid.get(key)) is not None:
            return known
    if position is None and grid in kept.changing:
        raise changing(grid)
    read = partial(_read_cells, request, serving, opened, grid, position)
    found = await cancellable(request, kept.flight.do((grid, position), read))
    if found is None:
        raise changing(grid)
    return found


async def _read_cells(
    request: Request, serving: Service, opened: Opened, grid: LonLat, position: int | None
) -> GridCells | None:
    """Read both coordinates, as any request would, and keep their cells; None: they change.

    Within the limits of a request, or of a stream where they are compared, and when there is room.
    """
    planned = cells_plan(opened.prepared, grid, position)
    limits, size = serving.limits, planned.schema.result_bytes
    if grid.over is None or position is not None:
        cost = memory_bytes(planned, size, _FORMS)
        excess = limits.whole.excess(planned, size)
        excess = excess or memory_excess(planned.working_bytes, limits.memory_bytes)
    else:
        each = size // opened.prepared.sizes[grid.over]
        cost = planned.slab_costs(*compared(grid)).window_bytes + _FORMS * each
        excess = limits.streaming.reading.excess(planned, size)
        excess = one_of(grid, excess or memory_excess(cost, limits.memory_bytes))
    if excess is not None:
        raise excess

    async def work() -> GridCells | None:
        return await redacting(read_cells(planned, grid, position), opened.entry)

    found = await serving.admission.run(caller(request), cost, work)
    if found is None:
        opened.cells.changing.add(grid)
    else:
        opened.cells.keep(grid, position, found)
    return found


def tell_distances(response: Response, found: Located) -> Response:
    """The same response; it says how far the cells are from the places."""
    text = ", ".join(f"{km:.3f} km" for km in found.distances_km)
    response.raw_headers.append((b"x-sluice-distance", text.encode()))
    return response
