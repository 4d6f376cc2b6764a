"""What others write and mean is read: where one reading is right, a store is not refused."""

from __future__ import annotations

import shutil
import struct
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

from tests.blackbox.conftest import Serve, Service, check
from tests.blackbox.odd_stores import LITTLE, v2, v3, write

NUMBERS = np.arange(4, dtype="<f4")
SHUFFLED = bytes(numcodecs.Shuffle(4).encode(NUMBERS))
ONE = struct.pack("<f", 7)
SCALAR: dict[str, Any] = {"shape": [1], "chunks": [1]}
NCZARR = {"dimrefs": [], "storage": "scalar"}
BASE64 = b64encode(struct.pack("<d", 2)).decode()
SHARD: dict[str, Any] = {
    "name": "sharding_indexed",
    "configuration": {
        "chunk_shape": [4],
        "codecs": [LITTLE, {"name": "gzip", "configuration": {"level": "5"}}],
        "index_codecs": [LITTLE],
    },
}


def sharded() -> bytes:
    inner = bytes(numcodecs.GZip(5).encode(NUMBERS))
    return inner + np.array([0, len(inner)], "<u8").tobytes()


FOUR = [0.0, 1.0, 2.0, 3.0]
GRID_1 = {"name": "regular", "configuration": {"chunk_shape": [1]}}
# Names and attributes of v3 arrays that are scalars.
SCALARS: list[tuple[Any, Any]] = [
    (None, {"_nczarr_array": {"dimension_references": [], "storage": "scalar"}}),
    (None, {"_nczarr_array": NCZARR}),
    ([], {}),
    (["_scalar_"], {"_nczarr_array": {"dimension_references": ["/_scalar_"], "storage": "scalar"}}),
]
# Numbers that are no numbers of the type: as written, and as they stand among the values.
ROUNDED: list[tuple[str, Any, float]] = [
    ("float32", 1e20, 1e20),
    ("float32", "1e20", 1e20),
    ("float32", 0.1, 0.1),
    ("float32", [0.1], 0.1),
    ("float32", -9.969209968386869e36, -9.969209968386869e36),
    ("float16", 0.1, 0.1),
    ("float64", 0.1, 0.1),
]


def rounded(kind: str, fill: Any, number: float) -> tuple[dict[str, Any], Any]:
    chunk = np.array([0, 1, number, 3], kind).tobytes()
    return v3({"_FillValue": fill}, data_type=kind, chunk=chunk), [0.0, 1.0, None, 3.0]


