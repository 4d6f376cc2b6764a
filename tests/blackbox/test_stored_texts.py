"""Texts that are not what their metadata says, and scalar texts that were never written."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np
import pytest
import zarr

from .conftest import Serve, Service, check

FORMATS: tuple[Literal[2, 3], ...] = (2, 3)
CODES = [b"KJFK", b"S\xe3o", b"U+Nv", b"S\xc3\xa3o"]
TOLD = ["KJFK", "base64url:U-Nv", "U+Nv", "São"]
BEYOND = np.array([97, 0x110000, 0xFFFFFFFF, 98], "u4").view("U1")


def put(group: zarr.Group, name: str, data: Any, attrs: Any = None, **options: Any) -> None:
    """An array along ``x`` and the places of characters."""
    version, dims = group.metadata.zarr_format, ["x", f"places_{name}"][: data.ndim]
    named: dict[str, Any] = {"dimension_names": dims} if version == 3 else {}
    array = group.create_array(name, data=data, **named, **options)
    array.attrs.update({} if version == 3 else {"_ARRAY_DIMENSIONS": dims})
    array.attrs.update(attrs or {})


def written(folder: Path, version: Literal[2, 3]) -> Path:
    path = folder / f"v{version}"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    letters = np.array([list(code.ljust(5, b"\0")) for code in CODES], "u1").view("S1")
    put(group, "plain", letters)
    put(group, "utf8", letters, {"_Encoding": "utf-8"})
    put(group, "latin", letters, {"_Encoding": "latin-1"})
    put(group, "odd", letters, {"_Encoding": "rot13"})
    put(group, "listed", letters, {"_Encoding": ["utf-8"]})
    put(group, "number", np.arange(4.0) + 1, {"_Encoding": "utf-8"})
    put(group, "torn", BEYOND, chunks=(4,))
    put(group, "raw", BEYOND, chunks=(4,), compressors=None)
    put(group, "pieces", BEYOND, chunks=(2,))
    if version == 3:
        put(group, "shards", BEYOND, chunks=(2,), shards=(4,))
    far = np.array([1.0, 2.0, 9.96921e36, 4.0])
    put(group, "far", far, {"units": "days since 2000-01-01", "calendar": "noleap"})
    put(group, "good", np.array(["a", "é", "\U0010ffff", "z"]))
    return path


def scalars(folder: Path) -> Path:
    """Scalars of every dtype of text, of which nothing was ever written."""
    path = folder / "scalars"
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name in ("variable_length_bytes", "string", "U3", "S3"):
        group.create_array(name, shape=(), dtype=name, dimension_names=())
    put(group, "number", np.arange(4.0))
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("texts")
    with warnings.catch_warnings():
        # zarr-python warns about types that the v3 specification lacks.
        warnings.simplefilter("ignore")
        found = {f"v{version}": written(folder, version) for version in FORMATS}
        return {**found, "scalars": scalars(folder)}


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    return serve(stores)


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("name", ["plain", "utf8"])
def test_bytes_that_are_not_of_their_encoding(
    service: Service, name: str, version: Literal[2, 3]
) -> None:
    """Bytes answer alike whether or not an attribute says that they are UTF-8."""
    path = f"/datasets/v{version}/sel?variables={name}"
    assert service.get(path).json()["data_vars"][name]["data"] == TOLD
    rows = list(csv.reader(io.StringIO(service.get(f"{path}&f=csv").text)))
    assert [row[-1] for row in rows[1:]] == TOLD
    answer = service.get(f"{path}&f=netcdf")
    assert answer.status_code == 200, answer.text
    if name == "utf8":
        with netCDF4.Dataset("answer", memory=answer.content) as file:
            assert file[name][:].tolist() == TOLD


@pytest.mark.parametrize("version", FORMATS)
def test_other_encodings(service: Service, version: Literal[2, 3]) -> None:
    described = service.get(f"/datasets/v{version}").json()
    found = service.get(f"/datasets/v{version}/sel?variables=latin,number").json()["data_vars"]
    assert found["latin"]["data"] == [code.decode("latin-1") for code in CODES]
    assert found["number"]["data"] == [1, 2, 3, 4]
    for name in ("odd", "listed"):
        assert "its attribute _Encoding is" in described["unusable"][name]


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("form", ["json", "csv", "netcdf"])
@pytest.mark.parametrize("name", ["torn", "raw", "pieces", "shards"])
def test_numbers_that_are_no_characters(
    service: Service, name: str, form: str, version: Literal[2, 3]
) -> None:
    """A chunk of such is broken, and the variable is named; others are answered."""
    if (name, version) == ("shards", 2):
        return
    for select in ("sel?", "isel?x=1&", "isel?x=1:2&"):
        answer = service.get(f"/datasets/v{version}/{select}f={form}&variables={name}")
        assert answer.status_code == 502, answer.text
        problem = answer.json()
        assert problem["type"].endswith(":store-corrupt")
        assert problem["variable"] == name
        assert name in problem["detail"]
    answer = service.get(f"/datasets/v{version}/sel?variables=good")
    assert answer.json()["data_vars"]["good"]["data"] == ["a", "é", "\U0010ffff", "z"]


@pytest.mark.parametrize("form", ["json", "csv", "netcdf"])
def test_scalars_that_were_never_written(service: Service, form: str) -> None:
    assert service.get("/datasets/scalars").json()["unusable"] == {}
    for name in ("variable_length_bytes", "string", "U3", "S3"):
        answer = service.get(f"/datasets/scalars/sel?f={form}&variables={name}")
        assert answer.status_code == 200, answer.text
        if form == "json":
            assert answer.json()["data_vars"][name]["data"] == ""


def test_the_check_decodes(stores: dict[str, Path], tmp_path: Path) -> None:
    """What fails in every request of a variable is an error of the check that names it."""
    for version in FORMATS:
        found = check(tmp_path, {"texts": stores[f"v{version}"]})
        errors = {one["where"]: one["text"] for one in found if one["severity"] == "error"}
        wanted = {"odd", "listed", "torn", "raw", "pieces", "far"}
        assert errors.keys() == wanted | ({"shards"} if version == 3 else set())
        assert "no Unicode character" in errors["torn"]
        assert "beyond what any calendar holds" in errors["far"]
        assert "drop_variables" in errors["far"]
        assert "Error" not in json.dumps(errors)
