"""What is told before anything is read: the bytes that a download has, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service

PLAIN = {"Accept-Encoding": "identity"}
BOX = "time=5:45&lat=20:160"
FORMATS = ("json", "csv", "ndjson", "columns", "netcdf", "bin")
TEXTS = {"json", "csv", "ndjson", "columns"}


def cube() -> xr.Dataset:
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 200, 100)) * 10 + 270
    values[:, 100:, 50:] = np.nan
    return xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values, {"units": "K", "long_name": "temperature"}),
            "flag": (("time", "lat", "lon"), random.integers(0, 300, (60, 200, 100)).astype("i2")),
        },
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(60) * np.timedelta64(6, "h"),
            "lat": np.linspace(90, -90, 200),
            "lon": np.arange(100) * 0.9,
        },
        attrs={"history": "made for a test " * 20},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ds, folder = cube(), tmp_path_factory.mktemp("store") / "cube.zarr"
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 250.0, "_FillValue": -32768}
    ds.t.encoding = {"chunks": (10, 50, 100), **packed}
    ds.flag.encoding = {"chunks": (10, 200, 100)}
    ds.to_zarr(folder, zarr_format=2, consolidated=True)
    return folder


@pytest.fixture
def service(serve: Serve, store: Path) -> Service:
    return serve({"cube": store})


def explained(service: Service, query: str) -> dict[str, Any]:
    answer = service.get(f"/datasets/cube/isel?explain=true&{query}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def downloaded(service: Service, query: str, f: str) -> int:
    answer = service.get(f"/datasets/cube/isel?{query}&f={f}", headers=PLAIN)
    assert answer.status_code == 200, answer.text[:300]
    return len(answer.content)


def test_the_told_size_is_that_of_the_download(service: Service) -> None:
    """Of NetCDF to the byte, of texts within a tenth once their variables were answered."""
    told = explained(service, BOX)["bytes"]
    assert {name for name in FORMATS if told[name]["rough"]} == TEXTS
    for name in ("netcdf", "bin"):
        assert told[name]["size"] == downloaded(service, BOX, name)
    for other in ("time=50:52", "time=0"):
        downloaded(service, other, "csv")
    told = explained(service, BOX)["bytes"]
    for name in TEXTS:
        assert told[name]["rough"] is False
        assert told[name]["size"] == pytest.approx(downloaded(service, BOX, name), rel=0.1), name


@pytest.mark.parametrize(
    "query",
    [
        "time=0&lat=0:3&lon=0:10",
        "lat=7&lon=9",
        "time=3&variables=t",
        "lat=3,5,8&lon=9,1,7&pointwise=lat,lon",
        "time=3&lat=4&lon=5",
        "variables=lat",
    ],
)
def test_small_answers_and_other_forms_have_their_sizes(service: Service, query: str) -> None:
    for f in FORMATS:
        downloaded(service, "time=0:5", f)
    told = explained(service, query)["bytes"]
    for f in FORMATS:
        assert told[f]["rough"] is False
        assert told[f]["size"] == pytest.approx(downloaded(service, query, f), rel=0.1), f
    assert told["netcdf"]["size"] == downloaded(service, query, "netcdf")


def test_a_table_that_was_streamed_tells_of_others(service: Service) -> None:
    downloaded(service, "lat=0:100", "csv")
    told = explained(service, BOX)["bytes"]["json"]
    assert told["rough"] is False
    assert told["size"] == pytest.approx(downloaded(service, BOX, "json"), rel=0.1)


def test_a_format_that_refuses_says_why(serve: Serve, store: Path) -> None:
    service = serve({"cube": store}, SLUICE_REQUEST_RESULT_BYTES=str(2**20))
    told = explained(service, "f=json")
    assert told["within_limits"] is False
    assert "refused" in told["bytes"]["json"]
    assert "refused" not in told["bytes"]["netcdf"]
    excess = told["excess"]
    assert (excess["limited"], excess["limit"], excess["dimension"]) == (
        "result_bytes",
        2**20,
        "lat",
    )
    assert 0 < excess["positions"] < excess["of"] == 200
    assert service.get(f"/datasets/cube/isel?f=json&lat=0:{excess['positions']}").status_code == 200
    more = service.get(f"/datasets/cube/isel?f=json&lat=0:{excess['positions'] + 1}")
    assert more.status_code == 413


def test_costs_are_told(service: Service) -> None:
    told = explained(service, "lat=3&lon=4&f=netcdf")
    assert (told["chunks"], told["decoded_chunks"], told["most_times"]) == (12, 12, 1)
    assert told["chunk_bytes"] <= told["memory_bytes"] + 2**20
    assert told["forecast"] == {"seconds": pytest.approx(0.0, abs=1.0), "rough": True}
    assert "excess" not in told
    downloaded(service, BOX, "json")
    assert explained(service, f"{BOX}&f=json")["forecast"]["rough"] is False


def test_a_million_labels_are_not_told(serve: Serve, tmp_path: Path) -> None:
    ds = xr.Dataset(coords={"time": np.arange(10**6)}).assign(v=("time", np.zeros(10**6, "i1")))
    ds.to_zarr(tmp_path / "cube.zarr", zarr_format=2)
    service = serve({"cube": tmp_path / "cube.zarr"})
    answer = service.get("/datasets/cube/isel?explain=true")
    assert len(answer.content) < 2000
    assert answer.json()["bytes"]["netcdf"]["size"] == downloaded(service, "", "netcdf")
