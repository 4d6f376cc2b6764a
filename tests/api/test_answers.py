"""What the service answers is what xarray selects, over a real socket."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from tests.api.conftest import decoded

BERLIN = "latitude=nearest::52.5&longitude=nearest::13.4"
NEAR_BERLIN = {"latitude": 50.0, "longitude": 10.0}

# Query on sel or isel, and the same selection in xarray's words.
SELECTIONS = [
    (
        "sel",
        f"time=2020-01-01T06:00Z&level=850&{BERLIN}",
        {"time": "2020-01-01T06:00:00", "level": 850, **NEAR_BERLIN},
    ),
    (
        "sel",
        f"time=2020-01-02&level=850&{BERLIN}",
        {"time": slice("2020-01-02T00", "2020-01-02T23"), "level": 850, **NEAR_BERLIN},
    ),
    (
        "sel",
        "time=2020-01-01T06:00Z/2020-01-01T12:00Z/3",
        {"time": slice("2020-01-01T06:00", "2020-01-01T12:00", 3)},
    ),
    (
        "sel",
        "time=2020-01-02T20:00Z/..&level=1000,500",
        {"time": slice("2020-01-02T20:00", None), "level": [1000, 500]},
    ),
    (
        "sel",
        "latitude=-10/10&longitude=20/40",
        {"latitude": slice(10, -10), "longitude": slice(20, 40)},
    ),
    (
        "sel",
        "latitude=10/-10&longitude=350,0,10",
        {"latitude": slice(10, -10), "longitude": [350, 0, 10]},
    ),
    (
        "sel",
        "method=pad&latitude=45&longitude=9.9",
        {"method": "pad", "latitude": 45, "longitude": 9.9},
    ),
    (
        "isel",
        "time=0&level=-1&latitude=3&longitude=5",
        {"time": 0, "level": -1, "latitude": 3, "longitude": 5},
    ),
    ("isel", "time=0:24:6&latitude=3,5,8", {"time": slice(0, 24, 6), "latitude": [3, 5, 8]}),
    (
        "isel",
        "time=::-7&longitude=-3:",
        {"time": slice(None, None, -7), "longitude": slice(-3, None)},
    ),
    ("isel", "", {}),
]

# Both paths mix labels and positions; the oracle takes one after the other.
MIXED = [
    ("sel", "isel[time]=-1&level=850", {"time": -1}, {"level": 850}),
    ("isel", "time=0:6&sel[latitude]=nearest::52", {"time": slice(0, 6)}, {"latitude": 50}),
    ("isel", "sel[longitude]=20/40&time=3", {"time": 3}, {"longitude": slice(20, 40)}),
]


@pytest.fixture(scope="module", params=["v2", "v3"])
def dataset(request: pytest.FixtureRequest, stores: Path) -> tuple[str, xr.Dataset]:
    """Name and xarray's own view of each store."""
    store = stores / f"{request.param}.zarr"
    return request.param, xr.open_zarr(store, chunks=None, consolidated=request.param == "v2")


def expected(ds: xr.Dataset, path: str, indexers: dict[str, Any]) -> xr.Dataset:
    return (ds.sel(**indexers) if path == "sel" else ds.isel(**indexers)).load()


