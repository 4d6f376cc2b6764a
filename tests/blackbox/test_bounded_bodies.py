"""What a store sends is taken as far as its metadata lets a value go, and no further."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
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

from .conftest import Serve, Service

ENGINES = ("http", "s3fs", "obstore")
# What sockets and libraries have in their hands beside the bytes that are asked for.
SLACK = 48 * 2**20
# Reference documents without an end, and the most that is read of one.
DOCUMENTS = 8
REFERENCE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Ground:
    """The service, and the web server from which it reads."""

    service: Service
    web: OddWeb

    def memory(self) -> int:
        """Resident bytes of the service."""
        return int(psutil.Process(self.service.pid).memory_info().rss)


def write_stores(bucket: Path) -> None:
    """Small arrays in chunks of every kind that is read in its own way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Zarr v3 has no consolidated metadata, nor texts
        _write_stores(bucket)


def _write_stores(bucket: Path) -> None:
    values = xr.DataArray(np.arange(64.0), dims="x")
    texts = xr.DataArray(np.array(["one", "two", "three"] * 4, dtype=object), dims="n")
    data = xr.Dataset(
        {"raw": values, "packed": values, "large": ("y", np.arange(2.0**17)), "names": texts},
        {"x": np.arange(64)},
    )
    plain: dict[str, Any] = {"compressors": None}
    data.to_zarr(
        bucket / "plain.zarr",
        zarr_format=3,
        consolidated=True,
        encoding={"raw": {"chunks": (16,), **plain}, "packed": {"chunks": (16,)}, "large": plain},
    )
    data[["packed"]].to_zarr(
        bucket / "sharded.zarr",
        zarr_format=3,
        consolidated=True,
        encoding={"packed": {"chunks": (4,), "shards": (32,)}},
    )
    data[["packed"]].to_zarr(bucket / "old.zarr", zarr_format=2, consolidated=True)


def entry(web: OddWeb, engine: str, store: str) -> dict[str, Any]:
    """The store in a bucket of its own name, so that each is met for the first time."""
    if engine == "http":
        return {"url": f"{web.address}/bucket/{store}", "consolidated": True}
    options = {"endpoint_url": web.address, "anon": True}
    options["client_kwargs"] = {"region_name": "us-east-1"}
    return {"url": f"s3://bucket/{store}", "engine": engine, "storage_options": options}


