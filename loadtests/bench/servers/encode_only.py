"""Routes that read nothing: the arrays are there, each request writes them once more.

JSON by orjson straight from the arrays; NetCDF by h5netcdf, packed as the store packs.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import h5netcdf
import numpy as np
import orjson
import xarray as xr
from fastapi import FastAPI, Response


def create_app() -> FastAPI:
    """Writes what the NetCDF file ``BENCH_BODY`` holds, as ``BENCH_MEDIA_TYPE``."""
    with xr.open_dataset(io.BytesIO(Path(os.environ["BENCH_BODY"]).read_bytes())) as opened:
        decoded = opened.load()
    raw = xr.open_dataset(
        io.BytesIO(Path(os.environ["BENCH_BODY"]).read_bytes()),
        mask_and_scale=False,
        decode_times=False,
    ).load()
    app = FastAPI()

    @app.get("/json")
    async def as_json() -> Response:
        return Response(_json(decoded), media_type="application/json")

    @app.get("/netcdf")
    async def as_netcdf() -> Response:
        return Response(_netcdf(raw), media_type="application/netcdf")

    return app


def _json(dataset: xr.Dataset) -> bytes:
    def document(variable: xr.Variable) -> dict[str, object]:
        values = np.ascontiguousarray(variable.values)
        return {
            "dims": variable.dims,
            "attrs": variable.attrs,
            "dtype": str(values.dtype),
            "data": values if values.ndim else values.item(),
        }

    whole = {
        "dims": dict(dataset.sizes),
        "attrs": dataset.attrs,
        "coords": {name: document(part.variable) for name, part in dataset.coords.items()},
        "data_vars": {name: document(part.variable) for name, part in dataset.items()},
    }
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
    return orjson.dumps(whole, option=options, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(type(value))


def _netcdf(dataset: xr.Dataset) -> bytes:
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.dimensions = dict(dataset.sizes)
        file.attrs.update(dataset.attrs)
        for name, part in dataset.variables.items():
            fill = part.attrs.get("_FillValue")
            variable = file.create_variable(str(name), part.dims, part.dtype, fillvalue=fill)
            variable[...] = part.values
            variable.attrs.update({k: v for k, v in part.attrs.items() if k != "_FillValue"})
    return buffer.getvalue()
