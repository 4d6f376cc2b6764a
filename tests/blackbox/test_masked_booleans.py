"""Booleans some of which are missing: the same in every format, and said by `check`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.blackbox.conftest import Serve, Service, check
from tests.blackbox.readers import copies, in_old_python, in_r, seen

VALUES: list[bool | None] = [True, False, True]
# Name -> Zarr format, fill value, attributes, and what a reader should have.
ARRAYS: dict[str, tuple[int, bool | None, dict[str, Any], list[bool | None]]] = {
    "fill_false": (2, False, {}, [True, None, True]),
    "fill_true": (2, True, {}, [None, False, None]),
    "fill_none": (2, None, {}, VALUES),
    "attribute": (2, None, {"_FillValue": False}, [True, None, True]),
    "missing": (2, None, {"missing_value": True}, [None, False, None]),
    "plain": (3, False, {}, VALUES),
    "v3_false": (3, False, {"_FillValue": False}, [True, None, True]),
    "v3_true": (3, True, {"_FillValue": True}, [None, False, None]),
    "meant": (2, False, {"flag_values": [0, 1], "flag_meanings": "no yes"}, [True, None, True]),
}
MASKED = [name for name, (*_, wanted) in ARRAYS.items() if None in wanted]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A store of each Zarr format."""
    folder = tmp_path_factory.mktemp("stores")
    for number in (2, 3):
        group = zarr.open_group(folder / f"v{number}.zarr", mode="w", zarr_format=number)
        for name, (zarr_format, fill, attrs, _) in ARRAYS.items():
            if zarr_format != number:
                continue
            dims: dict[str, Any] = {"dimension_names": ["x"]} if number == 3 else {}
            array = group.create_array(
                name, shape=(3,), dtype=bool, chunks=(2,), fill_value=fill, **dims
            )
            array[...] = np.array(VALUES, bool)
            array.attrs.update(attrs if number == 3 else {"_ARRAY_DIMENSIONS": ["x"], **attrs})
    return {f"v{number}": folder / f"v{number}.zarr" for number in (2, 3)}


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    """One server over both."""
    return serve(stores)


def answer(service: Service, name: str, form: str, where: str = "") -> bytes:
    """One variable of the store that has it."""
    path = f"/datasets/v{ARRAYS[name][0]}/isel?variables={name}&f={form}{where}"
    got = service.get(path)
    assert got.status_code == 200, got.text
    return got.content


@pytest.mark.parametrize("name", ARRAYS)
def test_every_format_says_the_same(service: Service, stores: dict[str, Path], name: str) -> None:
    """JSON, CSV and NetCDF have the values that xarray reads from the store."""
    zarr_format, _, _, wanted = ARRAYS[name]
    with xr.open_zarr(stores[f"v{zarr_format}"], consolidated=False) as oracle:
        expected = oracle[name].load()
    path = f"/datasets/v{zarr_format}/isel?variables={name}"
    assert service.get(path).json()["data_vars"][name]["data"] == wanted
    rows = [*csv.DictReader(io.StringIO(answer(service, name, "csv").decode()))]
    assert [row[name] for row in rows] == [
        "" if value is None else str(value).lower() for value in wanted
    ]
    with xr.open_dataset(io.BytesIO(answer(service, name, "netcdf")), engine="h5netcdf") as found:
        xr.testing.assert_equal(found[name].load().variable, expected.variable)


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("where", ["", "&x=0", "&x=1", "&x=0:1", "&x=1:2"])
def test_gaps_are_flags(service: Service, tmp_path: Path, name: str, where: str) -> None:
    """Whatever part is asked for, also one without a gap, the file has one form: flags."""
    path = tmp_path / "flags.nc"
    path.write_bytes(answer(service, name, "netcdf", where))
    _, variables, _ = seen(path)
    dtype, _, _, attrs = variables[name]
    meanings = ARRAYS[name][2].get("flag_meanings", "false true")
    assert dtype == "int8"
    assert attrs["flag_values"] == ("int8", "[0, 1]")
    assert (attrs["flag_meanings"], attrs["_FillValue"]) == (
        ("str", repr(meanings)),
        ("int8", "-1"),
    )


@pytest.mark.parametrize("name", MASKED)
def test_foreign_readers(service: Service, tmp_path: Path, name: str) -> None:
    """R and Python of 2018 read numbers and gaps; copies are equal."""
    path = tmp_path / "flags.nc"
    path.write_bytes(answer(service, name, "netcdf"))
    wanted = ARRAYS[name][3]
    assert all(seen(copy) == seen(path) for copy in copies(path))
    numbers = "|".join("NA" if value is None else str(int(value)) for value in wanted)
    for package in ("ncdf4", "RNetCDF"):
        assert in_r(package, path)[name] in (numbers, numbers.replace("NA", "-1"))
    read = in_old_python(path)["netCDF4"][name]["values"]
    assert read == [None if value is None else int(value) for value in wanted]


def test_check_says_what_is_masked(stores: dict[str, Path], tmp_path: Path) -> None:
    """Each array whose fill value is one of its booleans has a finding that names the value."""
    findings = [f for f in check(tmp_path, stores) if "booleans" in f["text"]]
    said = {f["where"]: f["text"] for f in findings}
    assert sorted(said) == sorted(MASKED)
    for name, text in said.items():
        masked = "false" if ARRAYS[name][3][1] is None else "true"
        assert f"every {masked} is read as missing" in text
        assert "fill_value to null" in text


def test_check_names_numbers_that_are_read_as_true(tmp_path: Path) -> None:
    """xarray's own booleans, which are numbers, have no way to be missing: a fill value is told."""
    store = tmp_path / "numbers.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=2)
    array = group.create_array("flag", shape=(2,), dtype="i1", chunks=(2,), fill_value=0)
    array[...] = np.array([0, 1], "i1")
    array.attrs.update({"_ARRAY_DIMENSIONS": ["x"], "dtype": "bool"})
    (text,) = [f["text"] for f in check(tmp_path, {"a": store}) if f["where"] == "flag"]
    assert "the fill value 0, and what is missing is read as true" in text


def test_gaps_of_other_objects(serve: Serve, tmp_path: Path) -> None:
    """Bytes with a fill value stay bytes: what is missing is empty, and no text."""
    group = zarr.open_group(tmp_path / "bytes.zarr", mode="w", zarr_format=2)
    for name, fill in (("gone", b""), ("kept", None)):
        array = group.create_array(name, shape=(3,), dtype="S2", chunks=(2,), fill_value=fill)
        array[...] = np.array([b"a", b"", b"\xff"], "S2")
        array.attrs["_ARRAY_DIMENSIONS"] = ["x"]
    service = serve({"bytes": tmp_path / "bytes.zarr"})
    for where in ("", "&x=1:2"):
        got = service.get(f"/datasets/bytes/isel?f=netcdf{where}")
        with xr.open_dataset(io.BytesIO(got.content), engine="h5netcdf") as found:
            assert {found[name].dtype.kind for name in ("gone", "kept")} == {"S"}
            assert found.gone.values.tolist() == found.kept.values.tolist()
