"""The routes of datasets as Zarr stores: their metadata, and their chunks.

A key below ``/zarr/v3/{id}/`` is one of a Zarr store of format 3, below ``/zarr/v2/{id}/`` of
format 2. Chunks that the store of the dataset has in that format are handed on byte for byte;
others are made of its values. Keys outside of the metadata cost the store no request.

An edition of the dataset is all that its chunks mean (see `ServedStore.edition`). Below
``/zarr/v3/{id}@{edition}/`` there is this edition alone: who opened it never reads chunks of
another one as if they were its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fastapi import FastAPI, Request, Response

from sluice import __version__
from sluice.arrays.served_documents import ZarrFormat
from sluice.arrays.texts import has_texts
from sluice.datasets.served_store import ServedArray, ServedStore
from sluice.engine import memory_excess
from sluice.errors import StoreError
from sluice.instrumentation import Phases
from sluice.store.source import ByteSource, PartSource, part_source

from ...api.doors import Link, door_dataset
from ...api.reading import raise_redacted, redacting
from ...api.representations import (
    RawResponse,
    body_response,
    caching,
    digest,
    entity_tag,
    is_known,
    spelled,
    timing,
)
from ...api.requests import caller, cancellable, header_of, opened_dataset, service
from ...api.response_bodies import RawHeaders
from ...api.routes import add_reading_route
from ...api.state import PHASES, Service
from ...api.streaming import Held, StreamedFile, asked_range
from ...api.weighing import slab_meter
from ...catalog.entry import DoorName
from ...catalog.opened import Opened
from ...errors import NoSuchKey, OtherEdition
from .handed import PIECE_BYTES, PIECES, HandedFile, first_limits

_JSON: Final = b"application/json"
_BYTES: Final = b"application/octet-stream"
# Documents of so many bytes are written in a millisecond or two; an array has about so many, but
# for its attributes.
_FEW_BYTES: Final = 128 * 2**10
_ARRAY_BYTES: Final = 2**10
_FEW_ARRAYS: Final = 16
# Longer ones are written anew: attributes may be as long as metadata may.
_MOST_KEPT_BYTES: Final = 2**20
# How often attributes are in memory while their text is made: as values, as text, as bytes.
_FORMS: Final = 4
_ROOTS: Final = ("zarr.json", ".zmetadata")
_FORMATS: Final[tuple[ZarrFormat, ...]] = (3, 2)


@dataclass(frozen=True, slots=True)
class _View:
    """A dataset in one format, and those of its documents that are kept as text.

    All documents together have about `nbytes`.
    """

    store: ServedStore
    source: ByteSource
    parts: PartSource
    shared_tag: str
    edition: str
    nbytes: int
    texts: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: Opened, zarr_format: ZarrFormat) -> _View:
        if opened.stored is None:
            raise StoreError("nothing is known of what the dataset was opened from")
        store = ServedStore.of(opened.dataset, opened.stored, zarr_format)
        shared = digest(spelled((opened.identity, zarr_format, __version__)))
        nbytes = sum(opened.prepared.layout.attribute_bytes.values())
        nbytes += _ARRAY_BYTES * len(store.arrays)
        source = opened.stored.source
        return cls(store, source, part_source(source), shared, store.edition, nbytes)

    def tag(self, key: str) -> str:
        """The strong tag of a chunk."""
        return entity_tag(self.shared_tag, digest(spelled(key)))

    def text(self, key: str) -> bytes | None:
        """The document of this key as JSON; None where there is none."""
        text = self.texts.get(key)
        if text is None and (document := self.store.document(key)) is not None:
            # As zarr-python writes it: what JSON has no word for is there as Python has it.
            text = json.dumps(document).encode()
            if "/" not in key and len(text) <= _MOST_KEPT_BYTES:
                self.texts[key] = text
        return text


def _v3(opened: Opened) -> _View:
    return _View.of(opened, 3)


def _v2(opened: Opened) -> _View:
    return _View.of(opened, 2)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for a key of a dataset in one format, and what it is answered with."""

    request: Request
    serving: Service
    opened: Opened
    view: _View
    phases: Phases
    key: str

    def headers(self, tag: str, kind: bytes) -> RawHeaders | Response:
        """What every answer of this `tag` says; the whole answer where the client has it."""
        entry, weak = self.opened.entry, self.opened.entry.rewritten
        headers: RawHeaders = [(b"etag", (f"W/{tag}" if weak else tag).encode())]
        if self.opened.freshness.unreachable:
            headers.append((b"x-sluice-store", b"unreachable"))
        headers += caching(self.serving, entry)
        if is_known(self.request, tag, weak=weak):
            return RawResponse(304, [*headers, timing(self.phases)])
        return [*headers, (b"content-type", kind), (b"accept-ranges", b"bytes")]

    def answer(self, headers: RawHeaders, tag: str, content: bytes) -> Response:
        """The answer with this content, or the part of it that is wanted."""
        headers, size = [*headers, timing(self.phases)], len(content)
        if self.request.method == "HEAD":
            return RawResponse(200, [*headers, (b"content-length", str(size).encode())])
        given, condition = (header_of(self.request, name) for name in (b"range", b"if-range"))
        part = asked_range(given, condition, self.strong(tag), size)
        if part is None:
            return body_response(self.request, self.serving, headers, content)
        headers.append((b"content-range", part.content_range.encode()))
        return body_response(
            self.request, self.serving, headers, content[part.start : part.stop], 206
        )

    def strong(self, tag: str) -> str:
        """The tag by which parts are known to be of one whole (RFC 9110, section 13.1.5)."""
        return "" if self.opened.entry.rewritten else tag

    async def document(self, text: bytes) -> Response:
        """A metadata document."""
        tag = entity_tag(digest(text), f"v{self.view.store.zarr_format}")
        headers = self.headers(tag, _JSON)
        if isinstance(headers, Response):
            return headers
        if self.key in _ROOTS:
            named = f"../{self.opened.entry.id}@{self.view.edition}/{self.key}"
            headers.append((b"content-location", named.encode()))
        return self.answer(headers, tag, text)

    async def chunk(self, array: ServedArray, place: tuple[int, ...]) -> Response:
        """A chunk that is there, or would be if it were not all fill."""
        tag = self.view.tag(self.key)
        headers = self.headers(tag, _BYTES)
        if isinstance(headers, Response):
            return headers
        if array.handed:
            return await self._handed(array, place, headers, tag)
        return self.answer(headers, tag, await self._made(array, place))

    async def _made(self, array: ServedArray, place: tuple[int, ...]) -> bytes:
        """A chunk of the dataset's values."""
        block, limits, texts = array.block(place), self.serving.limits, 0
        excess = limits.whole.excess(block, block.nbytes)
        if has_texts(array.meta.dtype):
            known = array.meta.texts
            mean = None if known is None else known.mean_bytes
            texts = limits.text_bytes
            if mean is not None:
                texts = min(texts, int(_FORMS * mean * block.values))
        cost = block.working_bytes + texts
        excess = excess or memory_excess(cost, limits.memory_bytes)
        if excess is not None:
            raise excess

        async def encoded() -> bytes:
            with self.phases.recording():
                meter = slab_meter(limits) if has_texts(array.meta.dtype) else None
                return await redacting(block.encoded(meter), self.opened.entry)

        work = self.serving.admission.run(caller(self.request), cost, encoded)
        return await cancellable(self.request, work)

    async def _handed(
        self, array: ServedArray, place: tuple[int, ...], headers: RawHeaders, tag: str
    ) -> Response:
        """A chunk as the store has it; NoSuchKey where the store says that it has none."""
        request, serving, entry = self.request, self.serving, self.opened.entry
        view, key = self.view, array.stored_key(place)
        strong, most = self.strong(tag), array.most_stored_bytes
        given, condition = (header_of(request, name) for name in (b"range", b"if-range"))
        head = request.method == "HEAD"
        limits = (0, 1) if head else first_limits(given, condition, strong)
        async with AsyncExitStack() as stack:
            held = serving.admission.held(caller(request), PIECES * min(PIECE_BYTES, most))

            async def begun() -> HandedFile | None:
                await stack.enter_async_context(held)
                with self.phases.recording():
                    file = HandedFile.of(view.source, view.parts, key, limits, most)
                    return await redacting(file, entry)

            file = await cancellable(request, begun())
            if file is None:
                raise NoSuchKey(f"The store has no chunk {self.key}.", key=self.key)
            if head:
                length = (b"content-length", str(file.size).encode())
                return RawResponse(200, [*headers, length, timing(self.phases)])
            part = asked_range(given, condition, strong, file.size)
            start, stop = (0, file.size) if part is None else (part.start, part.stop)
            headers = [*headers, timing(self.phases)]
            if (known := file.known(start, stop)) is not None:
                if part is not None:
                    headers.append((b"content-range", part.content_range.encode()))
                return body_response(request, serving, headers, known, 200 if part is None else 206)
            fail = partial(raise_redacted, entry=entry)
            kept = Held(stack.pop_all(), self.phases, serving.limits.streaming, fail)
            return await StreamedFile(file, kept).response(request, headers, strong)


