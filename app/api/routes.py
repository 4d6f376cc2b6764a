"""The routes: plain functions, and the one path that every selection takes."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import xarray as xr
from fastapi import FastAPI, Request, Response

from app.api.bodies import json_bytes
from app.api.openapi import DESCRIBE, HEALTH, LISTING, SELECT_BY_LABEL, SELECT_BY_POSITION
from app.api.state import Service, service
from app.catalog.catalog import DatasetEntry
from app.datasets import DatasetPlan, describe, explain, plan_isel, relabel, together
from app.encoders.table import ENCODERS, Encoder, negotiate
from app.errors import QueryError, SluiceError, StoreError
from app.query.grammar import parse
from app.query.positions import Resolved, resolve
from app.query.words import excerpt

log = logging.getLogger(__name__)


def add_routes(app: FastAPI) -> None:
    """Register every route with what the OpenAPI document says of it."""
    app.get("/datasets", **LISTING)(list_datasets)
    app.get("/datasets/{dataset_id}", **DESCRIBE)(describe_dataset)
    app.get("/datasets/{dataset_id}/sel", **SELECT_BY_LABEL)(select_by_label)
    app.get("/datasets/{dataset_id}/isel", **SELECT_BY_POSITION)(select_by_position)
    app.get("/healthz", **HEALTH)(healthz)


async def healthz(request: Request) -> Response:
    """Whether the process answers; touches no store."""
    _take_no_parameters(request)
    return _json({"status": "ok"})


async def list_datasets(request: Request) -> Response:
    """The ids and titles of all datasets; opens none."""
    _take_no_parameters(request)
    entries = service(request).catalog.entries.values()
    return _json({"datasets": [{"id": entry.id, "title": entry.title} for entry in entries]})


async def describe_dataset(request: Request, dataset_id: str) -> Response:
    """What one dataset holds: its dimensions, coordinates and variables with their attributes."""
    _take_no_parameters(request)
    opened = await service(request).opened.get(dataset_id)
    body = {"id": dataset_id, "title": opened.entry.title, **describe(opened.dataset)}
    return _json(body, _cache_headers(opened.entry))


async def select_by_label(request: Request, dataset_id: str) -> Response:
    """A part of the dataset, chosen by coordinate labels."""
    return await _select(request, dataset_id, "label")


async def select_by_position(request: Request, dataset_id: str) -> Response:
    """A part of the dataset, chosen by positions along its dimensions."""
    return await _select(request, dataset_id, "position")


async def _select(request: Request, dataset_id: str, by: Literal["label", "position"]) -> Response:
    """The one path: understand, refuse early, plan, refuse what costs too much, read, encode."""
    serving = service(request)
    opened = await serving.opened.get(dataset_id)
    query = parse(
        request.query_params.multi_items(),
        dims=opened.dims,
        coords=opened.coords,
        by=by,
        formats=ENCODERS,
        variables=opened.variables,
    )
    # An explanation is JSON, whatever format it explains.
    encoder = negotiate(query.format, None if query.explain else request.headers.get("accept"))
    found = resolve(query, opened.axes, opened.dims)
    indexers = together(opened.dataset, found.positions, found.pointwise)
    plan = plan_isel(opened.dataset, indexers, keep=query.variables)
    if query.explain:
        return await _explain(plan, found, serving)
    serving.limits.check(plan)
    result = relabel(await _read(plan), found.labels)
    content = await _encode(encoder, result, serving)
    return Response(content, media_type=encoder.media_type, headers=_headers(opened.entry, encoder))


async def _explain(plan: DatasetPlan, found: Resolved, serving: Service) -> Response:
    """What the planned answer would be and cost; reads nothing."""
    explained = explain(plan, found.labels)
    body = {**explained, "within_limits": serving.limits.allow(plan)}
    held = sum(v.nbytes for v in plan.variables.values() if isinstance(v, xr.Variable))
    if held <= serving.inline_encode_bytes:
        return _json(body)
    return await asyncio.to_thread(_json, body)


async def _read(plan: DatasetPlan) -> xr.Dataset:
    """The planned answer; values that xarray cannot decode are the store's fault, not ours."""
    try:
        return await plan.read()
    except SluiceError:
        raise
    except Exception as error:
        log.exception("values that do not decode")
        raise StoreError(f"values do not decode: {error}") from error


async def _encode(encoder: Encoder, result: xr.Dataset, serving: Service) -> bytes:
    # A hop to a thread costs more than writing a few values as text does; a long series stalls the
    # loop. So does a NetCDF file, however little is in it: HDF5 takes tens of milliseconds.
    if encoder.name == "json" and result.nbytes <= serving.inline_encode_bytes:
        return encoder.encode(result)
    return await asyncio.to_thread(encoder.encode, result)


def _take_no_parameters(request: Request) -> None:
    for name in request.query_params:
        detail = f"unknown parameter {excerpt(name)}; this path takes none"
        raise QueryError(detail, parameter=name, known=[])


def _headers(entry: DatasetEntry, encoder: Encoder) -> dict[str, str]:
    headers = {"Vary": "Accept", **_cache_headers(entry)}
    if encoder.name != "json":
        headers["Content-Disposition"] = f'attachment; filename="{entry.id}{encoder.suffix}"'
    return headers


def _cache_headers(entry: DatasetEntry) -> dict[str, str]:
    return {"Cache-Control": entry.cache_control} if entry.cache_control else {}


def _json(body: object, headers: dict[str, str] | None = None) -> Response:
    return Response(json_bytes(body), media_type="application/json", headers=headers)
