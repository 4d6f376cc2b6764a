"""Stations: many points in one request, as xarray's pointwise indexing reads them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from tests.api.conftest import decoded

RANDOM = np.random.default_rng(11)


@pytest.fixture(scope="module", params=["v2", "v3"])
def dataset(request: pytest.FixtureRequest, stores: Path) -> tuple[str, xr.Dataset]:
    """Name and xarray's own view of each store."""
    store = stores / f"{request.param}.zarr"
    return request.param, xr.open_zarr(store, chunks=None, consolidated=request.param == "v2")


def along(values: list[int] | np.ndarray[Any, Any]) -> xr.DataArray:
    return xr.DataArray(values, dims="points")


def test_fifty_stations_equal_xarray(client: httpx.Client, dataset: tuple[str, xr.Dataset]) -> None:
    """Fifty nearest points of a series are those of xarray, in their order, and as NetCDF too."""
    name, ds = dataset
    lats = RANDOM.uniform(-90, 90, 50).round(3)
    lons = RANDOM.uniform(0, 350, 50).round(3)
    query = f"latitude=nearest::{','.join(map(str, lats))}&longitude=nearest::"
    query += f"{','.join(map(str, lons))}&level=850&pointwise=latitude,longitude&time=2020-01-01"
    want = ds.sel(latitude=along(lats), longitude=along(lons), method="nearest")
    want = want.sel(level=850, time="2020-01-01").load()
    answer = client.get(f"/datasets/{name}/sel?{query}")
    assert answer.status_code == 200, answer.text
    assert decoded(answer).sizes == {"time": 24, "points": 50}
    xr.testing.assert_equal(decoded(answer), want)
    packed = client.get(f"/datasets/{name}/sel?{query}&f=netcdf")
    with xr.open_dataset(io.BytesIO(packed.content)) as got:
        xr.testing.assert_equal(got, want)


@pytest.mark.parametrize(
    ("query", "indexers"),
    [
        ("time=0,5&latitude=3,4&pointwise=time,latitude", {"time": [0, 5], "latitude": [3, 4]}),
        ("time=-1&latitude=3,4&pointwise=time,latitude", {"time": [-1, -1], "latitude": [3, 4]}),
        ("time=1&latitude=3&pointwise=time,latitude", {"time": [1], "latitude": [3]}),
        (
            "time=0,30,47&latitude=3,3,18&longitude=0,35,0&level=1&pointwise=longitude,time,latitude",
            {"time": [0, 30, 47], "latitude": [3, 3, 18], "longitude": [0, 35, 0], "level": 1},
        ),
        (
            "latitude=3,3&longitude=0,35&time=5,1&pointwise=longitude,latitude&variables=u",
            {"latitude": [3, 3], "longitude": [0, 35], "time": xr.DataArray([5, 1], dims="time")},
        ),
    ],
)
def test_points_by_position_equal_xarray(
    client: httpx.Client, dataset: tuple[str, xr.Dataset], query: str, indexers: dict[str, Any]
) -> None:
    """Any two dimensions or more go together; lists of the others stay crossed with them."""
    name, ds = dataset
    answer = client.get(f"/datasets/{name}/isel?{query}")
    assert answer.status_code == 200, answer.text
    chosen = {k: along(v) if isinstance(v, list) else v for k, v in indexers.items()}
    want = ds.isel(chosen)[["u"] if "variables" in query else list(ds.data_vars)].load()
    xr.testing.assert_equal(decoded(answer), want)


def test_a_wrong_station_is_named(client: httpx.Client) -> None:
    """The answer says which point is not on the axis."""
    query = "latitude=0,10,11&longitude=0,10,20&pointwise=latitude,longitude"
    answer = client.get(f"/datasets/v2/sel?{query}")
    assert answer.status_code == 422
    assert (answer.json()["point"], answer.json()["nearest"]) == (2, [10.0, 20.0])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("latitude=0,10&longitude=0,10,20&pointwise=latitude,longitude", 400),
        ("latitude=0/10&longitude=0,10&pointwise=latitude,longitude", 400),
        ("latitude=0,10&longitude=0,10&pointwise=latitude", 400),
        ("latitude=0,10&longitude=0,10&pointwise=latitude,height", 422),
    ],
)
def test_what_is_no_set_of_points(client: httpx.Client, query: str, status: int) -> None:
    """Lists that do not go together are the request's mistake; an absent name the dataset's."""
    assert client.get(f"/datasets/v2/sel?{query}").status_code == status
