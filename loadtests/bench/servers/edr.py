"""xpublish with its EDR plugin, as its README starts it."""

from __future__ import annotations

import os

import xarray as xr
import xpublish
from fastapi import FastAPI
from xpublish_edr import CfEdrPlugin


def create_app() -> FastAPI:
    """``/datasets/era5/edr/position`` over the store in ``BENCH_STORE``."""
    ds = xr.open_zarr(os.environ["BENCH_STORE"], chunks=None)
    # The plugin finds axes by their CF attributes.
    for name, axis in {"time": "T", "lat": "Y", "lon": "X"}.items():
        ds[name].attrs["axis"] = axis
    app: FastAPI = xpublish.Rest({"era5": ds}, plugins={"cf_edr": CfEdrPlugin()}).app
    return app
