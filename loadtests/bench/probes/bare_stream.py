"""The least that a stream of chunks costs: read a file, decode it, write it to the socket.

    python -m loadtests.bench.probes.bare_stream STORE CHUNK_BYTES --port PORT

`GET /FIRST/COUNT` answers with the maps of these steps, one after the other; no other thread, no
loop, no format, one connection at a time.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from numcodecs.zstd import Zstd

from loadtests.bench.large import VARIABLE

HEAD = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


def main(argv: list[str]) -> None:
    """Answer until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("chunk_bytes", type=int)
    parser.add_argument("--port", type=int)
    told = parser.parse_args(argv)
    with socket.create_server(("127.0.0.1", told.port)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection:
                _answer(connection, told.store, told.chunk_bytes)


def _answer(connection: socket.socket, store: Path, chunk_bytes: int) -> None:
    target = connection.recv(2**16).split(b" ")[1].decode()
    first, count = map(int, target.strip("/").split("/")) if target != "/" else (0, 0)
    zstd, folder = Zstd(), store / VARIABLE / "c"
    connection.sendall(HEAD.format(count * chunk_bytes).encode())
    for step in range(first, first + count):
        connection.sendall(zstd.decode((folder / str(step) / "0" / "0").read_bytes()))


if __name__ == "__main__":
    main(sys.argv[1:])
