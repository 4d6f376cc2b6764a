"""Several missing values of a variable: the file has the store's numbers, and tells which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from tests.blackbox.conftest import Serve
from tests.blackbox.readers import copies, in_old_python, in_r, needed, run, seen

VALUES = [1, 4, 7, -9, 5]
PACKED = {"scale_factor": 0.5, "add_offset": 1.0}
# Stored type, fill value, attributes.
CASES: dict[str, tuple[str, int | float | None, dict[str, Any]]] = {
    "beside": ("i2", -9, {"missing_value": 4}),
    "packed": ("i2", -9, {"missing_value": 4, **PACKED}),
    "bytes": ("i1", -9, {"missing_value": 4}),
    "unsigned": ("i1", -9, {"missing_value": 4, "_Unsigned": "true"}),
    "unsigned_packed": ("i1", None, {"missing_value": 4, "_Unsigned": "true", **PACKED}),
    "floats": ("f4", -9, {"missing_value": 4}),
    "doubles": ("f8", -9, {"missing_value": 4.0}),
    "times": ("i4", -9, {"missing_value": 4, "units": "days since 2000-01-01"}),
    "lengths": (
        "i4",
        -9,
        {"missing_value": 4, "units": "seconds", "dtype": "timedelta64[ns]"},
    ),
    "listed": ("i2", None, {"missing_value": [4, 7], **PACKED}),
    "listed_beside": ("f4", -9, {"missing_value": [4, 7]}),
}
# A package of R fails on a list of missing values.
DECODED = ("listed", "listed_beside")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A variable for each case, of the same numbers."""
    path = tmp_path_factory.mktemp("stores") / "missing.zarr"
    group = zarr.create_group(path, zarr_format=2)
    for name, (kind, fill, attributes) in CASES.items():
        values = np.array(VALUES).astype(kind)
        array = group.create_array(name, shape=(5,), dtype=kind, fill_value=fill)
        array[:] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": ["x"], **attributes})
    return path


@pytest.fixture(scope="module")
def path(serve: Serve, store: Path) -> Path:
    """The file that the service makes of it."""
    answer = serve({"missing": store}).get("/datasets/missing/isel?f=netcdf")
    assert answer.status_code == 200, answer.text
    file = store.with_name("missing.nc")
    file.write_bytes(answer.content)
    return file


@pytest.mark.filterwarnings("ignore:variable:xarray.SerializationWarning")
@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("decode_cf", [False, True])
def test_xarray_sees_the_store_in_the_file(
    store: Path, path: Path, engine: Any, decode_cf: bool
) -> None:
    """Undecoded and decoded: numbers, types, and what of them is missing."""
    theirs = xr.open_dataset(store, engine="zarr", consolidated=False, decode_cf=decode_cf)
    ours = xr.open_dataset(path, engine=engine, decode_cf=decode_cf)
    with theirs, ours:
        for name in CASES:
            expected, found = theirs[name].load(), ours[name].load()
            if name in DECODED and not decode_cf:
                assert found.dtype.kind == "f", name
                continue
            np.testing.assert_array_equal(found, expected, name, strict=True)
            if not decode_cf:
                assert found.attrs["missing_value"].dtype == found.dtype, name
                assert found.attrs == expected.attrs, name


def test_the_c_library_blanks_each_of_them(path: Path) -> None:
    """netCDF4 for Python masks by both attributes."""
    with netCDF4.Dataset(path) as file:
        for name, (_, fill, attributes) in CASES.items():
            gone = {fill, *np.atleast_1d(attributes["missing_value"]).tolist()}
            found = np.ma.filled(file[name][...].astype("f8"), np.nan)
            assert np.isnan(found).tolist() == [value in gone for value in VALUES], name


def test_every_reader_reads_on(path: Path) -> None:
    """Copies are equal, programs print all, and R and old Python read each variable."""
    assert all(seen(copy) == seen(path) for copy in copies(path))
    needed("ncdump", "ncks")
    run("ncdump", path)
    run("ncks", "--cdl", path)
    for package in ("RNetCDF", "ncdf4"):
        read = in_r(package, path)
        assert CASES.keys() <= read.keys()
        assert all(len(read[name].split("|")) == len(VALUES) for name in CASES), read
    for variables in in_old_python(path).values():
        for name in CASES:
            assert len(variables[name]["values"]) == len(VALUES), name
