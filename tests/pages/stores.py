"""The stores that the pages are looked at with: each has something to be found in the picture."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from demo.sample import write_sample

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
        "unborn": xr.Dataset(
            {"rain": (("time", "lat"), np.zeros((0, 3)))},
            {"time": np.array([], "M8[ns]"), "lat": ("lat", [1.0, 2.0, 3.0])},
        ),
        "complex": xr.Dataset({"wave": ("x", np.array([1 + 2j, np.nan, 3]))}),
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


@cache
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


def air() -> xr.Dataset:
    """Temperatures and winds on levels, with noise, so that no two sizes are equal."""
    noise = np.random.default_rng(7).normal(0, 1, (12, 4, 37, 72)).astype("f4")
    lat, lon = np.arange(90, -90.1, -5.0), np.arange(0, 360, 5.0)
    hours = np.datetime64("2024-01-01T00", "ns") + np.arange(12) * np.timedelta64(6, "h")
    dims = ("time", "level", "lat", "lon")
    levels = {"units": "hPa", "axis": "Z", "positive": "down"}
    return xr.Dataset(
        {
            "t": (dims, 280 + noise, {"units": "K", "long_name": "Temperature"}),
            "w": (dims, 5 + noise, {"units": "m s-1", "long_name": "Wind speed"}),
        },
        {
            "time": ("time", hours, {"axis": "T"}),
            "level": ("level", [1000.0, 850.0, 500.0, 300.0], levels),
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )


STEPS = 70


def maps() -> xr.Dataset:
    """290 MB, a chunk for each step; everywhere the number of the step."""
    values = np.broadcast_to(np.arange(STEPS, dtype="f4")[:, None, None], (STEPS, 721, 1440))
    hours = np.datetime64("2024-01-01T00", "ns") + np.arange(STEPS) * np.timedelta64(1, "h")
    dataset = xr.Dataset(
        {"t": (("time", "lat", "lon"), values, {"units": "K"})},
        {
            "time": ("time", hours, {"axis": "T"}),
            "lat": ("lat", np.linspace(90, -90, 721), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(0, 360, 0.25), {"units": "degrees_east"}),
        },
    )
    dataset.t.encoding["chunks"] = (1, 721, 1440)
    return dataset


def block() -> xr.Dataset:
    """64 MB in one chunk, more than the service reads for one request."""
    dataset = xr.Dataset({"t": (("time", "y", "x"), np.zeros((16, 1000, 1000), "f4"))})
    dataset.t.encoding["chunks"] = dataset.t.shape
    return dataset


# What would be markup, if anything took it for that.
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def scripted() -> xr.Dataset:
    """A beacon whose words are markup."""
    field = beacon(north_first=True, from_zero=True, hours=2)
    field.attrs["history"] = EVIL
    field.heat.attrs["long_name"] = EVIL
    return field


_TITLED: dict[str, dict[str, Any]] = {
    name: {"store": "scripted", "entry": {"title": title, "description": f"{title}, described"}}
    for name, title in (
        ("first", "Heat & light"),
        ("second", EVIL),
        ("third", "Dritte <b>Daten</b>"),
    )
}
# What the shared service has: by name, the store (that of the name, unless another is told) and
# what else its entry says.
ENTRIES: dict[str, dict[str, Any]] = {
    "beacon": {"entry": {"title": "Heat"}},
    **_TITLED,
    "air": {"entry": {"title": "air", "attribution": "Made by nobody"}},
    "maps": {"entry": {"title": "maps"}},
    "sample": {"entry": {"title": "Synthetic hourly analyses"}},
    **{name: {} for name in (*BEACONS, *kinds(), "curvilinear", "holed", "long", "wide", "block")},
}


def write_stores(folder: Path) -> None:
    """Write all of them, each as ``NAME.zarr``."""
    stores = {
        **BEACONS,
        **kinds(),
        "beacon": beacon(north_first=True, from_zero=True),
        "scripted": scripted(),
        "air": air(),
        "maps": maps(),
        "block": block(),
        "curvilinear": curvilinear(),
        "holed": holed(),
        "long": long_series(),
        "wide": wide(),
    }
    for name, dataset in stores.items():
        write(dataset, folder / f"{name}.zarr")
    write_sample(folder / "sample.zarr")
