"""A few bytes that become gigabytes are refused, whichever codecs lead to them."""

from __future__ import annotations

import bz2
import gzip
import json
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from tests.blackbox.conftest import Serve, Service

COUNT = 1000
VALUES = np.arange(COUNT, dtype="<i4")
GIB = 2**30
MOST_GROWN = GIB // 4
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
BZ2 = {"name": "numcodecs.bz2", "configuration": {}}
LZMA: dict[str, Any] = {"name": "numcodecs.lzma", "configuration": {}}
DELTA: dict[str, Any] = {"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}
CRC: dict[str, Any] = {"name": "numcodecs.crc32", "configuration": {}}


def zeros(encode: Callable[[bytes], bytes]) -> bytes:
    """A gibibyte of zeros in members or streams, one after another."""
    return encode(bytes(GIB // 64)) * 64


def v3(codecs: list[Any], dtype: str = "int32") -> dict[str, Any]:
    return {
        "zarr_format": 3, "node_type": "array", "shape": [COUNT], "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [COUNT]}},
        "chunk_key_encoding": {"name": "default"}, "attributes": {}, "dimension_names": ["x"],
        "fill_value": "" if dtype == "string" else 0, "codecs": codecs,
    }  # fmt: skip


def v2(dtype: Any, compressor: Any, filters: Any) -> dict[str, Any]:
    return {
        "zarr_format": 2, "shape": [COUNT], "chunks": [COUNT], "dtype": dtype, "order": "C",
        "fill_value": None, "compressor": compressor, "filters": filters,
    }  # fmt: skip


ZSTD = {"id": "zstd", "level": 1}
# The document of each array, and the bytes of its chunk of too much.
BOMBS: dict[str, tuple[dict[str, Any], Callable[[], bytes]]] = {
    "zstd": (
        v3([DELTA, BYTES, {"name": "zstd", "configuration": {"level": 1, "checksum": False}}]),
        lambda: bytes(numcodecs.Zstd(1).encode(bytes(GIB))),
    ),
    "bz2": (v3([DELTA, BYTES, BZ2]), lambda: zeros(bz2.compress)),
    "gzip": (
        v3([DELTA, BYTES, {"name": "gzip", "configuration": {"level": 1}}]),
        lambda: gzip.compress(bytes(80 * 2**20)),
    ),
    "blosc": (
        v3([DELTA, BYTES, {"name": "numcodecs.blosc", "configuration": {}}]),
        lambda: bytes(numcodecs.Blosc("zstd", 9).encode(bytes(GIB))),
    ),
    "structured": (
        v2([["a", "<i2"], ["b", "<i2"]], ZSTD, None),
        lambda: bytes(numcodecs.Zstd(1).encode(bytes(GIB))),
    ),
    "vlen-utf8": (
        v3([{"name": "vlen-utf8"}, CRC], "string"),
        lambda: bytes(numcodecs.CRC32().encode(struct.pack("<I", 200_000_000) + bytes(4 * COUNT))),
    ),
    "astype": (
        v2("<c16", None, [{"id": "astype", "encode_dtype": "|S1", "decode_dtype": "<U20000"}]),
        lambda: b"1" * 20_000,
    ),
}  # fmt: skip


def write_bombs(folder: Path, zarr_format: int) -> Path:
    """A store of each kind, since a store has one format."""
    folder.mkdir()
    group = {"zarr_format": zarr_format, "node_type": "group", "attributes": {}}
    name = "zarr.json" if zarr_format == 3 else ".zgroup"
    (folder / name).write_text(json.dumps(group if zarr_format == 3 else {"zarr_format": 2}))
    for kind, (document, _) in list(BOMBS.items()):
        if document["zarr_format"] == zarr_format:
            _write_array(folder / kind, kind)
    return folder


def _write_array(array: Path, kind: str) -> None:
    document, chunk = BOMBS[kind]
    key = array / ("c/0" if document["zarr_format"] == 3 else "0")
    key.parent.mkdir(parents=True)
    key.write_bytes(chunk())
    if document["zarr_format"] == 3:
        (array / "zarr.json").write_text(json.dumps(document))
    else:
        (array / ".zarray").write_text(json.dumps(document))
        (array / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["x"]}')


def write_sound(folder: Path) -> Path:
    """The same codecs with what belongs in such chunks, written by zarr-python."""
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, (document, _) in BOMBS.items():
            if document["zarr_format"] == 2:
                continue
            (folder / kind).mkdir()
            (folder / kind / "zarr.json").write_text(json.dumps(document))
            array = zarr.open_array(folder / kind, mode="r+")
            array[:] = VALUES if document["data_type"] == "int32" else VALUES.astype(str)
        array = root.create_array(
            "sharded", shape=(COUNT,), chunks=(100,), shards=(COUNT,), dtype="<i4",
            dimension_names=["x"], filters=[DELTA], compressors=[LZMA, CRC],
        )  # fmt: skip
        array[:] = VALUES
    return folder


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("stores")
    entries = {f"v{number}": write_bombs(folder / f"v{number}", number) for number in (2, 3)}
    return serve({**entries, "sound": write_sound(folder / "sound")})


def most_held(pid: int) -> int:
    """The most memory that the process has had so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("kind", BOMBS)
def test_a_chunk_becomes_no_more_than_its_shape_allows(service: Service, kind: str) -> None:
    dataset = f"v{BOMBS[kind][0]['zarr_format']}"
    described = service.get(f"/datasets/{dataset}").json()
    assert kind in described["data_vars"], described["unusable"]
    before = most_held(service.pid)
    answer = service.get(f"/datasets/{dataset}/isel?variables={kind}&x=0:5")
    assert answer.status_code == 502, answer.text
    assert kind in answer.json()["detail"]
    assert most_held(service.pid) - before < MOST_GROWN


@pytest.mark.parametrize("kind", [*(k for k, b in BOMBS.items() if "codecs" in b[0]), "sharded"])
def test_what_belongs_there_is_read(service: Service, kind: str) -> None:
    answer = service.get(f"/datasets/sound/isel?variables={kind}&x=1:5")
    assert answer.status_code == 200, answer.text
    wanted: list[Any] = [1, 2, 3, 4]
    if kind == "vlen-utf8":
        wanted = ["1", "2", "3", "4"]
    assert answer.json()["data_vars"][kind]["data"] == wanted
