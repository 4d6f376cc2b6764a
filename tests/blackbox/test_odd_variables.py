"""One odd variable does not take its store down: it is left out, named and explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blackbox.conftest import Serve, Service, check, command
from tests.blackbox.odd_stores import LITTLE, v2, v3, write

SHARDS: dict[str, Any] = {"index_codecs": [LITTLE, {"name": "crc32c"}], "codecs": [LITTLE]}


COUNTS = np.arange(4, dtype="<i8").tobytes()
GENERIC: dict[str, Any] = {"configuration": {"unit": "generic", "scale_factor": 1}}


def sharded(chunk: list[int]) -> list[Any]:
    return [{"name": "sharding_indexed", "configuration": {**SHARDS, "chunk_shape": chunk}}]


def generic(kind: str) -> dict[str, Any]:
    """NumPy's times without a unit, as zarr-python writes them."""
    configuration = {"unit": "generic", "scale_factor": 1}
    return {"name": f"numpy.{kind}", "configuration": configuration}


# Each array by its name, with a word that its reason has to have.
ODD_V2: dict[str, tuple[dict[str, Any], str]] = {
    "nameless_dims": (v2(dims=None), "_ARRAY_DIMENSIONS"),
    "two_names": (v2(dims=("x", "y")), "2 names"),
    "numbers_for_names": (v2(dims=(1,)), "list of names"),
    "text_for_names": (v2({"_ARRAY_DIMENSIONS": "x"}), "list of names"),
    "months": (v2({"units": "months since 2000-01-01"}), "months since 2000-01-01"),
    "years": (v2({"units": "years since 2000-01-01"}), "years since 2000-01-01"),
    "run": (v2({"units": "days since beginning of run"}), "beginning of run"),
    "year_zero": (v2({"units": "days since 0000-01-01"}), "days since 0000-01-01"),
    "calendar": (v2({"units": "days since 2000-01-01", "calendar": "mars"}), "mars"),
    "scale": (v2({"scale_factor": "0.5"}, dtype="<i2"), "scale_factor"),
    "offset": (v2({"add_offset": {"a": 1}}, dtype="<i2"), "add_offset"),
    "two_scales": (v2({"scale_factor": [1, 2]}, dtype="<i2"), "scale_factor"),
    "missing": (v2({"missing_value": {"a": 1}}), "missing_value"),
    "coordinates": (v2({"coordinates": 5}), "coordinates"),
    "zfpy": (v2(compressor={"id": "zfpy"}), "package zfpy"),
    "imagecodecs": (v2(compressor={"id": "imagecodecs_lzw"}), "package imagecodecs"),
    "nobody_s_codec": (v2(filters=[{"id": "nobody"}]), "codec 'nobody'"),
    "codec_5": (v2(compressor=5), "codecs"),
    "codecs_5": (v2(filters=5), "filters"),
    "options": (v2(compressor={"id": "zlib", "odd": 1}), "options"),
    "shuffle": (v2(filters=[{"id": "shuffle", "elementsize": "four"}]), "elementsize 'four'"),
    "shuffle_half": (v2(filters=[{"id": "shuffle", "elementsize": 4.5}]), "whole number"),
    "shuffle_null": (v2(compressor={"id": "shuffle", "elementsize": None}), "elementsize null"),
    "lzma": (v2(compressor={"id": "lzma", "format": [1]}), "option format"),
    "packed": (
        v2(filters=[{"id": "fixedscaleoffset", "offset": "a", "scale": 1, "dtype": "<f4"}]),
        "offset 'a'",
    ),
    "pickle": (v2(filters=[{"id": "pickle"}]), "pickle"),
    "bfloat16": (v2(dtype="bfloat16"), "bfloat16"),
    "int4": (v2(dtype="int4"), "int4"),
    "no_dtype": (v2(dtype=None), "data type"),
    "instants": (v2(dtype="<M8", chunk=COUNTS), "'<M8' names no unit"),
    "generic": (v2(dtype=">M8[generic]", chunk=COUNTS, fill_value="NaT"), "no unit"),
    "periods": (v2(dtype="<m8", chunk=COUNTS), "no unit"),
    "chunk_0": (v2(chunks=[0]), "chunks"),
    "chunk_minus": (v2(chunks=[-1]), "chunks"),
    "chunk_rank": (v2(chunks=[2, 2]), "dimensions"),
    "shape_minus": (v2(shape=[-4]), "shape"),
    "shape_huge": (v2(shape=[2**70]), "shape"),
    "shape_text": (v2(shape=["4"]), "shape"),
    "fill_text": (v2(fill_value="x"), "fill_value"),
    "fill_far": (v2(fill_value=-1, dtype="<u2"), "fill_value"),
    "longer": (v2(shape=[5], chunks=[5]), "length 5"),
    "order": (v2(order="Z"), "order"),
    "separator": (v2(dimension_separator="-"), "dimension_separator"),
    "format_9": (v2(zarr_format=9), "zarr_format"),
    "attributes": (v2([1]), "JSON object"),
    "document": ({".zarray": 5, ".zattrs": {}}, "JSON object"),
    "nul\0": (v2(), "name"),
    "null_names": (v2({"_ARRAY_DIMENSIONS": [None]}), "_ARRAY_DIMENSIONS is [null], which is no"),
    "times": (v2(dtype="<M8", fill_value=-(2**63)), "'<M8' names no unit of time"),
    "durations": (v2(dtype="<m8", fill_value=-(2**63)), "'<m8' names no unit of time"),
    "generic_durations": (v2(dtype="<m8[generic]", fill_value=0), "names no unit of time"),
    "lengths_of_one": (v2(dims=("", ""), shape=[1, 4], chunks=[1, 4]), "its dimension '' has the"),
}
ODD_V3: dict[str, tuple[dict[str, Any], str]] = {
    "nameless_dims": (v3(dims=None), "dimension_names"),
    "months": (v3({"units": "months since 2000-01-01"}), "months since"),
    "scale": (v3({"scale_factor": "0.5"}, data_type="int16"), "scale_factor"),
    "fill": (v3({"_FillValue": "none"}), "_FillValue"),
    "times": (v3(data_type=generic("datetime64"), fill_value=0), "names no unit of time"),
    "durations": (v3(data_type=generic("timedelta64"), fill_value=0), "names no unit of time"),
    "bfloat16": (v3(data_type="bfloat16"), "bfloat16"),
    "float8": (v3(data_type="float8_e4m3"), "float8_e4m3"),
    "int4": (v3(data_type="int4"), "int4"),
    "extension": (v3(data_type={"name": "geometry", "configuration": {}}), "geometry"),
    "zfpy": (v3(codecs=[{"name": "numcodecs.zfpy", "configuration": {}}]), "package zfpy"),
    "nobody_s_codec": (v3(codecs=[LITTLE, {"name": "nobody"}]), "codec 'nobody'"),
    "shuffle": (
        v3(codecs=[LITTLE, {"name": "numcodecs.shuffle", "configuration": {"elementsize": {}}}]),
        "option elementsize",
    ),
    **{
        f"{kind}_{fill}": (
            v3(data_type={"name": f"numpy.{kind}", **GENERIC}, fill_value=fill, chunk=COUNTS),
            "no unit",
        )
        for kind in ("datetime64", "timedelta64")
        for fill in ("NaT", 0)
    },
    "no_codecs": (v3(codecs=[]), "codecs"),
    "grid": (v3(chunk_grid={"name": "hexagons", "configuration": {}}), "hexagons"),
    "grid_5": (v3(chunk_grid=5), "chunk_grid"),
    "chunk_0": (
        v3(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0]}}),
        "chunk_shape",
    ),
    "inner_0": (v3(codecs=sharded([0])), "chunk"),
    "inner_3": (v3(codecs=sharded([3])), "chunk"),
    "key_encoding": (v3(chunk_key_encoding={"name": "odd"}), "odd"),
    "transformer": (v3(storage_transformers=[{"name": "odd"}]), "transformer"),
    "member": (v3(odd={"name": "odd"}), "'odd'"),
    "fill_text": (v3(fill_value="x"), "fill_value"),
    "text": ({"zarr.json": "{"}, "JSON"),
    "list": ({"zarr.json": "[]"}, "JSON object"),
}
GOOD = [0.0, 1.0, 2.0, 3.0]
# Words of Python and of its libraries, which no reader of a reason should see.
PYTHON = re.compile(
    r"argument|positional|NoneType|object is not|object has no|Traceback|Error\b|<class|__init__|"
    r"zip\(|not subscriptable|unhashable"
)


