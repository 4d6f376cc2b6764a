"""What scientists write in a notebook: requests with xarray, netCDF4, pandas, fsspec."""

from __future__ import annotations

import io

import fsspec
import netCDF4
import numpy as np
import pandas as pd
import pytest
import requests
import xarray as xr

from tests.clients.conftest import Running

BOX = "time=2020-01-01T06:00Z/2020-01-01T18:00Z&level=850&latitude=0/40&longitude=100/200"
SERIES = "level=850&latitude=40&longitude=100&variables=t,u"


@pytest.fixture
def box(service: Running) -> xr.Dataset:
    """The box as xarray selects it from the store."""
    with service.dataset as ds:
        picked = ds.sel(
            time=slice("2020-01-01T06:00", "2020-01-01T18:00"),
            level=850,
            latitude=slice(40, 0),
            longitude=slice(100, 200),
        )
        return picked.load()


def test_requests_and_xarray(service: Running, box: xr.Dataset) -> None:
    """The bytes of a response open as the box, with its packing, without a file."""
    answer = requests.get(service.url(f"{BOX}&f=netcdf"), timeout=60)
    answer.raise_for_status()
    with xr.open_dataset(io.BytesIO(answer.content)) as ds:
        xr.testing.assert_equal(ds.load(), box)
        assert ds.t.encoding["dtype"] == np.dtype("int16")
        assert ds.t.encoding["scale_factor"] == 0.03125


def test_requests_and_netcdf4(service: Running, box: xr.Dataset) -> None:
    """The C library's own reader, which asks by the Accept header, sees the same values."""
    accept = {"Accept": "application/netcdf"}
    answer = requests.get(service.url(BOX), headers=accept, timeout=60)
    with netCDF4.Dataset("memory.nc", memory=answer.content) as file:
        values = file["t"][:].filled(np.nan)
    np.testing.assert_array_equal(values, box.t.values)


def test_a_session_asks_again_with_the_tag(service: Running) -> None:
    """A client that keeps the tag is told that nothing has changed."""
    with requests.Session() as session:
        first = session.get(service.url(BOX), timeout=60)
        again = session.get(
            service.url(BOX), headers={"If-None-Match": first.headers["ETag"]}, timeout=60
        )
    # requests offers gzip by itself, and zstd where it can decode that.
    assert first.headers["Content-Encoding"] in {"gzip", "zstd"}
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


def test_pandas_read_csv(service: Running) -> None:
    """read_csv takes the address itself; the times parse and the values are the store's."""
    table = pd.read_csv(service.url(f"{SERIES}&f=csv"), parse_dates=["time"], index_col="time")
    with service.dataset as ds:
        wanted = ds[["t", "u"]].sel(level=850, latitude=40, longitude=100).load()
    assert isinstance(table.index.dtype, pd.DatetimeTZDtype)
    assert isinstance(table.index, pd.DatetimeIndex)
    assert (table.index.tz_convert(None) == wanted.indexes["time"]).all()
    assert list(table.columns[-2:]) == ["t", "u"]
    assert set(table["latitude"]) == {40.0}
    np.testing.assert_array_equal(table["t"], wanted["t"])
    np.testing.assert_array_equal(table["u"].to_numpy(np.float32), wanted["u"])
    assert table["t"].isna().any()


def test_fsspec_caches_an_answer_for_xarray(service: Running, box: xr.Dataset) -> None:
    """fsspec's HTTP filesystem, with its cache of whole files, hands xarray a file to seek in."""
    with (
        fsspec.open(f"simplecache::{service.url(f'{BOX}&f=netcdf')}") as file,
        xr.open_dataset(file, engine="h5netcdf") as ds,
    ):
        xr.testing.assert_equal(ds.load(), box)
