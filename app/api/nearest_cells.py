"""The cells that are nearest to the places of a request: found, and how far they are told."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import Request, Response

from sluice.axes.globe import Cells
from sluice.engine import plan
from sluice.engine.estimates import memory_excess
from sluice.engine.nearest import Located, LonLat, check_free, grid_for, locate, placed
from sluice.selection import Near, Selection

from ..catalog.opened import Opened
from .answering import read_whole
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
    cells = None if grid.axes else await _cells(request, serving, opened, grid)
    find = partial(locate, prepared, grid, near, cells)
    if cells is None or len(near.points) * cells.size <= _FEW_CELLS:
        found = find()
    else:
        found = await cancellable(request, asyncio.to_thread(find))
    return placed(selection, near, found), found


async def _cells(request: Request, serving: Service, opened: Opened, grid: LonLat) -> Cells:
    """The cells of the grid, which stay as long as the dataset is open."""
    known = opened.cells.by_grid.get(grid)
    if known is not None:
        return known
    read = partial(_read_cells, request, serving, opened, grid)
    return await cancellable(request, opened.cells.flight.do(grid, read))


async def _read_cells(request: Request, serving: Service, opened: Opened, grid: LonLat) -> Cells:
    """Read both coordinates, as any request would, and keep their cells.

    Within its limits, and when there is room.
    """
    planned = plan(opened.prepared, Selection({}, (grid.lon, grid.lat)))
    limits, size = serving.limits, planned.schema.result_bytes
    excess = limits.whole.excess(planned, size)
    excess = excess or memory_excess(planned.working_bytes, limits.memory_bytes)
    if excess is not None:
        raise excess
    cost = memory_bytes(planned, size, _FORMS)

    async def make() -> Cells:
        found = await read_whole(planned, opened.entry)
        lon, lat = (found.variables[name] for name in (grid.lon, grid.lat))
        return await asyncio.to_thread(Cells, lon.values, lat.values)

    cells = opened.cells.by_grid[grid] = await serving.admission.run(caller(request), cost, make)
    return cells


def tell_distances(response: Response, found: Located) -> Response:
    """The same response; it says how far the cells are from the places."""
    text = ", ".join(f"{km:.3f} km" for km in found.distances_km)
    response.raw_headers.append((b"x-sluice-distance", text.encode()))
    return response
