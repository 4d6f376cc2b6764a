"""The least that a cold point costs: GET a chunk, decode it, take a value; nothing else.

For s3fs the GET is one signed aiohttp request, for obstore its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numcodecs.zstd import Zstd

from loadtests.bench.client import Stop, Tally, endless

Get = Callable[[str], Awaitable[bytes]]
REGION = "us-east-1"


def main(argv: list[str]) -> None:
    """Measure as the command line says, and print the figures as a line of JSON."""
    parser = argparse.ArgumentParser()
    for name in ("engine", "endpoint", "bucket", "keys"):
        parser.add_argument(name)
    for name in ("users", "seconds"):
        parser.add_argument(name, type=int)
    told = parser.parse_args(argv)
    # Resolved once: a floor that looks up its keys would not be one.
    keys = endless(Path(told.keys).read_text().split())
    tally = Tally()
    run = _with_obstore if told.engine == "obstore" else _with_aiohttp
    asyncio.run(run(told, keys, tally))


async def _with_aiohttp(told: argparse.Namespace, keys: Iterator[str], tally: Tally) -> None:
    import aiohttp
    from yarl import URL

    sign = signer(told.endpoint, "bench", "bench-secret")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def get(key: str) -> bytes:
            path = f"/{told.bucket}/{key}"
            url = URL(told.endpoint + path, encoded=True)
            async with session.get(url, headers=sign(path)) as answer:
                answer.raise_for_status()
                return await answer.read()

        await _measure(get, told, keys, tally)


async def _with_obstore(told: argparse.Namespace, keys: Iterator[str], tally: Tally) -> None:
    from obstore.store import S3Store

    store = S3Store(
        told.bucket,
        endpoint=told.endpoint,
        access_key_id="bench",
        secret_access_key="bench-secret",
        region=REGION,
        client_options={"allow_http": True},
    )

    async def get(key: str) -> bytes:
        return bytes(await (await store.get_async(key)).bytes_async())

    await _measure(get, told, keys, tally)


async def _measure(get: Get, told: argparse.Namespace, keys: Iterator[str], tally: Tally) -> None:
    zstd = Zstd()

    async def user() -> None:
        for key in keys:
            if stop:
                return
            start = time.perf_counter()
            values = np.frombuffer(zstd.decode(await get(key)), "i2")
            float(values[values.size // 2])
            tally.latencies.append(time.perf_counter() - start)

    for key in keys:
        await get(key)
        break
    stop = Stop(told.seconds)
    begin, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(told.users):
            group.create_task(user())
    driven = tally.driven(time.perf_counter() - begin)
    cpu_us = (time.process_time() - cpu) / max(1, driven.requests) * 1e6
    sys.stdout.write(json.dumps({**asdict(driven), "cpu_us": cpu_us}) + "\n")


def signer(endpoint: str, key: str, secret: str) -> Callable[[str], dict[str, str]]:
    """Headers that sign a GET of a path (AWS Signature Version 4), the day's key made once."""
    host = endpoint.partition("://")[2]
    day = time.strftime("%Y%m%d", time.gmtime())
    scope = f"{day}/{REGION}/s3/aws4_request"
    secret_of_day = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        secret_of_day = _hmac(secret_of_day, part)
    signed = "host;x-amz-content-sha256;x-amz-date"

    def sign(path: str) -> dict[str, str]:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        plain = f"host:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n"
        request = f"GET\n{path}\n\n{plain}\n{signed}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = _hmac(secret_of_day, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}").hex()
        return {
            "x-amz-date": now,
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}",
        }

    return sign


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


if __name__ == "__main__":
    main(sys.argv[1:])
