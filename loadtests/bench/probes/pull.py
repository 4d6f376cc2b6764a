"""Readers of long answers who throw everything away: ``pull ADDRESS PATH READERS COUNT_FILE``.

They read until they are ended; the file says how many bytes have come.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

PIECE_BYTES = 2**20
TOLD_SECONDS = 0.1


def main(address: str, path: str, readers: str, count_file: str) -> None:
    """Read `path` over so many connections, again and again."""
    came = [0] * int(readers)

    def read(number: int) -> None:
        url, room = urlsplit(address), bytearray(PIECE_BYTES)
        request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
        while True:
            with socket.create_connection((url.hostname, url.port)) as connection:
                connection.sendall(request.encode())
                while count := connection.recv_into(room):
                    came[number] += count

    for number in range(len(came)):
        threading.Thread(target=read, args=(number,), daemon=True).start()
    told, written = Path(count_file), Path(f"{count_file}.new")
    while True:
        written.write_text(str(sum(came)))
        written.replace(told)
        time.sleep(TOLD_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
