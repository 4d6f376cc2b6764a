"""From places on the globe to the nearest cells of a dataset's grid.

Longitudes and latitudes of cells are recognised by units, standard names and names (CF conventions
1.11, sections 4.1, 4.2 and 5.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import product
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array, Document, record
from sluice.axes.axis import EAST
from sluice.axes.globe import Cells, Crossed, Nearest, distance_km
from sluice.axes.resolve import resolve
from sluice.axes.roles import NORTH
from sluice.datasets.relabel import bounds_of
from sluice.engine.plan import Plan, plan
from sluice.engine.prepared import PreparedDataset
from sluice.engine.slabs import Rows, Slab
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Along, Label, Labels, Match, Near, Position, Positions, Selection

_NAMES: Final = {"lon": "lon", "longitude": "lon", "lat": "lat", "latitude": "lat"}
# Coordinates of a rotated pole: in degrees, but no longitudes and latitudes.
_ROTATED: Final = ("grid_longitude", "grid_latitude")
# A place farther from its cell than so many widths of a cell lies outside of the grid.
MOST_WIDTHS: Final = 2
# A tolerance that no label of an axis exceeds, in the axis' units.
_ANYWHERE: Final = 1e6
# The size of slabs in which coordinates are compared, to find out whether they change.
_COMPARED_BYTES: Final = 2**23

GridCells: TypeAlias = Cells | Crossed


@record
class LonLat:
    """The variables that hold the longitudes and latitudes of a grid's cells.

    lon, lat: the names of the variables.
    dims: the dimensions of the grid, one or two.
    axes: whether they are the index coordinates of two dimensions, and in memory.
    crossed: whether they have a dimension each, and are in the store; else both have all of `dims`.
    over: a further dimension, along which the coordinates may change; None without one.
    """

    lon: str
    lat: str
    dims: tuple[str, ...]
    axes: bool = False
    crossed: bool = False
    over: str | None = None

    def cells(self, lon: Array, lat: Array) -> GridCells:
        """The grid's cells by the values of its longitudes and latitudes."""
        return Crossed(lon, lat) if self.crossed else Cells(lon, lat)


@record
class Located:
    """The cells found: for each place its position along the `dims`, and its distance in km."""

    dims: tuple[str, ...]
    positions: tuple[tuple[int, ...], ...]
    distances_km: tuple[float, ...]

    @property
    def told(self) -> dict[str, object]:
        """The facts, for an explanation."""
        along = zip(*self.positions, strict=True)
        named = {name: list(indexes) for name, indexes in zip(self.dims, along, strict=True)}
        return {"positions": named, "distances_km": [round(km, 3) for km in self.distances_km]}


