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


def curvilinear(hours: int = 6) -> xr.Dataset:
    """A beacon on a grid that is turned by 25 degrees, whose coordinates have two dimensions."""
    row, column = np.meshgrid(np.arange(40.0), np.arange(60.0), indexing="ij")
    sine, cosine = np.sin(np.deg2rad(25)), np.cos(np.deg2rad(25))
    values = np.zeros((hours, 40, 60), "f4")
    values[:, 20, 30] = HEAT - np.arange(hours)
    time = np.datetime64("2024-01-01T00", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    lat = 40 + 0.25 * (column * sine + row * cosine)
    lon = 10 + 0.25 * (column * cosine - row * sine)
    return xr.Dataset(
        {"heat": (("time", "row", "column"), values, {"units": "K"})},
        {
            "time": ("time", time, {"axis": "T"}),
            "lat": (("row", "column"), lat, {"units": "degrees_north"}),
            "lon": (("row", "column"), lon, {"units": "degrees_east"}),
        },
    )


def holed() -> xr.Dataset:
    """A field with nothing in its north-west quarter."""
    values = np.arange(400.0).reshape(20, 20)
    values[10:, :10] = np.nan
    return xr.Dataset(
        {"height": (("lat", "lon"), values)},
        {
            "lat": ("lat", np.arange(20.0), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(20.0), {"units": "degrees_east"}),
        },
    )


def long_series() -> xr.Dataset:
    """A million values at times that have no step."""
    apart = np.random.default_rng(1).integers(1, 7200, 1_000_000)
    time = np.datetime64("2000-01-01", "ns") + np.cumsum(apart).astype("m8[s]")
    level = np.sin(np.arange(1e6) / 1e4).astype("f4")
    return xr.Dataset({"level": (("time",), level, {"units": "m"})}, {"time": time})


def wide() -> xr.Dataset:
    """More cells than one picture has: longitudes from 0, each of which is its own value."""
    lon = np.round(np.arange(0.04, 360, 0.08), 2)
    lat = np.linspace(-40, 40, 401)
    values = np.broadcast_to(np.where(lon > 180, lon - 360, lon), (lat.size, lon.size))
    return xr.Dataset(
        {"east": (("lat", "lon"), values.astype("f4"))},
        {
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )
