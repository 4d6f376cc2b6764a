"""Opening a store of many variables again and again: with Sluice's library, or with xarray."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from loadtests.bench.data import BUCKET, WIDE, WIDE_DIMS, WIDE_VARIABLES
from loadtests.bench.stand_in import asked_since, set_delay

LATENCY_SECONDS = 0.03
Open = Callable[[], Awaitable[Any]]


async def main(engine: str, endpoint: str, who: str, rounds: int) -> None:
    """Print seconds at 0 and 30 ms, CPU seconds and requests of one open, as lists."""
    async with AsyncExitStack() as stack:
        if who == "sluice":
            opened = await _sluice(engine, endpoint, stack)
        else:
            opened = partial(asyncio.to_thread, _xarray(engine, endpoint))
        await measure(opened, endpoint, rounds)


async def measure(opened: Open, endpoint: str, rounds: int) -> None:
    """Each round opens twice, without and with latency; the first opening of all is not counted."""
    ds = await opened()
    assert len(ds.data_vars) == WIDE_VARIABLES
    assert set(WIDE_DIMS) <= set(ds.coords)
    found: dict[str, list[float]] = {"at_0": [], "cpu": [], "at_30": [], "gets": []}
    for _ in range(rounds):
        await asyncio.to_thread(set_delay, endpoint, 0)
        await asyncio.to_thread(asked_since, endpoint)
        start, cpu = time.perf_counter(), time.process_time()
        await opened()
        found["at_0"].append(time.perf_counter() - start)
        found["cpu"].append(time.process_time() - cpu)
        asked = await asyncio.to_thread(asked_since, endpoint)
        found["gets"].append(float(sum(asked.values())))
        await asyncio.to_thread(set_delay, endpoint, LATENCY_SECONDS)
        start = time.perf_counter()
        await opened()
        found["at_30"].append(time.perf_counter() - start)
    sys.stdout.write(json.dumps(found) + "\n")


async def _sluice(engine: str, endpoint: str, stack: AsyncExitStack) -> Open:
    from sluice.datasets import AsyncZarrBackendEntrypoint
    from sluice.store import Filesystems

    options = {"endpoint_url": endpoint, "key": "bench", "secret": "bench-secret"}
    filesystems = await stack.enter_async_context(Filesystems())

    async def opened() -> Any:
        source = await filesystems.source(
            f"s3://{BUCKET}/{WIDE}",
            storage_options=options,
            engine="obstore" if engine == "obstore" else "s3fs",
        )
        return await AsyncZarrBackendEntrypoint().open_dataset(source, decode_timedelta=False)

    return opened


def _xarray(engine: str, endpoint: str) -> Callable[[], Any]:
    import xarray as xr

    if engine == "obstore":
        from obstore.store import S3Store
        from zarr.storage import ObjectStore

        store = S3Store(
            BUCKET,
            prefix=WIDE,
            endpoint=endpoint,
            access_key_id="bench",
            secret_access_key="bench-secret",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        place: Any = ObjectStore(store, read_only=True)
        options: dict[str, Any] = {}
    else:
        place = f"s3://{BUCKET}/{WIDE}"
        words = {"endpoint_url": endpoint, "key": "bench", "secret": "bench-secret"}
        options = {"storage_options": words}

    def opened() -> Any:
        return xr.open_zarr(place, chunks=None, decode_timedelta=False, **options)

    return opened


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