@dataclass(frozen=True, slots=True, eq=False)
class ZarrDoor:
    """Datasets as Zarr stores, in both formats."""

    name: DoorName = "zarr"

    def add_to(self, app: FastAPI) -> None:
        """Register the routes."""
        hidden = {"include_in_schema": False}
        for number, route in ((3, self.key_of_v3), (2, self.key_of_v2)):
            base = f"/zarr/v{number}/{{dataset_id}}"
            for path in (f"{base}@{{edition}}/{{key:path}}", f"{base}/{{key:path}}", base):
                add_reading_route(app, path, route, hidden, door=self.name)

    def links(self, opened: Opened) -> Iterable[Link]:
        """The roots of both stores."""
        for number in _FORMATS:
            path = f"zarr/v{number}/{opened.entry.id}"
            yield Link(path, f"Zarr, format {number}", f"application/vnd.zarr; version={number}")

    async def key_of_v3(self, request: Request) -> Response:
        """The value of a key of format 3."""
        return await self._answer(request, 3)

    async def key_of_v2(self, request: Request) -> Response:
        """The value of a key of format 2."""
        return await self._answer(request, 2)

    async def _answer(self, request: Request, zarr_format: ZarrFormat) -> Response:
        serving = service(request)
        dataset_id = door_dataset(request, serving, self.name)
        key = str(request.path_params.get("key", ""))
        phases = request.scope[PHASES] = Phases()
        opened = await opened_dataset(request, serving, dataset_id)
        view = await _view(opened, zarr_format)
        edition = request.path_params.get("edition")
        if edition is not None and edition != view.edition:
            raise OtherEdition(
                "The dataset is another edition now, whose chunks mean something else: open it"
                f" anew, as {dataset_id} or as {dataset_id}@{view.edition}.",
                edition=view.edition,
            )
        asked = _Asked(request, serving, opened, view, phases, key)
        text = await _text(asked)
        if text is not None:
            return await asked.document(text)
        array, place = _named(view.store, key, dataset_id)
        return await asked.chunk(array, place)


