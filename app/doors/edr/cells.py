"""Places, lines and areas -> the cells of a collection's grid that they mean.

Cells are where their centres are: in rows and columns along axes, or each at coordinates of its
own, which are known then.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array
from sluice.axes.axis import ROUNDING, Axis
from sluice.axes.globe import EARTH_KM, distance_km
from sluice.axes.resolve import resolve
from sluice.encoders.coverage_parts import TURN
from sluice.engine.nearest import MOST_WIDTHS, GridCells
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Labels, Selection, Value

from .collection import Collection
from .geometry import Box, Floats, Geometry, Line, Mask
from .parameters import NEAREST, Asked

# Which cells lie in an area, of rows along latitudes and columns along longitudes; or each of many,
# that have a longitude and a latitude.
Holds: TypeAlias = Callable[[Floats, Floats], Mask]
# So many cells may be compared with polygons: some seconds in a thread.
_MOST_COMPARED: Final = 2**30
# The kilometres of a degree along a meridian.
_DEGREE_KM: Final = math.radians(EARTH_KM)
# So few places are looked for at once; along axes they are worth no hop to a thread.
_FEW_PLACES: Final = 64


class NoData(SelectionError):
    """There is no data at this place or time; it is no mistake to ask for it."""


def check_count(count: int, most: int) -> None:
    if count > most:
        raise LimitError(
            f"The query asks for {count} places; one request may have {most}: ask for fewer.",
            parameter="coords",
            limited="labels",
            estimate=count,
            limit=most,
        )


async def located(collection: Collection, wanted: Mapping[str, Array]) -> Array:
    """The positions nearest to places along each dimension, of those that have one along all.

    A structured array with a field for each dimension; `wanted` are coordinates by their letters.
    Many are looked for in threads.
    """
    near = None
    if collection.cells is not None:
        near = await _near_cells(collection.cells, wanted["x"], wanted["y"])
    if len(wanted["x"]) <= _FEW_PLACES:
        return _located(collection, wanted, near)
    return await asyncio.to_thread(_located, collection, wanted, near)


def _located(collection: Collection, wanted: Mapping[str, Array], near: Array | None) -> Array:
    """The same; `near` are the rows and columns of places in cells, negative without one."""
    kept = np.ones(len(wanted["x"]), bool)
    places = dict[str, Array]()
    if near is not None:
        kept &= near[:, 0] >= 0
        places = dict(zip(collection.grid.dims, near.T, strict=True))
    labels: dict[str, Array] = {}
    axes = {one: axis for one in wanted if (axis := collection.axis(one)) is not None}
    for letter, axis in axes.items():
        labels[letter], in_reach = _near(axis, wanted[letter])
        kept &= in_reach
    names = [*places, *(axis.name for axis in axes.values())]
    found = np.zeros(int(kept.sum()), [(name, "i8") for name in names])
    for name in places:
        found[name] = places[name][kept]
    for letter, axis in axes.items() if found.size else ():
        found[axis.name] = _nearest_labels(axis, labels[letter][kept])
    return found


async def _near_cells(cells: GridCells, lon: Floats, lat: Floats) -> Array:
    """Rows and columns of the cells nearest to places; some at a time, as others want to, too."""
    found = np.full((lon.size, 2), -1)

    def look(part: slice) -> None:
        for number in range(lon.size)[part]:
            position = cell_near(cells, lon[number], lat[number])
            if position is not None:
                found[number] = position

    for start in range(0, lon.size, _FEW_PLACES):
        await asyncio.to_thread(look, slice(start, start + _FEW_PLACES))
    return found


def cell_near(cells: GridCells, lon: float, lat: float) -> tuple[int, ...] | None:
    """The position of the cell nearest to a place; None where that lies outside of the grid."""
    found = cells.nearest(float(lon), float(lat))
    if found is None:
        return None
    width = found.width_km
    outside = width is not None and found.distance_km > MOST_WIDTHS * width
    return None if outside else found.position


def _nearest_labels(axis: Axis, labels: Array) -> Array:
    asked: tuple[Value, ...] = tuple(labels) if labels.dtype.kind == "M" else tuple(labels.tolist())
    selection = Selection({axis.name: Labels(asked, NEAREST)})
    try:
        at = resolve(selection, {axis.name: axis}, {axis.name: axis.size})
    except SelectionError as error:
        raise NoData(error.detail, **error.facts) from None
    return np.asarray(at.positions[axis.name])


def _near(axis: Axis, values: Array) -> tuple[Array, Mask]:
    """The labels to look for, and which of them are at most one step beyond the axis."""
    ends = np.sort(axis.values[[axis.places[0], axis.places[len(axis.keys) - 1]]])
    if values.dtype.kind == "M":
        low, high = ends.astype("M8[ns]").astype("i8")
        numbers = values.astype("M8[ns]").astype("i8")
    else:
        low, high = ends.astype("f8")
        numbers = values = np.asarray(values, "f8")
    first, last = axis.first_step, axis.last_step
    below = (first or 0) * (1 + ROUNDING) + (0 if first else ROUNDING)
    above = (last or 0) * (1 + ROUNDING) + (0 if last else ROUNDING)
    if axis.longitude:
        # In the turn of the axis, where there is one.
        numbers = values = numbers - TURN * np.floor((numbers - low + below) / TURN)
    if axis.periodic:
        return values, np.ones(numbers.shape, bool)
    return values, (numbers >= low - below) & (numbers <= high + above)


async def along_line(collection: Collection, asked: Asked, line: Line, most: int) -> Array:
    """The positions along a line, those that follow each other unlike."""
    sampled = await asyncio.to_thread(_sampled, collection, asked, line, most)
    found = await located(collection, sampled)
    fresh = np.ones(len(found), bool)
    fresh[1:] = found[1:] != found[:-1]
    return found[fresh]


def _sampled(collection: Collection, asked: Asked, line: Line, most: int) -> dict[str, Array]:
    """Places along a line, at most a cell apart, with their levels and times."""
    columns: dict[str, Floats] = {"x": line.lon, "y": line.lat}
    levels, times = collection.axis("z"), collection.axis("t")
    if line.level is not None and levels is not None and levels.name not in asked.along:
        columns["z"] = line.level
    if line.seconds is not None and times is not None and times.name not in asked.along:
        if times.values.dtype.kind != "M":
            raise QueryError(
                "coords: a line has times of the Gregorian calendar alone", parameter="coords"
            )
        if not (np.abs(line.seconds) < 2**33).all():
            raise QueryError("coords: M is a number of seconds since 1970", parameter="coords")
        columns["t"] = line.seconds
    counts = np.maximum(np.ceil(_lengths(collection, line)), 1)
    ends = [start - 1 for start in line.starts if start]
    counts[ends] = 1
    total = int(counts.sum()) + 1
    check_count(total, most)
    whole = counts.astype("i8")
    # How far each place is on the way from one vertex to the next.
    number = np.repeat(np.arange(whole.size), whole)
    part = (np.arange(total - 1) - np.repeat(np.cumsum(whole) - whole, whole)) / whole[number]
    part[np.isin(number, ends)] = 0
    found: dict[str, Array] = {}
    for letter, values in columns.items():
        between = values[:-1][number] + np.diff(values)[number] * part
        found[letter] = np.append(between, values[-1])
    if "t" in found:
        found["t"] = np.round(found["t"] * 1000).astype("M8[ms]")
    return found


def _lengths(collection: Collection, line: Line) -> Floats:
    """In how many steps a line goes from each vertex to the next, none longer than a cell.

    Cells in no rows and columns lie across the line: the steps are half as long as the small ones.
    """
    across, up = np.abs(np.diff(line.lon)), np.abs(np.diff(line.lat))
    if collection.cells is not None:
        ends = np.abs(line.lat)
        # A degree of longitude is longest where the line is nearest to the equator.
        least = np.where(line.lat[1:] * line.lat[:-1] > 0, np.minimum(ends[1:], ends[:-1]), 0)
        degrees = np.hypot(across * np.cos(np.radians(least)), up)
        return np.asarray(degrees * _DEGREE_KM / (collection.cells.step_km / 2))
    found = np.zeros(across.size)
    for letter, apart in (("x", across), ("y", up)):
        axis = collection.axis(letter)
        assert axis is not None
        step = min([one for one in (axis.first_step, axis.last_step) if one], default=TURN)
        found = np.maximum(found, apart / step)
    return found


async def cells_in(
    collection: Collection, box: Box, holds: Holds | None, most: int, parts: int = 1
) -> Array:
    """The positions of the cells in a box that an area of so many parts `holds` (None: all).

    At most `most`, in C order, as a structured array as `located` gives it. Piece by piece in
    threads, as `mask_of`.
    """
    cells, dims = collection.cells, collection.grid.dims
    assert cells is not None
    compared = math.prod(cells.shape) * parts
    if compared > _MOST_COMPARED:
        raise LimitError(
            f"To look for {math.prod(cells.shape)} cells in {parts} polygons takes too long: ask"
            " for fewer polygons.",
            parameter="coords",
            limited="compared",
            estimate=compared,
            limit=_MOST_COMPARED,
        )
    found, count = [np.zeros(0, "i8")], 0
    for places, lon, lat in cells.pieces():
        if lon.size > _FEW_CELLS:
            held = await asyncio.to_thread(_held, box, holds, lon, lat)
        else:
            held = _held(box, holds, lon, lat)
        found.append(places[held])
        count += held.size
        check_count(count, most)
    return _at_places(np.sort(np.concatenate(found)), dims, cells.shape)


def _held(box: Box, holds: Holds | None, lon: Floats, lat: Floats) -> Array:
    """The numbers of those of the cells."""
    found = np.flatnonzero(in_box(box, lon, lat))
    if holds is not None and found.size:
        found = found[holds(lon[found], lat[found])]
    return found


def _at_places(places: Array, dims: Sequence[str], shape: tuple[int, ...]) -> Array:
    found = np.zeros(places.size, [(name, "i8") for name in dims])
    for name, index in zip(dims, np.unravel_index(places, shape), strict=True):
        found[name] = index
    return found


# So many cells are asked of at once: some hundredths of a second.
_BLOCK_CELLS: Final = 2**15
# So few are worth no hop to a thread.
_FEW_CELLS: Final = 2**11


async def mask_of(holds: Holds, lon: Floats, lat: Floats) -> Mask:
    """Which cells an area `holds`, of rows along `lat` and columns along `lon`.

    Block by block in threads, so that whoever gives up ends it.
    """
    if lon.size * lat.size <= _FEW_CELLS:
        return holds(lon, lat)
    found = np.zeros((lat.size, lon.size), bool)
    rows = max(1, _BLOCK_CELLS // max(1, lon.size))
    for start in range(0, lat.size, rows):
        block = slice(start, start + rows)
        found[block] = await asyncio.to_thread(holds, lon, lat[block])
    return found


def inside(parts: Sequence[Geometry], lon: Floats, lat: Floats) -> Mask:
    """Which cells, of rows along `lat` and columns along `lon`, the polygons hold or touch."""
    import shapely

    found = np.zeros((lat.size, lon.size), bool)
    for part in parts:
        west, south, east, north = shapely.bounds(part)
        columns = np.flatnonzero((lon >= west) & (lon <= east))
        rows = np.flatnonzero((lat >= south) & (lat <= north))
        if rows.size and columns.size:
            held = shapely.intersects_xy(part, lon[columns][None, :], lat[rows][:, None])
            found[np.ix_(rows, columns)] |= held
    return found


def inside_each(parts: Sequence[Geometry], lon: Floats, lat: Floats) -> Mask:
    """Which of these cells the polygons hold or touch."""
    import shapely

    found = np.zeros(lon.shape, bool)
    for part in parts:
        box = Box(*shapely.bounds(part).tolist())
        near = np.flatnonzero(in_box(box, lon, lat))
        if near.size:
            turned = _east_of(box.west, lon[near])
            found[near] |= shapely.intersects_xy(part, turned, lat[near])
    return found


def in_box(box: Box, lon: Floats, lat: Floats) -> Mask:
    """Which of these cells lie in a box."""
    east = box.east + (TURN if box.east < box.west else 0)
    inside: Mask = (_east_of(box.west, lon) <= east) & (lat >= box.south) & (lat <= box.north)
    return inside


def _east_of(west: float, lon: Floats) -> Floats:
    """The same longitudes in the turn that begins there."""
    return np.asarray(lon - TURN * np.floor((lon - west) / TURN))


def circle_box(lon: float, lat: float, km: float) -> Box:
    """What a circle on the globe lies in."""
    angle = km / EARTH_KM
    south, north = lat - math.degrees(angle), lat + math.degrees(angle)
    if south <= -90 or north >= 90 or angle >= math.pi / 2:
        return Box(-180, max(south, -90), 180, min(north, 90))
    # The meridians that touch the circle.
    half = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(lat)))))
    if half >= TURN / 2:
        return Box(-180, south, 180, north)
    return Box(lon - half, south, lon + half, north)


def within(lon: float, lat: float, km: float, lons: Floats, lats: Floats) -> Mask:
    """Which cells, of rows along `lats` and columns along `lons`, lie so near."""
    return within_each(lon, lat, km, lons[None, :], lats[:, None])


def within_each(lon: float, lat: float, km: float, lons: Floats, lats: Floats) -> Mask:
    """Which of these cells lie so near."""
    near: Mask = distance_km(lon, lat, lons, lats) <= km * (1 + 1e-9)
    return near
