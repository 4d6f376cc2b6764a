"""The routes of the explorer: the catalog, one dataset, the view alone, and the files they load.

They are for people: what fails is a page too, in the words and with the status of the problem that
programs get. ``/datasets`` and ``/datasets/{id}`` are pages for who likes HTML better than JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias

from fastapi import FastAPI, HTTPException, Request, Response

from sluice.encoders.formats import compress, negotiate_coding, parse_accept
from sluice.errors import SluiceError
from sluice.labels import without_surrogates

from ...api.application import Route
from ...api.doors import Link, told_problem
from ...api.openapi import Schema
from ...api.requests import (
    cancellable,
    header_of,
    is_public,
    key_of,
    opened_dataset,
    seen_entries,
    service,
    visible_id,
    visible_tree,
)
from ...api.routes import add_reading_route, describe_dataset, described_text, list_datasets
from ...api.state import Service
from ...catalog.entry import GROUP_SIGN, DatasetEntry
from ...catalog.opened import Opened
from .assets import load_assets
from .cards import Listing, catalog_page, groups_page
from .documents import Frame, Page, embed_page, explore_page, problem_page
from .facts import Facts, facts_of
from .markup import Html
from .thumbnails import Thumbnails, pictured

Render: TypeAlias = Callable[[Request, Frame], Awaitable[Html]]

# So many cards are on one page of the catalog.
PAGE_CARDS: Final = 200
# More entries than that are searched beside the loop.
_FEW: Final = 500
_COMPRESS_BYTES: Final = 1024
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_LONGEST_SEARCH: Final = 200
_UNLISTED: Final[Schema] = {"include_in_schema": False}


@dataclass(frozen=True, slots=True, eq=False)
class PagesDoor:
    """The pages; those of `embed_origins` may show a view in a frame (none: nobody may)."""

    embed_origins: Sequence[str] = ()
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    name: Literal["pages"] = "pages"

    def add_to(self, app: FastAPI) -> None:
        """Register the routes; those that share a path with JSON have to come before it."""
        for path, route in (
            ("/", self.root),
            ("/datasets", self.listing),
            ("/datasets/{dataset_id}", self.dataset),
            ("/explore/{dataset_id}", self.explore),
            ("/embed/{dataset_id}", self.embed),
            ("/assets/{name}", self.asset),
            ("/thumbnails/{dataset_id}.png", self.thumbnails.answer),
        ):
            add_reading_route(app, path, route, _UNLISTED)

    def links(self, opened: Opened) -> Iterator[Link]:
        """The page of the dataset."""
        yield Link(f"explore/{opened.entry.id}", "Explorer", "text/html")

    async def root(self, request: Request) -> Response:
        """The catalog, at the address that people type."""
        return await self._either(request, list_datasets, _catalog, "")

    async def listing(self, request: Request) -> Response:
        """The catalog under the path that programs know."""
        return await self._either(request, list_datasets, _catalog, "")

    async def dataset(self, request: Request) -> Response:
        """One dataset under the path that programs know."""
        return await self._either(request, describe_dataset, _explore, "../")

    async def explore(self, request: Request) -> Response:
        """One dataset: its facts, the view, the panels."""
        return await self._page(request, _explore, "../")

    async def embed(self, request: Request) -> Response:
        """The view of one dataset alone, which pages of some origins may have in a frame."""
        return await self._page(request, _embed, "../", self.embed_origins)

    async def asset(self, request: Request) -> Response:
        """A file that pages load; its name says what is in it, so that it may be kept for ever."""
        assets = await asyncio.to_thread(load_assets)
        asset = assets.files.get(str(request.path_params["name"]))
        if asset is None:
            raise HTTPException(404)
        coding = negotiate_coding(header_of(request, b"accept-encoding"))
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        if coding is not None:
            headers["Content-Encoding"] = coding
        content = await asyncio.to_thread(asset.form, coding)
        return Response(content, 200, headers, asset.media_type)

    async def _either(self, request: Request, data: Route, render: Render, root: str) -> Response:
        """The page for browsers, the JSON for everybody else."""
        if prefers_page(header_of(request, b"accept")):
            return await self._page(request, render, root)
        answer = await data(request)
        others = answer.headers.get("vary")
        answer.headers["Vary"] = "Accept" if others is None else f"Accept, {others}"
        return answer

    async def _page(
        self, request: Request, render: Render, root: str, frames: Sequence[str] = ()
    ) -> Response:
        serving = service(request)
        # The first time it takes a third of a second.
        assets = await asyncio.to_thread(load_assets)
        frame = Frame(assets, root, bool(serving.keys), serving.limits.whole.chunk_bytes)
        status, headers = 200, {}
        try:
            page = await render(request, frame)
        except SluiceError as error:
            failed = told_problem(request, error)
            status = failed.status
            kept = ("retry-after", "www-authenticate")
            headers = {name: text for name, text in failed.headers.items() if name in kept}
            page = problem_page(frame, failed.title, failed.detail)
        return _answer(request, page, status, {**headers, **_guards(frames)}, private=frame.keys)


def prefers_page(accept: str | None) -> bool:
    """Whether an ``Accept`` header likes HTML better than JSON, which wins at equal weights."""
    if accept is None:
        return False
    weights = parse_accept(accept)

    def weight(media_type: str) -> float:
        whole = f"{media_type.partition('/')[0]}/*"
        found = (weights.get(name) for name in (media_type, whole, "*/*"))
        return next((one for one in found if one is not None), 0.0)

    return weight("text/html") > weight("application/json")


def _guards(frames: Sequence[str]) -> dict[str, str]:
    """What keeps a page to itself: its own files, and frames of these origins alone (CSP 3)."""
    ancestors = " ".join(frames) or "'none'"
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
        " img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'self';"
        f" frame-ancestors {ancestors}",
        "Referrer-Policy": "no-referrer",
    }


def _answer(
    request: Request, page: Html, status: int, headers: dict[str, str], *, private: bool
) -> Response:
    # Titles can hold half a surrogate pair, which UTF-8 cannot.
    content = without_surrogates(page).encode()
    headers["Cache-Control"] = "private, no-cache" if private else "no-cache"
    headers["Vary"] = "Accept, Accept-Encoding"
    if private:
        headers["Vary"] += ", Authorization, X-API-Key"
    coding = negotiate_coding(header_of(request, b"accept-encoding"))
    if coding is not None and len(content) > _COMPRESS_BYTES:
        content = compress(coding, content)
        headers["Content-Encoding"] = coding
    return Response(content, status, headers, "text/html; charset=utf-8")


async def _catalog(request: Request, frame: Frame) -> Html:
    """The cards of what the caller may see; opens none of them."""
    serving = service(request)
    asked = request.query_params.get("q", "").strip()[:_LONGEST_SEARCH]
    page = request.query_params.get("page", "1")
    entries = seen_entries(serving, key_of(request, serving))
    few = len(serving.catalog.entries) <= _FEW
    find = partial(_listing, entries, asked, int(page) if page.isdecimal() and len(page) < 9 else 1)
    listing = find() if few else await asyncio.to_thread(find)
    return catalog_page(frame, listing, *_told(serving, listing.entries))


def _told(serving: Service, entries: Sequence[DatasetEntry]) -> tuple[dict[str, Facts], set[str]]:
    """What is known of those that are open, and which of all are for everybody."""
    opened = (serving.opened.peek(entry.id) for entry in entries)
    facts = {one.entry.id: one.for_door(facts_of) for one in opened if one is not None}
    return facts, {one.id for one in entries if is_public(serving.keys, one)}


def _listing(entries: Iterable[DatasetEntry], asked: str, number: int) -> Listing:
    """The page of this `number` of those entries that have all words that were `asked` for."""
    words = asked.casefold().split()
    found = [entry for entry in entries if all(word in _searched(entry) for word in words)]
    last = max(1, -(-len(found) // PAGE_CARDS))
    number = min(max(number, 1), last)
    first = (number - 1) * PAGE_CARDS
    return Listing(asked, found[first : first + PAGE_CARDS], len(found), number, last)


def _searched(entry: DatasetEntry) -> str:
    return " ".join(filter(None, (entry.id, entry.title, entry.description))).casefold()


async def _explore(request: Request, frame: Frame) -> Html:
    serving = service(request)
    tree = visible_tree(request, serving)
    if tree is not None and tree.entry.id not in serving.catalog.entries:
        key, below = key_of(request, serving), tree.entry.id + GROUP_SIGN
        groups = [one for one in seen_entries(serving, key) if one.id.startswith(below)]
        groups = groups[:PAGE_CARDS]
        return groups_page(frame, tree.entry, groups, *_told(serving, groups))
    opened = await _open(request, serving)
    text = await described_text(request, serving, opened)
    base = str(request.base_url)
    # A browser sends no key with what it fetches ahead.
    usual = not request.url.query and is_public(serving.keys, opened.entry)
    # Metadata may be long; what is written of it is not.
    return await cancellable(
        request, asyncio.to_thread(_explored, frame, opened, text, base, usual)
    )


def _explored(frame: Frame, opened: Opened, text: bytes, base: str, usual: bool) -> Html:
    facts = opened.for_door(facts_of)
    page = Page(opened.entry, text, facts, pictured(opened) is not None, usual)
    return explore_page(frame, page, base)


async def _embed(request: Request, frame: Frame) -> Html:
    serving = service(request)
    opened = await _open(request, serving)
    return embed_page(frame, opened.entry, await described_text(request, serving, opened))


async def _open(request: Request, serving: Service) -> Opened:
    """The dataset of this request's path, if its caller may see it; raises what opening raises."""
    dataset_id = visible_id(request, serving)
    return await opened_dataset(request, serving, dataset_id)