@pytest.mark.parametrize(("path", "query", "indexers"), SELECTIONS)
def test_json_decoded_back_equals_xarray(
    client: httpx.Client,
    dataset: tuple[str, xr.Dataset],
    path: str,
    query: str,
    indexers: dict[str, Any],
) -> None:
    """Dimensions, coordinates, values and holes of a JSON answer are those of xarray."""
    name, ds = dataset
    answer = client.get(f"/datasets/{name}/{path}?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    xr.testing.assert_equal(decoded(answer), expected(ds, path, indexers))


@pytest.mark.parametrize(("path", "query", "positions", "labels"), MIXED)
def test_labels_and_positions_mix(
    client: httpx.Client,
    dataset: tuple[str, xr.Dataset],
    path: str,
    query: str,
    positions: dict[str, Any],
    labels: dict[str, Any],
) -> None:
    """A label or a position for any dimension, on either path."""
    name, ds = dataset
    answer = client.get(f"/datasets/{name}/{path}?{query}")
    assert answer.status_code == 200, answer.text
    xr.testing.assert_equal(decoded(answer), ds.isel(positions).sel(labels).load())


@pytest.mark.parametrize(("path", "query", "indexers"), SELECTIONS)
def test_netcdf_read_back_equals_xarray(
    client: httpx.Client,
    dataset: tuple[str, xr.Dataset],
    path: str,
    query: str,
    indexers: dict[str, Any],
) -> None:
    """A NetCDF answer opens with xarray as the same selection, packed as the store packs it."""
    name, ds = dataset
    answer = client.get(f"/datasets/{name}/{path}?{query}&f=netcdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/netcdf"
    named = rf'attachment; filename="{name}-[0-9a-f]{{10}}\.nc"'
    assert re.fullmatch(named, answer.headers["content-disposition"])
    with xr.open_dataset(io.BytesIO(answer.content)) as got:
        xr.testing.assert_equal(got, expected(ds, path, indexers))
        assert got.t.encoding["dtype"] == np.dtype("int16")
        assert got.t.encoding["scale_factor"] == 0.03125


def test_variables_are_those_that_were_asked_for(client: httpx.Client) -> None:
    """`variables` keeps the named ones with their coordinates, in a list or repeated."""
    for query in ("variables=t,mask", "variables=t&variables=mask"):
        body = client.get(f"/datasets/v2/isel?time=0&level=0&{query}").json()
        assert set(body["data_vars"]) == {"t", "mask"}
        assert set(body["coords"]) == {"time", "level", "latitude", "longitude", "name"}


def test_the_accept_header_chooses_and_f_wins(client: httpx.Client) -> None:
    """Without `f` the client's preference counts; with it, it does not."""
    path = "/datasets/v2/isel?time=0&level=0&latitude=0&longitude=0"
    header = {"Accept": "application/netcdf, application/json;q=0.5"}
    assert client.get(path, headers=header).content[:4] == b"\x89HDF"
    forced = client.get(f"{path}&f=json", headers=header)
    assert forced.headers["content-type"] == "application/json"
    assert "Accept" in forced.headers["vary"]


def test_answers_carry_the_cache_control_of_their_dataset(client: httpx.Client) -> None:
    """The catalog says how long an answer may be kept; without it caches are to ask again."""
    path = "isel?time=0&level=0&latitude=0&longitude=0"
    assert client.get(f"/datasets/v3/{path}").headers["cache-control"] == "public, max-age=60"
    assert client.get(f"/datasets/v2/{path}").headers["cache-control"] == "no-cache"


def test_a_large_answer_is_whole(client: httpx.Client, stores: Path) -> None:
    """An answer beyond the inline size goes through the pool and loses nothing."""
    answer = client.get("/datasets/v2/isel?variables=u")
    want = xr.open_zarr(stores / "v2.zarr", chunks=None)["u"]
    got = np.array(answer.json()["data_vars"]["u"]["data"], "float32")
    np.testing.assert_array_equal(got, want.values)


def test_the_list_opens_nothing(client: httpx.Client) -> None:
    """All datasets are listed, those included whose stores cannot be opened."""
    body = client.get("/datasets").json()
    assert body["datasets"][0] == {"id": "v2", "title": "Weather"}
    assert [row["id"] for row in body["datasets"]] == ["v2", "v3", "gone", "strange"]


def test_a_dataset_describes_itself(client: httpx.Client) -> None:
    """Dimensions, coordinate ranges, and how each variable is stored, as valid JSON."""
    answer = client.get("/datasets/v2")
    body = json.loads(answer.text, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert (body["id"], body["title"]) == ("v2", "Weather")
    assert body["attrs"] == {"title": "Weather", "missing": None}
    assert body["dims"] == {"time": 48, "level": 3, "latitude": 19, "longitude": 36}
    latitude = body["coords"]["latitude"]
    assert (latitude["min"], latitude["max"], latitude["dims"]) == (-90.0, 90.0, ["latitude"])
    assert body["coords"]["time"]["min"] == "2020-01-01T00:00:00Z"
    assert body["data_vars"]["t"]["chunks"] == list((24, 1, 10, 18))
    assert body["data_vars"]["t"]["attrs"]["units"] == "K"


def test_the_process_is_healthy(client: httpx.Client) -> None:
    """`/healthz` answers without touching a store."""
    assert client.get("/healthz").json() == {"status": "ok"}
