"""What is asked for, whoever is asked: four shapes of request, and the values that are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from loadtests.bench.data import (
    CHUNK_HOURS,
    HOURS,
    LATITUDES,
    LONGITUDES,
    OFFSET,
    SCALE,
    START,
    VARIABLES,
)

Values = NDArray[np.float64]
BOX = (24, 61, 60)


@dataclass(frozen=True, slots=True)
class Ask:
    """Labels of one variable: an instant, all times (`hours` is None) or a run of hours.

    `lats` and `lons` are one label each, many (read pairwise), or the ends of a box.
    """

    variable: str
    hours: tuple[int, int] | None
    lats: tuple[float, ...]
    lons: tuple[float, ...]

    @property
    def times(self) -> tuple[str, str]:
        """The first and the last instant, without an offset: not every contestant takes one."""
        first, last = self.hours or (0, HOURS - 1)
        return str(START + np.timedelta64(first, "h")), str(START + np.timedelta64(last, "h"))

    @property
    def positions(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The nearest rows and columns."""
        rows = np.rint(LATITUDES[0] - np.array(self.lats)).astype(np.int64)
        return rows, np.rint(self.lons).astype(np.int64)


def points(count: int, hours: int = 3 * CHUNK_HOURS) -> list[Ask]:
    """Distinct points between the labels, in the first `hours`: 54 chunks unless more is said."""
    random = np.random.default_rng(11)
    when = random.integers(0, hours, count)
    lats, lons = _places(random, count)
    return [
        Ask(VARIABLES[0], (int(hour), int(hour)), (lat,), (lon,))
        for hour, lat, lon in zip(when, lats, lons, strict=True)
    ]


def scattered(count: int) -> list[Ask]:
    """Points of all variables in an order in which no chunk returns before all had their turn."""
    random = np.random.default_rng(12)
    grid = [(v, t, y, x) for v in VARIABLES for t in range(9) for y in range(3) for x in range(6)]
    asked: list[Ask] = []
    while len(asked) < count:
        random.shuffle(grid)
        for variable, t, y, x in grid:
            hour = int(t) * CHUNK_HOURS + int(random.integers(CHUNK_HOURS))
            row, column = int(y) * 61 + int(random.integers(59)), int(x) * 60
            label = float(column + random.integers(60))
            asked.append(Ask(str(variable), (hour, hour), (float(LATITUDES[row]),), (label,)))
    return asked[:count]


def anywhere(count: int) -> list[Ask]:
    """Points anywhere in all variables: 648 chunks, four times what a small cache holds."""
    random = np.random.default_rng(16)
    names, when = random.choice(VARIABLES, count), random.integers(0, HOURS, count)
    places = zip(*_places(random, count), strict=True)
    return [
        Ask(str(name), (int(hour), int(hour)), (lat,), (lon,))
        for name, hour, (lat, lon) in zip(names, when, places, strict=True)
    ]


def series(count: int) -> list[Ask]:
    """Whole series of places in the eastern half: 81 chunks in all, 9 each."""
    random = np.random.default_rng(13)
    lats, lons = _places(random, count)
    return [
        Ask(VARIABLES[0], None, (lat,), (lon / 2.02,)) for lat, lon in zip(lats, lons, strict=True)
    ]


def boxes(count: int) -> list[Ask]:
    """A day of 61 x 60 cells across two rows and two columns of chunks."""
    random = np.random.default_rng(14)
    hours, rows, columns = BOX
    asked = []
    for _ in range(count):
        first = int(random.integers(3) * CHUNK_HOURS + random.integers(CHUNK_HOURS - hours + 1))
        top, left = int(random.integers(1, 121)), int(random.integers(1, 300))
        lats = (float(LATITUDES[top + rows - 1]), float(LATITUDES[top]))
        lons = (float(LONGITUDES[left]), float(LONGITUDES[left + columns - 1]))
        asked.append(Ask(VARIABLES[0], (first, first + hours - 1), lats, lons))
    return asked


def stations(count: int, places: int = 500) -> list[Ask]:
    """Places all over the globe at one instant each time: the 18 chunks of that instant."""
    random = np.random.default_rng(15)
    asked = []
    for _ in range(count):
        hour = int(random.integers(3 * CHUNK_HOURS))
        lats, lons = _places(random, places)
        asked.append(Ask(VARIABLES[0], (hour, hour), tuple(lats), tuple(lons)))
    return asked


def _places(random: np.random.Generator, count: int) -> tuple[list[float], list[float]]:
    """Labels with two decimals that lie nearer to one stored label than to the next."""
    rows, columns = random.integers(1, 180, count), random.integers(1, 359, count)
    lats = LATITUDES[rows] + random.integers(-40, 41, count) / 100
    lons = LONGITUDES[columns] + random.integers(-40, 41, count) / 100
    return np.round(lats, 2).tolist(), np.round(lons, 2).tolist()


class Truth:
    """Right answers, read from the store by zarr alone."""

    def __init__(self, store: Path) -> None:
        self._group = zarr.open_group(store, mode="r")

    def of(self, ask: Ask) -> Values:
        """The decoded values of `ask`, without dimensions of length one, flattened in C order."""
        array: Any = self._group[ask.variable]
        rows, columns = ask.positions
        first, last = ask.hours or (0, HOURS - 1)
        if len(rows) == 2 and first != last:
            found = array[first : last + 1, rows[1] : rows[0] + 1, columns[0] : columns[1] + 1]
        elif first == last:
            found = array.vindex[np.full(rows.shape, first), rows, columns]
        else:
            found = array[first : last + 1, int(rows[0]), int(columns[0])]
        return np.asarray(found, dtype=float).ravel() * SCALE + OFFSET


def differs(found: Values, right: Values) -> bool:
    """Whether an answer is not the right one, but for the rounding of single precision."""
    found = np.asarray(found, dtype=float).ravel()
    return found.shape != right.shape or not np.allclose(found, right, rtol=1e-5, atol=1e-4)


def sample(asked: Sequence[Ask], count: int) -> list[Ask]:
    """`count` of them, spread evenly."""
    return list(asked[:: max(1, len(asked) // count)][:count])
