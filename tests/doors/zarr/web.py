"""A web server over a folder that counts what it is asked for, and can fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sluice.store.source import resolved


class Web:
    """What the server at `address` was asked for; a `failure` is the status of all its answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.asked: list[tuple[str, str | None]] = []
        self.failure: int | None = None
        self.has_ranges = True

    def answer(self, path: str, wanted: str | None) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((path, wanted))
        file = self.folder / path.lstrip("/")
        if self.failure is not None or not file.is_file():
            return self.failure or 404, {}, b""
        whole = file.read_bytes()
        if wanted is None or not self.has_ranges:
            return 200, {}, whole
        first, last = wanted.removeprefix("bytes=").split("-")
        if not first:
            start, stop = resolved(-int(last), None, len(whole))
        else:
            start, stop = resolved(int(first), int(last) + 1 if last else None, len(whole))
        if start >= stop:
            return 416, {"Content-Range": f"bytes */{len(whole)}"}, b""
        told = {"Content-Range": f"bytes {start}-{stop - 1}/{len(whole)}"}
        return 206, told, whole[start:stop]


@contextmanager
def web(folder: Path) -> Iterator[Web]:
    """A server that runs in a thread until the block ends."""
    state = Web(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = state.answer(self.path, self.headers.get("Range"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        state.address = f"http://127.0.0.1:{server.server_port}"
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
