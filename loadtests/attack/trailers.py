"""A body in chunks whose trailers, extensions or sizes do not end, to a path that reads no body."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping
from typing import Final

from loadtests.attack.stage import MIB, Figure, Stage, Target
from loadtests.attack.stores import line_store

SENT_MIB: Final = 80
_HEAD: Final = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_ENDLESS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "trailers": (_HEAD + b"0\r\n", b"X-Trailer: " + b"t" * 1000 + b"\r\n"),
    "one trailer": (_HEAD + b"0\r\nX-Trailer: ", b"t" * 1000),
    "chunk extensions": (_HEAD, b"1;" + b"a" * 1000 + b"\r\n \r\n"),
    "chunks of one byte": (_HEAD, b"1\r\n \r\n" * 200),
    "blank lines": (b"", b"\r\n" * 500),
    "headers": (b"GET /healthz HTTP/1.1\r\n", b"X-Header: " + b"h" * 1000 + b"\r\n"),
}
_LONGEST_MS: Final = 250.0
_GROWN_MIB: Final = 32.0
_TAKEN_MIB: Final = 16.0


def attack(stage: Stage) -> Iterable[Figure]:
    """What 80 MiB of each cost, and how many of them were taken."""
    store = line_store(stage.folder / "line.zarr")
    with stage.serving({"line": store}) as target:
        for name, (begin, more) in _ENDLESS.items():
            with target.watched() as watch:
                taken = _send(target, begin, more)
            name = f"{SENT_MIB} MiB of {name}"
            yield from watch.figures(name, longest_ms=_LONGEST_MS, grown_mib=_GROWN_MIB)
            yield Figure(f"{name}: taken", taken / MIB, _TAKEN_MIB, "MiB")


def _send(target: Target, begin: bytes, more: bytes) -> int:
    """How many bytes were taken, kernel's buffers included, until the server hung up."""
    taken = 0
    connection = socket.create_connection(target.host_and_port, timeout=10)
    with connection, contextlib.suppress(OSError):
        connection.sendall(begin)
        while taken < SENT_MIB * MIB:
            connection.sendall(more)
            taken += len(more)
    return taken
