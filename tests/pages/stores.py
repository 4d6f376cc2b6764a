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


def kinds() -> dict[str, xr.Dataset]:
    """One dataset for each kind of view that is no map of a plain grid."""
    days = xr.date_range("2000-02-28", periods=6, freq="D", calendar="360_day", use_cftime=True)
    depth = xr.DataArray([0.0, 10.0, 50.0], dims="depth")
    return {
        "texts": xr.Dataset({"name": ("station", np.array(["Ny-Ålesund", "<b>Lima</b>", ""]))}),
        "image": xr.Dataset({"grey": (("row", "column"), np.arange(12.0).reshape(3, 4))}),
        "single": xr.Dataset({"answer": ((), 42.5, {"units": "K"})}),
        "line": xr.Dataset({"level": ("x", np.array([1.0, np.nan, 3.0, np.nan, 2.0]))}),
        "model-year": xr.Dataset({"rain": ("time", np.arange(6.0))}, {"time": days}),
        "section": xr.Dataset(
            {"salt": (("depth", "lon"), np.arange(12.0).reshape(3, 4))},
            {
                "depth": depth.assign_attrs(units="m", positive="down", axis="Z"),
                "lon": ("lon", [0.0, 1.0, 2.0, 3.0], {"units": "degrees_east"}),
            },
        ),
        "empty": xr.Dataset({"nothing": (("y", "x"), np.full((3, 4), np.nan))}),
    }
