"""The one path that every selection takes, from its parameters to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter

from fastapi import Request, Response

from sluice.encoders.table import ENCODERS, Encoder, negotiate
from sluice.engine import Plan, explain, plan
from sluice.errors import SelectionError

from ...api.answering import Weighed, answer, weigh
from ...api.answers import Representation, respond
from ...api.bodies import json_bytes
from ...api.headers import header_of
from ...api.state import Service, begin_phases
from ...catalog.opened import Opened
from .cures import cured
from .grammars import grammars_of
from .names import By
from .query import Query

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
