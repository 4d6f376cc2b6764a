"""A store that grows while it is read, each value of which says where and when it belongs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from loadtests.grid import Found, WrongAnswer

START = np.datetime64("2024-01-01T00", "ns")
HOUR = np.timedelta64(1, "h")
LATITUDES = np.arange(60.0, 40.0, -1.0)
LONGITUDES = np.arange(0.0, 30.0)
FIRST_HOURS, MORE_HOURS = 48, 6
# An append ends within a chunk as often as at its end.
CHUNKS = {"v": {"chunks": (12, 10, 15)}, "time": {"chunks": (24,)}}


def truth(time: ArrayLike, latitude: ArrayLike, longitude: ArrayLike) -> NDArray[np.float64]:
    """The value at these labels, which broadcast; exact in float64."""
    hour = (np.asarray(time, "M8[ns]") - START) / HOUR
    return np.asarray(hour * 10_000 + np.asarray(latitude) * 100 + np.asarray(longitude), float)


def hours(first: int, end: int) -> xr.Dataset:
    """The hours `first` to `end`, exclusive, of shape (time, latitude, longitude)."""
    coords: dict[str, Any] = {"time": START + np.arange(first, end) * HOUR}
    coords |= {"latitude": LATITUDES, "longitude": LONGITUDES}
    values = truth(*np.ix_(coords["time"], LATITUDES, LONGITUDES))
    return xr.Dataset({"v": (tuple(coords), values)}, coords)


def write(path: Path, first: int, end: int) -> None:
    """Make the store with these hours, or append them; its one metadata document comes last."""
    more: dict[str, Any] = {"append_dim": "time"} if first else {"encoding": CHUNKS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hours(first, end).to_zarr(path, zarr_format=2, consolidated=True, **more)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which labels an answer has to have, and whether they come as rows.

    `hours` is how many (None: all of the version), `first` the first of them, where it is known.
    """

    hours: int | None
    first: int | None
    latitudes: NDArray[np.float64]
    longitudes: NDArray[np.float64]
    rows: bool = False


def check(found: Found, asked: Asked) -> int:
    """The number of hours up to the answer's last one.

    Raises WrongAnswer for other labels, or values that do not belong to them.
    """
    names = ("time", "latitude", "longitude")
    time, *places = (np.atleast_1d(found.labels[name]) for name in names)
    time = time.astype("M8[ns]")
    # A table has its labels as text.
    places = [labels.astype(float) for labels in places]
    for labels, meant in zip(places, (asked.latitudes, asked.longitudes), strict=True):
        if not np.array_equal(labels, meant):
            raise WrongAnswer("places that were not asked for")
    if asked.first is not None and time[0] != START + asked.first * HOUR:
        raise WrongAnswer(f"{time[0]} in place of hour {asked.first}")
    if asked.rows:
        wanted = truth(time, *places)
    elif asked.hours not in (None, len(time)):
        raise WrongAnswer(f"{len(time)} hours in place of {asked.hours}")
    else:
        wanted = truth(*np.ix_(time, *places))
        if not np.array_equal(time, time[0] + np.arange(len(time)) * HOUR):
            raise WrongAnswer("hours that do not follow each other")
    if not np.array_equal(found.values["v"].ravel(), wanted.ravel()):
        raise WrongAnswer("values that do not belong to their labels")
    return int((time[-1] - START) / HOUR) + 1
