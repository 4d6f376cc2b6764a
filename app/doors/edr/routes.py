"""The routes of EDR: its documents, its collections, and their queries.

(OGC API - Environmental Data Retrieval 1.1, OGC 19-086r6.) What a query selects goes the way of
every selection, to its answer. Errors have the members that EDR wants, ``code`` and
``description``, beside those of a problem; what has no data is 204.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import numpy as np
from fastapi import FastAPI, Request, Response

from sluice.encoders.coverage_json import (
    Layout,
)
from sluice.encoders.geojson import MEDIA_TYPE as GEOJSON
from sluice.encoders.jsonable import json_text
from sluice.errors import QueryError, SluiceError, excerpt
from sluice.instrumentation import Phases

from ...api.answering import answer
from ...api.doors import Link, ToldProblem, door_dataset, serves
from ...api.problems import MEDIA_TYPE
from ...api.representations import (
    PRIVATE,
    digest,
    entity_tag,
    is_not_modified,
)
from ...api.requests import (
    cancellable,
    header_of,
    key_of,
    lines_of,
    opened_dataset,
    seen_entries,
    service,
)
from ...api.routes import add_reading_route
from ...api.state import PHASES, Service
from ...api.weighing import weigh
from ...catalog.entry import DatasetEntry, DoorName
from ...catalog.opened import Opened
from ...errors import UnknownDataset
from .cells import NoData
from .collection import FEW_VALUES, MOST_VALUES, Collection, described
from .documents import OPENAPI_TYPE, conformance, landing, link, openapi
from .formats import chosen_format
from .geometry import read_number, system_of
from .parameters import read_asked, single
from .queries import QUERIES, Ask, Query, at_place, mask_of_query

Render: TypeAlias = Callable[[Request], Awaitable[Response]]
Pairs: TypeAlias = Sequence[tuple[str, str]]

EDR: Final = "/edr"
_DOCUMENTS: Final = ("json", "application/json", "html", "text/html", GEOJSON, "geojson")
# A page of collections, and of these so many are opened at once, for so long.
_PAGE: Final = 50
_MOST_PAGE: Final = 500
_AT_ONCE: Final = 8
_OPENING_SECONDS: Final = 20.0
_MOST_PAIRS: Final = 1000
# Stands for the cells of an area until it is known that these are few enough.
_UNKNOWN: Final = np.zeros((1, 1), bool)
_HIDDEN: Final[dict[str, Any]] = {"include_in_schema": False}


@dataclass(frozen=True, slots=True, eq=False)
class EdrDoor:
    """The routes of OGC API - Environmental Data Retrieval."""

    name: DoorName = "edr"

    def add_to(self, app: FastAPI) -> None:
        """Register the routes."""
        routes: dict[str, Render] = {
            **{f"/collections/{{dataset_id}}/{q}": partial(_asked, a) for q, a in QUERIES.items()},
            "/collections/{dataset_id}/locations/{place}": _at_location,
            "/collections/{dataset_id}/locations": _locations,
            "/collections/{dataset_id}": _collection,
            "/collections": _collections,
            "/conformance": _conformance,
            "/api": _api,
            "/": _landing,
            "": _landing,
            "/{rest:path}": _nowhere,
        }
        for path, render in routes.items():
            route = partial(_with_nothing, render)
            add_reading_route(app, f"{EDR}{path}", route, _HIDDEN, door=self.name)

    def links(self, opened: Opened) -> Iterable[Link]:
        """The collection that a dataset is, if it is one."""
        if opened.for_door(Collection.of) is not None:
            place = f"{EDR[1:]}/collections/{opened.entry.id}"
            yield Link(place, "OGC API - Environmental Data Retrieval", "application/json")

    def tell(self, path: str, failed: ToldProblem) -> Response:
        """The same problem with the members ``code`` and ``description`` (requirement A.28)."""
        # EDR knows no 422: what cannot be satisfied is wrong.
        status = 400 if failed.status == 422 else failed.status
        own = {"code": str(status), "description": failed.detail or failed.title}
        told = {**own, **failed.members, "status": status}
        return Response(json_text(told), status, failed.headers, MEDIA_TYPE)


async def _with_nothing(render: Render, request: Request) -> Response:
    """The answer, which has no body where there is no data."""
    try:
        return await render(request)
    except NoData:
        headers = {"Cache-Control": "no-cache", "Vary": PRIVATE["Vary"]}
        return Response(status_code=204, headers=headers)


def read_pairs(request: Request) -> list[tuple[str, str]]:
    """The query's names and values; a name may repeat."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_PAIRS)
    except ValueError:
        raise QueryError(f"there are more than {_MOST_PAIRS} parameters") from None


