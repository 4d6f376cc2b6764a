"""The routes of EDR: its queries, and its documents behind them.

(OGC API - Environmental Data Retrieval 1.1, OGC 19-086r6.) What a query selects goes the way of
every selection, to its answer. Errors have the members that EDR wants, ``code`` and
``description``, beside those of a problem; what has no data is 204.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, Final

import numpy as np
from fastapi import FastAPI, Request, Response

from sluice.encoders.coverage_layout import CoverageLayout
from sluice.encoders.jsonable import json_text
from sluice.engine.nearest import only_position
from sluice.errors import SelectionError, excerpt
from sluice.instrumentation import Phases
from sluice.selection import Selection

from ...api.answering import answer
from ...api.doors import Link, ToldProblem
from ...api.nearest_cells import cells_of
from ...api.problems import MEDIA_TYPE
from ...api.representations import (
    PRIVATE,
    digest,
)
from ...api.request_bodies import LONG_BODY
from ...api.requests import (
    cancellable,
    header_of,
)
from ...api.routes import add_reading_route, add_route
from ...api.state import PHASES, Service
from ...api.weighing import weigh
from ...catalog.entry import DoorName
from ...catalog.opened import Opened
from ...errors import UnknownDataset
from .cells import NoData
from .collection import Collection
from .document_routes import DOCUMENTS, EDR, Render, of_request
from .formats import chosen_format
from .geometry import system_of
from .pairs import read_all_pairs
from .parameters import Asked, Pairs, read_asked, single
from .queries import QUERIES, Ask, Query, at_place, mask_of_query

# Stands for the cells of an area until it is known that these are few enough.
_UNKNOWN: Final = np.zeros((1, 1), bool)
_HIDDEN: Final[dict[str, Any]] = {"include_in_schema": False}


@dataclass(frozen=True, slots=True, eq=False)
class EdrDoor:
    """The routes of OGC API - Environmental Data Retrieval."""

    name: DoorName = "edr"

    def add_to(self, app: FastAPI) -> None:
        """Register the routes."""
        collection = "/collections/{dataset_id}"
        queries: dict[str, Render] = {
            **{f"{collection}/{name}": partial(_asked, ask) for name, ask in QUERIES.items()},
            f"{collection}/locations/{{place}}": _at_location,
        }
        for path, render in {**queries, **DOCUMENTS}.items():
            route = partial(_with_nothing, render)
            add_reading_route(app, f"{EDR}{path}", route, _HIDDEN, door=self.name)
            if path in queries:
                add_route(app, "POST", f"{EDR}{path}", route, _HIDDEN, door=self.name)

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
        return await at_place(collection, asked, *places[name])

    pairs = await read_all_pairs(request)
    serving, opened, collection = await of_request(request)
    return await _answered(request, serving, opened, collection, pairs, ask)


async def _asked(ask: Ask, request: Request) -> Response:
    began = perf_counter()
    phases = request.scope[PHASES] = Phases()
    pairs = await read_all_pairs(request)
    serving, opened, collection = await of_request(request)
    phases.since("open", began)
    return await _answered(request, serving, opened, collection, pairs, ask)


async def _with_cells(
    request: Request, serving: Service, opened: Opened, collection: Collection, asked: Asked
) -> Collection:
    """The collection, of which it is known where the cells are that this asks for."""
    grid = collection.grid
    if grid.axes:
        return collection
    try:
        position = only_position(collection.prepared, grid, Selection(asked.along))
    except SelectionError as error:
        raise NoData(error.detail, **error.facts) from None
    return replace(collection, cells=await cells_of(request, serving, opened, grid, position))


async def _understood(request: Request, collection: Collection, pairs: Pairs, most: int) -> Asked:
    """What is asked for beside the place; long lists are read in a thread."""
    if sum(len(value) for _, value in pairs) <= LONG_BODY:
        return read_asked(collection, pairs, most)
    work = asyncio.to_thread(read_asked, collection, pairs, most)
    return await cancellable(request, work)


async def _answered(
    request: Request,
    serving: Service,
    opened: Opened,
    collection: Collection,
    pairs: Pairs,
    ask: Ask,
) -> Response:
    """Understand, plan, refuse what costs too much, read, encode."""
    began = perf_counter()
    phases: Phases = request.scope.setdefault(PHASES, Phases())
    most = serving.limits.labels
    crs = system_of(single(pairs, "crs"))
    format_of = chosen_format(single(pairs, "f"), header_of(request, b"accept"))
    asked = await _understood(request, collection, pairs, most)
    collection = await _with_cells(request, serving, opened, collection, asked)
    asking = ask(collection, asked, pairs, crs, most)
    # (What lies along axes is found in no time.)
    query = await (asking if collection.grid.axes else cancellable(request, asking))
    of_area = query.holds is not None
    layout = CoverageLayout(
        collection.axes,
        collection.parameters,
        collection.references[crs],
        query.together,
        _UNKNOWN if of_area else None,
        collection.grid.over,
    )
    form: tuple[tuple[str, Hashable], ...] = (("edr", query.together), ("crs", crs))
    weighed = weigh(serving, query.plan, format_of(layout), form)
    if of_area and weighed.excess is None:
        mask = await cancellable(request, mask_of_query(collection, query))
        layout = replace(layout, mask=mask)
        form = (*form, ("mask", digest(np.packbits(mask).tobytes())))
        weighed = weigh(serving, query.plan, format_of(layout), form)
    phases.since("plan", began)
    phases.cells = weighed.cells
    return await answer(request, serving, opened, weighed, phases)