async def _view(opened: Opened, zarr_format: ZarrFormat) -> _View:
    """The dataset in this format, made once."""
    make = _v3 if zarr_format == 3 else _v2
    view: _View | None = opened.of_doors.get(make)
    if view is not None:
        return view
    if len(opened.dataset.variables) <= _FEW_ARRAYS:
        return opened.for_door(make)
    return await asyncio.to_thread(opened.for_door, make)


async def _text(asked: _Asked) -> bytes | None:
    """The document of the key, for which there is memory; None where it has none."""
    view, key = asked.view, asked.key
    if not view.store.is_document(key):
        return None
    if view.nbytes <= _FEW_BYTES or key in view.texts:
        return view.text(key)
    work = partial(asyncio.to_thread, view.text, key)
    admission, client = asked.serving.admission, caller(asked.request)
    return await cancellable(asked.request, admission.run(client, _FORMS * view.nbytes, work))


def _named(store: ServedStore, key: str, dataset_id: str) -> tuple[ServedArray, tuple[int, ...]]:
    """The array of a chunk's key, and the place that the key names in it.

    NoSuchKey for what is none, and for one outside of the array.
    """
    name, _, rest = key.partition("/")
    array = store.arrays.get(name)
    place = None if array is None else array.place(rest)
    if array is None or place is None:
        how = f"zarr/v{store.zarr_format}/{dataset_id}"
        raise NoSuchKey(
            f"There is no such key. This is a Zarr store: open /{how} with what reads Zarr, such as"
            f' xr.open_zarr("…/{how}").',
            key=key,
        )
    if not array.has(place):
        raise NoSuchKey(
            f"{name} has no chunk there. Where its metadata said so, the dataset is another one"
            " now: open it anew.",
            key=key,
        )
    return array, place
