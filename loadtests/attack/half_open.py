"""Thousands of clients that begin a request and do not end it, under 1,024 descriptors."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from loadtests.attack.stage import Figure, Stage, Target
from loadtests.attack.stores import line_store

DESCRIPTORS: Final = 1024
CLIENTS: Final = 5000
CHECKS: Final = 40
_HEAD: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
_LONGEST_MS: Final = 1000.0
_GROWN_MIB: Final = 64.0


def attack(stage: Stage) -> Iterable[Figure]:
    """What 40 health checks saw, one worker or two; and what the open heads cost."""
    for workers in (1, 2):
        name = f"half-open heads, {workers} workers" if workers > 1 else "half-open heads"
        yield from _attack(stage, name, workers)


def _attack(stage: Stage, name: str, workers: int) -> Iterator[Figure]:
    store = line_store(stage.folder / f"line-{workers}.zarr")
    options = ("--workers", str(workers))
    with stage.serving({"line": store}, *options, descriptors=str(DESCRIPTORS)) as target:
        with target.watched() as watch, opened(target, CLIENTS) as connections:
            failed = sum(not _selects(target) for _ in range(CHECKS))
            time.sleep(1)
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(b"x")
        yield from watch.figures(name, longest_ms=_LONGEST_MS, grown_mib=_GROWN_MIB * workers)
        yield Figure(f"{name}: selections of {CHECKS} that failed", failed, 0)


@contextmanager
def opened(target: Target, clients: int) -> Iterator[list[socket.socket]]:
    """So many connections, each with a part of a head, whatever became of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(clients):
            connection = socket.create_connection(target.host_and_port, timeout=10)
            connections.append(stack.enter_context(connection))
            connection.sendall(_HEAD)
        yield connections


def _selects(target: Target) -> bool:
    asked = b"GET /datasets/line/isel?x=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(target.host_and_port, timeout=10) as connection:
            connection.sendall(asked)
            return connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
