"""The whole service on the test's own loop, over an S3 that misbehaves; a count of what is left."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
import xarray as xr

from app.api import create_app
from app.settings import Settings
from loadtests.bench.stand_in import Connection, Desk
from loadtests.fault_proxy import FaultProxy

ENGINES = ["s3fs", "obstore"]
KEYS = {"key": "reader", "secret": "hush-hush"}

# Short times, so that what must end soon does; nothing is answered from memory.
BRIEF: dict[str, Any] = {
    "chunk_cache_bytes": 0,
    "failed_open_seconds": 0,
    "store_attempt_seconds": 0.3,
    "store_read_seconds": 0.9,
    "store_attempts": 3,
    "store_failures": 10,
    "circuit_open_seconds": 0.2,
}

# For stores that answer soon, whatever they answer: a busy machine is no reason for a time-out.
PATIENT: dict[str, Any] = {"store_attempt_seconds": 10.0, "store_read_seconds": 25.0}


def field() -> xr.Dataset:
    """Numbers that do not compress: 12 chunks of some 6 kB."""
    random = np.random.default_rng(11)
    dims = {"time": 36, "latitude": 20, "longitude": 24}
    data = random.normal(size=tuple(dims.values())).astype("float32")
    coords = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(36) * np.timedelta64(1, "h"),
        "latitude": np.linspace(57, 0, 20),
        "longitude": np.arange(0.0, 24.0),
    }
    return xr.Dataset({"t": (tuple(dims), data, {"units": "K"})}, coords)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store, whose chunks are all read in a box."""
    path = tmp_path_factory.mktemp("faults") / "field.zarr"
    field().to_zarr(path, zarr_format=2, encoding={"t": {"chunks": (12, 10, 12)}})
    return path


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with these settings on the running loop; it hangs up after 30 s."""
    config = uvicorn.Config(create_app(settings), port=0, log_level="warning")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not running.done(), "the server ended while it started"
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30, verify=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def stood_in(root: Path, seed: int = 0) -> AsyncIterator[FaultProxy]:
    """A proxy in front of the stand-in for S3, whose buckets are the folders of `root`."""
    desk = Desk(root)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(desk), "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname(), seed) as proxy:
        yield proxy
    # Connections close in the loop's next rounds, the stand-in's when it sees the proxy's closed.
    await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Ward:
    """Datasets over one store, each in a bucket of its own, and the proxy before them."""

    client: httpx.AsyncClient
    proxy: FaultProxy


@asynccontextmanager
async def ward(
    folder: Path, store: Path, engine: str, datasets: list[str], **settings: Any
) -> AsyncIterator[Ward]:
    """The service with these `datasets`, and ``truth``, the same store on the disk."""
    async with stood_in(folder) as proxy:
        options: dict[str, Any] = {**KEYS, "endpoint_url": proxy.address}
        options["client_kwargs"] = {"region_name": "us-east-1"}
        entries: dict[str, Any] = {"truth": {"url": str(store)}}
        for name in datasets:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "field.zarr").symlink_to(store)
            url = f"s3://{name}/field.zarr"
            entries[name] = {"url": url, "engine": engine, "storage_options": options}
        catalog = folder / "catalog.yaml"
        catalog.write_text(json.dumps({"datasets": entries}))
        async with served(Settings(catalog=catalog, **{**BRIEF, **settings})) as client:
            yield Ward(client, proxy)


@dataclass(frozen=True)
class Held:
    """What this process holds just now."""

    tasks: int
    files: int
    threads: int

    @classmethod
    def now(cls) -> Held:
        """Counted as it is."""
        files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        return cls(len(asyncio.all_tasks()), files, threading.active_count())

    def exceeds(self, other: Held) -> bool:
        """Whether anything of it is more than before."""
        return self.tasks > other.tasks or self.files > other.files or self.threads > other.threads


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    """No task, socket, file or thread more after the block than before it.

    Connections of obstore's pool are closed by its own threads, a moment later.
    """
    before = Held.now()
    yield
    gc.collect()
    for _ in range(100):
        if not Held.now().exceeds(before):
            return
        await asyncio.sleep(0.05)
    assert Held.now() == before


@pytest.fixture(scope="session", autouse=True)
def engines_run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What libraries open once for the whole process is open: obstore's threads, HDF5, imports."""

    async def read() -> None:
        for engine in ENGINES:
            folder = tmp_path_factory.mktemp("first")
            async with ward(folder, store, engine, ["first"]) as it:
                for form in ("json", "netcdf"):
                    await it.client.get(f"/datasets/first/isel?f={form}")

    asyncio.run(read())