def stores(folder: Path) -> dict[str, Path]:
    good2 = {"x": v2(dtype="<i4"), "good": v2({"coordinates": "months"})}
    good3 = {"x": v3(data_type="int32"), "good": v3()}
    time = {
        "time": v2({"units": "months since 2000-01-01"}, dims=("time",), dtype="<i4"),
        "t2m": v2(dims=("time",)),
    }
    broken = {"x": v2(dtype="<i4", compressor={"id": "zlib", "level": 1}), "good": v2()}
    return {
        "v2": write(folder / "v2.zarr", good2 | {n: a for n, (a, _) in ODD_V2.items()}),
        "v3": write(folder / "v3.zarr", good3 | {n: a for n, (a, _) in ODD_V3.items()}),
        "time": write(folder / "time.zarr", time),
        "broken": write(folder / "broken.zarr", broken),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return stores(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def service(serve: Serve, folder: dict[str, Path]) -> Service:
    time = str(folder["time"])
    return serve(
        {
            **folder,
            "dropped": {"url": str(folder["v2"]), "drop_variables": list(ODD_V2)},
            "without": {"url": str(folder["broken"]), "drop_variables": ["x"]},
            "raw": {"url": time, "decode_times": False},
            "raw_time": {"url": time, "decode_times": {"time": False}},
            "gone": {"url": "http://127.0.0.1:9/a.zarr"},
        }
    )


def described(service: Service, name: str) -> dict[str, Any]:
    answer = service.get(f"/datasets/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(("name", "odd"), [("v2", ODD_V2), ("v3", ODD_V3)])
def test_the_odd_are_described_with_their_reasons(
    service: Service, name: str, odd: dict[str, tuple[dict[str, Any], str]]
) -> None:
    """All that is odd, and nothing else, is unusable; each reason names what is wrong."""
    found = described(service, name)
    assert sorted(found["unusable"]) == sorted(odd)
    assert list(found["data_vars"]) == ["good"]
    wrong = {n: found["unusable"][n] for n, (_, w) in odd.items() if w not in found["unusable"][n]}
    assert not wrong
    assert not [text for text in found["unusable"].values() if PYTHON.search(text)]


@pytest.mark.parametrize("name", ["v2", "v3"])
def test_the_good_ones_are_served(service: Service, name: str) -> None:
    """In every format, with and without naming them."""
    answer = service.get(f"/datasets/{name}/sel", params={"x": "0/3"})
    assert answer.json()["data_vars"]["good"]["data"] == GOOD
    for form in ("csv", "netcdf"):
        assert service.get(f"/datasets/{name}/sel", params={"f": form}).status_code == 200


@pytest.mark.parametrize(("name", "odd"), [("v2", ODD_V2), ("v3", ODD_V3)])
def test_asking_for_the_odd_names_the_reason(
    service: Service, name: str, odd: dict[str, tuple[dict[str, Any], str]]
) -> None:
    """As a variable, in brackets and as a coordinate: 422 of its own kind, with its facts."""
    for variable in odd:
        for path, parameters in (
            ("sel", {"variables": f'"{variable}"'}),
            ("isel", {f"sel[{variable}]": "1"}),
            ("isel", {f"isel[{variable}]": "1"}),
            ("sel", {variable: "1"}),
            ("sel", {"pointwise": f'x,"{variable}"', "x": "1"}),
        ):
            answer = service.get(f"/datasets/{name}/{path}", params=parameters)
            problem = answer.json()
            assert answer.status_code == 422, (parameters, problem)
            assert problem["type"] == "urn:sluice:problem:unusable-variable"
            assert problem["variable"] == variable
            assert problem["reason"][:100] in problem["detail"]


def test_a_coordinate_that_others_need_is_named_as_such(service: Service) -> None:
    """Its dimension is selected by position; a label is never taken for one."""
    found = described(service, "time")
    assert "needed by t2m" in found["unusable"]["time"]
    assert "by position" in found["unusable"]["time"]
    for parameters in ({"time": "2000-02"}, {"time": "1"}, {"sel[time]": "1"}):
        assert service.get("/datasets/time/sel", params=parameters).status_code == 422
    answer = service.get("/datasets/time/sel", params={"isel[time]": "1"})
    assert answer.json()["data_vars"]["t2m"]["data"] == 1.0
    assert "needed by good" in described(service, "v2")["unusable"]["months"]


def test_a_coordinate_whose_chunk_is_broken_is_an_error(service: Service) -> None:
    """Its answers would lack labels that the store has; dropping it by name is the operator's."""
    answer = service.get("/datasets/broken")
    assert (answer.status_code, answer.json()["variable"]) == (502, "x")
    answer = service.get("/datasets/without/sel", params={"variables": "good", "x": "2"})
    assert answer.json()["data_vars"]["good"]["data"] == 2.0


def test_dropped_variables_are_not_parsed(service: Service) -> None:
    """The entry that drops all that is odd has nothing that is unusable."""
    found = described(service, "dropped")
    assert found["unusable"] == {}
    assert list(found["data_vars"]) == ["good"]


@pytest.mark.parametrize("name", ["raw", "raw_time"])
def test_times_are_served_as_they_are_stored(service: Service, name: str) -> None:
    """`decode_times: false` gives numbers, of all variables or of one."""
    answer = service.get(f"/datasets/{name}/sel", params={"time": "2"})
    found = answer.json()
    assert found["coords"]["time"]["data"] == 2
    assert found["coords"]["time"]["attrs"] == {"units": "months since 2000-01-01"}
    assert found["data_vars"]["t2m"]["data"] == 2.0


def test_a_store_that_cannot_be_read_leaves_nothing_out(service: Service) -> None:
    """What nobody could read is a failure, not a reason to answer with less."""
    assert service.get("/datasets/gone").status_code == 502


def test_the_log_has_one_line_for_each_opening(service: Service) -> None:
    """However often the dataset is asked for."""
    for _ in range(3):
        described(service, "time")
    lines = [line for line in service.log.read_text().splitlines() if "left out" in line]
    assert len([line for line in lines if "'time': 1 variable" in line]) == 1
    assert "Traceback" not in service.log.read_text()


def test_check_says_what_to_do(tmp_path: Path, folder: dict[str, Path]) -> None:
    """A finding for each of them: its name, the cause and the cure, in plain words."""
    found = check(tmp_path, {"v2": folder["v2"], "v3": folder["v3"]})
    for name, odd in (("v2", ODD_V2), ("v3", ODD_V3)):
        errors = {
            one["where"]: one["text"]
            for one in found
            if one["dataset"] == name and one["severity"] == "error"
        }
        assert sorted(errors) == sorted(odd)
        assert not [t for t in errors.values() if PYTHON.search(t) or "drop_variables" not in t]
        assert "Install zfpy" in errors["zfpy"]
        for codec in ("zfpy", "nobody_s_codec"):
            assert not re.search("broken|damaged|corrupt|[Ww]rite", errors[codec])
        assert "decode_times: {months: false}" in errors["months"]


@pytest.mark.parametrize(
    ("written", "word"), [('"yes"', "true, false"), ("{t: 1}", "true, false"), ("[t]", "true")]
)
def test_an_entry_that_makes_no_sense_is_refused(tmp_path: Path, written: str, word: str) -> None:
    """With the field and what it takes."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(f"datasets: {{a: {{url: a.zarr, decode_times: {written}}}}}")
    done = command("check", "--catalog", catalog)
    assert done.returncode == 2
    assert "decode_times" in done.stderr
    assert word in done.stderr


def test_the_openapi_document_knows_the_unusable(service: Service) -> None:
    """Clients that are made from it read them."""
    said = json.dumps(service.get("/openapi.json").json())
    assert '"unusable"' in said
