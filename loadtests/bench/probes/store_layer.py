"""CPU per small GET, client side alone: our store layer, and the libraries below it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

from loadtests.bench.data import BUCKET, SMALL, SMALL_BYTES, SMALL_OBJECTS

AT_ONCE = 32
OPTIONS = {"key": "bench", "secret": "bench-secret"}
Get = Callable[[str], Awaitable[Any]]


async def main(endpoint: str, rounds: int, gets: int) -> None:
    """Print CPU microseconds per GET of each way, one figure a round; the ways take turns."""
    async with AsyncExitStack() as stack:
        ways = await _ways(endpoint, stack)
        for get in ways.values():
            assert len(await get("0")) == SMALL_BYTES
            await _cpu_us(get, AT_ONCE * 4)
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, get in ways.items():
                found[name].append(await _cpu_us(get, gets))
    sys.stdout.write(json.dumps(found) + "\n")


async def _ways(endpoint: str, stack: AsyncExitStack) -> Mapping[str, Get]:
    import s3fs
    from obstore.store import S3Store

    from sluice.store import Filesystems

    told = {**OPTIONS, "endpoint_url": endpoint}
    url = f"s3://{BUCKET}/{SMALL}"
    filesystems = await stack.enter_async_context(Filesystems())
    by_s3fs = await filesystems.source(url, storage_options=told, engine="s3fs")
    by_obstore = await filesystems.source(url, storage_options=told, engine="obstore")
    fs = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, **told)
    session = await fs.set_session()
    stack.push_async_callback(session.close)
    bare = S3Store(
        BUCKET,
        prefix=SMALL,
        endpoint=endpoint,
        access_key_id=OPTIONS["key"],
        secret_access_key=OPTIONS["secret"],
        region="us-east-1",
        client_options={"allow_http": True},
    )

    async def default(key: str) -> Any:
        return await fs._cat_file(f"{BUCKET}/{SMALL}/{key}")

    async def native(key: str) -> Any:
        return await (await bare.get_async(key)).bytes_async()

    return {
        "sluice s3fs": by_s3fs.get,
        "s3fs": default,
        "sluice obstore": by_obstore.get,
        "obstore": native,
    }


async def _cpu_us(get: Get, count: int) -> float:
    keys = iter([str(number % SMALL_OBJECTS) for number in range(count)])
    start = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_user(get, keys))
    return (time.process_time() - start) / count * 1e6


async def _user(get: Get, keys: Iterator[str]) -> None:
    for key in keys:
        await get(key)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
