"""A store as weather services publish them, small, made from formulas and the same on each run.

Hourly analyses on pressure levels: four dimensions, integers packed with scale and offset,
longitudes 0..360, latitudes from north to south, CF attributes, a little missing data.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

START = np.datetime64("2024-01-01T00", "ns")
DAYS = 5
HOURS = 24 * DAYS
LEVELS = np.array([1000, 850, 500], "int32")
LATITUDES = np.arange(90, -90.1, -2.5, dtype="float32")
LONGITUDES = np.arange(0, 360, 2.5, dtype="float32")

DIMS = ("time", "level", "latitude", "longitude")
CHUNKS = (24, 3, 37, 48)
ATTRS: dict[str, dict[str, Any]] = {
    "time": {"standard_name": "time", "axis": "T"},
    "level": {"standard_name": "air_pressure", "units": "hPa", "axis": "Z", "positive": "down"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
    "t": {"standard_name": "air_temperature", "long_name": "Temperature", "units": "K"},
    "u": {"standard_name": "eastward_wind", "long_name": "U wind", "units": "m s-1"},
    "v": {"standard_name": "northward_wind", "long_name": "V wind", "units": "m s-1"},
}
# Steps that binary fractions hold exactly, so that unpacked values print short.
PACKING = {"t": (2**-5, 250.0), "u": (2**-5, 0.0), "v": (2**-5, 0.0)}


def write_sample(path: Path, progress: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Write the sample store to `path`, a day at a time; whole or not at all.

    `progress` is called with the days that are done and their number.
    """
    unfinished = path.with_name(path.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    progress(0, DAYS)
    with warnings.catch_warnings():
        # zarr warns that consolidated metadata is not in the v3 specification yet.
        warnings.simplefilter("ignore", UserWarning)
        for done, day in enumerate(days(), start=1):
            first: dict[str, Any] = {"mode": "w", "zarr_format": 3, "encoding": encoding()}
            day.to_zarr(unfinished, **(first if done == 1 else {"append_dim": "time"}))
            progress(done, DAYS)
    unfinished.rename(path)


def days() -> Iterator[xr.Dataset]:
    """The sample day by day, unpacked."""
    hours = START + np.arange(HOURS) * np.timedelta64(1, "h")
    for first in range(0, HOURS, 24):
        part = slice(first, first + 24)
        fields = weather(np.arange(HOURS)[part])
        variables = {name: (DIMS, values, ATTRS[name]) for name, values in fields.items()}
        axes = (hours[part], LEVELS, LATITUDES, LONGITUDES)
        coords = {
            name: (name, values, ATTRS[name]) for name, values in zip(DIMS, axes, strict=True)
        }
        attrs = {"title": "Synthetic hourly analyses", "Conventions": "CF-1.8"}
        yield xr.Dataset(variables, coords, attrs)


def weather(hour: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Plausible fields at `hour` hours after the start: temperature in K, wind in m/s."""
    t = hour[:, None, None, None].astype(float)
    height = (-7.4 * np.log(LEVELS / 1000.0))[None, :, None, None]
    lat = np.deg2rad(LATITUDES.astype(float))[None, None, :, None]
    lon = np.deg2rad(LONGITUDES.astype(float))[None, None, None, :]
    wave = np.cos(6 * lon - 2 * np.pi * t / 96 + 2 * lat) * np.cos(lat) ** 2
    daily = np.cos(2 * np.pi * (t - 14) / 24 + lon) * np.exp(-height / 1.5) * np.cos(lat)
    jet = np.exp(-(((np.abs(lat) - 0.75) / 0.25) ** 2)) * (1 + height / 2.5)
    temperature = 300 - 45 * np.sin(lat) ** 2 - 6.2 * height + 5 * wave + 4 * daily
    # Antarctica is higher than the 1000 hPa surface: nothing is known there.
    buried = (height < 0.5) & (lat < np.deg2rad(-75))
    return {
        "t": np.where(buried, np.nan, temperature),
        "u": np.where(buried, np.nan, 12 * jet * (1 + 0.4 * wave) - 4 * np.cos(lat) ** 8),
        "v": np.where(buried, np.nan, 9 * (1 + height / 5) * np.sin(lat) * wave + daily),
    }


def encoding() -> dict[str, dict[str, Any]]:
    """How the store keeps each variable: packed into two bytes, chunks of a day by a region."""
    packed = {
        name: {
            "dtype": "int16",
            "scale_factor": scale,
            "add_offset": offset,
            "_FillValue": np.int16(-32768),
            "chunks": CHUNKS,
            "compressors": [BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")],
        }
        for name, (scale, offset) in PACKING.items()
    }
    time = {"units": "hours since 1970-01-01", "dtype": "int32", "chunks": (HOURS,)}
    return {**packed, "time": time}
