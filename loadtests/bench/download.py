"""One long answer as its client sees it: when it began, how fast it came, how it ended.

And what its server took for it.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from loadtests.bench.large import VARIABLE
from loadtests.bench.machine import Server, Usage, on_the_asking_core
from loadtests.bench.stage import Stage, fetch

MIB = 2**20
PIECE_BYTES = MIB
# How a chunked body ends (RFC 9112, section 7.1).
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Download:
    """Seconds to the first byte of the body and to the end; `body_bytes` without the head.

    `whole`: it ended as a whole answer does. `began` is what came first of the body.
    """

    status: int
    first_seconds: float
    seconds: float
    body_bytes: int
    whole: bool
    began: bytes

    @property
    def bytes_per_second(self) -> float:
        """Of the body."""
        return self.body_bytes / self.seconds


def download(
    address: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    at: int | None = None,
    then: Callable[[], bool] = lambda: False,
    patience_seconds: float = 120.0,
) -> Download:
    """GET `path` and throw the body away.

    Once `at` bytes of it have come, `then` is called, and the client leaves if that is false.
    Raises OSError where the server cannot be reached or is silent for too long.
    """
    url = urlsplit(address)
    wanted = {"Host": url.netloc, "Connection": "close", **(headers or {})}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items())]
    with socket.create_connection((url.hostname, url.port), timeout=patience_seconds) as sock:
        start = time.perf_counter()
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        return _received(sock, start, math.inf if at is None else at, then)


def _received(sock: socket.socket, start: float, at: float, then: Callable[[], bool]) -> Download:
    room = memoryview(bytearray(PIECE_BYTES))
    head, body = _head(sock)
    status, length = _told(head)
    came, tail, began = len(body), body[-len(LAST_CHUNK) :], body
    first = time.perf_counter() - start if body else math.inf
    try:
        while count := sock.recv_into(room):
            if not came:
                first, began = time.perf_counter() - start, bytes(room[:count])
            came += count
            tail = (tail + bytes(room[max(0, count - len(LAST_CHUNK)) : count]))[-len(LAST_CHUNK) :]
            if came >= at:
                at = math.inf
                if not then():
                    break
    except ConnectionResetError:
        tail, length = b"", math.inf if length is not None else None
    whole = tail == LAST_CHUNK if length is None else came == length
    return Download(status, first, time.perf_counter() - start, came, whole, began)


def _head(sock: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = sock.recv(2**16)
        if not more:
            raise ConnectionResetError("the connection ended within the head")
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def _told(head: bytes) -> tuple[int, float | None]:
    """The status, and the length if the head says one."""
    status, *fields = head.decode("latin-1").lower().split("\r\n")
    told = dict(field.split(": ", 1) for field in fields)
    length = told.get("content-length")
    return int(status.split(" ")[1]), None if length is None else float(length)


def all_at_once(calls: Sequence[Callable[[], Download]]) -> list[Download]:
    """All of these at the same time, each on a connection of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [begun.result() for begun in [threads.submit(call) for call in calls]]


def path_of(first: int = 0, count: int | None = None, f: str = "netcdf", name: str = "maps") -> str:
    """How some steps of the variable are asked for, or all."""
    steps = "" if count is None else f"&time={first}:{first + count}"
    return f"/datasets/{name}/isel?variables={VARIABLE}&f={f}{steps}"


class Watched:
    """A server whose dataset is open, and what it takes from then on."""

    def __init__(self, server: Server, before: Usage) -> None:
        self.server, self.before = server, before

    @property
    def above_mib(self) -> float:
        """The most memory that it had, above what it had when its dataset was open."""
        return (self.server.peak() - self.before.rss) / MIB

    def row(self, found: Sequence[Download], seconds: float) -> dict[str, float]:
        """What clients saw who were there for so long."""
        taken, nbytes = self.server.usage(), sum(one.body_bytes for one in found)
        failed = sum(one.status != 200 or not one.whole for one in found)
        return {
            "first_ms": median(one.first_seconds for one in found) * 1e3,
            "seconds": seconds,
            "mb_per_s": nbytes / seconds / 1e6,
            "above_mib": self.above_mib,
            "failed": float(failed),
            "cpu_s": taken.cpu - self.before.cpu,
        }


@contextmanager
def watched(
    stage: Stage, entries: Mapping[str, Mapping[str, Any]], name: str = "maps"
) -> Iterator[Watched]:
    """Sluice with default settings; the dataset `name` is open, and nothing was read of it."""
    with stage.sluice(entries) as sluice:
        fetch(sluice, f"/datasets/{name}")
        sluice.forget_peak()
        with sluice.awake(), on_the_asking_core():
            yield Watched(sluice, sluice.usage())