def _root(request: Request) -> tuple[str, str]:
    """The addresses of the door and of the service."""
    base = str(request.base_url).rstrip("/")
    return f"{base}{EDR}", base


def _document(
    request: Request, content: bytes, media_type: str = "application/json", *, vary: str = ""
) -> Response:
    """A document with a tag, which ends here for who has it."""
    tag = entity_tag(digest(content), "edr")
    serving = service(request)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if serving.keys:
        headers |= PRIVATE
    if is_not_modified(lines_of(request, b"if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, media_type)


def _check_document(request: Request) -> list[tuple[str, str]]:
    """The parameters of a request for a document; raises `QueryError` for another format."""
    pairs = read_pairs(request)
    f = single(pairs, "f")
    if f and f.strip().lower() not in _DOCUMENTS:
        raise QueryError(f"f={excerpt(f)} is no format of this document; it is JSON", parameter="f")
    return pairs


async def _landing(request: Request) -> Response:
    _check_document(request)
    return _document(request, json_text(landing(*_root(request))))


async def _conformance(request: Request) -> Response:
    _check_document(request)
    return _document(request, json_text(conformance()))


async def _api(request: Request) -> Response:
    content = json_text(openapi(_root(request)[0]))
    return _document(request, content, OPENAPI_TYPE)


async def _nowhere(request: Request) -> Response:
    path = excerpt(str(request.path_params["rest"]))
    raise UnknownDataset(f"Nothing is at {path}; {EDR}/api tells the paths of this door.")


async def _collections(request: Request) -> Response:
    """The collections that the caller may see, a page of them."""
    pairs, serving = _check_document(request), service(request)
    limit = _counted(pairs, "limit", _PAGE, _MOST_PAGE)
    offset = _counted(pairs, "offset", 0, 10**9)
    seen = seen_entries(serving, key_of(request, serving))
    entries = [one for one in seen if serves(one, "edr") and not one.has_groups]
    page = entries[offset : offset + limit]
    found = await cancellable(request, _opened(serving, page))
    place = f"{_root(request)[0]}/collections"
    links = [link(place, "self", "The collections")]
    if offset + limit < len(entries):
        following = f"{place}?limit={limit}&offset={offset + limit}"
        links.append(link(following, "next", "More collections"))
    told = [
        described(collection, opened.entry, f"{place}/{opened.entry.id}", FEW_VALUES)
        for opened in found
        if (collection := opened.for_door(Collection.of)) is not None
    ]
    content = await asyncio.to_thread(json_text, {"links": links, "collections": told})
    return _document(request, content)


def _counted(pairs: Pairs, name: str, default: int, most: int) -> int:
    text = single(pairs, name)
    if not text:
        return default
    number = read_number(text, name)
    if number != int(number) or number < 0 or (name == "limit" and number < 1):
        raise QueryError(f"{name} is a whole number from {int(name == 'limit')} on", parameter=name)
    return min(int(number), most)


async def _opened(serving: Service, entries: Sequence[DatasetEntry]) -> list[Opened]:
    """Those of the datasets that can be opened in a while, in their order."""
    found: dict[str, Opened] = {}
    waiting = iter(entries)

    async def open_some() -> None:
        for entry in waiting:
            try:
                found[entry.id] = await serving.opened.get(entry.id)
            except SluiceError:
                # A collection that cannot be opened is no reason to tell of none.
                continue

    tasks = [asyncio.create_task(open_some()) for _ in range(min(_AT_ONCE, len(entries)))]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=_OPENING_SECONDS)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
    return [found[entry.id] for entry in entries if entry.id in found]


async def _of_request(request: Request) -> tuple[Service, Opened, Collection]:
    """The collection that is asked for; raises UnknownDataset where it is none."""
    serving = service(request)
    dataset_id = door_dataset(request, serving, "edr")
    opened = await opened_dataset(request, serving, dataset_id)
    collection = opened.for_door(Collection.of)
    if collection is None:
        raise UnknownDataset(
            f"{dataset_id} is no collection of EDR: it has no axes of longitudes and latitudes"
            f" along which variables lie. It is served at /datasets/{dataset_id}.",
            dataset=dataset_id,
        )
    return serving, opened, collection


async def _collection(request: Request) -> Response:
    _check_document(request)
    _, opened, collection = await _of_request(request)
    place = f"{_root(request)[0]}/collections/{opened.entry.id}"
    work = partial(_collection_text, collection, opened.entry, place)
    return _document(request, await asyncio.to_thread(work))


def _collection_text(collection: Collection, entry: DatasetEntry, place: str) -> bytes:
    return json_text(described(collection, entry, place, MOST_VALUES))


async def _locations(request: Request) -> Response:
    """The places that the catalog names, as GeoJSON."""
    _check_document(request)
    _, opened, _ = await _of_request(request)
    place = f"{_root(request)[0]}/collections/{opened.entry.id}/locations"
    features = [
        {
            "type": "Feature",
            "id": name,
            "geometry": {"type": "Point", "coordinates": [lon, lat]},
            "properties": {"name": name, "label": name, "edrqueryendpoint": place},
        }
        for name, (lon, lat) in opened.entry.places.items()
    ]
    told = {"type": "FeatureCollection", "features": features}
    return _document(request, json_text(told), GEOJSON)


async def _at_location(request: Request) -> Response:
    """The cell nearest to a place of the catalog."""
    name = str(request.path_params["place"])

    async def ask(collection: Collection, asked: Any, pairs: Pairs, crs: str, most: int) -> Query:
        places = opened.entry.places
        if name not in places:
            raise UnknownDataset(
                f"The collection has no location {excerpt(name)}; its locations are listed.",
                known=list(places)[:100],
            )
        return at_place(collection, asked, *places[name])

    serving, opened, collection = await _of_request(request)
    return await _answered(request, serving, opened, collection, ask)


async def _asked(ask: Ask, request: Request) -> Response:
    began = perf_counter()
    phases = request.scope[PHASES] = Phases()
    serving, opened, collection = await _of_request(request)
    phases.since("open", began)
    return await _answered(request, serving, opened, collection, ask)


async def _answered(
    request: Request, serving: Service, opened: Opened, collection: Collection, ask: Ask
) -> Response:
    """Understand, plan, refuse what costs too much, read, encode."""
    began = perf_counter()
    phases: Phases = request.scope.setdefault(PHASES, Phases())
    pairs, most = read_pairs(request), serving.limits.labels
    crs = system_of(single(pairs, "crs"))
    format_of = chosen_format(single(pairs, "f"), header_of(request, b"accept"))
    asked = read_asked(collection, pairs, most)
    query = await ask(collection, asked, pairs, crs, most)
    of_area = query.holds is not None
    layout = Layout(
        collection.axes,
        collection.parameters,
        collection.references[crs],
        query.path,
        _UNKNOWN if of_area else None,
    )
    form: tuple[tuple[str, Hashable], ...] = (("edr", query.path), ("crs", crs))
    weighed = weigh(serving, query.plan, format_of(layout), form)
    if of_area and weighed.excess is None:
        mask = await cancellable(request, mask_of_query(collection, query))
        layout = replace(layout, mask=mask)
        form = (*form, ("mask", digest(np.packbits(mask).tobytes())))
        weighed = weigh(serving, query.plan, format_of(layout), form)
    phases.since("plan", began)
    phases.cells = weighed.cells
    return await answer(request, serving, opened, weighed, phases)
