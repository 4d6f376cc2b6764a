"""The handler that most people write: `def`, a dataset opened once, `.sel(...).load()`."""

from __future__ import annotations

import os
from typing import Any

import xarray as xr
from fastapi import FastAPI, Response


def create_app() -> FastAPI:
    """One route for each shape of request over the store in ``BENCH_STORE``."""
    ds = xr.open_zarr(os.environ["BENCH_STORE"], chunks=None)
    app = FastAPI()

    @app.get("/point")
    def point(variable: str, time: str, lat: float, lon: float) -> dict[str, Any]:
        return select_point(ds, variable, time, lat, lon).load().to_dict()

    @app.get("/series")
    def series(variable: str, lat: float, lon: float) -> dict[str, Any]:
        return select_series(ds, variable, lat, lon).load().to_dict()

    @app.get("/box")
    def box(variable: str, time: str, lat: str, lon: str) -> Response:
        selected = select_box(ds, variable, time, lat, lon).load()
        return Response(bytes(selected.to_netcdf()), media_type="application/netcdf")

    @app.get("/stations")
    def stations(variable: str, time: str, lat: str, lon: str) -> dict[str, Any]:
        return select_stations(ds, variable, time, lat, lon).load().to_dict()

    return app


def select_point(ds: xr.Dataset, variable: str, time: str, lat: float, lon: float) -> xr.Dataset:
    """The cell that is nearest."""
    return ds[[variable]].sel(time=time, lat=lat, lon=lon, method="nearest")


def select_series(ds: xr.Dataset, variable: str, lat: float, lon: float) -> xr.Dataset:
    """All times of the cell that is nearest."""
    return ds[[variable]].sel(lat=lat, lon=lon, method="nearest")


def select_box(ds: xr.Dataset, variable: str, time: str, lat: str, lon: str) -> xr.Dataset:
    """Between the ends of ``a/b``, both included; latitudes fall."""
    first, last = time.split("/")
    south, north = map(float, lat.split("/"))
    west, east = map(float, lon.split("/"))
    cells: dict[str, Any] = {"lat": slice(north, south), "lon": slice(west, east)}
    return ds[[variable]].sel(time=slice(first, last), **cells)


def select_stations(ds: xr.Dataset, variable: str, time: str, lat: str, lon: str) -> xr.Dataset:
    """The nearest cell of each pair."""
    lats = xr.DataArray([float(one) for one in lat.split(",")], dims="points")
    lons = xr.DataArray([float(one) for one in lon.split(",")], dims="points")
    return ds[[variable]].sel(time=time, lat=lats, lon=lons, method="nearest")