def grids_of(prepared: PreparedDataset) -> list[LonLat]:
    """The grids whose longitudes and latitudes are recognised, the simpler ones first."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    variables = prepared.dataset.variables
    bounds = {bounds_of(variable) for variable in variables.values()}
    for name, variable in variables.items():
        what = _meaning(str(name), variable.attrs)
        if what is not None and name not in bounds and variable.dtype.kind in "fiu":
            found.setdefault(tuple(map(str, variable.dims)), {}).setdefault(what, str(name))
    axes: dict[str, list[str]] = {"lon": [], "lat": []}
    for dims, named in found.items():
        for what, name in named.items():
            if dims == (name,) and name in prepared.axes:
                axes[what].append(name)
    grids = [LonLat(lon, lat, (lat, lon), True) for lat in axes["lat"] for lon in axes["lon"]]
    both = {d: named for d, named in found.items() if len(named) == 2 and len(set(d)) == len(d)}
    grids += [LonLat(n["lon"], n["lat"], dims) for dims, n in both.items() if len(dims) in (1, 2)]
    grids += _crossed(found, {*axes["lon"], *axes["lat"]})
    for dims, named in both.items():
        if len(dims) == 3:
            over = next((name for name in dims if prepared.roles.get(name) == "T"), dims[0])
            rest = tuple(name for name in dims if name != over)
            grids.append(LonLat(named["lon"], named["lat"], rest, over=over))
    return grids


def _crossed(found: Mapping[tuple[str, ...], Mapping[str, str]], axes: set[str]) -> list[LonLat]:
    """The grids with longitudes along one dimension and latitudes along another.

    Without those whose coordinates are both `axes`.
    """
    alone: dict[str, list[tuple[str, str]]] = {"lon": [], "lat": []}
    for dims, named in found.items():
        if len(dims) == 1 and len(named) == 1:
            for what, name in named.items():
                alone[what].append((dims[0], name))
    pairs = product(alone["lat"], alone["lon"])
    return [
        LonLat(lon, lat, (row, column), crossed=True)
        for (row, lat), (column, lon) in pairs
        if not {lon, lat} <= axes
    ]


def _meaning(name: str, attrs: Document) -> str | None:
    """``lon`` for a variable of longitudes, ``lat`` for latitudes, None for others."""
    told = {key: attrs.get(key) for key in ("units", "standard_name")}
    units, standard = (text.strip() if isinstance(text, str) else "" for text in told.values())
    if standard in _ROTATED:
        return None
    if units.lower() in EAST:
        return "lon"
    if units.lower() in NORTH:
        return "lat"
    if units and units.lower() not in ("degree", "degrees"):
        return None
    return _NAMES.get(standard) or (_NAMES.get(name.lower()) if not standard else None)


def grid_for(prepared: PreparedDataset, names: Sequence[str] | None) -> LonLat:
    """The one grid that the variables of these `names` (None: all) lie on.

    Raises `SelectionError` where none is known, or several.
    """
    grids = grids_of(prepared)
    asked = [n for n in _asked(prepared, names) if any(n not in (g.lon, g.lat) for g in grids)]
    shapes = [set(map(str, prepared.dataset.variables[name].dims)) for name in asked]
    used = [grid for grid in grids if any(set(grid.dims) <= shape for shape in shapes)]
    if not used:
        raise SelectionError(
            "at: nothing tells where the cells of these variables are; it takes longitudes and"
            " latitudes in degrees (units degrees_east and degrees_north, or standard names) along"
            " their dimensions",
            parameter="at",
            known=[f"{grid.lon}, {grid.lat}" for grid in grids],
        )
    # Axes are known without reading; of several fields of one shape the first is as good.
    if len({frozenset(grid.dims) for grid in used}) > 1:
        told = "; ".join(f"{one.lon} and {one.lat} along {', '.join(one.dims)}" for one in used)
        raise SelectionError(
            f"at: these variables lie on several grids ({told}): name variables of one",
            parameter="at",
            known=[f"{grid.lon}, {grid.lat}" for grid in used],
        )
    return used[0]


def _asked(prepared: PreparedDataset, names: Sequence[str] | None) -> Iterator[Hashable]:
    dataset = prepared.dataset
    known = dataset.data_vars if names is None else names
    yield from (name for name in known if name in dataset.variables)
    if not dataset.data_vars:
        yield from dataset.variables


def only_position(prepared: PreparedDataset, grid: LonLat, selection: Selection) -> int | None:
    """The single position selected along the dimension `grid.over`; None for none, or several."""
    if grid.over is None:
        return None
    size, asked = prepared.sizes[grid.over], selection.along.get(grid.over)
    if asked is None or grid.over in selection.pointwise:
        return 0 if size == 1 else None
    alone = Selection({grid.over: asked})
    key = resolve(alone, prepared.axes, prepared.sizes).positions[grid.over]
    found = np.arange(size)[key].reshape(-1)
    return int(found[0]) if found.size == 1 else None


def cells_plan(prepared: PreparedDataset, grid: LonLat, position: int | None) -> Plan:
    """The plan to read the coordinates: at one position of `grid.over`, or at all (None)."""
    over = {} if grid.over is None or position is None else {grid.over: Position(position)}
    return plan(prepared, Selection(over, (grid.lon, grid.lat)))


def compared(grid: LonLat) -> tuple[int, Rows]:
    """The size and the order of the slabs in which coordinates are read to be compared."""
    assert grid.over is not None
    return _COMPARED_BYTES, Rows((grid.over,), (grid.lon, grid.lat))


async def read_cells(planned: Plan, grid: LonLat, position: int | None) -> GridCells | None:
    """The cells of the grid; None where the coordinates change along `grid.over`.

    Raises a StoreError where the store fails.
    """
    if grid.over is None or position is not None:
        found = await planned.read()
        first = {name: found.variables[name].values for name in (grid.lon, grid.lat)}
        return await asyncio.to_thread(grid.cells, first[grid.lon], first[grid.lat])
    first = {}
    async with aclosing(planned.slabs(*compared(grid))) as slabs:
        async for slab in slabs:
            if not await asyncio.to_thread(_go_on, grid, slab, first):
                return None
    return await asyncio.to_thread(grid.cells, first[grid.lon], first[grid.lat])


def _go_on(grid: LonLat, slab: Slab, first: dict[str, Array]) -> bool:
    """Whether the coordinates are the same at all positions of the slab as at the `first`."""
    for name in (grid.lon, grid.lat):
        variable = slab.variables[name]
        values = np.moveaxis(variable.values, variable.dims.index(grid.over), 0)
        expected = first.setdefault(name, values[0].copy())
        same = (values == expected) | (np.isnan(values) & np.isnan(expected))
        if not same.all():
            return False
    return True


def changing(grid: LonLat) -> SelectionError:
    """The error where one position must be chosen, since each has its own coordinates."""
    return SelectionError(
        f"at: {grid.lon} and {grid.lat} change along {grid.over}, so where the cells are depends on"
        f" it: choose one position of {grid.over}, such as isel[{grid.over}]=0",
        parameter="at",
        dimension=grid.over,
    )


def one_of(grid: LonLat, excess: LimitError | None) -> LimitError | None:
    """The same error; it advises to choose one position, whose coordinates are less to read."""
    if excess is None:
        return None
    detail = f"{excess.detail} All of {grid.lon} and {grid.lat} are compared: choose one position"
    return LimitError(f"{detail} of {grid.over}, such as isel[{grid.over}]=0.", **excess.facts)


def locate(prepared: PreparedDataset, grid: LonLat, near: Near, cells: GridCells | None) -> Located:
    """The nearest cell to each place; `cells` are None for a grid of `axes`.

    On such a grid it is the one with the nearest label of each axis. Raises `SelectionError` for a
    place outside of the grid, or farther from its cell than the tolerance.
    """
    found = _along_axes(prepared, grid, near) if cells is None else _in_cells(cells, near)
    for number, one in enumerate(found):
        _check(one, near, number)
    return Located(
        grid.dims, tuple(one.position for one in found), tuple(one.distance_km for one in found)
    )


def _in_cells(cells: GridCells, near: Near) -> list[Nearest]:
    found = [cells.nearest(lon, lat) for lon, lat in near.points]
    if any(one is None for one in found):
        raise SelectionError("at: no cell of this grid has coordinates", parameter="at")
    return [one for one in found if one is not None]


def _along_axes(prepared: PreparedDataset, grid: LonLat, near: Near) -> list[Nearest]:
    match = Match("nearest", None if near.tolerance_km is None else _ANYWHERE)
    lons, lats = zip(*near.points, strict=True)
    along: dict[str, Along] = {grid.lat: Labels(lats, match), grid.lon: Labels(lons, match)}
    selection = Selection(along, pointwise=grid.dims)
    if not near.several:
        # By single labels, so that errors do not speak of points.
        single: dict[str, Along] = {
            grid.lat: Label(lats[0], match),
            grid.lon: Label(lons[0], match),
        }
        selection = Selection(single)
    positions = resolve(selection, prepared.axes, prepared.sizes).positions
    rows, columns = (np.atleast_1d(np.asarray(positions[name])) for name in grid.dims)
    apart = distance_km(
        np.array(lons),
        np.array(lats),
        prepared.axes[grid.lon].values[columns],
        prepared.axes[grid.lat].values[rows],
    )
    places = zip(rows.tolist(), columns.tolist(), apart.tolist(), strict=True)
    return [Nearest((row, column), km, None) for row, column, km in places]


def _check(found: Nearest, near: Near, number: int) -> None:
    most = near.tolerance_km
    why = "farther than the tolerance"
    if most is None:
        if found.width_km is None:
            return
        most = MOST_WIDTHS * found.width_km
        why = (
            f"more than {MOST_WIDTHS} widths of a cell: tolerance=at:KM says how many km it may be"
        )
    if found.distance_km <= most:
        return
    lon, lat = near.points[number]
    point = {"point": number} if near.several else {}
    raise SelectionError(
        f"at: the cell nearest to {lon:g},{lat:g} is {found.distance_km:.3f} km away, {why}",
        parameter="at",
        distance_km=round(found.distance_km, 3),
        limit_km=round(most, 3),
        **point,
    )


def placed(selection: Selection, near: Near, found: Located) -> Selection:
    """The selection at the positions that were `found`; several places are read pointwise."""
    along = dict(selection.along)
    for number, name in enumerate(found.dims):
        indexes = tuple(position[number] for position in found.positions)
        along[name] = Positions(indexes) if near.several else Position(indexes[0])
    pointwise = found.dims if near.several and len(found.dims) > 1 else selection.pointwise
    return replace(selection, along=along, pointwise=pointwise)


def check_free(selection: Selection, grid: LonLat, near: Near) -> None:
    """Raise `QueryError` where the selection already selects along dimensions of the grid."""
    for name in grid.dims:
        if name in selection.along:
            detail = f"at: it chooses along {' and '.join(grid.dims)}, and {name} is asked for, too"
            raise QueryError(detail, parameter="at", dimension=name)
    if near.several and selection.pointwise:
        raise QueryError("at: several places are pointwise by themselves", parameter="pointwise")
