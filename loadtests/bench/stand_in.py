"""An S3 that only reads, made for measuring: latency on demand, and a count of what was asked.

    python -m loadtests.bench.stand_in ROOT PORT

A bucket is a folder below ROOT. GET, HEAD, ranges, 404 in S3's own form; signatures are not looked
at and nothing is listed. `/-/delay?seconds=0.03` sets how late each answer starts, `/-/asked` gives
the requests since the last time that it was asked, as JSON of ``"METHOD /key" -> count``. `/-/end`
ends it as a crash would.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

HEAD_END = b"\r\n\r\n"
MISSING = b"<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>"
_RANGE = re.compile(rb"\r\nrange: *bytes=(\d*)-(\d*)", re.IGNORECASE)


class Desk:
    """What all connections share: the folder, the delay, the count."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.delay_seconds = 0.0
        self.asked: Counter[str] = Counter()

    def answer(self, head: bytes) -> tuple[float, bytes]:
        """How late, and the whole answer to the request whose head this is."""
        method, target, _ = head.split(b" ", 2)
        url = urlsplit(target.decode())
        path = unquote(url.path)
        if path.startswith("/-/"):
            return 0.0, self._control(path, parse_qs(url.query))
        self.asked[f"{method.decode()} {path}"] += 1
        return self.delay_seconds, self._object(method, path, _RANGE.search(head))

    def _control(self, path: str, query: dict[str, list[str]]) -> bytes:
        if path == "/-/end":
            # Its answer is that the connection breaks, as all do.
            os._exit(1)
        if path == "/-/delay":
            self.delay_seconds = float(query["seconds"][0])
        asked, self.asked = self.asked, Counter()
        return _answer(b"200 OK", json.dumps(asked).encode(), b"")

    def _object(self, method: bytes, path: str, wanted: re.Match[bytes] | None) -> bytes:
        try:
            data = (self.root / path.lstrip("/")).read_bytes()
        except OSError:
            return _answer(b"404 Not Found", b"" if method == b"HEAD" else MISSING, b"")
        more = b"Accept-Ranges: bytes\r\n"
        if method == b"HEAD":
            return _answer(b"200 OK", b"", more, length=len(data))
        if wanted is None:
            return _answer(b"200 OK", data, more)
        size, (first, last) = len(data), wanted.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        more += b"Content-Range: bytes %d-%d/%d\r\n" % (start, end - 1, size)
        return _answer(b"206 Partial Content", data[start:end], more)


def _answer(status: bytes, body: bytes, more: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"".join(
        (
            b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n" % size,
            b'ETag: "1"\r\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n',
            b"Content-Type: application/octet-stream\r\n" + more + b"\r\n",
            body,
        )
    )


class Connection(asyncio.Protocol):
    """Requests without bodies, one after the other, on one connection."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while HEAD_END in self._received:
            head, _, self._received = self._received.partition(HEAD_END)
            late, answer = self._desk.answer(head)
            if late:
                asyncio.get_running_loop().call_later(late, self._send, answer)
            else:
                self._send(answer)

    def _send(self, answer: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(root: Path, port: int) -> None:
    """Answer on loopback until cancelled."""
    desk = Desk(root)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(desk), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def set_delay(endpoint: str, seconds: float) -> None:
    """From now on each answer of the stand-in at `endpoint` starts this late."""
    urllib.request.urlopen(f"{endpoint}/-/delay?seconds={seconds}", timeout=10).close()


def asked_since(endpoint: str) -> dict[str, int]:
    """What the stand-in was asked since this was called last."""
    with urllib.request.urlopen(f"{endpoint}/-/asked", timeout=10) as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
