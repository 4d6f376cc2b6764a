"""Web servers: connecting, reading (also of those that ignore the Range header), index pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
from aiohttp.connector import Connection
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.http import HTTPFileSystem

from sluice.aliases import Document
from sluice.errors import StoreError, redacted
from sluice.store.failures import S3Answer
from sluice.store.http_bodies import (
    LISTING_BYTES,
    UNPAUSED_BYTES,
    Bound,
    OversizedBody,
    body_beginning,
    body_part,
    bound_of_answers,
    most_of_answer,
    uncoded,
    whole_body,
)
from sluice.store.http_headers import check_content_range, part_told, range_header, tag_of
from sluice.store.inner_network import outer_socket, outward_redirects
from sluice.store.readers import OURS, Opened, Redirected
from sluice.store.source import NotModified, Part, Tagged, joined, resolved

# Options of requests whose bodies `http_bodies.whole_body` or `body_part` reads.
WHOLE: Final = MappingProxyType({"read_bufsize": UNPAUSED_BYTES, "auto_decompress": False})
# Statuses of a server that fails, or that is asked too often.
BUSY_STATUSES: Final = frozenset({429, 500, 503})
# Statuses that send a GET elsewhere (RFC 9110, section 15.4).
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class BoundedAnswer(aiohttp.ClientResponse):
    """An answer whose body is bounded where the request was made in `bounded_answers`."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """As aiohttp's own; then the body counts its bytes."""
        await super().start(connection)
        bound = bound_of_answers.get()
        if bound is not None:
            body: Any = _CountedBody(self.content, bound)
            self.content = body
        return self


class _CountedBody:
    """aiohttp's body, whose pieces are counted as they are read."""

    def __init__(self, body: aiohttp.StreamReader, bound: Bound) -> None:
        self._body = body
        self._bound = bound
        self._seen = 0

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._body, name)
        return found

    async def read(self, n: int = -1) -> bytes:
        """As aiohttp's own, until there is too much."""
        if n >= 0:
            return self._counted(await self._body.read(n))
        pieces = []
        while piece := self._counted(await self._body.readany()):
            pieces.append(piece)
        return b"".join(pieces)

    def _counted(self, piece: bytes) -> bytes:
        self._seen += len(piece)
        if self._seen > self._bound.most_bytes:
            self._bound.exceeded = True
            raise OversizedBody(self._bound.most_bytes)
        return piece


async def connect(options: Document) -> Opened:
    """fsspec's HTTP filesystem over one aiohttp session."""
    usual = {
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30),
        "response_class": BoundedAnswer,
        "trace_configs": [outward_redirects()],
    }
    client = {**usual, **options.get("client_kwargs", {})}
    ours = {**OURS, **options, "client_kwargs": client, "asynchronous": True}
    fs = HTTPFileSystem(**ours)
    session = await fs.set_session()
    return Opened(fs, session.close)


async def connect_outside(options: Document) -> Opened:
    """As `connect`, without connections to inner addresses (see `inner_network`).

    Behind a proxy that the options name it is the proxy that connects, and knows where names lead.
    """
    client = dict(options.get("client_kwargs", {}))
    if not (options.get("proxy") or client.get("proxy") or client.get("trust_env")):
        client["connector"] = aiohttp.TCPConnector(socket_factory=outer_socket)
    return await connect({**options, "client_kwargs": client})


