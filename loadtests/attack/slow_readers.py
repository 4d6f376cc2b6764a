"""Clients that take large answers slowly, and bodies that trickle: memory is not held for them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable
from typing import Final

from loadtests.attack.stage import MIB, Figure, Stage, Target
from loadtests.attack.stores import line_store

READERS: Final = 12
READER_BYTES_PER_SECOND: Final = 60_000
# The rate is judged after a shorter time than by default, so that the attack is short too.
SETTINGS: Final = {"SLUICE_RATE_SECONDS": "5", "SLUICE_INFLIGHT_BYTES": str(512 * MIB)}
VALUES: Final = 4 * MIB
_ASKED: Final = (
    b"GET /datasets/line/isel?f=netcdf HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n"
)
_TRICKLE: Final = (
    b"POST /datasets/line/isel HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000000\r\n\r\n"
)
_PATIENCE_SECONDS: Final = 22.0


def attack(stage: Stage) -> Iterable[Figure]:
    """How many are still served after a while, and what they hold then."""
    store = line_store(stage.folder / "line.zarr", VALUES)
    with stage.serving({"line": store}, **SETTINGS) as target:
        over = threading.Event()
        served = [0] * 2 * READERS
        with target.watched() as watch:
            work = [(_read, number) for number in range(READERS)]
            work += [(_trickle, READERS + number) for number in range(READERS)]
            threads = [
                threading.Thread(target=run, args=(target, over, served, number))
                for run, number in work
            ]
            for thread in threads:
                thread.start()
            time.sleep(_PATIENCE_SECONDS)
            held = _inflight(target)
            left = list(served)
            over.set()
            for thread in threads:
                thread.join()
        yield from watch.figures("slow clients", longest_ms=500, grown_mib=600)
        yield Figure("slow readers that are still served", sum(left[:READERS]), 0)
        yield Figure("trickling bodies that are still read", sum(left[READERS:]), 0)
        yield Figure("memory in flight after them", held / MIB, 1, "MiB")


def _read(target: Target, over: threading.Event, served: list[int], number: int) -> None:
    """Take an answer at `READER_BYTES_PER_SECOND` while the server lets us."""
    with socket.socket() as connection:
        # Else the kernels between would take megabytes at once.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.settimeout(10)
        connection.connect(target.host_and_port)
        connection.sendall(_ASKED)
        served[number] = 1
        with contextlib.suppress(OSError):
            while not over.wait(0.1) and connection.recv(READER_BYTES_PER_SECOND // 10):
                pass
            if over.is_set():
                return
        served[number] = 0


def _trickle(target: Target, over: threading.Event, served: list[int], number: int) -> None:
    """Send a byte of a body now and then while the server lets us."""
    with socket.create_connection(target.host_and_port, timeout=10) as connection:
        connection.sendall(_TRICKLE)
        served[number] = 1
        connection.settimeout(0.1)
        while not over.is_set():
            try:
                connection.sendall(b" ")
                if not over.is_set():
                    connection.recv(65536)
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            return
        served[number] = 0


def _inflight(target: Target) -> float:
    """What the server says that requests hold, in bytes."""
    with socket.create_connection(target.host_and_port, timeout=10) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while part := connection.recv(65536):
            text += part
    rows = [line for line in text.splitlines() if line.startswith(b"sluice_inflight_bytes ")]
    return float(rows[0].split()[1])
