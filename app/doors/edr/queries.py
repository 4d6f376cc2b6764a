"""Position, cube, area, radius and trajectory: a query's place -> what is selected of a collection.

Cells are where their centres are. A place takes the cell that is nearest to it, which may lie one
step beyond the last; boxes and areas take the cells inside. What none is in has no data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array, record
from sluice.axes.axis import ROUNDING, Axis
from sluice.axes.resolve import resolve
from sluice.engine import Plan, plan
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Along, Interval, Label, Labels, Positions, Selection, Value

from .collection import Collection
from .geometry import (
    Box,
    Floats,
    Line,
    Mask,
    box_of,
    circle_box,
    inside,
    line_of,
    places_of,
    read_box,
    read_distance,
    read_geometry,
    within,
)
from .parameters import NEAREST, Asked, single

Pairs: TypeAlias = Sequence[tuple[str, str]]

_TURN: Final = 360
# So few places, or cells, are worth no hop to a thread.
_FEW_PLACES: Final = 64
_FEW_CELLS: Final = 2**12


@record
class Query:
    """A planned query: `path` for places that are a line, `mask` for cells inside of an area.

    `form` is what tells answers of one plan from each other.
    """

    plan: Plan
    path: bool = False
    mask: Mask | None = None
    form: tuple[tuple[str, Hashable], ...] = ()


Ask: TypeAlias = Callable[[Collection, Asked, Pairs, str, int], Awaitable[Query]]


class NoData(SelectionError):
    """There is no data at this place or time; it is no mistake to ask for it."""


async def position(
    collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int
) -> Query:
    """The cell nearest to a place, or to each of several."""
    geometry = read_geometry(single(pairs, "coords"), ("POINT", "MULTIPOINT"), crs)
    lon, lat, level = places_of(geometry, crs)
    return await at_places(collection, asked, lon, lat, level, most)


async def at_places(
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
    along = dict(asked.along)
    if lon.size == 1:
        along[collection.axes["x"]] = Label(float(lon[0]), NEAREST)
        along[collection.axes["y"]] = Label(float(lat[0]), NEAREST)
        if level is not None and levels is not None:
            along[levels.name] = Label(float(level[0]), NEAREST)
        return Query(planned(collection, Selection(along, asked.names)))
    _check_count(lon.size, most)
    wanted: dict[str, Array] = {"x": lon, "y": lat}
    if level is not None:
        wanted["z"] = level
    found = await _off_loop(lon.size > _FEW_PLACES, lambda: _located(collection, wanted))
    return Query(planned(collection, _pointwise(asked, collection, found)))


async def cube(collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int) -> Query:
    """The cells in a box; a box without width takes the nearest column."""
    box = read_box(single(pairs, "bbox"), crs)
    levels = collection.axis("z")
    if box.levels is not None and levels is not None and levels.name not in asked.along:
        low, high = box.levels
        asked = Asked({**asked.along, levels.name: Interval(low, high)}, asked.names)
    return Query(planned(collection, _boxed(collection, asked, box)))


async def area(collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int) -> Query:
    """The cells in a polygon, in the box that it lies in."""
    text = single(pairs, "coords")
    geometry = read_geometry(text, ("POLYGON", "MULTIPOLYGON"), crs)
    geometry, box = await asyncio.to_thread(box_of, geometry, crs)
    return await _masked(collection, asked, box, lambda lon, lat: inside(geometry, lon, lat))


async def radius(collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int) -> Query:
    """The cells within a distance of a place, in the box that these lie in."""
    geometry = read_geometry(single(pairs, "coords"), ("POINT",), crs)
    units = single(pairs, "within-units", "within_units")
    km = read_distance(single(pairs, "within"), units)
    lons, lats, _ = places_of(geometry, crs)
    lon, lat = float(lons[0]), float(lats[0])
    box = circle_box(lon, lat, km)
    return await _masked(collection, asked, box, lambda x, y: within(lon, lat, km, x, y))


async def trajectory(
    collection: Collection, asked: Asked, pairs: Pairs, crs: str, most: int
) -> Query:
    """The cells that a line leads through, each once in a row.

    A line with levels or times takes those, which lie evenly between its vertices.
    """
    kinds = ("LINESTRING", "MULTILINESTRING")
    line = line_of(read_geometry(single(pairs, "coords"), kinds, crs), crs)
    found = await asyncio.to_thread(_along_line, collection, asked, line, most)
    selection = _pointwise(asked, collection, found)
    return Query(planned(collection, selection), path=True, form=(("path", True),))


QUERIES: Final[Mapping[str, Ask]] = {
    "position": position,
    "cube": cube,
    "area": area,
    "radius": radius,
    "trajectory": trajectory,
}


def planned(collection: Collection, selection: Selection) -> Plan:
    """The plan; raises `NoData` where the dataset has nothing there."""
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
        label -= _TURN * round((label - low) / _TURN)
    return Interval(label, label)


async def _masked(
    collection: Collection,
    asked: Asked,
    box: Box,
    holds: Callable[[Floats, Floats], Mask],
) -> Query:
    found = planned(collection, _boxed(collection, asked, box))
    lon, lat = (_labels(collection, found, letter) for letter in ("x", "y"))
    mask = await _off_loop(lon.size * lat.size > _FEW_CELLS, lambda: holds(lon, lat))
    if not mask.any():
        raise NoData("No cell has its centre in this area.")
    own = blake2b(np.packbits(mask).tobytes(), digest_size=16).hexdigest()
    return Query(found, mask=mask, form=(("mask", own),))


def _labels(collection: Collection, found: Plan, letter: str) -> Floats:
    name = collection.axes[letter]
    labels = found.labels.get(name)
    if labels is None:
        labels = collection.prepared.axes[name].values[found.found.positions[name]]
    return np.asarray(labels, "f8")


async def _off_loop(long: bool, work: Callable[[], Array]) -> Array:
    return await asyncio.to_thread(work) if long else work()


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise LimitError(
            f"The query asks for {count} places; one request may have {most}: ask for fewer.",
            parameter="coords",
            limited="labels",
            estimate=count,
            limit=most,
        )


def _pointwise(asked: Asked, collection: Collection, found: Array) -> Selection:
    """What is asked for at positions, of which each row has one along every one of some axes."""
    letters = found.dtype.names or ()
    if not found.size:
        raise NoData("No place of these lies in the data.")
    names = tuple(collection.axes[letter] for letter in letters)
    along: dict[str, Along] = dict(asked.along)
    for letter, name in zip(letters, names, strict=True):
        along[name] = Positions(tuple(found[letter].tolist()))
    return Selection(along, asked.names, pointwise=names)


def _located(collection: Collection, wanted: Mapping[str, Array]) -> Array:
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
        numbers = values = numbers - _TURN * np.floor((numbers - low + below) / _TURN)
    if axis.periodic:
        return values, np.ones(numbers.shape, bool)
    return values, (numbers >= low - below) & (numbers <= high + above)


def _along_line(collection: Collection, asked: Asked, line: Line, most: int) -> Array:
    """The positions along a line, those that follow each other unlike."""
    found = _located(collection, _sampled(collection, asked, line, most))
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
        step = min([one for one in (axis.first_step, axis.last_step) if one], default=_TURN)
        cells = np.maximum(cells, np.abs(np.diff(columns[letter])) / step)
    counts = np.maximum(np.ceil(cells), 1)
    ends = [start - 1 for start in line.starts if start]
    counts[ends] = 1
    total = int(counts.sum()) + 1
    _check_count(total, most)
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
