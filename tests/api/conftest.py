"""A real server: uvicorn on a socket, over Zarr stores that xarray wrote."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
import xarray as xr
from fastapi import FastAPI

from app.api import create_app
from app.settings import Settings

Serve = Callable[..., httpx.Client]


def serving(settings: Settings) -> AbstractContextManager[httpx.Client]:
    """A client of a server with these settings, as `serving_app` gives it."""
    return serving_app(create_app(settings))


@contextmanager
def serving_app(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of a server that runs in a thread on a free port until the block ends."""
    config = uvicorn.Config(app, port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended while it started"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, verify=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def decoded(answer: httpx.Response) -> xr.Dataset:
    """A JSON answer as a Dataset; null is NaN where the dtype has one."""
    body = answer.json()
    for part in [*body["coords"].values(), *body["data_vars"].values()]:
        data = np.asarray(part["data"])
        if part["dtype"].startswith("datetime64"):
            # numpy reads instants, but not the zone that RFC 3339 demands.
            assert all(text.endswith("Z") for text in data.flat)
            data = np.char.rstrip(data, "Z")
        part["data"] = data.astype(part["dtype"])
    return xr.Dataset.from_dict(body)


def weather() -> xr.Dataset:
    """A small 0..360, north-to-south, hourly dataset with holes; packed when it is written."""
    shape = (48, 3, 19, 36)
    dims = ("time", "level", "latitude", "longitude")
    random = np.random.default_rng(7)
    t = random.integers(-3000, 3000, shape) * 0.03125 + 280
    t[random.random(shape) < 0.05] = np.nan
    u = random.normal(size=shape).astype("float32")
    coords = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(48) * np.timedelta64(1, "h"),
        "level": np.array([1000, 850, 500], "int32"),
        "latitude": np.linspace(90, -90, 19),
        "longitude": np.arange(0.0, 360.0, 10.0),
        "name": ("level", ["low", "middle", "high"]),
    }
    data = {
        "t": (dims, t, {"units": "K"}),
        "u": (dims, u, {"valid_range": np.array([-9.0, np.inf])}),
        "mask": (dims[2:], random.random(shape[2:]) < 0.5),
    }
    return xr.Dataset(data, coords, {"title": "Weather", "missing": np.nan})


PACKED = {"dtype": "int16", "scale_factor": 0.03125, "add_offset": 280.0, "_FillValue": -32768}
CHUNKS = (24, 1, 10, 18)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores that the catalogs of these tests name."""
    folder = tmp_path_factory.mktemp("stores")
    encoding: dict[str, Any] = {"t": {**PACKED, "chunks": CHUNKS}, "u": {"chunks": CHUNKS}}
    ds = weather()
    with warnings.catch_warnings():
        # zarr warns that its strings are not in the v3 specification yet.
        warnings.simplefilter("ignore")
        ds.to_zarr(folder / "v2.zarr", zarr_format=2, encoding=encoding)
        ds.to_zarr(folder / "v3.zarr", zarr_format=3, consolidated=False, encoding=encoding)
    return folder


@pytest.fixture
def write_catalog(stores: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a catalog; ``{stores}`` in it stands for the folder of the stores."""

    def write(text: str) -> Path:
        path = tmp_path / "catalog.yaml"
        path.write_text(text.replace("{stores}", str(stores)))
        return path

    return write


CATALOG = """
datasets:
  v2: {url: "{stores}/v2.zarr", title: Weather}
  v3: {url: "{stores}/v3.zarr", cache_control: "public, max-age=60"}
  gone: {url: "{stores}/secret-name.zarr"}
  strange: {url: "s3://nowhere/at-all", storage_options: {nonsense: 1}}
"""


@pytest.fixture(scope="module")
def client(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server with ordinary settings over `CATALOG`."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    path.write_text(CATALOG.replace("{stores}", str(stores)))
    with serving(Settings(catalog=path, failed_open_seconds=0.1)) as client:
        yield client
