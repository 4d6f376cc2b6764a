"""Attributes that are values of a variable have its type; a dimension without length can grow."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from tests.blackbox.bare_stores import array, write_store
from tests.blackbox.conftest import Serve, Service
from tests.blackbox.readers import copies, in_old_python, in_r, needed, run, seen

PACKS = {"scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -9}
# A list of missing values stops some readers, so such variables are written unpacked.
CONFLICTS = PACKS | {"missing_value": [-8, -7]}


@dataclass(frozen=True)
class Case:
    """A stored type, its attributes, and the type and values of one of them in the file."""

    stored: str
    attrs: dict[str, Any]
    name: str
    dtype: str
    values: list[int | float]
    beside: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("int16", {"valid_range": [0, 100]}, "valid_range", "int16", [0, 100], PACKS),
    Case("int16", {"valid_min": 3}, "valid_min", "int16", [3], PACKS),
    Case("int16", {"valid_max": 3.5}, "valid_max", "float64", [3.5], PACKS),
    Case("int16", {"flag_values": [1, 2]}, "flag_values", "int16", [1, 2], PACKS),
    Case("int16", {"missing_value": -9}, "missing_value", "int16", [-9], PACKS),
    Case("int16", {}, "_FillValue", "int16", [-9], PACKS),
    Case("int16", {"valid_range": [0, 100]}, "valid_range", "float64", [1.0, 51.0], CONFLICTS),
    Case("int32", {"valid_max": 10.0}, "valid_max", "int32", [10]),
    Case("int64", {"valid_range": [0, 2**40]}, "valid_range", "int64", [0, 2**40]),
    Case("uint8", {"flag_masks": [1, 128]}, "flag_masks", "uint8", [1, 128]),
    Case("int8", {"flag_masks": [1, 128]}, "flag_masks", "int8", [1, -128]),
    Case("int8", {"flag_values": [1, 2, 3]}, "flag_values", "int8", [1, 2, 3]),
    Case("int8", {"valid_range": [0, 254]}, "valid_range", "int8", [0, -2], {"_Unsigned": "true"}),
    Case("uint64", {"flag_masks": [1, 2**63]}, "flag_masks", "uint64", [1, 2**63]),
    Case("float32", {"valid_min": 0}, "valid_min", "float32", [0.0]),
    Case("float32", {"valid_range": [0.5, 10]}, "valid_range", "float32", [0.5, 10.0]),
    Case("float32", {"valid_max": 1e300}, "valid_max", "float64", [1e300]),
    Case("float32", {"flag_values": [1, 2]}, "flag_values", "float32", [1.0, 2.0]),
    Case("bool", {"valid_range": [0, 1]}, "valid_range", "int8", [0, 1]),
    Case("int16", {"valid_max": 70_000}, "valid_max", "int32", [70_000]),
    Case("float64", {"level": 3}, "level", "int32", [3]),
    Case("float64", {"levels": [1, -2]}, "levels", "int32", [1, -2]),
    Case("float64", {"large": 2**40}, "large", "int64", [2**40]),
    Case("float64", {"larges": [1, 2**40]}, "larges", "int64", [1, 2**40]),
    Case("float64", {"actual_range": [0, 1.5]}, "actual_range", "float64", [0.0, 1.5]),
]
# Along a dimension that has no length yet.
GROWING = {
    "t": array("float32", [0], ["t"]),
    "v": array("int16", [0, 3], ["t", "x"], 0, {"valid_range": [0, 100], "_FillValue": -9}),
    "w": array("float64", [3, 0], ["x", "t"]),
    "wide": array("float64", [0, 30_000, 40_000], ["t", "y", "z"]),
    "both": array("uint8", [0, 0], ["t", "s"]),
    "flag": array("bool", [0], ["s"], False),
    "x": array("int32", [3], ["x"]),
}


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """One server over a store of all cases, and one of dimensions without length."""
    folder = tmp_path_factory.mktemp("stores")
    arrays = {
        f"v{n}": array(
            case.stored, [2], ["x"], case.stored == "bool" or 7, case.attrs | case.beside
        )
        for n, case in enumerate(CASES)
    }
    title = {"version": 3, "sizes": [1, 2], "count": 2**40}
    cases = write_store(folder / "cases.zarr", arrays, title)
    growing = write_store(folder / "growing.zarr", GROWING)
    names = np.array([], dtype="U3")
    text = xr.Dataset({"name": ("t", names), "code": ("t", np.array([], "S3"))})
    text.to_zarr(folder / "text.zarr", zarr_format=2, consolidated=True)
    return serve({"cases": cases, "growing": growing, "text": folder / "text.zarr"})


def saved(service: Service, name: str, folder: Path) -> Path:
    """The whole dataset as a file."""
    answer = service.get(f"/datasets/{name}/isel?f=netcdf")
    assert answer.status_code == 200, answer.text
    path = folder / f"{name}.nc"
    path.write_bytes(answer.content)
    return path


@pytest.mark.parametrize("number", range(len(CASES)))
def test_attributes_have_the_type_of_the_values(
    service: Service, tmp_path: Path, number: int
) -> None:
    """As HDF5 has it: in the type of what is in the file, or of 32 bits where that says nothing."""
    case = CASES[number]
    answer = service.get(f"/datasets/cases/isel?f=netcdf&variables=v{number}")
    path = tmp_path / "answer.nc"
    path.write_bytes(answer.content)
    with h5py.File(path) as file:
        value = np.atleast_1d(file[f"v{number}"].attrs[case.name])
        assert (value.dtype.name, value.tolist()) == (case.dtype, case.values)
        assert {name: value.dtype for name, value in file.attrs.items() if name[0] != "_"} == {
            **dict.fromkeys(("version", "sizes"), np.dtype("i4")),
            "count": np.dtype("i8"),
        }


def test_all_types_in_every_reader(service: Service, tmp_path: Path) -> None:
    """Copies are equal, and R and old Python read the values of what is not packed."""
    path = saved(service, "cases", tmp_path)
    assert all(seen(copy) == seen(path) for copy in copies(path))
    floats = [f"v{n}" for n, case in enumerate(CASES) if case.stored == "float64"]
    in_r_packages = [in_r(package, path) for package in ("ncdf4", "RNetCDF")]
    for found in in_r_packages:
        assert [found[name] for name in floats] == ["7|7"] * len(floats)
    for read in in_old_python(path).values():
        assert [read[name]["values"] for name in floats] == [[7.0, 7.0]] * len(floats)


def test_a_valid_range_does_not_mask_what_is_unpacked(service: Service, tmp_path: Path) -> None:
    """Where packing is given up, a range of packed values is one of unpacked values too."""
    with netCDF4.Dataset(saved(service, "cases", tmp_path)) as file:
        assert file["v6"][...].tolist() == [4.5, 4.5]


@pytest.mark.parametrize("name", ["growing", "text"])
def test_a_dimension_without_length_is_unlimited(
    service: Service, tmp_path: Path, name: str
) -> None:
    """Every reader opens it, copies are equal, and xarray has the sizes of the store."""
    path = saved(service, name, tmp_path)
    dims, _, _ = seen(path)
    assert {dim for dim, form in dims.items() if form == (0, True)} == ({"t", "s"} & {*dims})
    assert all(seen(copy) == seen(path) for copy in copies(path))
    answer = service.get(f"/datasets/{name}/isel").json()
    for engine in ("h5netcdf", "netcdf4"):
        with xr.open_dataset(path, engine=engine) as found:
            assert dict(found.sizes) == answer["dims"]
            assert set(found.variables) == {*answer["coords"], *answer["data_vars"]}
    in_old_python(path)
    in_r("ncdf4", path)
    in_r("RNetCDF", path)
    needed("ncdump")
    assert "t = UNLIMITED ; // (0 currently)" in run("ncdump", "-h", path)


def test_what_has_no_length_can_grow(service: Service, tmp_path: Path) -> None:
    """The C library adds values to our file, of text too, and they are there afterwards."""
    path, text = (saved(service, name, tmp_path) for name in ("growing", "text"))
    shutil.copy(path, grown := tmp_path / "grown.nc")
    with netCDF4.Dataset(grown, "r+") as file:
        file["t"][:2] = [1.5, 2.5]
        file["v"][:2] = [[1, 2, 3], [4, 5, 6]]
        file["wide"][1, :2, :2] = 9.0
        file["both"][0, :2] = [7, 8]
    with netCDF4.Dataset(grown) as file:
        assert (file["t"][...].tolist(), file["v"][...].tolist()) == (
            [1.5, 2.5],
            [[1, 2, 3], [4, 5, 6]],
        )
        assert file["wide"][1, :3, :2].tolist() == [[9.0, 9.0], [9.0, 9.0], [0.0, 0.0]]
        assert (file["both"][0].tolist(), file["w"].shape) == ([7, 8], (3, 2))
    with netCDF4.Dataset(text, "r+") as file:
        file["name"][:2] = np.array(["", "Ålesund"], dtype=object)
    with netCDF4.Dataset(text) as file:
        assert file["name"][...].tolist() == ["", "Ålesund"]
