"""Too much text is refused before any of it is made, and what is left is read as it was written."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from tests.blackbox.conftest import Serve, Service

LIMIT = 3_000_000
FORMS = pytest.mark.parametrize("form", ["v2", "v2F", "v3"])
# More than is decoded in one go, of one, two and four bytes a letter, and empty ones.
MANY = [
    ("", "a", "ä", "日本", "a😀", "Straße")[i % 6] + str(i % 7) * (i % 3) for i in range(20_000)
]
# Longer than what is decoded in one go.
LONG = ["ä" + "b" * 1_200_000, "", "😀" * 300_000, "x" * 10]


def encoded(texts: Sequence[bytes]) -> bytes:
    """The form of numcodecs' vlen-utf8."""
    parts = [struct.pack("<I", len(text)) + text for text in texts]
    return b"".join([struct.pack("<I", len(texts)), *parts])


def write(root: zarr.Group, name: str, texts: Sequence[str], form: str, chunk: int) -> None:
    names: dict[str, Any] = {"dimension_names": (name,)} if form == "v3" else {}
    if form != "v3":
        names = {"compressors": numcodecs.Zstd(), "order": form[2:] or "C"}
    names["fill_value"] = "?"
    array = root.create_array(name + "s", shape=(len(texts),), chunks=(chunk,), dtype=str, **names)
    if form != "v3":
        array.attrs["_ARRAY_DIMENSIONS"] = [name]
    array[:] = np.array(texts, dtype=object)


def replace_chunk(folder: Path, name: str, form: str, data: bytes) -> None:
    key = "c/0" if form == "v3" else "0"
    (folder / f"{name}s" / key).write_bytes(numcodecs.Zstd().encode(data))


def write_store(folder: Path, form: str) -> Path:
    root = zarr.open_group(folder, mode="w", zarr_format=3 if form == "v3" else 2)
    write(root, "many", MANY, form, 20_000)
    write(root, "long", LONG, form, 4)
    for name, size in (
        ("damaged", 400_000), ("joined", 400_000), ("bad", 10), ("short", 10), ("late", 10)
    ):  # fmt: skip
        write(root, name, ["x"] * 10, form, 10)
        texts = [b"\xc3\xa4" * (size // 2)] * 9 + [b"\xff" * (size if name != "joined" else 0)]
        data = encoded(texts)
        match name:
            case "damaged" | "joined" | "bad":
                replace_chunk(folder, name, form, data)
            case "short":
                replace_chunk(folder, name, form, data[:-5])
            case "late":
                replace_chunk(folder, name, form, struct.pack("<I", 11) + data[4:])
    return folder


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("texts")
    entries = {form: write_store(folder / form, form) for form in ("v2", "v2F", "v3")}
    return serve(entries, SLUICE_REQUEST_RESULT_BYTES=str(LIMIT), SLUICE_CHUNK_CACHE_BYTES="0")


@FORMS
def test_too_much_text_is_refused_before_it_is_made(service: Service, form: str) -> None:
    """The chunk holds bytes that are no text, which would be a 502 if any were made of them."""
    answer = service.get(f"/datasets/{form}/isel?variables=damageds")
    assert answer.status_code == 413, answer.text
    assert answer.json()["limited"] == "result_bytes"
    assert answer.json()["estimate"] >= 4_000_000
    within = service.get(f"/datasets/{form}/isel?variables=damageds&damaged=0:2")
    assert within.status_code == 502
    assert "damaged" in within.json()["detail"]


@FORMS
def test_those_who_wait_for_a_chunk_are_not_refused_with_others(
    service: Service, form: str
) -> None:
    paths = [
        f"/datasets/{form}/isel?variables=joineds&joined={part}&f=json"
        for part in ("0:9", "0:2", "8:10", "0:9", "3", "0:10") * 4
    ]
    with ThreadPoolExecutor(8) as clients:
        statuses = list(clients.map(lambda path: service.get(path).status_code, paths))
    assert statuses == [413, 200, 200, 413, 200, 413] * 4


@FORMS
def test_texts_in_many_pieces_are_as_they_were_written(service: Service, form: str) -> None:
    answer = service.get(f"/datasets/{form}/isel?variables=manys&f=json")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data_vars"]["manys"]["data"] == MANY
    answer = service.get(f"/datasets/{form}/isel?variables=longs&f=json")
    assert answer.status_code == 200, answer.text[:300]
    assert answer.json()["data_vars"]["longs"]["data"] == LONG


@FORMS
@pytest.mark.parametrize("name", ["bad", "short", "late"])
def test_damaged_texts_are_the_stores_failure(service: Service, form: str, name: str) -> None:
    answer = service.get(f"/datasets/{form}/isel?variables={name}s")
    assert answer.status_code == 502, answer.text
    assert name in answer.json()["detail"]


@pytest.fixture(scope="module")
def narrow(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("narrow")
    entries = {form: write_store(folder / form, form) for form in ("v2", "v3")}
    return serve(entries, SLUICE_REQUEST_CHUNK_BYTES="2000000")


@pytest.mark.parametrize("form", ["v2", "v3"])
def test_a_chunk_of_more_text_than_a_request_may_touch_is_refused_for_a_part_of_it(
    narrow: Service, form: str
) -> None:
    for path in ("damageds&damaged=9", "joineds&joined=0"):
        answer = narrow.get(f"/datasets/{form}/isel?variables={path}")
        assert answer.status_code == 413, answer.text
        assert answer.json()["limited"] == "chunk_bytes"
    assert narrow.get(f"/datasets/{form}/isel?variables=manys&many=3").status_code == 200
