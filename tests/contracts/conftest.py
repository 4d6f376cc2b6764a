"""The grounds on which every byte source has to keep the same promises."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import obstore
import pytest
from obstore.store import MemoryStore as ObstoreMemory
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from sluice.store import ObstoreMap, ZarrStoreSource
from sluice.store.addresses import Engine
from sluice.store.filesystems import Filesystems
from sluice.store.source import ByteSource
from tests.s3 import s3_server

from .web import Web

BIG = bytes(range(256)) * 4
VALUES = {
    "zarr.json": b'{"zarr_format": 3}',
    "a/zarr.json": b"{}",
    "a/c/0/0": BIG,
    "a/c/0/1": b"0123456789",
    "ab/c": b"not below a",
    "b/empty": b"",
}


@dataclass(frozen=True)
class Ground:
    """A source that holds VALUES, and, where the kind of store can tell, one without a root."""

    source: ByteSource
    rootless: ByteSource | None = None


@dataclass(frozen=True)
class S3:
    """A moto server; `bucket` makes a new bucket with objects."""

    endpoint: str

    def options(self) -> dict[str, Any]:
        return {"endpoint_url": self.endpoint, "key": "any", "secret": "any"}

    def put(self, path: str, body: bytes = b"") -> None:
        headers = {"Content-Type": "application/octet-stream"}
        request = Request(f"{self.endpoint}/{path}", data=body, headers=headers, method="PUT")
        urlopen(request).close()

    def bucket(self, values: dict[str, bytes], root: str = "deep/store.zarr") -> str:
        name = f"bucket-{next(NUMBERS)}"
        self.put(name)
        for key, value in values.items():
            self.put(f"{name}/{root}/{key}", value)
        return name


NUMBERS = count()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with s3_server() as address:
        yield S3(address)


@asynccontextmanager
async def memory(s3: S3, folder: Path) -> AsyncIterator[Ground]:
    files = fsspec.filesystem("memory")
    for key, value in VALUES.items():
        files.pipe_file(f"/{folder.name}/{key}", value)
    async with Filesystems() as filesystems:
        source = await filesystems.source(f"memory://{folder.name}", storage_options={})
        yield Ground(source, await filesystems.source("memory://nowhere", storage_options={}))
    files.rm(f"/{folder.name}", recursive=True)


def write(folder: Path, values: dict[str, bytes]) -> None:
    for key, value in values.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)


@asynccontextmanager
async def local(s3: S3, folder: Path) -> AsyncIterator[Ground]:
    write(folder / "store.zarr", VALUES)
    async with Filesystems() as filesystems:
        source = await filesystems.source(str(folder / "store.zarr"), storage_options={})
        rootless = await filesystems.source(f"file://{folder}/nowhere", storage_options={})
        yield Ground(source, rootless)


def http(**manners: Any) -> Callable[[S3, Path], AbstractAsyncContextManager[Ground]]:
    @asynccontextmanager
    async def ground(s3: S3, folder: Path) -> AsyncIterator[Ground]:
        values = {f"/data/store.zarr/{key}": value for key, value in VALUES.items()}
        async with Web(values, **manners) as web, Filesystems() as filesystems:
            yield Ground(
                await filesystems.source(f"{web.address}/data/store.zarr", storage_options={})
            )

    return ground


def s3_by(engine: Engine) -> Callable[[S3, Path], AbstractAsyncContextManager[Ground]]:
    @asynccontextmanager
    async def ground(s3: S3, folder: Path) -> AsyncIterator[Ground]:
        bucket, options = s3.bucket(VALUES), s3.options()
        async with Filesystems() as filesystems:
            yield Ground(
                await filesystems.source(
                    f"s3://{bucket}/deep/store.zarr", storage_options=options, engine=engine
                ),
                await filesystems.source(
                    "s3://no-such-bucket/store.zarr", storage_options=options, engine=engine
                ),
            )

    return ground


@asynccontextmanager
async def references(s3: S3, folder: Path) -> AsyncIterator[Ground]:
    target = folder / "target.bin"
    target.write_bytes(b"before" + BIG + b"after")
    (folder / "whole.bin").write_bytes(VALUES["a/c/0/1"])
    parts: dict[str, Any] = {key: value.decode() for key, value in VALUES.items() if value != BIG}
    parts["a/c/0/0"] = [str(target), 6, len(BIG)]
    parts["a/c/0/1"] = [f"file://{folder}/whole.bin"]
    parts["ab/c"] = "base64:bm90IGJlbG93IGE="
    async with Filesystems() as filesystems:
        options = {"fo": {"version": 1, "refs": parts}}
        source = await filesystems.source(
            "reference://", storage_options=options, reference_roots=[str(folder)]
        )
        yield Ground(source)


@asynccontextmanager
async def zarr_memory(s3: S3, folder: Path) -> AsyncIterator[Ground]:
    buffers = default_buffer_prototype().buffer
    yield Ground(
        ZarrStoreSource(MemoryStore({key: buffers.from_bytes(v) for key, v in VALUES.items()}))
    )


@asynccontextmanager
async def obstore_memory(s3: S3, folder: Path) -> AsyncIterator[Ground]:
    store = ObstoreMemory()
    for key, value in VALUES.items():
        await obstore.put_async(store, f"root/{key}", value)
    yield Ground(ObstoreMap(store, "root"))


@asynccontextmanager
async def obstore_local(s3: S3, folder: Path) -> AsyncIterator[Ground]:
    write(folder / "store.zarr", VALUES)
    store = obstore.store.LocalStore(folder)
    yield Ground(ObstoreMap(store, "store.zarr"), ObstoreMap(store, "nowhere"))


GROUNDS: dict[str, Callable[[S3, Path], AbstractAsyncContextManager[Ground]]] = {
    "memory": memory,
    "local": local,
    "http": http(),
    "http without ranges": http(ranges=False),
    "s3fs": s3_by("s3fs"),
    "obstore s3": s3_by("obstore"),
    "references": references,
    "zarr memory": zarr_memory,
    "obstore memory": obstore_memory,
    "obstore local": obstore_local,
}


@pytest.fixture(params=list(GROUNDS))
async def ground(request: pytest.FixtureRequest, s3: S3, tmp_path: Path) -> AsyncIterator[Ground]:
    async with GROUNDS[request.param](s3, tmp_path) as ground:
        yield ground
    # An unclosed session complains when it is collected, and warnings are errors here.
    gc.collect()
