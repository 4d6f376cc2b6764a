"""A web server on a real socket whose manners and faults a test chooses."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Self, TypeAlias
from urllib.parse import quote, unquote

NO_SUCH_KEY = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>No.</Message></Error>"

# Status, S3's code and further headers.
Answer: TypeAlias = tuple[int, str, list[str]]

REGION = "x-amz-bucket-region"


@dataclass
class Web:
    """Serves `values` by path; S3 clients may take it for an anonymous, path-style S3."""

    values: dict[str, bytes]
    ranges: bool = True
    listing: bool = True
    delay: float = 0.0
    status: int | None = None  # answer everything with it
    truncate: bool = False  # promise the whole body, send half, hang up
    shorten: bool = False  # half of a range, and a length that fits the half
    tags: dict[str, str] = field(default_factory=dict)  # entity tags of values, by path
    dates: list[str] = field(default_factory=list)  # headers that go with values and 304s
    region: str | None = None  # requests that are signed for another are told to go there
    first: list[Answer] = field(default_factory=list)  # answers for the next requests
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    answers: list[tuple[int, int]] = field(default_factory=list)  # statuses and sizes of bodies
    running: int = 0
    most_running: int = 0
    address: str = ""
    _server: asyncio.Server | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.create_task(self._converse(reader, writer))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), writer)
                if self.truncate:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split(" ", 2)
        path = unquote(target.partition("?")[0])
        stated = re.search(r"(?im)^(?:x-ms-)?range: *bytes=(\d*)-(\d*)", head)
        shown = re.search(r"(?im)^if-none-match: *(.*?)\r$", head)
        self.requests.append(f"{method} {path}")
        self.heads.append(head)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.delay)
            if self.region and f"/{self.region}/s3/" not in head:
                self.first.insert(0, (301, "PermanentRedirect", [f"{REGION}: {self.region}"]))
            status, headers, body = self._response(path, stated, shown and shown[1])
        finally:
            self.running -= 1
        self.answers.append((status, len(body)))
        sent = body[: len(body) // 2] if self.truncate else body
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else sent))
        await writer.drain()

    def _response(
        self, path: str, stated: re.Match[str] | None, shown: str | None
    ) -> tuple[int, list[str], bytes]:
        xml = ["Content-Type: application/xml"]
        if self.first:
            status, code, headers = self.first.pop(0)
            body = f"<Error><Code>{code}</Code><Message>Words.</Message></Error>".encode()
            return status, [*xml, *headers], b"" if status in (204, 304) else body
        if self.status is not None:
            return self.status, xml, b""
        if path in self.values:
            tag = self.tags.get(path)
            known = [*self.dates, *([f"ETag: {tag}"] if tag else [])]
            if tag and tag == shown:
                return 304, known, b""
            status, headers, body = self._value(self.values[path], stated)
            return status, [*known, *headers], body
        if self.listing and path.endswith("/"):
            names = {p[len(path) :].partition("/") for p in self.values if p.startswith(path)}
            links = "".join(f'<a href="{quote(a)}{s}">{a}</a>' for a, s, _ in sorted(names))
            if names:
                page = f'<a href="../">up</a><a href="?C=N">sort</a><a href="http://[">?</a>{links}'
                return 200, ["Content-Type: text/html; charset=utf-8"], page.encode()
        return 404, xml, NO_SUCH_KEY

    def _value(self, value: bytes, stated: re.Match[str] | None) -> tuple[int, list[str], bytes]:
        plain = ["Content-Type: application/octet-stream"]
        if stated is None or not self.ranges:
            return 200, plain, value
        size = len(value)
        if stated[1]:
            first, last = int(stated[1]), min(int(stated[2] or size), size - 1)
        else:
            first, last = max(size - int(stated[2]), 0), size - 1
        if first >= size:
            return 416, plain, b""
        part = value[first : last + 1]
        sent = part[: len(part) // 2] if self.shorten else part
        return 206, [*plain, f"Content-Range: bytes {first}-{last}/{size}"], sent
