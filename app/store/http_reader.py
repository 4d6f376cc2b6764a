"""Values and listings of a web server, whatever it makes of the Range header."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from fsspec.asyn import AsyncFileSystem

from app.errors import StoreError
from app.store.bodies import UNPAUSED_BYTES, whole_body
from app.store.failures import redacted
from app.store.paths import joined
from app.store.ranges import covered, range_header, sliced
from app.store.readers import Redirected
from app.store.tags import NotModified, Tagged, tag_of

# Statuses that send a GET elsewhere (RFC 9110, section 15.4).
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class HttpReader:
    """fsspec's HTTP filesystem, read through its own session and request options.

    Its `_cat_file` takes any 200 for the range that was asked for, so a server without ranges
    (RFC 9110, 14.2 allows it) would silently give wrong bytes.
    """

    def __init__(self, fs: AsyncFileSystem, *, follows: bool = True) -> None:
        self._fs: Any = fs
        # Without: where a server sends this reader instead is raised, as Redirected.
        self._follows = follows

    async def read(self, path: str, start: int | None, end: int | None) -> bytes:
        byte_range = range_header(start, end)
        asked = {} if byte_range is None else {"Range": byte_range}
        status, came, data = await self._get(path, asked)
        if byte_range is not None and status == 206:
            return covered(data, start, end, came.get("content-range", ""))
        return sliced(data, start, end)

    async def read_tagged(self, path: str, known: str | None) -> Tagged:
        asked = {} if known is None else {"If-None-Match": known}
        _, came, data = await self._get(path, asked)
        return Tagged(data, tag_of(came))

    async def _get(
        self, path: str, asked: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        always = {**self._fs.kwargs.get("headers", {}), "Accept-Encoding": "identity"}
        ours = {"headers": {**always, **asked}, "read_bufsize": UNPAUSED_BYTES}
        options = {**self._fs.kwargs, **ours}
        if not self._follows:
            options["allow_redirects"] = False
        session = await self._fs.set_session()
        async with session.get(self._fs.encode_url(path), **options) as response:
            response.raise_for_status()
            if not self._follows and response.status in REDIRECTS:
                raise Redirected(urljoin(str(response.url), response.headers.get("Location", "")))
            if response.status == 304:
                raise NotModified
            return response.status, response.headers, await whole_body(response)

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
        async with session.get(self._fs.encode_url(url), **self._fs.kwargs) as response:
            absent = response.status in (404, 405, 410)
            if not absent:
                response.raise_for_status()
                if "html" in response.content_type:
                    return names_below(str(response.url), await response.text())
        if absent and folder:
            # An absent folder is nothing special where the root itself can be listed.
            await self._entries(root, "")
            return []
        raise StoreError(
            f"{redacted(url)} cannot be listed: the server has no index page for it. "
            "Consolidated metadata makes listing needless.",
            root=redacted(root),
        )


class _Links(HTMLParser):
    """The targets of an index page's anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def names_below(url: str, page: str) -> list[str]:
    """Names directly below `url`; links to parents, sort orders and elsewhere are none."""
    base = urlsplit(url)
    links = _Links()
    links.feed(page)
    names: dict[str, None] = {}
    for target in links.targets:
        link = urlsplit(urljoin(url, target))
        name = unquote(link.path[len(base.path) :])
        inside = link.netloc == base.netloc and link.path.startswith(base.path)
        if inside and name and not link.query and "/" not in name.rstrip("/"):
            names[name] = None
    return list(names)
