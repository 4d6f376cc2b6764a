"""What one small GET costs the reader: CPU time per 64 KiB value, for each way to read S3.

    python -m loadtests.small_chunks [--rounds N] [--gets N] [--profile NAME]

The store layer alone, nothing is decoded. The server is a process of its own on loopback, which
answers everything at once, so what is counted is this process' CPU, obstore's threads included. The
contestants take turns; ratios of one run travel, absolute times do not.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from sluice.store import Filesystems

SIZE = 64 * 1024
AT_ONCE = 16
KEYS = {"key": "load-key", "secret": "load-secret"}
Get: TypeAlias = Callable[[str], Awaitable[Any]]

# Who is held against whom, and what the ratio shall not exceed.
CLAIMS = [("sluice s3fs", "s3fs", 0.15), ("sluice obstore", "obstore", 1.3)]


def serve(ready: Connection) -> None:
    """Answer every GET with SIZE bytes and every HEAD with none, until killed."""
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nETag: "e"\r\n'
    head += "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n\r\n"
    answers = {b"G": head.encode() + bytes(SIZE), b"H": head.encode()}

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                writer.write(answers[request[:1]])
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def server() -> Iterator[str]:
    """The endpoint of the server, which ends with the block."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(its,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


@asynccontextmanager
async def contestants(endpoint: str) -> AsyncIterator[dict[str, Get]]:
    """By name, how each reads one key of the bucket."""
    import aiohttp
    import obstore
    import s3fs
    from obstore.store import S3Config, S3Store

    options: dict[str, Any] = {"endpoint_url": endpoint, **KEYS}
    async with AsyncExitStack() as stack:
        fs = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, **options)
        client = await fs.set_session()
        stack.push_async_callback(client.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        filesystems = await stack.enter_async_context(Filesystems())
        ours = {
            engine: await filesystems.source(
                "s3://bucket/root", storage_options=options, engine=engine
            )
            for engine in ("s3fs", "obstore")
        }
        config: S3Config = {
            "endpoint": endpoint,
            "access_key_id": KEYS["key"],
            "secret_access_key": KEYS["secret"],
        }
        store = S3Store("bucket", config=config, client_options={"allow_http": True})

        async def plain_aiohttp(key: str) -> bytes:
            async with session.get(f"{endpoint}/bucket/store/{key}") as response:
                return await response.read()

        async def bare_aiobotocore(key: str) -> bytes:
            answer = await client.get_object(Bucket="bucket", Key=f"store/{key}")
            async with answer["Body"] as body:
                return bytes(await body.read())

        async def bare_obstore(key: str) -> Any:
            return await (await obstore.get_async(store, f"store/{key}")).bytes_async()

        yield {
            "aiohttp, unsigned": plain_aiohttp,
            "sluice s3fs": ours["s3fs"].get,
            "aiobotocore": bare_aiobotocore,
            "s3fs": lambda key: fs._cat_file(f"bucket/store/{key}"),
            "obstore": bare_obstore,
            "sluice obstore": ours["obstore"].get,
        }


async def spend(get: Get, gets: int) -> float:
    """Microseconds of CPU per GET, AT_ONCE of them running."""

    async def some(first: int) -> None:
        for number in range(first, gets, AT_ONCE):
            assert len(await get(f"c/{number}")) == SIZE

    before = time.process_time()
    async with asyncio.TaskGroup() as group:
        for first in range(AT_ONCE):
            group.create_task(some(first))
    return (time.process_time() - before) / gets * 1e6


async def compare(endpoint: str, rounds: int, gets: int) -> bool:
    """Print the table; whether all claims hold."""
    spent: dict[str, list[float]] = {}
    async with contestants(endpoint) as ways:
        for get in ways.values():
            await spend(get, AT_ONCE)
        for _ in range(rounds):
            for name, get in ways.items():
                spent.setdefault(name, []).append(await spend(get, gets))
    for name, times in spent.items():
        sys.stdout.write(f"{name:20}{statistics.median(times):8.0f} us of CPU per GET\n")
    held = True
    for ours, theirs, most in CLAIMS:
        ratio = statistics.median(a / b for a, b in zip(spent[ours], spent[theirs], strict=True))
        held = held and ratio <= most
        sys.stdout.write(f"{ours} / {theirs}: {ratio:.2f} (at most {most})\n")
    return held


async def profile(endpoint: str, name: str, gets: int) -> None:
    """Where the time of one contestant goes, by function."""
    async with contestants(endpoint) as ways:
        await spend(ways[name], AT_ONCE)
        with cProfile.Profile() as profiler:
            await spend(ways[name], gets)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def main() -> int:
    """0 if the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gets", type=int, default=400)
    parser.add_argument("--profile", metavar="NAME", help="profile this contestant instead")
    words = parser.parse_args()
    with server() as endpoint:
        if words.profile:
            asyncio.run(profile(endpoint, words.profile, words.gets))
            return 0
        return 0 if asyncio.run(compare(endpoint, words.rounds, words.gets)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
