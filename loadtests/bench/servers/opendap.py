"""xpublish with its OPeNDAP plugin."""

from __future__ import annotations

import os

import xarray as xr
import xpublish
from fastapi import FastAPI
from xpublish_opendap import OpenDapPlugin


def create_app() -> FastAPI:
    """``/datasets/era5/opendap.dods`` over the store in ``BENCH_STORE``."""
    # It holds all that it serves in memory, decoded: all four variables took 4.5 GB.
    ds = xr.open_zarr(os.environ["BENCH_STORE"], chunks=None)[["t2m"]]
    app: FastAPI = xpublish.Rest({"era5": ds}, plugins={"opendap": OpenDapPlugin()}).app
    return app
