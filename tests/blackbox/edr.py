"""What the tests of EDR ask, and of what: a globe, a region, and stores that are no collections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import xarray as xr
from covjson_pydantic.coverage import Coverage, CoverageCollection

from .conftest import Service

NORTH, EAST = {"units": "degrees_north"}, {"units": "degrees_east"}
LICENSE = "https://creativecommons.org/licenses/by/4.0/"
PLACES = {"Berlin": [13.4, 52.5], "Suva": [178.4, -18.1]}


def globe() -> xr.Dataset:
    """Twelve steps and three levels on longitudes from 0 to 355 and latitudes from 90 to -90."""
    rng = np.random.default_rng(16)
    lat, lon, time = np.arange(90.0, -91, -5), np.arange(0.0, 360, 5), 12
    shape = (time, 3, lat.size, lon.size)
    # In few digits, which are the same in single and double precision.
    t = (np.round(rng.normal(280, 9, shape) * 8) / 8).astype("f4")
    t[:, :, 5, 7] = np.nan
    temperature = {"units": "K", "standard_name": "air_temperature", "long_name": "Temperature"}
    return xr.Dataset(
        {
            "temp": (("time", "plev", "lat", "lon"), t, temperature),
            "t2m": (("time", "lat", "lon"), t[:, 0] + 1, {"units": "K"}),
            "steps": (("lat", "lon", "time"), rng.integers(0, 99, (lat.size, lon.size, time))),
            "land": (
                ("lat", "lon"),
                rng.integers(0, 3, (lat.size, lon.size)).astype("i2"),
                {"flag_values": np.array([0, 1, 2], "i2"), "flag_meanings": "sea land ice"},
            ),
            "total": ("time", np.arange(12.0)),
        },
        coords={
            "time": np.datetime64("2024-01-01T00", "ns") + np.arange(time) * np.timedelta64(6, "h"),
            "plev": ("plev", [1000.0, 850.0, 500.0], {"units": "hPa", "positive": "down"}),
            "lat": ("lat", lat, NORTH),
            "lon": ("lon", lon, EAST),
        },
        attrs={"title": "A globe"},
    )


def region() -> xr.Dataset:
    """Three members from 10 west to 20 east, south to north, with other names and no levels."""
    rng = np.random.default_rng(17)
    lat, lon = np.arange(40.0, 61, 2).astype("f4"), np.arange(-10.0, 21, 2).astype("f4")
    return xr.Dataset(
        {
            "wind": (
                ("number", "valid_time", "latitude", "longitude"),
                rng.normal(0, 5, (3, 4, lat.size, lon.size)),
                {"units": "m s-1", "standard_name": "wind_speed"},
            )
        },
        coords={
            "number": [0, 1, 2],
            "valid_time": pd.date_range("2024-06-01", periods=4, freq="D"),
            "latitude": ("latitude", lat, {"standard_name": "latitude", **NORTH}),
            "longitude": ("longitude", lon, {"standard_name": "longitude", **EAST}),
        },
    )


def write_stores(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a catalog, with the stores that they name written into `folder`."""
    plain = xr.Dataset({"a": ("x", [1.0, 2.0])}, coords={"x": [10.0, 20.0]})
    big = xr.Dataset(
        {"b": (("lat", "lon"), np.zeros((900, 1800), "f8"))},
        coords={
            "lat": ("lat", np.linspace(-89.9, 89.9, 900), NORTH),
            "lon": ("lon", np.linspace(-180, 179.8, 1800), EAST),
        },
    )
    entries: dict[str, dict[str, Any]] = {}
    for name, ds in {"globe": globe(), "region": region(), "plain": plain, "big": big}.items():
        for variable in ds.data_vars.values():
            if variable.dtype.kind == "f":
                variable.encoding["_FillValue"] = np.nan
        ds.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
        entries[name] = {"url": str(folder / f"{name}.zarr")}
    entries["globe"] |= {"title": "The globe", "places": PLACES, "license": LICENSE}
    entries["gone"] = {"url": str(folder / "gone.zarr")}
    return entries


def grid(coverage: dict[str, Any], name: str) -> xr.DataArray:
    """A range of a coverage, along the axes that it has."""
    found = coverage["ranges"][name]
    axes = coverage["domain"]["axes"]
    values = np.array([np.nan if one is None else one for one in found["values"]], "f8")
    names = found.get("axisNames", [])
    coords = {axis: axes[axis]["values"] for axis in names if "values" in axes.get(axis, {})}
    coords.pop("composite", None)
    if "t" in coords:
        coords["t"] = pd.DatetimeIndex(coords["t"]).tz_localize(None)
    return xr.DataArray(values.reshape(found.get("shape", [])), dims=names, coords=coords)


def plane(coverage: dict[str, Any], name: str) -> xr.DataArray:
    """The rows and columns of a range that has one level and one time."""
    found = grid(coverage, name)
    return found.isel(dict.fromkeys(set(found.dims) - {"x", "y"}, 0), drop=True)


def ask(service: Service, query: str, dataset: str, **params: object) -> httpx.Response:
    """A query of a collection; ``_`` in the name of a parameter is ``-``."""
    named = {name.replace("_", "-"): str(value) for name, value in params.items()}
    return service.get(f"/edr/collections/{dataset}/{query}", params=named)


def covered(service: Service, query: str, dataset: str, **params: object) -> Any:
    """The coverage, or the coverages, of an answer, which the models of the standard take."""
    answer = ask(service, query, dataset, **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/prs.coverage+json"
    told = answer.json()
    model = Coverage if told["type"] == "Coverage" else CoverageCollection
    model.model_validate_json(answer.text)
    return told


def check_error(answer: httpx.Response) -> None:
    """The error has what EDR wants, and what a problem has."""
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["code"] == str(answer.status_code) == str(told["status"])
    assert told["description"] == told["detail"]
    assert told["title"]
    assert told["type"].startswith("urn:sluice:problem:")
