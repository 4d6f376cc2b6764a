"""What the load is held beside: `def` handlers over a dataset opened once, `.sel(...).load()`.

It answers what `people.PLAIN` ask for, at the same addresses: FastAPI runs such handlers in a pool
of 40 threads. ``LOAD_STORE`` is the store's address, ``LOAD_STORE_OPTIONS`` its options as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Annotated, Any

import xarray as xr
from fastapi import FastAPI, Header, Request, Response

CONTROLS = ("variables", "f")


def create_app() -> FastAPI:
    """The list of one dataset, what it has, and its selections."""
    options = json.loads(os.environ.get("LOAD_STORE_OPTIONS", "null"))
    ds = xr.open_zarr(os.environ["LOAD_STORE"], storage_options=options, chunks=None)
    app = FastAPI()

    @app.get("/datasets")
    def datasets() -> dict[str, Any]:
        return {"datasets": [{"id": "sample"}]}

    @app.get("/datasets/sample")
    def sample() -> dict[str, Any]:
        return described(ds)

    @app.get("/datasets/sample/sel")
    def sel(
        request: Request, f: str = "json", if_none_match: Annotated[str, Header()] = ""
    ) -> Response:
        content, media_type = encoded(selected(ds, dict(request.query_params)).load(), f)
        tag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        if if_none_match == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(content, media_type=media_type, headers={"ETag": tag})

    return app


def described(ds: xr.Dataset) -> dict[str, Any]:
    """Sizes, evenly spaced axes and variables, as the users learn them."""
    coords = {str(name): _axis(coord) for name, coord in ds.coords.items()}
    variables = {
        str(name): {"dims": list(part.dims), "dtype": str(part.dtype)} for name, part in ds.items()
    }
    sizes = {str(name): size for name, size in ds.sizes.items()}
    return {"id": "sample", "dims": sizes, "coords": coords, "data_vars": variables}


def _axis(coord: xr.DataArray) -> dict[str, Any]:
    steps = coord.diff(coord.dims[0]).values
    told = {"dtype": str(coord.dtype)}
    if (steps != steps[0]).any():
        return told
    ends = {"min": coord.min(), "max": coord.max()}
    if coord.dtype.kind == "M":
        written = {name: str(end.values.astype("M8[s]")) + "Z" for name, end in ends.items()}
        return {**told, **written, "step": f"PT{steps[0].astype('m8[s]').astype(int)}S"}
    return {**told, **{name: end.item() for name, end in ends.items()}, "step": steps[0].item()}


def selected(ds: xr.Dataset, query: dict[str, str]) -> xr.Dataset:
    """The part that is asked for by label, by position and by nearest label."""
    found = ds[query["variables"].split(",")] if "variables" in query else ds
    for name, text in query.items():
        if name in CONTROLS:
            continue
        if name.startswith("isel["):
            found = found.isel({name[5:-1]: _positions(text)})
        elif text.startswith("nearest::"):
            label: Any = float(text.removeprefix("nearest::"))
            found = found.sel({name: label}, method="nearest")
        else:
            found = found.sel({name: _labels(ds[name], text)})
    return found


def _positions(text: str) -> int | slice:
    return slice(*map(int, text.split(":"))) if ":" in text else int(text)


def _labels(coord: xr.DataArray, text: str) -> Any:
    ends = [part.removesuffix("Z") for part in text.split("/")]
    labels: list[Any] = list(ends) if coord.dtype.kind == "M" else [float(end) for end in ends]
    return slice(*labels) if len(labels) == 2 else labels[0]


def encoded(found: xr.Dataset, f: str) -> tuple[bytes, str]:
    """The bytes of an answer, and their media type."""
    if f == "netcdf":
        # The other library, netCDF4, crashes when two threads write at once.
        return bytes(found.to_netcdf(engine="h5netcdf")), "application/netcdf"
    if f == "csv":
        return found.to_dataframe().reset_index().to_csv(index=False).encode(), "text/csv"
    parts = {str(name): _told(part) for name, part in found.items()}
    coords = {str(name): _told(part) for name, part in found.coords.items()}
    body = {"dims": dict(found.sizes), "coords": coords, "data_vars": parts}
    return json.dumps(body).encode(), "application/json"


def _told(part: xr.DataArray) -> dict[str, Any]:
    values = part.astype(str) if part.dtype.kind == "M" else part.where(part.notnull(), None)
    return {"dims": list(part.dims), "data": values.values.tolist()}
