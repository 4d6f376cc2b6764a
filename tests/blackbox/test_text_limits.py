"""Limits see what no dtype says: texts of variable length, and attributes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from tests.blackbox.conftest import Serve, Service

LIMIT = 200_000
FORMATS = ("json", "netcdf", "csv")


def write_texts(folder: Path, zarr_format: int) -> Path:
    """60 texts of 10,000 letters in chunks of 20, one coordinate of as many short ones."""
    root = zarr.open_group(folder, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    for name, texts in (
        ("remark", [chr(97 + i % 26) * 10_000 for i in range(60)]),
        ("umlaut", ["ä" * 3_000 for _ in range(60)]),
        ("station", [f"S{i:02}" for i in range(60)]),
        # 120,000 bytes of text, and as JSON 720,000 or 240,000.
        ("control", ["\x01" * 2_000 for _ in range(60)]),
        ("quoted", ['"\n' * 1_000 for _ in range(60)]),
    ):
        _write(root, name, texts, zarr_format, ("station",), 20)
    _write(root, "label", ["x" * 10_000 for _ in range(60)], zarr_format, ("label",), 60)
    _write_numbers(root, zarr_format)
    _write(root, "absent", None, zarr_format, ("station",), 20, fill="y" * 10_000)
    return folder


def _write(
    root: zarr.Group,
    name: str,
    texts: list[str] | None,
    zarr_format: int,
    dims: tuple[str, ...],
    chunk: int,
    fill: str = "",
) -> None:
    names: dict[str, Any] = {"dimension_names": dims} if zarr_format == 3 else {}
    array = root.create_array(
        name, shape=(60,), chunks=(chunk,), dtype=str, fill_value=fill, **names
    )
    if zarr_format == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
    if texts is not None:
        array[:] = np.array(texts, dtype=object)


def _write_numbers(root: zarr.Group, zarr_format: int) -> None:
    for name, dims, shape in (("wide", ("label", "time"), (60, 50)), ("one", (), ())):
        names: dict[str, Any] = {"dimension_names": dims} if zarr_format == 3 else {}
        array = root.create_array(name, shape=shape, chunks=shape, dtype="f4", **names)
        if zarr_format == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
        array[...] = 1.0
    root["one"].attrs["history"] = "h" * 150_000
    root["one"].attrs["nested"] = {"list": [["deep " * 10_000]]}


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("texts")
    entries = {f"v{v}": write_texts(folder / f"v{v}.zarr", v) for v in (2, 3)}
    limits = {"SLUICE_REQUEST_RESULT_BYTES": str(LIMIT), "SLUICE_REQUEST_TEXT_BYTES": str(LIMIT)}
    return serve(entries, **limits)


def assert_texts_too_long(service: Service, path: str, name: str) -> None:
    """A file has texts of variable length up to a limit, and says of which variable they are."""
    answer = service.get(path)
    assert answer.status_code == 422, answer.text[:300]
    problem = answer.json()
    assert (problem["variable"], problem["limited"]) == (name, "text_bytes")
    assert problem["limit"] == LIMIT
    assert problem["estimate"] > LIMIT
    assert name in problem["detail"]


def assert_refused(service: Service, path: str, f: str, name: str) -> None:
    if f == "netcdf":
        assert_texts_too_long(service, f"{path}&f={f}", name)
    else:
        assert_too_large(service, f"{path}&f={f}")


STORES = pytest.mark.parametrize("store", ["v2", "v3"])


def assert_too_large(service: Service, path: str) -> None:
    answer = service.get(path)
    assert answer.status_code == 413, answer.text[:300]
    problem = answer.json()
    assert problem["limited"] == "result_bytes"
    assert problem["limit"] == LIMIT
    assert problem["estimate"] > LIMIT


@STORES
@pytest.mark.parametrize("f", FORMATS)
@pytest.mark.parametrize("name", ["remark", "umlaut", "absent"])
def test_texts_over_the_limit_are_refused_in_every_format(
    service: Service, store: str, f: str, name: str
) -> None:
    assert_refused(service, f"/datasets/{store}/isel?variables={name}", f, name)


@STORES
@pytest.mark.parametrize("f", FORMATS)
def test_texts_within_the_limit_are_answered_cold_and_warm(
    service: Service, store: str, f: str
) -> None:
    path = f"/datasets/{store}/isel?station=3:20&variables=remark&f={f}"
    first, again = service.get(path), service.get(path)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    path = f"/datasets/{store}/isel?station=0:21&variables=remark"
    assert_refused(service, path, f, "remark")
    assert (
        service.get(f"/datasets/{store}/isel?station=59&variables=umlaut&f={f}").status_code == 200
    )


@STORES
def test_points_and_scattered_positions_count_what_they_take(service: Service, store: str) -> None:
    path = f"/datasets/{store}/isel?variables=remark&station="
    assert service.get(path + ",".join(map(str, range(0, 57, 3)))).status_code == 200
    assert_too_large(service, path + ",".join(map(str, range(0, 60, 2))))
    assert_too_large(service, path + ",".join(["7"] * 2000))
    assert service.get(path + ",".join(["7"] * 15)).status_code == 200


@STORES
def test_a_table_counts_a_label_in_each_of_its_rows(service: Service, store: str) -> None:
    path = f"/datasets/{store}/isel?label=7&variables=wide"
    assert service.get(f"{path}&f=json").status_code == 200
    assert service.get(f"{path}&time=0:9&f=csv").status_code == 200
    assert_too_large(service, f"{path}&f=csv")


@STORES
@pytest.mark.parametrize("f", ["json", "netcdf"])
def test_labels_in_memory_count_before_anything_is_read(
    service: Service, store: str, f: str
) -> None:
    path = f"/datasets/{store}/isel?variables=wide&f={f}"
    if f == "netcdf":
        assert_texts_too_long(service, path, "label")
    else:
        assert_too_large(service, path)
    told = service.get(path + "&explain=true").json()
    assert told["within_limits"] is False
    assert told["result_bytes"] > 600_000
    assert told["unmeasured"] == []


@STORES
def test_explain_names_what_only_reading_can_measure(service: Service, store: str) -> None:
    told = service.get(f"/datasets/{store}/isel?variables=remark,one&f=csv&explain=true")
    assert told.status_code == 422  # they share no dimension
    told = service.get(f"/datasets/{store}/isel?variables=remark&explain=true")
    assert told.json()["unmeasured"] == ["remark"]


@STORES
def test_attributes_count_where_the_format_has_them(service: Service, store: str) -> None:
    path = f"/datasets/{store}/isel?variables=one"
    for f in ("json", "netcdf"):
        assert_too_large(service, f"{path}&f={f}")
        told = service.get(f"{path}&f={f}&explain=true").json()
        assert told["result_bytes"] > LIMIT
        assert told["within_limits"] is False
    table = service.get(f"{path}&f=csv")
    assert table.text == "one\r\n1.0\r\n"
    told = service.get(f"{path}&f=csv&explain=true").json()
    assert told["within_limits"] is True
    assert told["result_bytes"] < 100


def test_what_is_refused_by_a_post_is_the_same(service: Service) -> None:
    answer = service.client.post("/datasets/v3/isel", json={"variables": "remark", "f": "json"})
    assert answer.status_code == 413
    assert json.loads(answer.text)["limited"] == "result_bytes"


@STORES
@pytest.mark.parametrize("name", ["control", "quoted"])
def test_texts_count_as_long_as_json_writes_them(service: Service, store: str, name: str) -> None:
    """Control characters, quotes and line breaks are longer in JSON than in the store."""
    path = f"/datasets/{store}/isel?variables={name}"
    assert_too_large(service, path)
    answer = service.get(f"{path}&station=0:15")
    assert answer.status_code == 200
    assert len(answer.content) < LIMIT


def test_a_file_may_be_larger_than_its_texts_may_be(
    serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its values are sent while they are read, so that the limit on whole answers is not theirs."""
    folder = write_texts(tmp_path_factory.mktemp("more") / "v3.zarr", 3)
    limits = {"SLUICE_REQUEST_RESULT_BYTES": str(LIMIT), "SLUICE_REQUEST_TEXT_BYTES": str(10**6)}
    service = serve({"v3": folder}, **limits)
    path = "/datasets/v3/isel?variables=remark"
    head = service.client.head(f"{path}&f=netcdf")
    assert head.status_code == 200
    assert "content-length" not in head.headers
    assert service.get(f"{path}&f=netcdf").status_code == 200
    assert_too_large(service, f"{path}&f=json")
