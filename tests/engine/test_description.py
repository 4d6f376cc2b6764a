"""Descriptions tell what axes stand for."""

from __future__ import annotations

import numpy as np
import xarray as xr
from zarr.storage import MemoryStore

from sluice.datasets import open_dataset
from sluice.engine import describe_prepared, prepare


async def test_coordinates_tell_their_axes() -> None:
    """Role, direction, seam, calendar, and the labels where there are few."""
    store = MemoryStore()
    xr.Dataset(
        {"t": (("time", "lat", "lon"), np.zeros((2, 3, 4)))},
        {
            "time": xr.date_range("2020-01-01", periods=2),
            "lat": [60.0, 0.0, -60.0],
            "lon": ("lon", [0, 90, 180, 270], {"units": "degrees_east"}),
            "long": ("many", np.arange(1001)),
            "many": np.arange(1001),
            "area": (("lat", "lon"), np.ones((3, 4))),
        },
    ).to_zarr(store, zarr_format=2)
    coords = describe_prepared(prepare(await open_dataset(store)))["coords"]
    names = ("role", "ascending", "wraps", "calendar")
    told = {name: tuple(coords[name][key] for key in names) for name in coords}
    assert told == {
        "time": ("T", True, False, "proleptic_gregorian"),
        "lat": ("Y", False, False, None),
        "lon": ("X", True, True, None),
        "many": (None, True, False, None),
        "long": (None, None, None, None),
        "area": (None, None, None, None),
    }
    assert coords["lon"]["values"].tolist() == [0, 90, 180, 270]
    assert coords["many"]["values"] is None
    assert coords["area"]["values"] is None
