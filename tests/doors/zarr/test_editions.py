"""Who has opened a dataset that changes: never chunks of one edition as if of another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from app.settings import Settings
from tests.api.conftest import serving

pytestmark = pytest.mark.filterwarnings("ignore")
FORMATS = (2, 3)


def forecast(run: int, steps: int) -> xr.Dataset:
    """Packed values of one shape; each run has its own packing and its own times."""
    values = np.arange(steps * 6.0).reshape(steps, 6) + 100 * run
    times = np.datetime64(f"2024-01-0{run}", "ns") + np.arange(steps) * np.timedelta64(1, "h")
    return xr.Dataset({"v": (("time", "x"), values)}, {"time": times, "x": np.arange(6)})


def encoding(run: int) -> dict[str, Any]:
    packed = {"dtype": "i2", "scale_factor": 0.5, "add_offset": float(100 * run)}
    time = {"units": f"hours since 2024-01-0{run}", "dtype": "i4", "chunks": (4,)}
    return {"v": {**packed, "chunks": (4, 6)}, "time": time}


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The first run, in this format."""
    path = tmp_path / f"v{request.param}.zarr"
    forecast(1, 6).to_zarr(path, zarr_format=request.param, encoding=encoding(1))
    return path


@pytest.fixture
def client(store: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """A service that looks at the store before each answer."""
    entry = {"url": str(store), "refresh": "before", "refresh_seconds": 0, "settle_seconds": 0}
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": {"run": entry}}))
    with serving(Settings(catalog=catalog)) as client:
        yield client


def address(client: httpx.Client, name: str) -> str:
    return str(client.base_url.join(f"/zarr/v3/{name}"))


def edition(client: httpx.Client) -> str:
    """The dataset with its edition, as its metadata name it."""
    document = client.get("/zarr/v3/run/zarr.json")
    told = document.headers["content-location"]
    named = client.get(str(document.url.join(told)))
    assert named.content == document.content
    return str(told.split("/")[1])


def test_an_append_is_the_same_edition(client: httpx.Client, store: Path) -> None:
    """Who opened it before reads on, by the old lengths; who opens it now sees all."""
    name = edition(client)
    before = xr.open_zarr(address(client, name), chunks=None)
    added = forecast(1, 11).isel(time=slice(6, None))
    added.to_zarr(store, append_dim="time", zarr_format=2 if "v2" in store.name else 3)
    assert edition(client) == name
    xr.testing.assert_equal(before.load(), forecast(1, 6))
    xr.testing.assert_equal(
        xr.open_zarr(address(client, name), chunks=None).load(), forecast(1, 11)
    )


def test_another_edition_is_not_mixed_into_one(client: httpx.Client, store: Path) -> None:
    """Chunks of as many bytes under the same keys, which mean something else."""
    name = edition(client)
    before = xr.open_zarr(address(client, name), chunks=None)
    chunk = f"/zarr/v3/{name}/v/c/0/0"
    first = client.get(chunk)
    shutil.rmtree(store)
    forecast(2, 6).to_zarr(store, zarr_format=2 if "v2" in store.name else 3, encoding=encoding(2))
    with pytest.raises(Exception, match="409"):
        before.load()
    for path in (chunk, f"/zarr/v3/{name}/zarr.json", f"/zarr/v3/{name}/nope"):
        answer = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:sluice:problem:other-edition"
    assert edition(client) != name
    now = xr.open_zarr(address(client, "run"), chunks=None).load()
    xr.testing.assert_equal(now, forecast(2, 6))
    again = client.get("/zarr/v3/run/v/c/0/0", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 200