MEANT: dict[str, dict[str, tuple[dict[str, Any], Any]]] = {
    "v2": {
        "u1": (v2(dtype="<u1"), [0, 1, 2, 3]),
        "i1": (v2(dtype=">i1"), [0, 1, 2, 3]),
        "b1": (v2(dtype="<b1"), [False, True, True, True]),
        "bytes": (v2(dtype=">S2", chunk=b"a\0bcd\0e\0"), ["a", "bc", "d", "e"]),
        "long_name": (v2(dtype="float32"), [0.0, 1.0, 2.0, 3.0]),
        "shuffle": (
            v2(filters=[{"id": "shuffle", "elementsize": "4"}], chunk=SHUFFLED),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "shuffle_blanks": (
            v2(filters=[{"id": "shuffle", "elementsize": " 4"}], chunk=SHUFFLED),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "shuffle_float": (
            v2(filters=[{"id": "shuffle", "elementsize": 4.0}], chunk=SHUFFLED),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "encoding": (v2({"_Encoding": "latin9"}), [0.0, 1.0, 2.0, 3.0]),
        "encoding_5": (v2({"_Encoding": 5}, dtype="<i2"), [0, 1, 2, 3]),
        "zlib": (
            v2(
                compressor={"id": "zlib", "level": "1"},
                chunk=bytes(numcodecs.Zlib(1).encode(NUMBERS)),
            ),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "scalar_in_array": (v2(dims=None, chunk=ONE, **SCALAR, _NCZARR_ARRAY=NCZARR), 7.0),
        "scalar_in_attributes": (
            v2({"_nczarr_array": NCZARR}, dims=None, chunk=ONE, **SCALAR),
            7.0,
        ),
        "scalar_lower_case": (v2(dims=None, chunk=ONE, **SCALAR, _nczarr_array=NCZARR), 7.0),
        "scalar_flag": (
            v2(
                {"_nczarr_array": {"dimension_references": ["/_scalar_"], "scalar": 1}},
                dims=None,
                chunk=ONE,
                **SCALAR,
            ),
            7.0,
        ),
        "scalar_unnamed": (v2(dims=None, chunk=ONE, shape=[], chunks=[]), 7.0),
        "scalar_pure_zarr": (v2(dims=(), chunk=ONE, **SCALAR), 7.0),
        "references": (
            v2({"_NCZARR_ARRAY": {"dimension_references": ["/group/x"]}}, dims=None),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "list_scale": (
            v2({"scale_factor": [0.5], "add_offset": [1.0], "_FillValue": [3]}, dtype="<i2"),
            [1.0, 1.5, 2.0, None],
        ),
        # What is no number is never a missing one, whatever the fill value.
        "raw": (
            v2(dtype="|V2", fill_value="AAA=", chunk=b"abcd\0\0ef"),
            ["ab", "cd", "\0\0", "ef"],
        ),
        "record": (
            v2(
                dtype=[["a", "<i2"], ["b", "<f4"]],
                fill_value="AAAAAAAA",
                chunk=struct.pack("<hfhfhfhf", 1, 2, 0, 0, 3, 4.5, 5, 6),
            ),
            [[1, 2.0], [0, 0.0], [3, 4.5], [5, 6.0]],
        ),
        "whole_floats": (v2(shape=[4.0], chunks=[4.0]), [0.0, 1.0, 2.0, 3.0]),
    },
    "v3": {
        **{
            f"scalar_{i}": (v3(attrs, dims=dims, chunk=ONE, shape=[1], chunk_grid=GRID_1), 7.0)
            for i, (dims, attrs) in enumerate(SCALARS)
        },
        "references": (v3({"_nczarr_array": {"dimension_references": ["/x"]}}, dims=None), FOUR),
        "attribute": (v3({"_ARRAY_DIMENSIONS": ["x"]}, dims=None), FOUR),
        "number": (v3({"_FillValue": 2.0}), [0.0, 1.0, None, 3.0]),
        "whole": (v3({"_FillValue": 2}), [0.0, 1.0, None, 3.0]),
        "base64": (v3({"_FillValue": BASE64}), [0.0, 1.0, None, 3.0]),
        "nan": (v3({"_FillValue": "NaN"}), [0.0, 1.0, 2.0, 3.0]),
        "minus": (v3({"_FillValue": "-Infinity"}), [0.0, 1.0, 2.0, 3.0]),
        "text": (v3({"_FillValue": "2"}), [0.0, 1.0, None, 3.0]),
        "list": (v3({"_FillValue": [2.0]}), [0.0, 1.0, None, 3.0]),
        **{
            f"unsigned_{fill}": (
                v3(
                    {"_FillValue": fill, "_Unsigned": "true"},
                    data_type="int8",
                    chunk=bytes([0, 1, 255, 200]),
                ),
                [0.0, 1.0, None, 200.0],
            )
            for fill in (255, -1, "255", 255.0)
        },
        "ints": (v3({"_FillValue": 2}, data_type="int16"), [0.0, 1.0, None, 3.0]),
        "int_text": (v3({"_FillValue": "2"}, data_type="int16"), [0.0, 1.0, None, 3.0]),
        "int_float": (v3({"_FillValue": 2.0}, data_type="int16"), [0.0, 1.0, None, 3.0]),
        **{f"rounded_{i}": rounded(*case) for i, case in enumerate(ROUNDED)},
        "encoding": (v3({"_Encoding": "utf-8"}, data_type="bool"), [False, True, True, True]),
        "gzip": (
            v3(
                codecs=[LITTLE, {"name": "gzip", "configuration": {"level": "5"}}],
                chunk=bytes(numcodecs.GZip(5).encode(NUMBERS)),
            ),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "numcodecs": (
            v3(
                codecs=[
                    LITTLE,
                    {"name": "numcodecs.shuffle", "configuration": {"elementsize": "4"}},
                ],
                chunk=SHUFFLED,
            ),
            [0.0, 1.0, 2.0, 3.0],
        ),
        "shards": (v3(codecs=[SHARD], chunk=sharded()), [0.0, 1.0, 2.0, 3.0]),
    },
}

CDL = """netcdf a {
dimensions: x = 4 ;
variables:
  int x(x) ;
  float a(x) ;
    a:_FillValue = 2.f ;
    a:_Shuffle = "true" ;
    a:_DeflateLevel = 1 ;
  ubyte u(x) ;
  byte b(x) ;
  double s ;
    s:units = "m" ;
  char c(x) ;
  short packed(x) ;
    packed:scale_factor = 0.5 ;
data:
  x = 0, 1, 2, 3 ;
  a = 0, 1, 2, 3 ;
  u = 0, 1, 2, 254 ;
  b = 0, 1, 2, -1 ;
  s = 7.5 ;
  c = "abcd" ;
  packed = 0, 1, 2, 3 ;
}
"""
# As netCDF-C has them; xarray masks its default fill values, so those are floating-point numbers.
WRITTEN = {
    "a": [0.0, 1.0, None, 3.0],
    "u": [0.0, 1.0, 2.0, 254.0],
    "b": [0.0, 1.0, 2.0, -1.0],
    "s": 7.5,
    "c": ["a", "b", "c", "d"],
    "packed": [0.0, 0.5, 1.0, 1.5],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    good = {"v2": {"x": v2(dtype="<i4")}, "v3": {"x": v3(data_type="int32")}}
    made = {
        name: write(folder / name, good[name] | {n: a for n, (a, _) in arrays.items()})
        for name, arrays in MEANT.items()
    }
    if shutil.which("ncgen"):
        (folder / "a.cdl").write_text(CDL)
        url = f"file://{folder}/nczarr.zarr#mode=nczarr,file"
        subprocess.run(["ncgen", "-4", "-o", url, folder / "a.cdl"], check=True)
        made["nczarr"] = folder / "nczarr.zarr"
    return made


@pytest.fixture(scope="module")
def service(serve: Serve, folder: dict[str, Path]) -> Service:
    return serve(folder)


@pytest.mark.parametrize("name", list(MEANT))
def test_it_is_read_as_it_is_meant(service: Service, name: str) -> None:
    """Each variable has the values that its writer put there."""
    found = service.get(f"/datasets/{name}").json()
    assert found["unusable"] == {}
    for variable, (_, values) in MEANT[name].items():
        answer = service.get(f"/datasets/{name}/isel", params={"variables": variable}).json()
        data = {**answer["data_vars"], **answer["coords"]}[variable]["data"]
        assert data == values, variable
        assert "object" not in {found["data_vars"].get(variable, {}).get("dtype")}
        assert not [key for key in found["data_vars"][variable]["attrs"] if "nczarr" in key.lower()]


@pytest.mark.parametrize("name", list(MEANT))
def test_netcdf_and_csv_have_them_too(service: Service, name: str) -> None:
    """In every format."""
    for variable in MEANT[name]:
        for form in ("netcdf", "csv"):
            parameters = {"variables": variable, "f": form}
            answer = service.get(f"/datasets/{name}/isel", params=parameters)
            assert answer.status_code == 200, (variable, answer.text)


def test_what_netcdf_c_writes_is_read(service: Service, folder: dict[str, Path]) -> None:
    """NCZarr's own: unnamed byte orders, scalars, shuffle with its size as a text."""
    if "nczarr" not in folder:
        pytest.skip("ncgen is missing: apt-get install netcdf-bin")
    found = service.get("/datasets/nczarr").json()
    assert found["unusable"] == {}
    assert found["dims"] == {"x": 4}
    for variable, values in WRITTEN.items():
        answer = service.get("/datasets/nczarr/isel", params={"variables": variable}).json()
        assert answer["data_vars"][variable]["data"] == values, variable


def test_check_has_nothing_against_them(tmp_path: Path, folder: dict[str, Path]) -> None:
    """No error among its findings."""
    found = check(tmp_path, folder)
    assert not [one for one in found if one["severity"] == "error"]
