"""The routes of the native door: ``sel`` and ``isel``, by GET, HEAD and POST.

Every selection takes one path, from its parameters to its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter

from fastapi import FastAPI, Request, Response

from sluice.encoders.formats import ENCODERS, Encoder, negotiate
from sluice.engine import Plan, explain, plan
from sluice.errors import QueryError, SelectionError
from sluice.wording import excerpt

from ...api.access import visible_id
from ...api.answering import Weighed, answer, attended, weigh
from ...api.application import Answering
from ...api.representations import Representation, respond
from ...api.response_bodies import header_of, json_bytes
from ...api.routes import add_reading_route, add_route
from ...api.state import Service, begin_phases, service
from ...catalog.opened import Opened
from .grammar import Query, grammars_of
from .json_body import posted_pairs
from .names import By, cured
from .openapi import ask_described, post_described
from .tokens import read_pairs


def add_native_door(app: FastAPI) -> None:
    """Register the routes of selections, by label and by position."""
    label, position = "/datasets/{dataset_id}/sel", "/datasets/{dataset_id}/isel"
    add_reading_route(app, label, select_by_label, ask_described("label"))
    add_reading_route(app, position, select_by_position, ask_described("position"))
    add_route(app, "POST", label, post_by_label, post_described("label"))
    add_route(app, "POST", position, post_by_position, post_described("position"))


def select_by_label(request: Request) -> Answering:
    """A part of the dataset, chosen by coordinate labels."""
    return _select_asked(request, "label")


def select_by_position(request: Request) -> Answering:
    """A part of the dataset, chosen by positions along its dimensions."""
    return _select_asked(request, "position")


def post_by_label(request: Request) -> Answering:
    """A part of the dataset, chosen by coordinate labels too long for a URL."""
    return _select_posted(request, "label")


def post_by_position(request: Request) -> Answering:
    """A part of the dataset, chosen by positions too long for a URL."""
    return _select_posted(request, "position")


async def _select_asked(request: Request, by: By) -> Response:
    dataset_id = visible_id(request)
    pairs = read_pairs(request.scope["query_string"])
    return await _select(request, dataset_id, by, pairs)


async def _select_posted(request: Request, by: By) -> Response:
    dataset_id = visible_id(request)
    for name in request.query_params:
        detail = f"{excerpt(name)} stands in the URL; a POST has all its parameters in its body"
        raise QueryError(detail, parameter=name)
    most_bytes, seconds = service(request).limits.body_bytes, service(request).admission.seconds
    pairs = await posted_pairs(request, most_bytes=most_bytes, seconds=seconds)
    return await _select(request, dataset_id, by, pairs)


def _select(request: Request, dataset_id: str, by: By, pairs: Pairs) -> Answering:
    work = select(request, service(request), dataset_id, by, pairs)
    return attended(request, work)


Pairs = Sequence[tuple[str, str]]


async def select(
    request: Request, serving: Service, dataset_id: str, by: By, pairs: Pairs
) -> Response:
    """Understand, refuse early, plan, refuse what costs too much, read, encode."""
    phases, began = begin_phases(request.scope), perf_counter()
    opened = await serving.opened.get(dataset_id)
    began = phases.since("open", began)
    query, encoder, planned = _plan(request, serving, opened, by, pairs)
    asked = weigh(serving, planned, encoder)
    phases.since("plan", began)
    phases.cells = planned.schema.cells
    if not query.explain:
        return await answer(request, serving, opened, asked, phases)
    form = Representation(opened, ENCODERS["json"], None)
    names, places = planned.key
    said = ((names, encoder.name, repr(serving.limits)), places)
    return await respond(request, form, said, phases, partial(_explain, asked, serving))


def _plan(
    request: Request, serving: Service, opened: Opened, by: By, pairs: Pairs
) -> tuple[Query, Encoder, Plan]:
    """Everything that can be refused without reading is refused here, but for limits."""
    grammar = opened.for_door(grammars_of)[by]
    query = grammar.parse(pairs, most_labels=serving.limits.labels)
    # An explanation is JSON, whatever format it explains.
    encoder = negotiate(query.format, None if query.explain else header_of(request, b"accept"))
    try:
        return query, encoder, plan(opened.prepared, query.selection)
    except SelectionError as error:
        name = str(error.facts.get("dimension"))
        axis = opened.prepared.axes.get(name)
        raise cured(error, axis, grammar.names.for_labels(name)) from None


async def _explain(asked: Weighed, serving: Service) -> bytes:
    """What the planned answer would be and cost; reads nothing."""
    held = sum(variable.nbytes for variable in asked.plan.reading.variables.values())
    if held <= serving.encoding.inline_bytes:
        return _explained(asked)
    return await asyncio.to_thread(_explained, asked)


def _explained(asked: Weighed) -> bytes:
    told = {
        "result_bytes": asked.result_bytes,
        "unmeasured": asked.plan.schema.unmeasured,
        "within_limits": asked.excess is None,
    }
    return json_bytes({**explain(asked.plan.reading, asked.plan.labels), **told})
