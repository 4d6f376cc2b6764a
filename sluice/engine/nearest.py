"""Places on the globe -> positions of a dataset's grid: the cells that are nearest to them.

Which variables are the longitudes and latitudes of cells is told by units, standard names and names
(CF conventions 1.11, sections 4.1, 4.2 and 5.2). Nothing here reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from sluice.aliases import Document, record
from sluice.axes.axis import EAST
from sluice.axes.globe import Cells, Nearest, distance_km
from sluice.axes.resolve import resolve
from sluice.axes.roles import NORTH
from sluice.datasets.relabel import bounds_of
from sluice.engine.prepared import PreparedDataset
from sluice.errors import QueryError, SelectionError
from sluice.selection import Along, Label, Labels, Match, Near, Position, Positions, Selection

_NAMES: Final = {"lon": "lon", "longitude": "lon", "lat": "lat", "latitude": "lat"}
# The angles of a rotated pole's own axes are degrees, too.
_ROTATED: Final = ("grid_longitude", "grid_latitude")
# Beyond so many widths of a cell a place lies outside of the grid.
_MOST_WIDTHS: Final = 2
# Farther than any label of an axis is, in its own units.
_ANYWHERE: Final = 1e6


@record
class LonLat:
    """The variables that hold the longitudes and latitudes of a grid's cells.

    `dims` are those of the grid, one or two. With `axes` they are a dimension's labels each, and
    known; else variables of one shape, whose values are in the store.
    """

    lon: str
    lat: str
    dims: tuple[str, ...]
    axes: bool


@record
class Located:
    """Where the places lie: a position of each along the `dims`, and how far away that is."""

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
    """The grids of which longitudes and latitudes are known, those with axes of them first."""
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
    for dims, named in found.items():
        if len(named) == 2 and len(dims) in (1, 2) and len(set(dims)) == len(dims):
            grids.append(LonLat(named["lon"], named["lat"], dims, False))
    return grids


def _meaning(name: str, attrs: Document) -> str | None:
    """Whether a variable says it holds longitudes, ``lon``, or latitudes, ``lat``."""
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


def locate(prepared: PreparedDataset, grid: LonLat, near: Near, cells: Cells | None) -> Located:
    """The nearest cell to each place; `cells` are those of a grid without axes.

    Along axes it is the nearest label of each. Raises `SelectionError` for a place outside of the
    grid, or farther from its cell than the tolerance.
    """
    found = _along_axes(prepared, grid, near) if cells is None else _in_cells(cells, near)
    for number, one in enumerate(found):
        _check(one, near, number)
    return Located(
        grid.dims, tuple(one.position for one in found), tuple(one.distance_km for one in found)
    )


def _in_cells(cells: Cells, near: Near) -> list[Nearest]:
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
        # Refused without the number of the point.
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
        most = _MOST_WIDTHS * found.width_km
        why = (
            f"more than {_MOST_WIDTHS} widths of a cell: tolerance=at:KM says how many km it may be"
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
    """The selection with the positions that were `found`: points go together where several are."""
    along = dict(selection.along)
    for number, name in enumerate(found.dims):
        indexes = tuple(position[number] for position in found.positions)
        along[name] = Positions(indexes) if near.several else Position(indexes[0])
    pointwise = found.dims if near.several and len(found.dims) > 1 else selection.pointwise
    return replace(selection, along=along, pointwise=pointwise)


def check_free(selection: Selection, grid: LonLat, near: Near) -> None:
    """Raise `QueryError` where the selection asks along dimensions of the grid, too."""
    for name in grid.dims:
        if name in selection.along:
            detail = f"at: it chooses along {' and '.join(grid.dims)}, and {name} is asked for, too"
            raise QueryError(detail, parameter="at", dimension=name)
    if near.several and selection.pointwise:
        raise QueryError("at: several places are pointwise by themselves", parameter="pointwise")
