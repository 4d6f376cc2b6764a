"""The stores that the pages are looked at with: each has something to be found in the picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import xarray as xr

# Where the one hot cell of a beacon is, in degrees, and how hot it is.
HOT = (40.0, 10.0)
HEAT = 100.0


def write(dataset: xr.Dataset, path: Path) -> None:
    """The dataset as a store of one chunk for each variable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.to_zarr(path, zarr_format=2, consolidated=True)


def beacon(*, north_first: bool, from_zero: bool, hours: int = 24) -> xr.Dataset:
    """A field of zeros on 2.5 degrees with one hot cell; it cools along time."""
    lat = np.arange(-90, 90.1, 2.5)[:: -1 if north_first else 1]
    lon = np.arange(0, 360, 2.5) - (0 if from_zero else 180)
    time = np.datetime64("2024-01-01T00", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    values = np.zeros((hours, lat.size, lon.size), "f4")
    hot = int(np.flatnonzero(lat == HOT[0])[0]), int(np.flatnonzero(lon == HOT[1])[0])
    values[:, hot[0], hot[1]] = HEAT - np.arange(hours)
    return xr.Dataset(
        {"heat": (("time", "lat", "lon"), values, {"units": "K", "long_name": "Heat"})},
        {
            "time": ("time", time, {"axis": "T"}),
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


BEACONS = {
    f"{rows}-{columns}": beacon(north_first=rows == "north", from_zero=columns == "east")
    for rows in ("north", "south")
    for columns in ("east", "west")
}
