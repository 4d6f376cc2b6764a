"""Places, lines and areas -> the cells of a collection's grid that they mean.

Cells are where their centres are.
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
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Labels, Selection, Value

from .collection import Collection
from .geometry import Box, Floats, Geometry, Line, Mask
from .parameters import NEAREST, Asked

# Which cells lie in an area, of rows along latitudes and columns along longitudes.
Holds: TypeAlias = Callable[[Floats, Floats], Mask]


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


def located(collection: Collection, wanted: Mapping[str, Array]) -> Array:
    """The positions nearest to places along each axis, of those that have one along all.

    A structured array with a field for each letter of `wanted`.
    """
    kept = np.ones(len(wanted["x"]), bool)
    labels: dict[str, Array] = {}
    for letter, values in wanted.items():
        axis = collection.axis(letter)
        assert axis is not None
        labels[letter], near = _near(axis, values)
        kept &= near
    found = np.zeros(int(kept.sum()), [(letter, "i8") for letter in wanted])
    for letter in wanted if found.size else ():
        axis = collection.axis(letter)
        assert axis is not None
        asked: tuple[Value, ...] = tuple(labels[letter][kept].tolist())
        if labels[letter].dtype.kind == "M":
            asked = tuple(labels[letter][kept])
        selection = Selection({axis.name: Labels(asked, NEAREST)})
        try:
            at = resolve(selection, {axis.name: axis}, {axis.name: axis.size})
        except SelectionError as error:
            raise NoData(error.detail, **error.facts) from None
        found[letter] = at.positions[axis.name]
    return found


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


def along_line(collection: Collection, asked: Asked, line: Line, most: int) -> Array:
    """The positions along a line, those that follow each other unlike."""
    found = located(collection, _sampled(collection, asked, line, most))
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
    cells = np.zeros(max(line.lon.size - 1, 0))
    for letter in ("x", "y"):
        axis = collection.axis(letter)
        assert axis is not None
        step = min([one for one in (axis.first_step, axis.last_step) if one], default=TURN)
        cells = np.maximum(cells, np.abs(np.diff(columns[letter])) / step)
    counts = np.maximum(np.ceil(cells), 1)
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
    near: Mask = distance_km(lon, lat, lons[None, :], lats[:, None]) <= km * (1 + 1e-9)
    return near
