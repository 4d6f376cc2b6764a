"""Places on a globe: intervals of longitudes across any seam, and the cell nearest to a place.

Intervals of longitudes run from west to east. Labels that are 360 apart name one place, and where
an axis goes all the way round, its first and last label are neighbours too.

Nearest cells are those of grids whose longitudes and latitudes are coordinates of two dimensions
(CF conventions 1.11, section 5.2), of one that they share, or of one each. Distances are along
great circles of a sphere with the Earth's mean radius, by the haversine formula (R. W. Sinnott,
"Virtues of the Haversine", Sky and Telescope 68, 1984).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, record
from sluice.axes.axis import ROUNDING, TURN, Axis, Indexer, no_overlap
from sluice.axes.label_text import spell_value
from sluice.axes.matching import find, read_longitude
from sluice.axes.scales import in_precision
from sluice.selection import Value


@dataclass(frozen=True, slots=True)
class _Run:
    """The keys from `first` up to `after`, whose labels are asked for as so many `turns` less."""

    first: int
    after: int
    turns: int


def arc(axis: Axis, start: Value, stop: Value, step: int) -> tuple[Indexer, Array | None]:
    """Positions from longitude `start` eastward to `stop`, every `step`-th, and their labels.

    The labels rise from the asked west end; ``None`` where they are the stored ones. Each place is
    taken once. Raises `SelectionError` where no column lies inside.
    """
    west, east = _ends(read_longitude(axis, start), read_longitude(axis, stop))
    runs = _disjoint(axis, _runs(axis, west, east))
    if not runs:
        raise no_overlap(axis, f"{spell_value(start)}/{spell_value(stop)}")
    if len(runs) == 1:
        positions = _positions(axis, runs[0], step)
    else:
        positions = np.concatenate([_places(axis, run) for run in runs])[::step]
    if not any(run.turns for run in runs):
        return positions, None
    return positions, _labels(axis, runs)[::step]


def _ends(west: float, east: float) -> tuple[float, float]:
    """The same ends with `east` at most one turn east of `west`."""
    if east < west:
        # The billionth keeps an end that rounding left just west of the other from a full turn.
        east += TURN * math.ceil((west - east) / TURN - 1e-9)
    return west, min(east, west + TURN)


def _runs(axis: Axis, west: float, east: float) -> list[_Run]:
    """The runs of keys inside the arc, from its west end; overlapping where labels repeat."""
    low, high = axis.keys[0], axis.keys[-1]
    whole = east - west >= TURN - ROUNDING * (axis.last_step or 0)
    most, least = math.floor((high - west) / TURN), math.ceil((low - east) / TURN)
    runs = []
    # One turn more on either side: an end that is nearly a label is that label.
    for turns in range(most + 1, least - 2, -1):
        first = find(axis, in_precision(west + TURN * turns, axis.narrow))
        last = find(axis, in_precision(east + TURN * turns, axis.narrow))
        # A column at both ends alike is the west end's, unless the axis has it twice.
        again = last[0] < last[1] and first[0] == first[1]
        if whole and first[0] == 0 and last[1] == len(axis.keys) and not again:
            return [_Run(0, len(axis.keys), turns)]
        # All the way round, the east end is the west end again.
        runs.append(_Run(first[0], last[0] if whole else last[1], turns))
    return [run for run in runs if run.first < run.after]


def _disjoint(axis: Axis, runs: list[_Run]) -> list[_Run]:
    """The same runs, without the places that an axis such as 0, ..., 360 has twice."""
    kept: list[_Run] = []
    for run in runs:
        if kept:
            kept[-1], run = _apart(axis, kept[-1], run)
        kept.append(run)
    return [run for run in kept if run.first < run.after]


def _apart(axis: Axis, western: _Run, eastern: _Run) -> tuple[_Run, _Run]:
    """Two runs without what both hold; the one under its stored labels keeps it."""
    shift = TURN * (western.turns - eastern.turns)
    if western.turns and not eastern.turns:
        after = find(axis, in_precision(axis.keys[eastern.first] + shift, axis.narrow))[0]
        return _Run(western.first, min(after, western.after), western.turns), eastern
    first = find(axis, in_precision(axis.keys[western.after - 1] - shift, axis.narrow))[1]
    return western, _Run(max(first, eastern.first), eastern.after, eastern.turns)


def _positions(axis: Axis, run: _Run, step: int) -> Indexer:
    """Where the run is stored, from west to east."""
    if axis.order is not None:
        return axis.order[run.first : run.after : step]
    if axis.direction == "ascending":
        return slice(run.first, run.after, step)
    last = len(axis.keys) - 1
    # A stop of -1 would mean the last position again.
    return slice(last - run.first, last - run.after if run.after <= last else None, -step)


def _places(axis: Axis, run: _Run) -> NDArray[np.int64]:
    if axis.order is not None:
        return axis.order[run.first : run.after]
    indexes = np.arange(run.first, run.after, dtype="i8")
    return indexes if axis.direction == "ascending" else len(axis.keys) - 1 - indexes


def _labels(axis: Axis, runs: list[_Run]) -> Array:
    """The labels as they were asked for: the stored ones, whole turns added or taken away."""
    dtype = axis.values.dtype.newbyteorder("=")
    wide = np.dtype("f8" if dtype.kind == "f" else "i8")
    keys = [np.asarray(axis.keys[r.first : r.after]).astype(wide) - TURN * r.turns for r in runs]
    labels = np.concatenate(keys)
    if dtype.kind == "f":
        return labels.astype(dtype)
    limits = np.iinfo(dtype)
    # Unsigned or narrow integers may have no place for the labels west of 0 or east of 360.
    fits = limits.min <= labels.min() and labels.max() <= limits.max
    return labels.astype(dtype) if fits else labels


# The mean radius R1 of the International Union of Geodesy and Geophysics (H. Moritz, "Geodetic
# Reference System 1980", Journal of Geodesy 74, 2000).
EARTH_KM: Final = 6371.0088
# Beyond two turns either way a number is no longitude.
_FARTHEST: Final = 720
# Cells in tiles of so many each way have a common centre and radius: most are never looked at.
_SIDE: Final = 32
# So many tiles are looked at together: the first few are nearly always all.
_FIRST_TILES: Final = 4
# What the bounds of tiles may be wrong by, in radians: some centimetres.
_SLACK: Final = 1e-8
# So many cells are turned into vectors at once.
_PIECE_CELLS: Final = 2**18

Floats = NDArray[np.float64]


def distance_km(
    lon: float | Floats, lat: float | Floats, lons: float | Array, lats: float | Array
) -> Floats:
    """Great-circle distances in km between places in degrees; NaN where a coordinate is."""
    x, y = np.radians(np.asarray(lon, "f8")), np.radians(np.asarray(lat, "f8"))
    xs, ys = np.radians(np.asarray(lons, "f8")), np.radians(np.asarray(lats, "f8"))
    half = np.sin((ys - y) / 2) ** 2 + np.cos(y) * np.cos(ys) * np.sin((xs - x) / 2) ** 2
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1))))


@record
class Nearest:
    """A cell by its `position` along each dimension of its grid, and how far it is.

    `width_km` is the distance to the farthest of the cells beside it, where there are any in two
    dimensions.
    """

    position: tuple[int, ...]
    distance_km: float
    width_km: float | None


class Cells:
    """The centres of a grid's cells, in degrees, to look for the nearest in.

    Cells of which either coordinate is NaN are none. To make it costs a pass over all; it keeps
    the coordinates as they were given, in tiles, and `nbytes` of memory.
    """

    def __init__(self, lon: Array, lat: Array) -> None:
        """`lon` and `lat` have one shape, of one or two dimensions."""
        self.shape: tuple[int, ...] = lon.shape
        self._lon = _tiled(_known(lon, _FARTHEST))
        self._lat = _tiled(_known(lat, 90))
        self._centres, self._radii = self._bounds()

    @property
    def size(self) -> int:
        """How many cells there may be."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return sum([a.nbytes for a in (self._lon, self._lat, self._centres, self._radii)])

    def _bounds(self) -> tuple[Floats, Floats]:
        """Of each tile a unit vector, and how far its cells are from that at most, in radians.

        A tile without any cell is infinitely far.
        """
        count, cells = self._lon.shape
        centres, radii = np.zeros((count, 3)), np.full(count, -np.inf)
        step = max(1, _PIECE_CELLS // cells)
        for start in range(0, count, step):
            part = slice(start, start + step)
            vectors = _vectors(self._lon[part], self._lat[part])
            sums = np.nansum(vectors, axis=1)
            lengths = np.linalg.norm(sums, axis=-1, keepdims=True)
            middle = np.divide(
                sums, lengths, out=np.tile([1.0, 0, 0], (len(sums), 1)), where=lengths > 0
            )
            apart = _angles(vectors, middle[:, None, :])
            centres[part] = middle
            radii[part] = np.where(np.isnan(apart), -np.inf, apart).max(axis=1)
        return centres, radii

    def nearest(self, lon: float, lat: float) -> Nearest | None:
        """The nearest cell, of several the first in C order; None where there is no cell."""
        least = _angles(_vectors(np.asarray(lon), np.asarray(lat)), self._centres)
        least = np.where(np.isfinite(self._radii), least - self._radii - _SLACK, np.inf)
        order = np.argsort(least, kind="stable")
        best, place, done, step = np.inf, -1, 0, _FIRST_TILES
        while done < len(order) and least[order[done]] * EARTH_KM <= best:
            tiles = order[done : done + step]
            tiles = tiles[np.isfinite(least[tiles])]
            if not len(tiles):
                break
            apart = distance_km(lon, lat, self._lon[tiles], self._lat[tiles])
            apart = np.where(np.isnan(apart), np.inf, apart)
            nearest = float(apart.min())
            if not np.isfinite(nearest):
                break
            first = self._first(tiles, apart == nearest)
            if nearest < best or (nearest == best and first < place):
                best, place = nearest, first
            done, step = done + step, step * 2
        if place < 0:
            return None
        position = tuple(int(index) for index in np.unravel_index(place, self.shape))
        width = _width_km(position, self.shape, self._centre) if len(position) == 2 else None
        return Nearest(position, best, width)

    def _first(self, tiles: NDArray[np.intp], chosen: NDArray[np.bool_]) -> int:
        """The first cell in C order of those that are `chosen` in these tiles."""
        which, cell = np.nonzero(chosen)
        tile = tiles[which]
        if len(self.shape) == 1:
            return int((tile * self._lon.shape[1] + cell).min())
        row = tile // self._across * _SIDE + cell // _SIDE
        column = tile % self._across * _SIDE + cell % _SIDE
        return int((row * self.shape[1] + column).min())

    @property
    def _across(self) -> int:
        """How many tiles there are side by side."""
        return -(-self.shape[1] // _SIDE)

    def _centre(self, position: tuple[int, ...]) -> tuple[float, float]:
        (row, y), (column, x) = (divmod(index, _SIDE) for index in position)
        tile = row * self._across + column
        return float(self._lon[tile, y * _SIDE + x]), float(self._lat[tile, y * _SIDE + x])


class Crossed:
    """The centres of cells with a longitude for each column and a latitude for each row.

    What is NaN, or no coordinate, belongs to no cell.
    """

    def __init__(self, lon: Array, lat: Array) -> None:
        self._lon, self._lat = _known(lon, _FARTHEST), _known(lat, 90)

    @property
    def size(self) -> int:
        """How many values are looked at."""
        return self._lon.size + self._lat.size

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self._lon.nbytes + self._lat.nbytes

    def nearest(self, lon: float, lat: float) -> Nearest | None:
        """The nearest cell by its row and column; None where there is no cell.

        In every row that is the column whose longitude is nearest: the rest of the formula is the
        same for all columns.
        """
        apart = np.abs(np.remainder(self._lon.astype("f8") - lon + TURN / 2, TURN) - TURN / 2)
        if np.isnan(apart).all() or np.isnan(self._lat).all():
            return None
        column = int(np.nanargmin(apart))
        apart = distance_km(lon, lat, self._lon[column], self._lat)
        place = int(np.nanargmin(apart)), column
        width = _width_km(place, (self._lat.size, self._lon.size), self._centre)
        return Nearest(place, float(apart[place[0]]), width)

    def _centre(self, position: tuple[int, ...]) -> tuple[float, float]:
        return float(self._lon[position[1]]), float(self._lat[position[0]])


def _width_km(
    position: tuple[int, ...],
    shape: tuple[int, ...],
    centre: Callable[[tuple[int, ...]], tuple[float, float]],
) -> float | None:
    """How far the farthest of the four cells beside this one is."""
    row, column = position
    beside = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
    there = [at for at in beside if all(0 <= i < n for i, n in zip(at, shape, strict=True))]
    apart = [float(distance_km(*centre(position), *centre(at))) for at in there]
    return max((one for one in apart if not np.isnan(one)), default=None)


def _known(values: Array, farthest: float) -> Array:
    """The values as floats, and NaN for what is no coordinate, such as a fill value."""
    floats = values if values.dtype.kind == "f" else values.astype("f8")
    return np.where(np.abs(floats) <= farthest, floats, np.nan)


def _tiled(values: Array) -> Array:
    """The values, a row for each tile, the last of them filled up: of two dimensions in squares."""
    if values.ndim == 1:
        length = _SIDE * _SIDE
        padded = np.pad(values, (0, -len(values) % length), constant_values=np.nan)
        return padded.reshape(-1, length)
    rows, columns = values.shape
    ends = ((0, -rows % _SIDE), (0, -columns % _SIDE))
    padded = np.pad(values, ends, constant_values=np.nan)
    down, across = (size // _SIDE for size in padded.shape)
    squares = padded.reshape(down, _SIDE, across, _SIDE).swapaxes(1, 2)
    return squares.reshape(-1, _SIDE * _SIDE)


def _vectors(lon: Array, lat: Array) -> Floats:
    """Unit vectors of places in degrees."""
    x, y = np.radians(np.asarray(lon, "f8")), np.radians(np.asarray(lat, "f8"))
    flat = np.cos(y)
    return np.stack((flat * np.cos(x), flat * np.sin(x), np.sin(y)), axis=-1)


def _angles(vectors: Floats, others: Floats) -> Floats:
    """The angles between unit vectors, exact also where they are small."""
    chords = np.linalg.norm(vectors - others, axis=-1)
    return np.asarray(2 * np.arcsin(np.minimum(chords / 2, 1)))
