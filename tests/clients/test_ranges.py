"""Clients that read a large NetCDF answer in parts: what broke off goes on, and parts are read."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin
from uuid import uuid4

import fsspec
import netCDF4
import numpy as np
import pytest
import requests
import xarray as xr

from loadtests.ground import serving
from tests.clients.programs import program

QUERY = "variables=t&level=0&f=netcdf"


@dataclass(frozen=True)
class Large:
    """A service, the address of a file of some 17 MB, and the file itself."""

    url: str
    log: Path
    content: bytes
    dataset: xr.Dataset

    def lines(self, status: int) -> int:
        """How many answers of this status were logged, once all lines up to now are written."""
        mark, until = uuid4().hex, time.monotonic() + 30
        headers = {"X-Request-ID": mark}
        requests.get(urljoin(self.url, "/healthz"), headers=headers, timeout=30)
        while mark not in (text := self.log.read_text(encoding="utf-8")):
            assert time.monotonic() < until, "no line for the request that was sent last"
            time.sleep(0.02)
        return text.count(f" status={status} ")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    folder = tmp_path_factory.mktemp("ranges")
    values = np.random.default_rng(0).normal(size=(60, 1, 180, 400)).astype("f4")
    ds = xr.Dataset(
        {"t": (("time", "level", "lat", "lon"), values, {"units": "K"})},
        {"time": np.arange(60), "lat": np.linspace(90, -89, 180), "lon": np.arange(400) * 0.9},
    )
    ds.t.encoding = {"chunks": (1, 1, 180, 400)}
    ds.to_zarr(folder / "large.zarr", zarr_format=2, consolidated=True)
    (folder / "catalog.yaml").write_text("datasets: {large: {url: large.zarr}}")
    log = folder / "server.log"
    with serving(folder / "catalog.yaml", log) as (_, address):
        url = f"{address}/datasets/large/isel?{QUERY}"
        content = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=60).content
        yield Large(url, log, content, ds.isel(level=0))


def test_curl_goes_on_where_it_broke_off(large: Large, tmp_path: Path) -> None:
    """-C - asks for the rest alone, and the file is whole."""
    held = 5_000_000
    (tmp_path / "large.nc").write_bytes(large.content[:held])
    command = [program("curl"), "-sS", "-C", "-", "-o", "large.nc", large.url]
    command += ["--max-time", "60", "-w", "%{http_code} %{size_download}"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == f"206 {len(large.content) - held}"
    assert (tmp_path / "large.nc").read_bytes() == large.content


def test_aria2_takes_it_over_several_connections(large: Large, tmp_path: Path) -> None:
    before = large.lines(206)
    command = [program("aria2c"), "-q", "-x", "4", "-s", "4", "-k", "1M", "--no-conf", "-o", "l.nc"]
    subprocess.run([*command, large.url], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "l.nc").read_bytes() == large.content
    assert large.lines(206) - before >= 3


def test_h5netcdf_reads_a_part_over_fsspec(large: Large) -> None:
    """Without the whole in memory: a few blocks of the file are asked for."""
    before = large.lines(206)
    with (
        fsspec.open(large.url, block_size=2**18) as file,
        xr.open_dataset(file, engine="h5netcdf") as ds,
    ):
        assert file.size == len(large.content)
        part = ds.t.isel(time=slice(30, 32)).load()
        xr.testing.assert_equal(part, large.dataset.t.isel(time=slice(30, 32)))
    asked = large.lines(206) - before
    assert 0 < asked * 2**18 < len(large.content)


def test_netcdf_c_reads_parts_by_itself(large: Large) -> None:
    """The library of netCDF4's wheels reads an address whose fragment says so."""
    with netCDF4.Dataset(f"{large.url}#mode=bytes") as file:
        assert file["t"].units == "K"
        np.testing.assert_array_equal(file["t"][59], large.dataset.t.values[59])
