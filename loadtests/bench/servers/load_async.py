"""The same handlers with `async def`, awaiting xarray's `load_async`."""

from __future__ import annotations

import os
from typing import Any

import xarray as xr
from fastapi import FastAPI, Response

from loadtests.bench.servers.threadpool import (
    select_box,
    select_point,
    select_series,
    select_stations,
)


def create_app() -> FastAPI:
    """One route for each shape of request over the store in ``BENCH_STORE``."""
    ds = xr.open_zarr(os.environ["BENCH_STORE"], chunks=None)
    app = FastAPI()

    @app.get("/point")
    async def point(variable: str, time: str, lat: float, lon: float) -> dict[str, Any]:
        return (await select_point(ds, variable, time, lat, lon).load_async()).to_dict()

    @app.get("/series")
    async def series(variable: str, lat: float, lon: float) -> dict[str, Any]:
        return (await select_series(ds, variable, lat, lon).load_async()).to_dict()

    @app.get("/box")
    async def box(variable: str, time: str, lat: str, lon: str) -> Response:
        selected = await select_box(ds, variable, time, lat, lon).load_async()
        return Response(bytes(selected.to_netcdf()), media_type="application/netcdf")

    @app.get("/stations")
    async def stations(variable: str, time: str, lat: str, lon: str) -> dict[str, Any]:
        return (await select_stations(ds, variable, time, lat, lon).load_async()).to_dict()

    return app
