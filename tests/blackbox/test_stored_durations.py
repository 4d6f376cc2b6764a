"""Durations in the resolution that a store tells, and floats that are told to be missing.

A store says by the attribute ``dtype: timedelta64[s]`` in which resolution its durations are meant,
as xarray writes it; what has no place among nanoseconds is served like the rest.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import xarray as xr
import zarr

from .conftest import Serve, Service, check

FORMATS: tuple[Literal[2, 3], ...] = (2, 3)
GONE = -(2**63)
# Stored type, units, resolution, values; -3 is there to be a negative one.
DURATIONS: dict[str, tuple[str, str, str, list[int | float]]] = {
    "s_long": ("i8", "seconds", "s", [0, 10**11, -3]),
    "ms_long": ("i8", "milliseconds", "ms", [0, 10**14, -3]),
    "us_long": ("i8", "microseconds", "us", [0, 10**17, -3]),
    "days_long": ("i8", "days", "s", [0, 10**6, -3]),
    "s_short": ("i4", "seconds", "s", [0, 10**9, -3]),
    "ms_short": ("i4", "milliseconds", "ms", [0, 10**6, -3]),
    "us_short": ("i4", "microseconds", "us", [0, 10**6, -3]),
    "ns_short": ("i4", "nanoseconds", "ns", [0, 10**6, -3]),
    "days_ns": ("i2", "days", "ns", [0, 100, -3]),
    "hours": ("i2", "hours", "s", [0, 6, -3]),
    "hours_ms": ("f8", "hours", "ms", [0, 0.5, -3]),
    "missing": ("i8", "seconds", "s", [0, GONE, -3]),
}
TOLD: dict[str, dict[str, Any]] = {
    "decimal": {"missing_value": -99.9},
    "large": {"missing_value": 1e20},
    "listed": {"missing_value": [-99.9]},
    "whole": {"missing_value": -9999.0},
}
FLOATS = [0.5, -99.9, 1e20, -9999.0]


def put(group: zarr.Group, name: str, data: Any, dim: str, attrs: Any) -> None:
    """An array along `dim`, as long as its values."""
    version = group.metadata.zarr_format
    named: dict[str, Any] = {"dimension_names": [dim]} if version == 3 else {"fill_value": None}
    array = group.create_array(name, shape=data.shape, dtype=data.dtype, **named)
    array[:] = data
    array.attrs.update({} if version == 3 else {"_ARRAY_DIMENSIONS": [dim]})
    array.attrs.update(attrs)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, found = tmp_path_factory.mktemp("durations"), {}
    for version in FORMATS:
        path = found[f"durations{version}"] = folder / f"durations{version}"
        group = zarr.open_group(path, mode="w", zarr_format=version)
        for name, (kind, units, unit, values) in DURATIONS.items():
            attrs = {"units": units, "dtype": f"timedelta64[{unit}]"}
            put(group, name, np.array(values, kind), "x", attrs)
        lead = {"units": "hours", "dtype": "timedelta64[s]"}
        put(group, "lead", np.array([0, 6, 10**7], "i4"), "lead", lead)
        put(group, "v", np.arange(3.0), "lead", {})
        path = found[f"floats{version}"] = folder / f"floats{version}"
        group = zarr.open_group(path, mode="w", zarr_format=version)
        for name, attrs in TOLD.items():
            put(group, name, np.array(FLOATS, "f4"), "x", attrs)
    return found


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    return serve(stores)


def by_xarray(path: Path, **options: Any) -> xr.Dataset:
    store: xr.Dataset = xr.open_zarr(path, chunks=None, consolidated=False, **options)
    with store:
        loaded: xr.Dataset = store.load()
    return loaded


def answered(service: Service, store: str, query: str) -> bytes:
    answer = service.get(f"/datasets/{store}/isel?{query}")
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("version", FORMATS)
def test_durations_are_of_the_resolution_that_the_store_tells(
    service: Service, stores: dict[str, Path], version: int
) -> None:
    """The description, JSON, CSV and arrays of NumPy, in all of which xarray is right."""
    store = f"durations{version}"
    expected = by_xarray(stores[store])
    described = service.get(f"/datasets/{store}").json()
    assert described["unusable"] == {}
    told = described["data_vars"] | described["coords"]
    columns = service.get(f"/datasets/{store}/isel").json()
    found = columns["data_vars"] | columns["coords"]
    for name in (*DURATIONS, "lead"):
        wanted = expected[name].values
        assert told[name]["dtype"] == found[name]["dtype"] == str(wanted.dtype), name
        array = np.load(io.BytesIO(answered(service, store, f"f=npy&variables={name}")))
        np.testing.assert_array_equal(array, wanted, name, strict=True)
        texts = found[name]["data"]
        assert [text is None for text in texts] == np.isnat(wanted).tolist(), name
        rows = csv.reader(io.StringIO(answered(service, store, f"f=csv&variables={name}").decode()))
        assert [row[-1] for row in rows][1:] == [text or "" for text in texts], name
    assert found["s_long"]["data"] == ["PT0S", "P1157407DT9H46M40S", "-PT3S"]


@pytest.mark.filterwarnings("ignore:variable:xarray.SerializationWarning")
@pytest.mark.parametrize("form", ["netcdf", "netcdf3"])
@pytest.mark.parametrize("version", FORMATS)
def test_xarray_reads_the_durations_of_a_file(
    service: Service, stores: dict[str, Path], tmp_path: Path, version: int, form: str
) -> None:
    """Decoded as in the store; and as the store has them where the format has their types."""
    store, path = f"durations{version}", tmp_path / "durations.nc"
    expected, raw = by_xarray(stores[store]), by_xarray(stores[store], decode_cf=False)
    for name in (*DURATIONS, "lead"):
        query = f"f={form}&variables={name}"
        if form == "netcdf3" and service.get(f"/datasets/{store}/isel?{query}").status_code == 406:
            assert raw[name].dtype == "i8", name  # which the classic format cannot hold
            continue
        path.write_bytes(answered(service, store, query))
        with xr.open_dataset(path) as file:
            np.testing.assert_array_equal(file[name], expected[name], name, strict=True)
        if form == "netcdf":
            with xr.open_dataset(path, decode_cf=False) as file:
                np.testing.assert_array_equal(file[name], raw[name], name, strict=True)
                assert file[name].attrs["dtype"] == raw[name].attrs["dtype"], name
                assert file[name].attrs["units"] == raw[name].attrs["units"], name


def test_durations_pass_the_check(stores: dict[str, Path], tmp_path: Path) -> None:
    named = {name: path for name, path in stores.items() if name.startswith("durations")}
    assert [one for one in check(tmp_path, named) if one["severity"] == "error"] == []


@pytest.mark.parametrize("form", ["netcdf", "netcdf3"])
@pytest.mark.parametrize("decode_cf", [True, False])
@pytest.mark.parametrize("version", FORMATS)
def test_as_much_is_missing_in_a_file_as_in_the_store(
    service: Service,
    stores: dict[str, Path],
    tmp_path: Path,
    version: int,
    decode_cf: bool,
    form: str,
) -> None:
    """A float32 is never the decimal -99.9 that an attribute tells; the file must not round it."""
    store, path = f"floats{version}", tmp_path / "floats.nc"
    expected = by_xarray(stores[store], decode_cf=decode_cf)
    path.write_bytes(answered(service, store, f"f={form}"))
    with xr.open_dataset(path, decode_cf=decode_cf) as file:
        for name in TOLD:
            if form == "netcdf" or decode_cf:
                np.testing.assert_array_equal(file[name], expected[name], name, strict=True)
        if decode_cf:
            assert np.isnan(file["whole"].values).tolist() == [False, False, False, True]
            assert not np.isnan(file["decimal"].values).any()
