"""Distances on the globe, and the cell of a grid that is nearest to a place.

Cells are those of grids whose longitudes and latitudes are coordinates of two dimensions
(CF conventions 1.11, section 5.2), of one that they share, or of one each. Distances are along
great circles of a sphere with the Earth's mean radius, by the haversine formula (R. W. Sinnott,
"Virtues of the Haversine", Sky and Telescope 68, 1984).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, record
from sluice.axes.axis import TURN

# The mean radius R1 of the International Union of Geodesy and Geophysics (H. Moritz, "Geodetic
# Reference System 1980", Journal of Geodesy 74, 2000).
EARTH_KM: Final = 6371.0088
# Beyond two turns either way a number is no longitude.
_FARTHEST: Final = 720
# The side of a tile, in cells. Each tile has a centre and a radius, by which most are ruled out.
_SIDE: Final = 32
# So many tiles are searched first, and twice as many each time after that: nearly always once.
_FIRST_TILES: Final = 4
# The rounding error of the tiles' bounds, in radians: some centimetres.
_SLACK: Final = 1e-8
# So many cells are converted to vectors at once.
_PIECE_CELLS: Final = 2**18
# So many cells come in one piece: some milliseconds of work.
_ASKED_CELLS: Final = 2**15
# At so many places each way the distance to the next cell is measured,
_MEASURED: Final = 40
# and this quantile of the distances is the grid's step.
_SMALLEST: Final = 0.05
# Cells with gaps of no more than so many degrees of longitude go all the way round.
_WIDE_GAP: Final = 20

Floats: TypeAlias = NDArray[np.float64]
# Some cells: their numbers in C order, their longitudes and latitudes.
Piece: TypeAlias = tuple[NDArray[np.int64], Floats, Floats]
# West, south, east and north.
LonLatBox: TypeAlias = tuple[float, float, float, float]


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
    """A cell by its `position` along each dimension of its grid, and its distance to the place.

    `width_km` is the distance from the cell to the farthest of its four neighbours; None without
    any, or in one dimension.
    """

    position: tuple[int, ...]
    distance_km: float
    width_km: float | None


class _Grid(ABC):
    """Cells by their centres, with what is computed from all of them."""

    shape: tuple[int, ...]

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """All cells, some at a time."""

    @abstractmethod
    def centres(self, rows: Array, columns: Array) -> tuple[Floats, Floats]:
        """The longitudes and latitudes of some cells, in two dimensions."""

    @cached_property
    def box(self) -> LonLatBox | None:
        """The box that they lie in, see `_box`; costs a pass over all cells."""
        return _box(self.pieces())

    @cached_property
    def step_km(self) -> float:
        """About how far small cells are from their neighbours; of two dimensions."""
        return _step_km(self)


class Cells(_Grid):
    """The centres of a grid's cells, in degrees, prepared for searching the nearest.

    Cells without either coordinate (NaN) are left out. Costs a pass over all cells, and `nbytes` of
    memory, mostly for the coordinates in tiles.
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
        """For each tile a unit vector, and the largest angle of its cells to that, in radians.

        The angle is ``-inf`` for a tile without cells.
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
        """The cell nearest to a place in degrees (of several, the first); None if there is none."""
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
        width = _width_km(position, self) if len(position) == 2 else None
        return Nearest(position, best, width)

    def _first(self, tiles: NDArray[np.intp], chosen: NDArray[np.bool_]) -> int:
        """The first cell in C order of those that are `chosen` in these tiles."""
        which, cell = np.nonzero(chosen)
        return int(self._in_order(tiles[which] * self._lon.shape[1] + cell).min())

    def _in_order(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers in C order of cells that are numbered tile by tile."""
        if len(self.shape) == 1:
            return numbers
        tile, cell = np.divmod(numbers, _SIDE * _SIDE)
        row = tile // self._across * _SIDE + cell // _SIDE
        column = tile % self._across * _SIDE + cell % _SIDE
        places: NDArray[np.int64] = row * self.shape[1] + column
        return places

    def pieces(self) -> Iterator[Piece]:
        """All cells, some at a time; neighbours mostly come together."""
        count, cells = self._lon.shape
        step = max(1, _ASKED_CELLS // cells)
        for start in range(0, count, step):
            lon, lat = (one[start : start + step].reshape(-1) for one in (self._lon, self._lat))
            there = np.flatnonzero(~(np.isnan(lon) | np.isnan(lat)))
            places = self._in_order(start * cells + there)
            yield places, lon[there].astype("f8"), lat[there].astype("f8")

    @property
    def _across(self) -> int:
        """How many tiles there are side by side."""
        return -(-self.shape[1] // _SIDE)

    def centres(self, rows: Array, columns: Array) -> tuple[Floats, Floats]:
        """The longitudes and latitudes of some cells, in two dimensions."""
        (row, y), (column, x) = np.divmod(rows, _SIDE), np.divmod(columns, _SIDE)
        at = row * self._across + column, y * _SIDE + x
        return self._lon[at].astype("f8"), self._lat[at].astype("f8")


class Crossed(_Grid):
    """The centres of cells with a longitude for each column and a latitude for each row.

    Values that are NaN, or no coordinates, belong to no cell.
    """

    def __init__(self, lon: Array, lat: Array) -> None:
        self._lon, self._lat = _known(lon, _FARTHEST), _known(lat, 90)
        self.shape: tuple[int, ...] = (lat.size, lon.size)

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        return self._lon.size + self._lat.size

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self._lon.nbytes + self._lat.nbytes

    def nearest(self, lon: float, lat: float) -> Nearest | None:
        """The cell nearest to a place in degrees, by its row and column; None if there is no cell.

        In every row that is the cell in the column whose longitude is nearest, since the rest of
        the formula is the same for all columns.
        """
        apart = np.abs(np.remainder(self._lon.astype("f8") - lon + TURN / 2, TURN) - TURN / 2)
        if np.isnan(apart).all() or np.isnan(self._lat).all():
            return None
        column = int(np.nanargmin(apart))
        apart = distance_km(lon, lat, self._lon[column], self._lat)
        place = int(np.nanargmin(apart)), column
        return Nearest(place, float(apart[place[0]]), _width_km(place, self))

    def pieces(self) -> Iterator[Piece]:
        """All cells, some at a time."""
        columns = np.flatnonzero(~np.isnan(self._lon))
        rows = np.flatnonzero(~np.isnan(self._lat))
        step = max(1, _ASKED_CELLS // max(1, columns.size))
        for start in range(0, rows.size, step):
            some = rows[start : start + step]
            row, column = some.repeat(columns.size), np.tile(columns, some.size)
            yield row * self._lon.size + column, *self.centres(row, column)

    def centres(self, rows: Array, columns: Array) -> tuple[Floats, Floats]:
        """The longitudes and latitudes of some cells."""
        return self._lon[columns].astype("f8"), self._lat[rows].astype("f8")


def _width_km(position: tuple[int, ...], grid: _Grid) -> float | None:
    """The distance to the farthest of the four cells beside this one; None if there is none."""
    row, column = position
    beside = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
    there = [at for at in beside if all(0 <= i < n for i, n in zip(at, grid.shape, strict=True))]
    rows, columns = np.array([position, *there]).T
    lon, lat = grid.centres(rows, columns)
    apart = distance_km(lon[0], lat[0], lon[1:], lat[1:]).tolist()
    return max((one for one in apart if not np.isnan(one)), default=None)


def _step_km(grid: _Grid) -> float:
    """A low quantile of the distances between neighbouring cells, measured at some places.

    Infinite where there are no two cells.
    """
    ends = [np.linspace(0, size - 1, min(size, _MEASURED)).astype("i8") for size in grid.shape]
    rows, columns = (index.reshape(-1) for index in np.meshgrid(*ends, indexing="ij"))
    found = []
    for down, across in ((1, 0), (0, 1)):
        below, beside = rows + down, columns + across
        there = (below < grid.shape[0]) & (beside < grid.shape[1])
        one = grid.centres(rows[there], columns[there])
        apart = distance_km(*one, *grid.centres(below[there], beside[there]))
        # Cells at a pole may be one place.
        found.append(apart[apart > 0])
    sizes = np.concatenate(found)
    return float(np.quantile(sizes, _SMALLEST)) if sizes.size else math.inf


def _box(pieces: Iterator[Piece]) -> LonLatBox | None:
    """West, south, east and north of all cells, in degrees; None where there are none.

    West is larger than east across the antimeridian. Cells without a wide gap in longitude span all
    of -180 to 180.
    """
    lows, highs, lats = np.full(TURN, np.inf), np.full(TURN, -np.inf), list[float]()
    for _, lon, lat in pieces:
        if lat.size:
            lats += [float(lat.min()), float(lat.max())]
        around = np.remainder(lon, TURN)
        degree = np.minimum(around.astype("i8"), TURN - 1)
        np.minimum.at(lows, degree, around)
        np.maximum.at(highs, degree, around)
    if not lats:
        return None
    held = np.flatnonzero(np.isfinite(lows))
    gaps = np.diff(held, append=held[0] + TURN)
    widest = int(gaps.argmax())
    if gaps[widest] <= _WIDE_GAP:
        return -180.0, min(lats), 180.0, max(lats)
    west, east = lows[held[(widest + 1) % held.size]], highs[held[widest]]
    west, east = (float(end - TURN if end > TURN / 2 else end) for end in (west, east))
    return west, min(lats), east, max(lats)


def _known(values: Array, farthest: float) -> Array:
    """The values as floats, and NaN for what is no coordinate, such as a fill value."""
    floats = values if values.dtype.kind == "f" else values.astype("f8")
    return np.where(np.abs(floats) <= farthest, floats, np.nan)


def _tiled(values: Array) -> Array:
    """The values with one row for each tile, padded with NaN; tiles of 2-D values are squares."""
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
