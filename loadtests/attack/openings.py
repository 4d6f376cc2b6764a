"""Small metadata that asks for much: what opening such stores costs a server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.attack.stage import Figure, Stage

_MANY: Final = 8_000


def openings(stage: Stage) -> Iterable[Figure]:
    """Open a coordinate of 8 TB, one of 3 million chunks, thousands of variables, long texts."""
    stores = {
        "long": _write(stage.folder / "long", {"x": _array("x", 2**40, 2**20)}),
        "chunks": _write(stage.folder / "chunks", {"x": _array("x", 3_000_000, 1)}),
        "chunk": _write(stage.folder / "chunk", {"x": _array("x", 4, 2**36)}),
        "crowd": _write(stage.folder / "crowd", _crowd(100_000)),
        "many": _write(stage.folder / "many", _crowd(_MANY)),
        "labels": _write(stage.folder / "labels", {"x": _array("x", 8_000_000, 2**22)}),
        "text": _write(stage.folder / "text", {"x": _text("x", 1_000_000, 10_000)}),
    }
    with stage.serving(stores) as target, httpx.Client(base_url=target.address, timeout=120) as web:
        web.get("/healthz")
        for name in stores:
            with target.watched() as watch:
                status = web.get(f"/datasets/{name}").status_code
            expected = 502 if name == "crowd" else 200
            yield Figure(f"openings, {name}: status is not {expected}", status != expected, 0)
            grown = {"many": 500, "labels": 900, "crowd": 400}.get(name, 64)
            yield from watch.figures(f"openings, {name}", longest_ms=500, grown_mib=grown)


def _crowd(count: int) -> dict[str, Any]:
    return {f"v{number}": _array("x", 4, 4) for number in range(count)}


def _array(dim: str, size: int, chunk: int) -> dict[str, Any]:
    grid = {"name": "regular", "configuration": {"chunk_shape": [chunk]}}
    keys = {"name": "default", "configuration": {"separator": "/"}}
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}]
    return {
        "zarr_format": 3, "node_type": "array", "shape": [size], "data_type": "int64",
        "chunk_grid": grid, "chunk_key_encoding": keys, "fill_value": 0, "codecs": codecs,
        "dimension_names": [dim], "attributes": {},
    }  # fmt: skip


def _text(dim: str, size: int, length: int) -> dict[str, Any]:
    codecs = [{"name": "vlen-utf8"}]
    fill = {"data_type": "string", "fill_value": "y" * length, "codecs": codecs}
    return _array(dim, size, size) | fill


def _write(folder: Path, arrays: dict[str, Any]) -> Path:
    held = {"kind": "inline", "must_understand": False, "metadata": arrays}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    folder.mkdir(parents=True)
    document = json.dumps(group | {"consolidated_metadata": held}, separators=(",", ":"))
    (folder / "zarr.json").write_text(document)
    return folder
