"""The routes of EDR's documents: the landing page, the collections, the places with names.

(OGC API - Environmental Data Retrieval 1.1, OGC 19-086r6, chapter 8.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import urlencode

from fastapi import Request, Response

from sluice.aliases import DocumentDict
from sluice.encoders.geojson import MEDIA_TYPE as GEOJSON
from sluice.encoders.jsonable import json_text
from sluice.errors import LimitError, QueryError, SelectionError, excerpt

from ...api.doors import door_dataset, serves
from ...api.nearest_cells import cells_of
from ...api.representations import PRIVATE, digest, entity_tag, is_not_modified
from ...api.requests import (
    cancellable,
    key_of,
    lines_of,
    opened_dataset,
    seen_entries,
    service,
)
from ...api.state import Service
from ...catalog.entry import DatasetEntry
from ...catalog.opened import Opened
from ...errors import UnknownDataset
from .collection import FEW_VALUES, MOST_VALUES, Collection, described
from .documents import conformance, landing, link
from .geometry import read_number
from .listing import CHOICES, MOST_PAGE, PAGE, Choice, page_of, with_known_cells
from .openapi import OPENAPI_TYPE, openapi
from .pairs import read_pairs
from .parameters import Pairs, single

Render: TypeAlias = Callable[[Request], Awaitable[Response]]

EDR: Final = "/edr"
_FORMATS: Final = ("json", "application/json", "html", "text/html", GEOJSON, "geojson")


def _root(request: Request) -> tuple[str, str]:
    """The addresses of the door and of the service."""
    base = str(request.base_url).rstrip("/")
    return f"{base}{EDR}", base


def _document(request: Request, content: bytes, media_type: str = "application/json") -> Response:
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
    if f and f.strip().lower() not in _FORMATS:
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


async def _no_instances(request: Request) -> Response:
    dataset_id = door_dataset(request, service(request), "edr")
    raise UnknownDataset(
        f"{dataset_id} has no instances: of a dataset its present version is served, at"
        f" {EDR}/collections/{dataset_id}. Runs of a model are labels of one of its dimensions.",
        dataset=dataset_id,
    )


async def _collections(request: Request) -> Response:
    """The collections that the caller may see, and asks for: a page of them."""
    pairs, serving = _check_document(request), service(request)
    limit = _counted(pairs, "limit", PAGE, MOST_PAGE)
    offset = _counted(pairs, "offset", 0, 10**9)
    choice = Choice.of(pairs)
    seen = seen_entries(serving, key_of(request, serving))
    entries = [one for one in seen if serves(one, "edr") and not one.has_groups]
    page = await cancellable(request, page_of(serving, entries[offset:], choice, limit))
    place = f"{_root(request)[0]}/collections"
    kept = [(name, value) for name, value in pairs if name in CHOICES]

    def at(offset: int) -> str:
        asked = [*kept, ("limit", str(limit)), ("offset", str(offset))]
        return f"{place}?{urlencode(asked, safe=',:/')}"

    links = [link(at(offset) if pairs else place, "self", "The collections")]
    if offset + page.looked_at < len(entries):
        links.append(link(at(offset + page.looked_at), "next", "More collections"))
    return _document(request, await asyncio.to_thread(_listed, page.found, place, links))


def _listed(
    found: Sequence[tuple[Opened, Collection]], place: str, links: list[DocumentDict]
) -> bytes:
    told = [
        described(collection, opened.entry, f"{place}/{opened.entry.id}", FEW_VALUES)
        for opened, collection in found
    ]
    return json_text({"links": links, "collections": told})


def _counted(pairs: Pairs, name: str, default: int, most: int) -> int:
    text = single(pairs, name)
    if not text:
        return default
    number = read_number(text, name)
    if number != int(number) or number < 0 or (name == "limit" and number < 1):
        raise QueryError(f"{name} is a whole number from {int(name == 'limit')} on", parameter=name)
    return min(int(number), most)


async def of_request(request: Request) -> tuple[Service, Opened, Collection]:
    """The collection that is asked for; raises UnknownDataset where it is none."""
    serving = service(request)
    dataset_id = door_dataset(request, serving, "edr")
    opened = await opened_dataset(request, serving, dataset_id)
    collection = opened.for_door(Collection.of)
    if collection is None:
        raise UnknownDataset(
            f"{dataset_id} is no collection of EDR: its variables lie neither along axes of"
            " longitudes and latitudes nor along two dimensions with such coordinates. It is served"
            f" at /datasets/{dataset_id}.",
            dataset=dataset_id,
        )
    return serving, opened, collection


async def _collection(request: Request) -> Response:
    _check_document(request)
    serving, opened, collection = await of_request(request)
    # Cells that are too many, or move, have an extent that nobody looks for.
    with suppress(LimitError, SelectionError):
        if not collection.grid.axes:
            await cells_of(request, serving, opened, collection.grid, None)
    collection = with_known_cells(opened, collection)
    place = f"{_root(request)[0]}/collections/{opened.entry.id}"
    work = partial(_collection_text, collection, opened.entry, place)
    return _document(request, await asyncio.to_thread(work))


def _collection_text(collection: Collection, entry: DatasetEntry, place: str) -> bytes:
    return json_text(described(collection, entry, place, MOST_VALUES))


async def _locations(request: Request) -> Response:
    """The places that the catalog names, as GeoJSON: those in a box, if one is given."""
    choice = Choice.of(_check_document(request))
    _, opened, collection = await of_request(request)
    place = f"{_root(request)[0]}/collections/{opened.entry.id}/locations"
    features = [
        {
            "type": "Feature",
            "id": name,
            "geometry": {"type": "Point", "coordinates": [lon, lat]},
            "properties": {"name": name, "label": name, "edrqueryendpoint": place},
        }
        for name, (lon, lat) in choice.places(collection, opened.entry.places).items()
    ]
    told = {"type": "FeatureCollection", "features": features}
    return _document(request, json_text(told), GEOJSON)


# By their paths; those of queries come before them.
DOCUMENTS: Final[Mapping[str, Render]] = {
    "/collections/{dataset_id}/locations": _locations,
    "/collections/{dataset_id}/instances": _no_instances,
    "/collections/{dataset_id}/instances/{rest:path}": _no_instances,
    "/collections/{dataset_id}": _collection,
    "/collections": _collections,
    "/conformance": _conformance,
    "/api": _api,
    "/": _landing,
    "": _landing,
    "/{rest:path}": _nowhere,
}
