"""Documents that nobody meant: deep nesting, odd names and odd numbers are refused or served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.conftest import Serve, Service, check, command
from tests.blackbox.odd_stores import LITTLE, v2, v3, write

# As texts: neither these nor the tests' own stack leave Python room to walk them.
DEEP = "[" * 900 + "1" + "]" * 900
DEEP_OBJECT = '{"a": ' * 900 + '"\\""' + "}" * 900
FORMS = ("json", "netcdf", "csv")


def codecs_deep() -> list[Any]:
    codec: Any = LITTLE
    for _ in range(100):
        codec = {"name": "sharding_indexed", "configuration": {"codecs": [codec]}}
    return [codec]


def stores(folder: Path) -> dict[str, Path]:
    made = {}
    deep = {"deep": "@deep", "object": "@object", "flat": [[1]]}
    formats: list[tuple[str, Any, dict[str, str]]] = [
        ("v2", v2, {"dtype": "<i4"}),
        ("v3", v3, {"data_type": "int32"}),
    ]
    for name, array, number in formats:
        arrays = {
            "x": array(**number),
            "a": array(deep),
            "line\nbreak": array(),
            "tab\there": array({"tab\t": "\x01", "nul\0": "\0"}),
            "empty": array({"": 1}, dims=("e",), **empty(name)),
            "half": array({"half": "\ud800", "\udfff": 1}),
            "nan": array({"nan": float("nan"), "far": 10**40, "list": [float("inf"), None]}),
        }
        made[name] = write(folder / f"{name}.zarr", arrays, deep)
        for path in made[name].rglob("*z*"):
            if path.is_file() and "@deep" in (text := path.read_text()):
                text = text.replace('"@deep"', DEEP).replace('"@object"', DEEP_OBJECT)
                path.write_text(text)
    made["codecs"] = write(folder / "c.zarr", {"a": v3(), "odd": v3(codecs=codecs_deep())})
    twice = json.dumps(v2()[".zarray"])[:-1] + ', "shape": [4]}'
    made["twice"] = write(folder / "t.zarr", {"a": {**v2(), ".zarray": twice}})
    (made["twice"] / ".zmetadata").unlink()
    nul = write(
        folder / "n.zarr", {"x": v2(dtype="<i4"), "nul\0": v2(), "half\ud800": v2(), "": v2()}
    )
    made["names"] = nul
    made["dims"] = write(folder / "d.zarr", {"x": v2(dtype="<i4"), "a": v2(dims=("x\0",))})
    return made


def empty(name: str) -> dict[str, Any]:
    """Members of an array along an empty dimension, whose chunks have the length 0 as well."""
    if name == "v2":
        return {"shape": [0], "chunks": [0]}
    grid = {"name": "regular", "configuration": {"chunk_shape": [0]}}
    return {"shape": [0], "chunk_grid": grid}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return stores(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def service(serve: Serve, folder: dict[str, Path]) -> Service:
    return serve(folder)


@pytest.mark.parametrize("name", ["v2", "v3"])
def test_attributes_that_are_nested_900_deep_are_texts(service: Service, name: str) -> None:
    """Of a group and of a variable; in describe and in JSON it is their JSON."""
    found = service.get(f"/datasets/{name}").json()
    answer = service.get(f"/datasets/{name}/sel", params={"variables": "a"}).json()
    for attrs in (
        found["attrs"],
        found["data_vars"]["a"]["attrs"],
        answer["data_vars"]["a"]["attrs"],
    ):
        assert (attrs["deep"], attrs["object"]) == (DEEP, DEEP_OBJECT)
        assert attrs["flat"] == [[1]]


@pytest.mark.parametrize("name", ["v2", "v3"])
@pytest.mark.parametrize("form", FORMS)
def test_every_variable_is_served_or_refused(service: Service, name: str, form: str) -> None:
    """Control characters, halves of surrogate pairs, NaN and far numbers: no 500."""
    for variable in service.get(f"/datasets/{name}").json()["data_vars"]:
        parameters = {"variables": f'"{variable}"', "f": form}
        answer = service.get(f"/datasets/{name}/isel", params=parameters)
        assert answer.status_code in (200, 406, 422), (variable, answer.text)
        if form == "json":
            json.loads(answer.content)


@pytest.mark.parametrize("name", ["names", "dims", "codecs"])
def test_what_cannot_be_served_is_named(service: Service, name: str) -> None:
    """With a reason, and the rest is there."""
    found = service.get(f"/datasets/{name}").json()
    assert found["unusable"]
    assert found["data_vars"] or found["coords"]
    for form in FORMS:
        assert service.get(f"/datasets/{name}/isel", params={"f": form}).status_code == 200


def test_a_key_that_is_there_twice_has_its_last_value(service: Service) -> None:
    """As every JSON reader of the field has it."""
    answer = service.get("/datasets/twice/isel", params={"x": "3"})
    assert answer.json()["data_vars"]["a"]["data"] == 3.0


def test_no_traceback(service: Service, tmp_path: Path, folder: dict[str, Path]) -> None:
    """In the log or in what check prints."""
    for name in folder:
        service.get(f"/datasets/{name}/sel", params={"explain": "true"})
    assert "Traceback" not in service.log.read_text()
    found = check(tmp_path, folder)
    assert not [one for one in found if "Error" in one["text"]]
    printed = command("check", "--catalog", tmp_path / "catalog.yaml").stdout
    assert "\\x00" in printed
    assert printed.replace("\n", "").isprintable()
