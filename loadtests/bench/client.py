"""A small HTTP client that costs little: kept connections, one request at a time on each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np


@dataclass(frozen=True, slots=True)
class Driven:
    """What askers saw; latencies in milliseconds."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True)
class Tally:
    """Latencies in seconds and failures, as they come."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def driven(self, seconds: float) -> Driven:
        """The figures; who was never answered waited for ever."""
        taken = np.array(self.latencies or [np.inf]) * 1e3
        p50, p99 = np.percentile(taken, [50, 99], method="higher")
        count = len(self.latencies)
        return Driven(count, seconds, self.failed, float(p50), float(p99), float(taken.max()))


class Stop:
    """When to ask no more: after some seconds, or when told."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self._end = time.perf_counter() + seconds

    def now(self) -> None:
        """Nobody asks again."""
        self._end = 0.0

    def __bool__(self) -> bool:
        return time.perf_counter() >= self._end


async def ask(
    address: str, paths: Iterator[str], tally: Tally, stop: Stop, pause_seconds: float = 0.0
) -> None:
    """One user: asks for one path after another until there are no more, or told to stop."""
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=2**24)
    try:
        for path in paths:
            if stop:
                return
            request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: */*\r\n\r\n"
            start = time.perf_counter()
            writer.write(request.encode())
            status = await _answer(reader)
            tally.latencies.append(time.perf_counter() - start)
            tally.failed += status != 200
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer whose body was read to its end and thrown away."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:] if line)
    if b"content-length" in headers:
        await reader.readexactly(int(headers[b"content-length"]))
    elif headers.get(b"transfer-encoding") == b"chunked":
        size = -1
        while size:
            size = int(await reader.readline(), 16)
            await reader.readexactly(size + 2)
    else:
        raise ValueError("an answer without a length")
    return int(lines[0].split(b" ")[1])


async def users(
    address: str, paths: Iterator[str], count: int, tally: Tally, stop: Stop, pause: float = 0.0
) -> None:
    """`count` users who share one list of paths."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(ask(address, paths, tally, stop, pause))


def drive(address: str, paths: Sequence[str], count: int, seconds: float) -> Driven:
    """`count` users for some seconds, over and over the same paths."""

    async def run() -> Driven:
        tally, start = Tally(), time.perf_counter()
        await users(address, endless(paths), count, tally, Stop(seconds))
        return tally.driven(time.perf_counter() - start)

    return asyncio.run(run())


def drive_all(address: str, paths: Sequence[str], count: int) -> Driven:
    """`count` users who share the paths and end when each of these was answered once."""

    async def run() -> Driven:
        tally, start = Tally(), time.perf_counter()
        await users(address, iter(paths), count, tally, Stop())
        return tally.driven(time.perf_counter() - start)

    return asyncio.run(run())


def endless(paths: Sequence[str]) -> Iterator[str]:
    """The paths, again and again."""
    while True:
        yield from paths
