"""The routes of the native door: ``sel`` and ``isel``, by GET, HEAD and POST.

Every selection takes one path, from its parameters to its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TypeAlias
from urllib.parse import unquote_plus

from fastapi import FastAPI, Request, Response

from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS, adapted, negotiate
from sluice.engine import explain, plan
from sluice.engine.nearest import Located
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.instrumentation import Phases

from ...api.answering import answer
from ...api.application import Answering, Route
from ...api.nearest_cells import near_places, tell_distances
from ...api.representations import Representation, respond
from ...api.requests import header_of, service, visible_id
from ...api.response_bodies import json_bytes
from ...api.routes import add_reading_route, add_route
from ...api.state import PHASES, Service
from ...api.streaming import cancellable
from ...api.weighing import Weighed, weigh
from ...catalog.opened import Opened
from .grammar import Grammar, Query
from .json_body import read_json_body
from .names import By, with_cure
from .openapi import ask_described, formats_table, post_described
from .option import Option
from .options import OPTIONS, options_table

# How the parameters of a request are read, in a URL or in a body.
Parse: TypeAlias = Callable[..., Query]


@dataclass(frozen=True, slots=True, eq=False)
class NativeDoor:
    """The routes of selections, by label and by position: with these options and these formats.

    Both are tables: a row more is known wherever a request is read, refused, answered or described.
    """

    options: Mapping[str, Option[object]] = field(default_factory=lambda: OPTIONS)
    formats: Mapping[str, Encoder] = field(default_factory=lambda: ENCODERS)

    def add_to(self, app: FastAPI) -> None:
        """Register the routes."""
        routes: tuple[tuple[By, str, Route, Route], ...] = (
            ("label", "sel", self.select_by_label, self.post_by_label),
            ("position", "isel", self.select_by_position, self.post_by_position),
        )
        for by, word, ask, post in routes:
            path = f"/datasets/{{dataset_id}}/{word}"
            add_reading_route(app, path, ask, ask_described(by, self.options, self.formats))
            add_route(app, "POST", path, post, post_described(by, self.options, self.formats))

    def tables(self) -> str:
        """All options and formats, as Markdown for those who ask."""
        options, formats = options_table(self.options), formats_table(self.formats)
        return f"**Options**\n\n{options}\n**Formats**\n\n{formats}"

    def select_by_label(self, request: Request) -> Answering:
        """A part of the dataset, chosen by coordinate labels."""
        return self._select_asked(request, "label")

    def select_by_position(self, request: Request) -> Answering:
        """A part of the dataset, chosen by positions along its dimensions."""
        return self._select_asked(request, "position")

    def post_by_label(self, request: Request) -> Answering:
        """A part of the dataset, chosen by coordinate labels too long for a URL."""
        return self._select_posted(request, "label")

    def post_by_position(self, request: Request) -> Answering:
        """A part of the dataset, chosen by positions too long for a URL."""
        return self._select_posted(request, "position")

    async def _select_asked(self, request: Request, by: By) -> Response:
        serving = service(request)
        dataset_id = visible_id(request, serving)
        parse = partial(Grammar.parse, pairs=read_pairs(request.scope["query_string"]))
        return await self._select(request, serving, dataset_id, by, parse)

    async def _select_posted(self, request: Request, by: By) -> Response:
        serving = service(request)
        dataset_id = visible_id(request, serving)
        for name in request.query_params:
            detail = f"{excerpt(name)} stands in the URL; a POST has all its parameters in its body"
            raise QueryError(detail, parameter=name)
        members = await read_json_body(
            request,
            self.options,
            most_bytes=serving.limits.body_bytes,
            seconds=serving.admission.seconds,
        )
        parse = partial(Grammar.parse_json, members=members)
        return await self._select(request, serving, dataset_id, by, parse)

    async def _select(
        self, request: Request, serving: Service, dataset_id: str, by: By, parse: Parse
    ) -> Response:
        """Understand, refuse early, plan, refuse what costs too much, read, encode."""
        began = perf_counter()
        phases = request.scope[PHASES] = Phases()
        opened = serving.opened.current(dataset_id)
        if opened is None:
            opened = await cancellable(request, serving.opened.get(dataset_id))
        began = phases.since("open", began)
        grammar = opened.for_door(self.grammars_of)[by]
        query, found = parse(grammar, most_labels=serving.limits.labels), None
        if query.near is not None:
            near = near_places(request, serving, opened, query.selection, query.near)
            selection, found = await near
            query = replace(query, selection=selection)
        asked = self._plan(request, serving, opened, grammar, query)
        phases.since("plan", began)
        phases.cells = asked.cells
        if query.explain:
            response = await self._explain(request, serving, opened, asked, found, phases)
        else:
            response = await answer(request, serving, opened, asked, phases)
        return response if found is None else tell_distances(response, found)

    async def _explain(
        self,
        request: Request,
        serving: Service,
        opened: Opened,
        asked: Weighed,
        found: Located | None,
        phases: Phases,
    ) -> Response:
        """What the planned answer would be and cost."""
        form = Representation(opened, self.formats["json"], None)
        chosen, own = asked.key
        distances = None if found is None else found.distances_km
        key = ((chosen, asked.encoder.name, repr(serving.limits), distances), own)
        make = partial(_explain, request, asked, serving, found)
        return await respond(request, serving, form, key, phases, make)

    def _plan(
        self, request: Request, serving: Service, opened: Opened, grammar: Grammar, query: Query
    ) -> Weighed:
        """Everything that can be refused without reading is refused here, but for limits."""
        # An explanation is JSON, whatever format it explains.
        accept = None if query.explain else header_of(request, b"accept")
        encoder = negotiate(query.format, accept, self.formats)
        if query.more:
            encoder = adapted(encoder, query.more, self.formats)
        try:
            planned = plan(opened.prepared, query.selection)
        except SelectionError as error:
            name = str(error.facts.get("dimension"))
            axis = opened.prepared.axes.get(name)
            raise with_cure(error, axis, grammar.names.for_labels(name)) from None
        return weigh(serving, planned, encoder, query.more)

    def grammars_of(self, opened: Opened) -> Mapping[By, Grammar]:
        """What requests can ask of this dataset on each path, prepared for many of them."""
        dataset = opened.dataset
        coords = {str(name): tuple(map(str, coord.dims)) for name, coord in dataset.coords.items()}
        grammar = partial(
            Grammar,
            dims=opened.prepared.sizes,
            coords=coords,
            formats=tuple(self.formats),
            variables=tuple(map(str, dataset.data_vars)),
            unusable={name: one.reason for name, one in dataset.unusable.items()},
            roles=opened.prepared.roles,
            options=self.options,
        )
        return {"label": grammar(by="label"), "position": grammar(by="position")}


def read_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """The pairs in their order; names may repeat, values may be empty, nothing is refused.

    What is no UTF-8 becomes U+FFFD. (URL Standard, "application/x-www-form-urlencoded parsing".)
    """
    text = query_string.decode("latin-1")
    pieces = [piece.partition("=") for piece in text.split("&") if piece]
    if "%" not in text and "+" not in text:
        return [(name, value) for name, _, value in pieces]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pieces]


async def _explain(
    request: Request, asked: Weighed, serving: Service, found: Located | None
) -> bytes:
    """What the planned answer would be and cost; reads nothing."""
    held = sum(variable.nbytes for variable in asked.plan.reading.variables.values())
    if held <= serving.encoding.inline_bytes:
        return _explained(asked, found)
    return await cancellable(request, asyncio.to_thread(_explained, asked, found))


def _explained(asked: Weighed, found: Located | None) -> bytes:
    told = {
        "result_bytes": asked.result_bytes,
        "unmeasured": asked.plan.schema.unmeasured,
        "within_limits": asked.excess is None,
        **({"options": dict(asked.options)} if asked.options else {}),
        **({} if found is None else {"at": found.told}),
    }
    return json_bytes({**explain(asked.plan.reading, asked.plan.labels), **told})
