"""Stores on disk for the catalog's tests, written by xarray."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

GRID = xr.Dataset(
    {"t": (("time", "latitude", "longitude"), np.zeros((4, 19, 36), "f4"))},
    {
        "time": (
            "time",
            np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "h"),
            {"standard_name": "time", "axis": "T"},
        ),
        "latitude": ("latitude", np.linspace(90, -90, 19), {"units": "degrees_north"}),
        "longitude": ("longitude", np.arange(0.0, 360.0, 10.0), {"units": "degrees_east"}),
    },
)


def write_store(path: Path, ds: xr.Dataset, **options: Any) -> None:
    """Write `ds` to a consolidated Zarr v2 store at `path`, or as `options` say."""
    with warnings.catch_warnings():
        # zarr warns that its strings and consolidated metadata are not in the v3 specification.
        warnings.simplefilter("ignore")
        ds.to_zarr(path, **{"zarr_format": 2, "consolidated": True, **options})
