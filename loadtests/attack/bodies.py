"""Bodies without an end, bodies that inflate, and an index of 1.6 GB: what they cost the reader."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import xarray as xr

from loadtests.attack.odd_web import (
    Manner,
    OddWeb,
    endless,
    endless_chunked,
    endless_range,
    inflating,
    odd_web,
    of_size,
)
from loadtests.attack.stage import Figure, Stage, Target

ENGINES: Final = ("http", "s3fs", "obstore")
MANNERS: Final[dict[str, Manner]] = {
    "no length": endless(),
    "chunked": endless_chunked(),
    "three gigabytes": of_size(3 * 2**30),
    "coded": inflating,
    "a range": endless_range,
}
SHARD: Final = 400_000_000


def attack(stage: Stage) -> Iterable[Figure]:
    """Each kind of body in place of chunks, by every engine, then an index that fills memory."""
    bucket = stage.folder / "web" / "bucket"
    bucket.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Zarr v3 has no consolidated metadata
        _write(bucket)
    with odd_web(stage.folder / "web") as web:
        entries: dict[str, Any] = {engine: _entry(web, engine) for engine in ENGINES}
        entries["index"] = {"url": str(bucket / "index.zarr"), "drop_variables": ["x"]}
        with stage.serving(entries, SLUICE_CHUNK_CACHE_BYTES="0") as target:
            yield from _attacked(web, target)


def _attacked(web: OddWeb, target: Target) -> Iterable[Figure]:
    answered_wrong = 0
    with httpx.Client(base_url=target.address, timeout=60, trust_env=False) as client:
        for dataset in (*ENGINES, "index"):
            client.get(f"/datasets/{dataset}").raise_for_status()
        with target.watched() as watch:
            for manner in MANNERS.values():
                web.manners = {"/a/c/": manner}
                for engine in ENGINES:
                    answer = client.get(f"/datasets/{engine}/isel")
                    answered_wrong += answer.status_code not in (200, 502)
            web.manners = {}
            answered_wrong += client.get("/datasets/index/isel?x=3").status_code != 502
            answered_wrong += client.get("/datasets/http/isel").status_code != 200
    yield Figure("bodies: answers that are no 502", answered_wrong, 0)
    yield from watch.figures("bodies", longest_ms=1000, grown_mib=150)


def _write(bucket: Path) -> None:
    data = xr.Dataset({"a": ("x", np.arange(64.0))}, {"x": np.arange(64)})
    plain = {"a": {"chunks": (4,)}}
    data.to_zarr(bucket / "a.zarr", zarr_format=3, consolidated=True, encoding=plain)
    index = bucket / "index.zarr"
    sharded = {"a": {"chunks": (4,), "shards": (64,)}}
    data.to_zarr(index, zarr_format=3, consolidated=True, encoding=sharded)
    document = json.loads((index / "zarr.json").read_text())
    array = document["consolidated_metadata"]["metadata"]["a"]
    array["shape"] = array["chunk_grid"]["configuration"]["chunk_shape"] = [SHARD]
    (index / "zarr.json").write_text(json.dumps(document))
    with (index / "a/c/0").open("r+b") as shard:
        shard.truncate(2 * 2**30)


def _entry(web: OddWeb, engine: str) -> dict[str, Any]:
    if engine == "http":
        return {"url": f"{web.address}/bucket/a.zarr", "consolidated": True}
    options = {"endpoint_url": web.address, "anon": True}
    options["client_kwargs"] = {"region_name": "us-east-1"}
    return {"url": "s3://bucket/a.zarr", "engine": engine, "storage_options": options}
