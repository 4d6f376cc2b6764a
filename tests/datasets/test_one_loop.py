"""One event loop does it all: no bridge to another loop, no thread per request, no blocking."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from sluice.datasets import AsyncZarrBackendEntrypoint
from tests.s3 import s3_client, s3_server
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

SLOW_SECONDS = 0.2
REQUESTS = 50

# Run in a process of its own: what other tests started (zarr's loop thread, fsspec's) would hide
# what this one must not start. moto's server keeps threads, so it lives in the parent process.
READING_OVER_S3 = """
    import asyncio, sys, threading
    import fsspec.asyn, s3fs, zarr.core.sync
    from sluice.datasets import AsyncZarrBackendEntrypoint
    from sluice.store import AsyncFSMap

    def tripwire(name):
        def refuse(*args, **kwargs):
            raise AssertionError(f"{name} was called: a bridge to another loop")
        return refuse

    for module, names in (
        (zarr.core.sync, ("sync", "_get_loop", "_get_executor")),
        (fsspec.asyn, ("sync", "get_loop")),
    ):
        for name in names:
            assert hasattr(module, name), name
            original = getattr(module, name)
            wire = tripwire(f"{module.__name__}.{name}")
            # Other modules hold the function by their own name: replace it wherever it is.
            for holder in list(sys.modules.values()):
                if getattr(holder, name, None) is original:
                    setattr(holder, name, wire)

    started = []
    start = threading.Thread.start
    def counted(thread):
        started.append(thread.name)
        start(thread)
    threading.Thread.start = counted

    async def main(endpoint):
        fs = s3fs.S3FileSystem(
            key="key", secret="secret", client_kwargs={"endpoint_url": endpoint},
            asynchronous=True, skip_instance_cache=True,
        )
        session = await fs.set_session()
        try:
            source = AsyncFSMap("bucket/store.zarr", fs)
            for zarr_format in (2, 3):
                group = f"v{zarr_format}"
                ds = await AsyncZarrBackendEntrypoint().open_dataset(source, group=group)
                # Warm: the connection's name lookup may use the default executor once or twice.
                await asyncio.gather(*(ds._isel(x=i) for i in range(40)))
                before = len(started)
                answers = await asyncio.gather(
                    *(ds._isel(x=i % 40) if i % 2 else ds._sel(x=i % 40) for i in range(100))
                )
                assert [int(a["v"]) for a in answers] == [1000 + i % 40 for i in range(100)]
                assert started[before:] == [], started[before:]
        finally:
            await session.close()
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if "fsspec" in name or "zarr" in name], names

    asyncio.run(main(sys.argv[1]))
    print("threads started:", len(started))
"""


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A moto S3 server with one store of each format, uploaded key by key."""
    with s3_server() as endpoint:
        with s3_client(endpoint) as client:
            client.create_bucket(Bucket="bucket")
            formats: tuple[Literal[2, 3], ...] = (2, 3)
            for zarr_format in formats:
                for key, value in documents_of(line(zarr_format, f"v{zarr_format}")).items():
                    client.put_object(Bucket="bucket", Key=f"store.zarr/{key}", Body=value)
        yield endpoint


def line(zarr_format: Literal[2, 3], group: str | None = None) -> StoreSpec:
    """Forty labels and forty chunks of one value each."""
    fill = None if zarr_format == 2 else ...
    x = ArraySpec("x", ("x",), np.arange(40), fill=fill)
    v = ArraySpec("v", ("x",), 1000 + np.arange(40), chunks=(1,), fill=fill)
    return StoreSpec((x, v), zarr_format=zarr_format, consolidated="group", group=group)


def test_no_bridge_and_no_thread_per_request(s3_endpoint: str) -> None:
    """An open and a hundred concurrent reads over s3fs stay on the loop that awaits them."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READING_OVER_S3), s3_endpoint],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Unclosed" not in run.stderr


async def test_slow_store_blocks_nobody() -> None:
    """Fifty requests of 200 ms each overlap, and the loop keeps beating while they wait."""
    documents = documents_of(line(3))
    ds = await AsyncZarrBackendEntrypoint().open_dataset(
        fs_map(documents, delay_seconds=SLOW_SECONDS)
    )
    gaps: list[float] = []
    beating = asyncio.create_task(heartbeat(gaps))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ds._isel(x=i % 40)) for i in range(REQUESTS)]
    took = time.perf_counter() - began
    beating.cancel()
    assert [int(task.result()["v"]) for task in tasks] == [1000 + i % 40 for i in range(REQUESTS)]
    # One after the other they would take ten seconds; together little more than one read.
    assert took < 0.25 * REQUESTS * SLOW_SECONDS
    # Reads that block the loop would each swallow beats for 200 ms. Two long gaps are allowed to
    # a machine that is busy with something else.
    assert len(gaps) > 5
    assert sorted(gaps)[:-2][-1] < 0.75 * SLOW_SECONDS


async def heartbeat(gaps: list[float]) -> None:
    """Note how long the loop took to come back from each nap of ten milliseconds."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.01)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
