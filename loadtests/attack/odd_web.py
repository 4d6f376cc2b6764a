"""A web server over a folder that answers some paths as no server should; S3 clients may ask it."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

BLOCK: Final = bytes(2**20)
MISSING: Final = b"<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>"
MODIFIED: Final = "Wed, 01 Jan 2020 00:00:00 GMT"
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")

# What an answer to one request is, instead of the file.
Manner: TypeAlias = Callable[["Visit"], None]


@dataclass
class OddWeb:
    """The folder `root` at `address`; the first of `manners` whose text is in a path answers it.

    `sent` counts the bytes of bodies by path, `asked` the requests, `moments` tells when they came.
    """

    root: Path
    manners: dict[str, Manner] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    moments: dict[str, list[float]] = field(default_factory=dict)
    heads: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    address: str = ""

    def manner_of(self, path: str) -> Manner | None:
        """What answers `path`, if not the file."""
        return next((manner for text, manner in self.manners.items() if text in path), None)


class Visit(BaseHTTPRequestHandler):
    """One connection and the request on it."""

    protocol_version = "HTTP/1.1"
    web: OddWeb

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.web.asked[path] += 1
        self.web.moments.setdefault(path, []).append(time.monotonic())
        self.web.heads.setdefault(path, []).append(dict(self.headers))
        manner = self.web.manner_of(path)
        # A client that has enough hangs up.
        with suppress(ConnectionError, TimeoutError):
            if manner is None:
                self.file()
            else:
                manner(self)

    def file(self) -> None:
        """The file at the path, or a range of it, or a 404 in S3's words."""
        path = unquote(urlsplit(self.path).path)
        try:
            data = (self.web.root / path.lstrip("/")).read_bytes()
        except OSError:
            self.whole(404, b"" if self.command == "HEAD" else MISSING)
            return
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is None:
            self.whole(200, data)
            return
        first, last = wanted.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(len(data), int(last) + 1) if first and last else len(data)
        self.whole(206, data[start:end], ("Content-Range", f"bytes {start}-{end - 1}/{len(data)}"))

    def whole(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        """An honest answer."""
        self.head(status, ("Content-Length", str(len(body))), *headers)
        if self.command != "HEAD":
            self.write(body)

    def head(self, status: int, *headers: tuple[str, str]) -> None:
        """The head of an answer."""
        self.send_response(status)
        for name, value in (("ETag", '"1"'), ("Last-Modified", MODIFIED), *headers):
            self.send_header(name, value)
        self.end_headers()

    def write(self, data: bytes) -> None:
        """A part of the body; a client that takes nothing of it for a while is given up."""
        self.connection.settimeout(20)
        self.wfile.write(data)
        self.web.sent[unquote(urlsplit(self.path).path)] += len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def endless(status: int = 200, *headers: tuple[str, str]) -> Manner:
    """A body without a length that never ends."""

    def answer(visit: Visit) -> None:
        visit.close_connection = True
        visit.head(status, ("Connection", "close"), *headers)
        while True:
            visit.write(BLOCK)

    return answer


def endless_chunked(*headers: tuple[str, str]) -> Manner:
    """A body in chunks that never ends, whatever length `headers` state."""

    def answer(visit: Visit) -> None:
        visit.head(200, ("Transfer-Encoding", "chunked"), *headers)
        while True:
            visit.write(b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK))

    return answer


def endless_range(visit: Visit) -> None:
    """A range as it was asked for, by its head, and a body that never ends."""
    wanted = _RANGE.fullmatch(visit.headers.get("Range", ""))
    if wanted is None:
        endless()(visit)
        return
    first, last = wanted.groups()
    start, end = (int(first), int(last or first)) if first else (100, 99 + int(last))
    endless(206, ("Content-Range", f"bytes {start}-{end}/{max(end + 1, 200)}"))(visit)


def of_size(nbytes: int) -> Manner:
    """A body of so many bytes, which its head states."""

    def answer(visit: Visit) -> None:
        visit.head(200, ("Content-Length", str(nbytes)))
        for _ in range(nbytes // len(BLOCK)):
            visit.write(BLOCK)

    return answer


def inflating(visit: Visit) -> None:
    """Four megabytes that are four gigabytes behind their content coding."""
    bomb = gzip.compress(bytes(2**24), 9) * 256
    visit.head(200, ("Content-Encoding", "gzip"), ("Content-Length", str(len(bomb))))
    visit.write(bomb)


@contextmanager
def odd_web(root: Path) -> Iterator[OddWeb]:
    """The server on loopback until the block ends."""
    web = OddWeb(root)
    visit = type("OurVisit", (Visit,), {"web": web, "do_HEAD": Visit.do_GET})
    server = ThreadingHTTPServer(("127.0.0.1", 0), visit)
    server.daemon_threads = True
    web.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
