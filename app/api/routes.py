"""The routes: plain functions, each with what the OpenAPI document says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from fastapi import FastAPI, Request, Response

from sluice.engine import describe_prepared
from sluice.engine.nearest import grids_of
from sluice.errors import CatalogError, QueryError, excerpt

from ..catalog.globs import GroupTree
from ..catalog.opened import Opened
from ..catalog.readiness import DatasetState
from ..errors import CatalogRefused
from ..telemetry.families import CONTENT_TYPE
from . import openapi
from .application import PlainRoute, Route
from .doors import Door, links_of
from .openapi import Schema
from .problems import problem_kind
from .representations import PRIVATE, caching
from .requests import (
    caller,
    cancellable,
    key_of,
    may_see,
    opened_dataset,
    require_admin,
    require_right,
    seen_entries,
    service,
    told_to_stop,
    visible_entries,
    visible_id,
    visible_tree,
)
from .response_bodies import PIECE_BYTES, BackpressureResponse, LongBody, RawHeaders, json_bytes
from .small_answers import (
    Answer,
    CatalogChange,
    CatalogStatus,
    DatasetVersion,
    GroupsFound,
    Healthy,
    Ready,
)
from .state import Service


def add_routes(app: FastAPI) -> None:
    """Register every route, those first that are asked most: each is looked at in turn."""
    for path, route, described in (
        ("/datasets", list_datasets, openapi.LISTING),
        ("/datasets/{dataset_id}", describe_dataset, openapi.DESCRIBE),
        ("/healthz", healthz, openapi.HEALTH),
        ("/readyz", readyz, openapi.READY),
        ("/catalog/status", catalog_status, openapi.STATUS),
        ("/metrics", metrics, openapi.METRICS),
    ):
        add_reading_route(app, path, route, described)
    add_route(app, "POST", "/datasets/{dataset_id}/refresh", refresh_dataset, openapi.REFRESH)
    add_route(app, "POST", "/catalog/reload", reload_catalog, openapi.RELOAD)


def add_reading_route(
    app: FastAPI, path: str, route: Route, described: Schema, *, door: str = ""
) -> None:
    """Register a route for GET, and for HEAD, which is the same answer without its body."""
    add_route(app, "GET", path, route, described, door=door)
    # One description is enough.
    add_route(app, "HEAD", path, route, {"include_in_schema": False}, door=door)


def add_route(
    app: FastAPI, method: str, path: str, route: Route, described: Schema, *, door: str = ""
) -> None:
    """Register one route, with what the OpenAPI document says of it, as one of a standard door."""
    app.router.add_api_route(
        path,
        route,
        methods=[method],
        response_model=None,
        route_class_override=PlainRoute,
        **described,
    )
    added = app.router.routes[-1]
    assert isinstance(added, PlainRoute)
    added.door = door


async def healthz(request: Request) -> Response:
    """Whether the process answers; touches no store."""
    _take_no_parameters(request)
    return _json(Healthy(), {"Cache-Control": "no-store"})


async def readyz(request: Request) -> Response:
    """Whether the process takes requests: 200 until it is told to stop; touches no store."""
    _take_no_parameters(request)
    ready = not told_to_stop(request.scope)
    body = Ready(status="ready" if ready else "stopping")
    return _json(body, {"Cache-Control": "no-store"}, 200 if ready else 503)


async def catalog_status(request: Request) -> Response:
    """Which datasets can be read: 200 when at least one can (all of them, by a setting).

    The status is of all datasets; those that the caller may see are listed.
    """
    _take_no_parameters(request)
    serving = service(request)
    visible = {entry.id for entry in visible_entries(request)}
    report = await serving.status.report()
    ready = report.ready(strict=serving.status_strictly)
    states = {state.id: _word(state) for state in report.datasets if state.id in visible}
    body = CatalogStatus(status="ready" if ready else "unready", datasets=states)
    return _json(body, {"Cache-Control": "no-store"}, 200 if ready else 503)


async def metrics(request: Request) -> Response:
    """Requests, opened datasets, requests to stores and the event loop's lag, for Prometheus."""
    _take_no_parameters(request)
    serving = service(request)
    if serving.keys and not serving.metrics_public:
        require_right(request, "metrics")
    # Ten thousand lines take a while, in which the loop turns.
    content = await asyncio.to_thread(serving.metrics.render)
    return Response(content, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


async def list_datasets(request: Request) -> Response:
    """What people want to know of all datasets that the caller may see; opens none."""
    _take_no_parameters(request)
    serving = service(request)
    key = key_of(request, serving)
    asker = key, bool(serving.keys)
    entries = seen_entries(serving, key)
    text = await serving.dataset_lists.text(serving.catalog, asker, entries)
    headers = PRIVATE if serving.keys else None
    return Response(text, 200, headers, "application/json")


async def describe_dataset(request: Request) -> Response:
    """What one dataset holds: its dimensions, coordinates and variables with their attributes."""
    _take_no_parameters(request)
    serving = service(request)
    return await description_of(request, serving, visible_id(request, serving))


async def refresh_dataset(request: Request) -> Response:
    """Open the dataset anew in all processes, without any chunk that was read before.

    Of a hierarchy the groups are enumerated anew, and its root is opened where it is a dataset.
    """
    require_admin(request)
    _take_no_parameters(request)
    serving = service(request)
    if (tree := visible_tree(request, serving)) is not None:
        told: Answer = await _refresh_groups(serving, tree)
    else:
        dataset_id = visible_id(request, serving)
        told = DatasetVersion(id=dataset_id, version=await _open_anew(serving, dataset_id))
    return _json(told, {"Cache-Control": "no-store"})


async def _open_anew(serving: Service, dataset_id: str) -> str:
    await asyncio.to_thread(serving.config_sync.invalidate, dataset_id)
    await serving.config_sync.catch_up()
    return (await serving.opened.get(dataset_id)).version


async def _refresh_groups(serving: Service, tree: GroupTree) -> GroupsFound:
    added, removed = await serving.config_sync.refresh_groups(tree)
    own = tree.entry.id
    # What is true of the entry is true of each of its groups.
    groups = [name for name in serving.catalog.groups.get(own, ()) if name != own]
    await asyncio.to_thread(serving.config_sync.invalidate, *groups)
    await serving.config_sync.catch_up()
    version = await _open_anew(serving, own) if own in serving.catalog.entries else None
    return GroupsFound(id=own, version=version, added=added, removed=removed)


async def reload_catalog(request: Request) -> Response:
    """Have all processes serve what the catalog file says now, or nothing of it if it is wrong."""
    require_admin(request)
    _take_no_parameters(request)
    serving = service(request)
    try:
        found = await serving.config_sync.reload()
    except CatalogError as error:
        raise CatalogRefused(error.detail, **error.facts) from error
    key = key_of(request, serving)
    told = {
        what: [name for name in names if may_see(serving, key, found.entries[name])]
        for what, names in found.by_kind.items()
    }
    return _json(CatalogChange(**told), {"Cache-Control": "no-store"})


def _word(state: DatasetState) -> str:
    """What the status says of a dataset: the kind of problem, or that there is none."""
    if state.pending:
        return "pending"
    if state.failure is not None:
        return problem_kind(state.failure).name
    return "stale" if state.stale else "ready"


def _take_no_parameters(request: Request) -> None:
    for name in request.query_params:
        detail = f"unknown parameter {excerpt(name)}; this path takes none"
        raise QueryError(detail, parameter=name, known=[])


def _json(body: Answer, headers: dict[str, str], status: int = 200) -> Response:
    return Response(json_bytes(body.model_dump()), status, headers, "application/json")


# Longer ones are written anew: attributes may be as long as metadata may.
_MOST_KEPT_BYTES: Final = 2**20
# So often are attributes in memory while their text is made: as values, as text, as bytes.
_FORMS: Final = 4


async def description_of(request: Request, serving: Service, dataset_id: str) -> Response:
    """The dimensions, coordinates and variables of a dataset with their attributes."""
    opened = await opened_dataset(request, serving, dataset_id)
    content = await described_text(request, serving, opened)
    headers: RawHeaders = [
        (b"content-length", str(len(content)).encode()),
        (b"content-type", b"application/json"),
        *caching(serving, opened.entry),
    ]
    if len(content) > PIECE_BYTES:
        body = LongBody([content], len(content))
        return BackpressureResponse(200, headers, body, caller(request), serving.admission)
    answer = Response(content, media_type="application/json")
    answer.raw_headers = headers
    return answer


async def described_text(request: Request, serving: Service, opened: Opened) -> bytes:
    """What an open dataset holds, as JSON; written once, and kept unless it is long."""
    content = opened.description.text
    if content is None:
        cost = _FORMS * sum(opened.prepared.layout.attribute_bytes.values())
        doors = request.scope["app"].doors
        write = partial(asyncio.to_thread, _text, opened, doors)
        content = await cancellable(request, serving.admission.run(caller(request), cost, write))
        if len(content) <= _MOST_KEPT_BYTES:
            opened.description.text = content
    return content


def _text(opened: Opened, doors: Sequence[Door]) -> bytes:
    told = describe_prepared(opened.prepared)
    grids = [
        {"longitude": grid.lon, "latitude": grid.lat, "dims": grid.dims}
        for grid in grids_of(opened.prepared)
    ]
    links = links_of(doors, opened)
    return json_bytes({**opened.entry.summary, **told, "grids": grids, "links": links})
