"""Small stores with what real ones have and nobody expects."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import xarray as xr


def odd() -> xr.Dataset:
    """Unsorted and doubled labels, texts, another calendar, 2-D latitudes, big-endian values."""
    time = xr.date_range("2001-02-27", periods=4, calendar="360_day", use_cftime=True)
    coords = {
        "time": time,
        "x": [3.0, 1.0, np.nan, 1.0],
        "place": ["B", "a/b", "c,d"],
        "lat": (("time", "place"), np.arange(12.0).reshape(4, 3)),
        "t": np.array([0, 6], "m8[h]").astype("m8[ns]"),
    }
    return xr.Dataset(
        {
            "a": (("time", "x", "place"), np.arange(48, dtype=">f4").reshape(4, 4, 3)),
            "s": ("place", ["x", "é", ""]),
            "c": (("x", "t"), np.full((4, 2), 1 + 2j)),
            "u": ("x", np.array([2**64 - 1, 0, 1, 2], ">u8")),
        },
        coords,
    )


def scalar() -> xr.Dataset:
    """No dimension at all, and attributes that NetCDF does not know."""
    attrs = {"nested": {"a": [1, None]}, "flag": True, "none": None}
    return xr.Dataset({"a": 5.0, "n": np.nan}, attrs=attrs)


def write_odd_stores(folder: Path) -> dict[str, Path]:
    """Both of them in `folder`, by name."""
    made = {}
    for zarr_format, make in ((2, odd), (3, scalar)):
        made[make.__name__] = folder / f"{make.__name__}.zarr"
        with warnings.catch_warnings():
            # zarr and xarray warn about types that the specifications lack.
            warnings.simplefilter("ignore")
            make().to_zarr(made[make.__name__], mode="w", zarr_format=zarr_format)
    return made