class HttpReader:
    """fsspec's HTTP filesystem, read through its own session and request options.

    Its `_cat_file` takes any 200 for the range that was asked for, so a server without ranges
    (RFC 9110, 14.2 allows it) would silently give wrong bytes.
    """

    def __init__(self, fs: AsyncFileSystem, *, follows: bool = True) -> None:
        self._fs = fs
        # If not, a redirect is raised as Redirected, for the caller to judge.
        self._follows = follows

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        return (await self.read_part(path, start, end, most_bytes)).data

    async def read_part(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part:
        byte_range = range_header(start, end)
        if byte_range is None:
            data, _ = await self._whole(path, {}, most_bytes)
            return Part(data, 0, len(data))
        async with self._answer(path, {"Range": byte_range}) as response:
            came = response.headers
            if _coding(response):  # a range of the coded bytes is none of the value
                whole = await _value(response, most_bytes)
                first, last = resolved(start, end, len(whole))
                return Part(whole[first:last], first, len(whole))
            if response.status != 206:
                data = await body_part(response, start, end, most_bytes)
                return part_told(data, start, end, came)
            data = await whole_body(response, most_of_answer(start, end, most_bytes))
            data = check_content_range(data, start, end, came.get("content-range", ""))
            return part_told(data, start, end, came)

    async def read_tagged(self, path: str, known: str | None, most_bytes: int | None) -> Tagged:
        asked = {} if known is None else {"If-None-Match": known}
        data, came = await self._whole(path, asked, most_bytes)
        return Tagged(data, tag_of(came))

    async def _whole(
        self, path: str, asked: Mapping[str, str], most_bytes: int | None
    ) -> tuple[bytes, Mapping[str, str]]:
        async with self._answer(path, asked) as response:
            return await _value(response, most_bytes), response.headers

    @asynccontextmanager
    async def _answer(
        self, path: str, asked: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a successful GET; its body is still to be read."""
        always = {**self._fs.kwargs.get("headers", {}), "Accept-Encoding": "identity"}
        options = {**self._fs.kwargs, **WHOLE, "headers": {**always, **asked}}
        if not self._follows:
            options["allow_redirects"] = False
        session = await self._fs.set_session()
        async with session.get(self._fs.encode_url(path), **options) as response:
            if response.status in BUSY_STATUSES:
                raise await _busy(response)
            response.raise_for_status()
            if not self._follows and response.status in REDIRECTS:
                raise Redirected(urljoin(str(response.url), response.headers.get("Location", "")))
            if response.status == 304:
                raise NotModified
            yield response

    async def find(self, root: str, prefix: str) -> list[str]:
        found: list[str] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for name in await self._entries(root, f"{prefix}/{folder}".strip("/")):
                (folders if name.endswith("/") else found).append(folder + name)
        return found

    async def names(self, root: str, prefix: str) -> list[str]:
        return [name.rstrip("/") for name in await self._entries(root, prefix)]

    async def root_is_there(self, root: str) -> bool:
        # A web server has no notion of a root; what it does not have, it answers 404 for.
        return True

    async def _entries(self, root: str, folder: str) -> list[str]:
        """Names on the index page of `folder`; those of deeper folders end in a slash."""
        url = joined(root, f"{folder}/" if folder else "")
        session = await self._fs.set_session()
        options = {**self._fs.kwargs, **WHOLE}
        async with session.get(self._fs.encode_url(url), **options) as response:
            absent = response.status in (404, 405, 410)
            if not absent:
                response.raise_for_status()
                if "html" in response.content_type:
                    page = _decoded(response, await _value(response, LISTING_BYTES))
                    # In a thread: parsing takes a second for a few megabytes.
                    return await asyncio.to_thread(names_below, str(response.url), page)
        if absent and folder:
            # An absent folder is nothing special where the root itself can be listed.
            await self._entries(root, "")
            return []
        raise StoreError(
            f"{redacted(url)} cannot be listed: the server has no index page for it. "
            "Consolidated metadata makes listing needless.",
            root=redacted(root),
        )


async def _busy(response: aiohttp.ClientResponse) -> Exception:
    """The failure with S3's error document, if the answer has one: buckets are read by HTTP too."""
    beginning = await body_beginning(response)
    return S3Answer(response.status, response.reason, response.headers, beginning)


async def _value(response: aiohttp.ClientResponse, most_bytes: int | None) -> bytes:
    """The whole value, decoded where the server applied a content coding that nobody asked for."""
    body = await whole_body(response, most_bytes)
    coding = _coding(response)
    if coding and response.status == 206:
        raise ValueError(f"a part of a value came coded as {coding!r}")
    return uncoded(body, coding, most_bytes)


def _coding(response: aiohttp.ClientResponse) -> str:
    return str(response.headers.get("Content-Encoding", "")).replace("identity", "")


def _decoded(response: aiohttp.ClientResponse, page: bytes) -> str:
    try:
        return page.decode(response.charset or "utf-8", errors="replace")
    except LookupError:  # it names a charset that there is none of
        return page.decode(errors="replace")


class _Links(HTMLParser):
    """The targets of an index page's anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def names_below(url: str, page: str) -> list[str]:
    """Names directly below `url` that an index `page` links to.

    Links to parents, sort orders, other places and to what is no address are left out.
    """
    base = urlsplit(url)
    links = _Links()
    links.feed(page)
    names: dict[str, None] = {}
    for target in links.targets:
        try:
            link = urlsplit(urljoin(url, target))
        except ValueError:
            continue
        name = unquote(link.path[len(base.path) :])
        inside = link.netloc == base.netloc and link.path.startswith(base.path)
        if inside and name and not link.query and "/" not in name.rstrip("/"):
            names[name] = None
    return list(names)
