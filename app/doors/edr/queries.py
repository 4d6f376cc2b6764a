"""Position, cube, area, radius and trajectory: a query's place -> what is selected of a collection.

Cells are where their centres are. A place takes the cell that is nearest to it, which may lie one
step beyond the last; boxes and areas take the cells inside. What none is in has no data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array, record
from sluice.axes.axis import Axis
from sluice.axes.resolve import resolve
from sluice.encoders.coverage_layout import Together
from sluice.encoders.coverage_parts import TURN
from sluice.engine import Plan, plan
from sluice.errors import SelectionError
from sluice.selection import Along, Interval, Label, Labels, Position, Positions, Selection

from .cells import (
    Holds,
    NoData,
    along_line,
    cell_near,
    cells_in,
    check_count,
    circle_box,
    inside,
    inside_each,
    located,
    mask_of,
    within,
    within_each,
)
from .collection import Collection
from .geometry import (
    Box,
    Floats,
    Mask,
    box_of,
    have_geometry,
    line_of,
    places_of,
    read_box,
    read_distance,
    read_geometry,
    read_point,
)
from .parameters import NEAREST, Asked, Pairs, single

# So few points, or cells, are worth no hop to a thread.
_FEW_PLACES: Final = 64
_FEW_CELLS: Final = 2**12
# The nearest of millions of cells that lie anywhere takes a millisecond.
_MOST_NEAR: Final = 2000


@record
class Query:
    """A planned query: what its places are `together`; of cells those that an area `holds`."""

    plan: Plan
    together: Together | None = None
    holds: Holds | None = None


Ask: TypeAlias = Callable[[Collection, Asked, Pairs, str, int], Coroutine[object, object, Query]]


async def position(
    collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int
) -> Query:
    """The cell nearest to a place, or to each of several."""
    text = single(pairs, "coords")
    point = read_point(text, crs)
    if point is not None:
        return await at_place(collection, asked, *point)
    await have_geometry()
    geometry = read_geometry(text, ("POINT", "MULTIPOINT"), crs)
    lon, lat, level = places_of(geometry, crs)
    return await _at_places(collection, asked, lon, lat, level, most)


async def at_place(
    collection: Collection, asked: Asked, lon: float, lat: float, level: float | None = None
) -> Query:
    """The cell nearest to a place."""
    along, cells = dict(asked.along), collection.cells
    if cells is None:
        along[collection.axes["x"]] = Label(lon, NEAREST)
        along[collection.axes["y"]] = Label(lat, NEAREST)
    else:
        look = partial(cell_near, cells, lon, lat)
        position = await asyncio.to_thread(look) if cells.size > _FEW_CELLS else look()
        if position is None:
            raise NoData("This place does not lie in the data.")
        along |= zip(collection.grid.dims, map(Position, position), strict=True)
    if level is not None:
        along[collection.axes["z"]] = Label(level, NEAREST)
    return Query(await _planned(collection, Selection(along, asked.names)))


async def _at_places(
    collection: Collection,
    asked: Asked,
    lon: Floats,
    lat: Floats,
    level: Floats | None,
    most: int,
) -> Query:
    """The cells nearest to these places; those that lie outside of the data are left out."""
    levels = collection.axis("z")
    if level is None or levels is None or levels.name in asked.along:
        level = None
    if lon.size == 1:
        one = None if level is None else float(level[0])
        return await at_place(collection, asked, float(lon[0]), float(lat[0]), one)
    check_count(lon.size, _most_places(collection, most))
    wanted: dict[str, Array] = {"x": lon, "y": lat}
    if level is not None:
        wanted["z"] = level
    found = await located(collection, wanted)
    return Query(await _planned_points(collection, asked, found))


async def cube(collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int) -> Query:
    """The cells in a box; a box without width takes the nearest column."""
    box = read_box(single(pairs, "bbox"), crs)
    levels = collection.axis("z")
    if box.levels is not None and levels is not None and levels.name not in asked.along:
        low, high = box.levels
        asked = Asked({**asked.along, levels.name: Interval(low, high)}, asked.names)
    if collection.cells is not None:
        return await _area_of_cells(collection, asked, box, None, most)
    return Query(await _planned(collection, _boxed(collection, asked, box)))


async def area(collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int) -> Query:
    """The cells in a polygon, in the box that it lies in."""
    text = single(pairs, "coords")
    await have_geometry()
    geometry = read_geometry(text, ("POLYGON", "MULTIPOLYGON"), crs)
    parts, box = await asyncio.to_thread(box_of, geometry, crs)
    if collection.cells is not None:
        holds = partial(inside_each, parts)
        return await _area_of_cells(collection, asked, box, holds, most, len(parts))
    planned_box = await _planned(collection, _boxed(collection, asked, box))
    return Query(planned_box, holds=partial(inside, parts))


async def radius(collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int) -> Query:
    """The cells within a distance of a place, in the box that these lie in."""
    await have_geometry()
    geometry = read_geometry(single(pairs, "coords"), ("POINT",), crs)
    units = single(pairs, "within-units", "within_units")
    km = read_distance(single(pairs, "within"), units)
    lons, lats, _ = places_of(geometry, crs)
    lon, lat = float(lons[0]), float(lats[0])
    box = circle_box(lon, lat, km)
    if collection.cells is not None:
        holds = partial(within_each, lon, lat, km)
        return await _area_of_cells(collection, asked, box, holds, most)
    planned_box = await _planned(collection, _boxed(collection, asked, box))
    return Query(planned_box, holds=partial(within, lon, lat, km))


async def trajectory(
    collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int
) -> Query:
    """The cells that a line leads through, each once in a row.

    A line with levels or times takes those, which lie evenly between its vertices.
    """
    await have_geometry()
    kinds = ("LINESTRING", "MULTILINESTRING")
    line = line_of(read_geometry(single(pairs, "coords"), kinds, crs), crs)
    most = _most_places(collection, most)
    found = await along_line(collection, asked, line, most)
    return Query(await _planned_points(collection, asked, found), "path")


QUERIES: Final[Mapping[str, Ask]] = {
    "position": position,
    "cube": cube,
    "area": area,
    "radius": radius,
    "trajectory": trajectory,
}


async def _area_of_cells(
    collection: Collection,
    asked: Asked,
    box: Box,
    holds: Holds | None,
    most: int,
    parts: int = 1,
) -> Query:
    """The cells of a grid without axes that an area in a box `holds`, one after the other."""
    found = await cells_in(collection, box, holds, most, parts)
    return Query(await _planned_points(collection, asked, found), "cells")


async def _planned_points(collection: Collection, asked: Asked, found: Array) -> Plan:
    """The plan of places one after the other."""
    return await _planned(collection, _pointwise(asked, found))


async def _planned(collection: Collection, selection: Selection) -> Plan:
    """The plan; thousands of labels or places take a while, in which the loop goes on."""
    longest = max(map(_count, selection.along.values()), default=0)
    if longest <= _FEW_PLACES:
        return _plan_at_once(collection, selection)
    return await asyncio.to_thread(_plan_at_once, collection, selection)


def _count(along: Along) -> int:
    match along:
        case Labels(values) | Positions(values):
            return len(values)
        case _:
            return 1


def _most_places(collection: Collection, most: int) -> int:
    return most if collection.cells is None else min(most, _MOST_NEAR)


def _plan_at_once(collection: Collection, selection: Selection) -> Plan:
    """The plan; raises `NoData` where the dataset has nothing there."""
    grid = collection.grid
    if not grid.axes:
        # Whether the store calls them coordinates or not.
        told = dict.fromkeys((*(selection.variables or ()), grid.lon, grid.lat))
        selection = replace(selection, variables=tuple(told))
    try:
        return plan(collection.prepared, selection)
    except SelectionError as error:
        raise NoData(error.detail, **error.facts) from None


def _boxed(collection: Collection, asked: Asked, box: Box) -> Selection:
    lon, lat = collection.axis("x"), collection.axis("y")
    assert lon is not None
    assert lat is not None
    along: dict[str, Along] = dict(asked.along)
    along[lon.name] = _side(lon, box.west, box.east)
    along[lat.name] = _side(lat, box.south, box.north)
    return Selection(along, asked.names)


def _side(axis: Axis, low: float, high: float) -> Along:
    """An interval; without a width, the label nearest to it."""
    interval = Interval(low, high)
    if low != high:
        return interval
    only, sizes = {axis.name: axis}, {axis.name: axis.size}
    try:
        resolve(Selection({axis.name: interval}), only, sizes)
    except SelectionError:
        pass
    else:
        return interval
    try:
        found = resolve(Selection({axis.name: Label(low, NEAREST)}), only, sizes)
    except SelectionError as error:
        raise NoData(error.detail, **error.facts) from None
    label = float(axis.values[found.positions[axis.name]])
    if axis.longitude:
        # In the turn in which it was asked for.
        label -= TURN * round((label - low) / TURN)
    return Interval(label, label)


async def mask_of_query(collection: Collection, query: Query) -> Mask:
    """Which cells of a planned box lie in the area; raises `NoData` where none does."""
    assert query.holds is not None
    lon, lat = (_labels(collection, query.plan, letter) for letter in ("x", "y"))
    mask = await mask_of(query.holds, lon, lat)
    if not mask.any():
        raise NoData("No cell has its centre in this area.")
    return mask


def _labels(collection: Collection, found: Plan, letter: str) -> Floats:
    name = collection.axes[letter]
    labels = found.labels.get(name)
    if labels is None:
        labels = collection.prepared.axes[name].values[found.found.positions[name]]
    return np.asarray(labels, "f8")


def _pointwise(asked: Asked, found: Array) -> Selection:
    """What is asked for at positions, of which each row has one along every one of some axes."""
    names = found.dtype.names or ()
    if not found.size:
        raise NoData("No place of these lies in the data.")
    along: dict[str, Along] = dict(asked.along)
    for name in names:
        along[name] = Positions(tuple(found[name].tolist()))
    return Selection(along, asked.names, pointwise=names)