@pytest.fixture(scope="module")
def ground(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """All stores by all engines; nothing of chunks is kept, so each request reads anew."""
    root = tmp_path_factory.mktemp("web")
    (root / "bucket").mkdir()
    write_stores(root / "bucket")
    stores = ("plain.zarr", "sharded.zarr", "old.zarr")
    with odd_web(root) as web:
        entries = {
            f"{engine}-{store.removesuffix('.zarr')}": entry(web, engine, store)
            for engine in ENGINES
            for store in stores
        }
        documents = {
            f"references-{n}": {
                "url": "reference://",
                "storage_options": {"fo": f"{web.address}/bucket/references-{n}.json"},
            }
            for n in range(DOCUMENTS)
        }
        service = serve(
            {**entries, **documents},
            SLUICE_CHUNK_CACHE_BYTES="0",
            SLUICE_FAILED_OPEN_SECONDS="0",
            SLUICE_REFERENCE_BYTES=str(REFERENCE_BYTES),
        )
        ground = Ground(service, web)
        for dataset in entries:
            assert service.get(f"/datasets/{dataset}").status_code == 200, dataset
            answer = service.get(f"/datasets/{dataset}/isel?x=3&variables=packed")
            assert answer.json()["data_vars"]["packed"]["data"] == 3.0
        yield ground


MANNERS: dict[str, Manner] = {
    "no length": endless(),
    "chunked": endless_chunked(),
    "chunked beside a length": endless_chunked(("Content-Length", "29")),
    "three gigabytes": of_size(3 * 2**30),
    "coded": inflating,
    "a range without an end": endless_range,
}
READS = {
    "a chunk": ("plain", "plain.zarr/packed/c/0", "isel?x=3&variables=packed"),
    "a raw chunk": ("plain", "plain.zarr/raw/c/0", "isel?x=3&variables=raw"),
    "a part of a chunk": ("plain", "plain.zarr/large/c/0", "isel?y=3&variables=large"),
    "a shard": ("sharded", "sharded.zarr/packed/c/0", "isel?x=3&variables=packed"),
    "an old chunk": ("old", "old.zarr/packed/0", "isel?x=3&variables=packed"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("read", list(READS))
@pytest.mark.parametrize("manner", list(MANNERS))
def test_a_chunk_is_not_read_beyond_its_bound(
    manner: str, read: str, engine: str, ground: Ground
) -> None:
    """A clear 502 and not a second try; the server's own words name the key and the bound."""
    store, key, query = READS[read]
    before, ground.web.manners[key] = ground.memory(), MANNERS[manner]
    ground.web.asked.clear()
    ground.web.sent.clear()
    try:
        answer = ground.service.get(f"/datasets/{engine}-{store}/{query}")
    finally:
        del ground.web.manners[key]
    assert answer.status_code in (200, 502), answer.text
    if answer.status_code == 502:
        assert answer.json()["type"].startswith("urn:sluice:problem:store-")
    assert ground.memory() - before < SLACK
    assert ground.web.sent[f"/bucket/{key}"] < SLACK
    assert ground.service.get(f"/datasets/{engine}-{store}/{query}").status_code == 200


@pytest.mark.parametrize("engine", ENGINES)
def test_the_bound_is_named(engine: str, ground: Ground) -> None:
    """Clients learn the kind, the log the key and the bound; no other try is made."""
    key = "plain.zarr/packed/c/1"
    ground.web.manners[key] = of_size(3 * 2**30)
    ground.web.asked.clear()
    answer = ground.service.get(f"/datasets/{engine}-plain/isel?x=20&variables=packed")
    del ground.web.manners[key]
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:sluice:problem:store-oversized"
    assert "packed" not in answer.json()["detail"]
    assert ground.web.asked[f"/bucket/{key}"] == 1
    told = [line for line in ground.service.log.read_text().splitlines() if "Oversized" in line]
    assert f"{2 * 16 * 8 + 64 * 2**10} bytes" in told[-1]
    assert "packed/c/1" in told[-1]


@pytest.mark.parametrize("engine", ["http", "s3fs"])
@pytest.mark.parametrize("status", [403, 404, 500])
def test_the_document_of_an_error_may_have_no_end(status: int, engine: str, ground: Ground) -> None:
    """A few kilobytes of it say all that is known."""
    key = "plain.zarr/packed/c/2"
    before, ground.web.manners[key] = ground.memory(), endless(status)
    ground.web.sent.clear()
    answer = ground.service.get(f"/datasets/{engine}-plain/isel?x=40&variables=packed")
    del ground.web.manners[key]
    # What is not there is filled with the fill value.
    assert answer.status_code == (200 if status == 404 else 502)
    assert ground.memory() - before < SLACK
    assert ground.web.sent[f"/bucket/{key}"] < 4 * SLACK


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("manner", ["no length", "three gigabytes"])
def test_metadata_has_a_bound_of_its_own(
    manner: str, engine: str, serve: Serve, ground: Ground, tmp_path: Path
) -> None:
    """A document without an end is a 502, and so is one that is larger than the setting."""
    if "small" not in SMALL:
        entries = {name: entry(ground.web, name, "plain.zarr") for name in ENGINES}
        SMALL["small"] = serve(
            entries, SLUICE_DOCUMENT_BYTES="100000", SLUICE_FAILED_OPEN_SECONDS="0"
        )
    service = SMALL["small"]
    before = int(psutil.Process(service.pid).memory_info().rss)
    ground.web.manners["plain.zarr/zarr.json"] = MANNERS[manner]
    answer = service.get(f"/datasets/{engine}/isel?x=3&variables=packed")
    del ground.web.manners["plain.zarr/zarr.json"]
    assert answer.status_code == 502
    assert answer.json()["type"].startswith("urn:sluice:problem:store-"), answer.text
    assert int(psutil.Process(service.pid).memory_info().rss) - before < 4 * SLACK


SMALL: dict[str, Service] = {}


def test_a_local_chunk_of_three_gigabytes_is_not_read(serve: Serve, tmp_path: Path) -> None:
    """A file with a hole, which takes no room on the disk; and an index that no shard needs."""
    write_stores(tmp_path)
    with (tmp_path / "plain.zarr/packed/c/0").open("r+b") as chunk:
        chunk.truncate(3 * 2**30)
    huge = tmp_path / "sharded.zarr"
    for path in (huge / "zarr.json", huge / "packed/zarr.json"):
        document = json.loads(path.read_text())
        for array in [document, *_consolidated(document)]:
            if array.get("shape") == [64] and array["codecs"][0]["name"] == "sharding_indexed":
                # 100 million chunks in a shard: an index of 1.6 GB.
                array["shape"] = array["chunk_grid"]["configuration"]["chunk_shape"] = [400_000_000]
        path.write_text(json.dumps(document))
    with (huge / "packed/c/0").open("r+b") as shard:
        shard.truncate(2 * 2**30)
    entries = {
        "plain": tmp_path / "plain.zarr",
        "huge": {"url": str(huge), "drop_variables": ["x"]},
    }
    service = serve(entries)
    for dataset, query in {"plain": "isel?x=3", "huge": "isel?x=3"}.items():
        service.get(f"/datasets/{dataset}")
        before = int(psutil.Process(service.pid).memory_info().rss)
        answer = service.get(f"/datasets/{dataset}/{query}&variables=packed")
        assert answer.status_code == 502, answer.text
        assert answer.json()["type"] == "urn:sluice:problem:store-oversized"
        assert int(psutil.Process(service.pid).memory_info().rss) - before < SLACK
    assert service.get("/datasets/plain/isel?x=20&variables=packed").status_code == 200


def _consolidated(document: dict[str, Any]) -> list[dict[str, Any]]:
    members: dict[str, dict[str, Any]] = (document.get("consolidated_metadata") or {}).get(
        "metadata", {}
    )
    return list(members.values())


def test_long_reference_documents_are_read_one_at_a_time(ground: Ground) -> None:
    """Many at once, none of which ends, take the memory of one and a little for each other."""
    names = [f"references-{n}" for n in range(DOCUMENTS)]
    ground.web.manners |= {f"{name}.json": endless() for name in names}
    before = most = ground.memory()
    try:
        with ThreadPoolExecutor(DOCUMENTS) as pool:
            asked = [pool.submit(ground.service.get, f"/datasets/{name}") for name in names]
            while wait(asked, timeout=0.01).not_done:
                most = max(most, ground.memory())
    finally:
        for name in names:
            del ground.web.manners[f"{name}.json"]
    assert {one.result().status_code for one in asked} == {502}
    assert most - before < 2 * REFERENCE_BYTES + DOCUMENTS * 12 * 2**20
