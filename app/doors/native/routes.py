"""The routes of the native door: ``sel`` and ``isel``, by GET, HEAD and POST.

Every selection takes one path, from its parameters to its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote_plus

from fastapi import FastAPI, Request, Response

from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS, adapted, negotiate
from sluice.engine import plan
from sluice.engine.nearest import Located
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.instrumentation import Phases

from ...api.answering import answer
from ...api.application import Answering, Route
from ...api.doors import Link
from ...api.explaining import explanation
from ...api.nearest_cells import near_places, tell_distances
from ...api.representations import Representation, digest, respond
from ...api.requests import cancellable, header_of, service, visible_id
from ...api.routes import add_reading_route, add_route
from ...api.state import PHASES, Service
from ...api.weighing import Weighed, weigh
from ...catalog.opened import Opened
from ...errors import UnknownSuffix
from .grammar import Grammar, Query
from .json_body import read_json_body
from .names import By, with_cure
from .openapi import ask_described, file_described, post_described
from .option import Option
from .options import OPTIONS, formats_table, options_table

# How the parameters of a request are read, in a URL or in a body.
Parse: TypeAlias = Callable[..., Query]
# What is no longer, in bytes, has so few labels that they are found in a few milliseconds.
_LONG_QUERY: Final = 2048


@dataclass(frozen=True, slots=True, eq=False)
class NativeDoor:
    """The routes of selections, by label and by position: with these options and these formats.

    Both are tables: a row more is known wherever a request is read, refused, answered or described.
    """

    options: Mapping[str, Option[object]] = field(default_factory=lambda: OPTIONS)
    formats: Mapping[str, Encoder] = field(default_factory=lambda: ENCODERS)
    name: Literal["native"] = "native"

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
            # Behind those: what is asked for most is looked at first.
            as_file = partial(file_described, formats=self.formats)
            told = ask_described(by, self.options, self.formats)
            add_reading_route(app, f"{path}.{{suffix}}", ask, as_file(told))
            told = post_described(by, self.options, self.formats)
            add_route(app, "POST", f"{path}.{{suffix}}", post, as_file(told))

    def links(self, opened: Opened) -> Iterator[Link]:
        """Where the dataset is in each format; all of it may be more than an answer can be."""
        for encoder in self.formats.values():
            path = f"datasets/{opened.entry.id}/sel{encoder.suffix}"
            yield Link(path, f"All of it, f={encoder.name}", encoder.essence)

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
        long = len(request.scope["query_string"]) > _LONG_QUERY
        return await self._select(request, serving, dataset_id, by, parse, long=long)

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
        return await self._select(request, serving, dataset_id, by, parse, long=True)

    async def _select(
        self,
        request: Request,
        serving: Service,
        dataset_id: str,
        by: By,
        parse: Parse,
        *,
        long: bool,
    ) -> Response:
        """Understand, refuse early, plan, refuse what costs too much, read, encode.

        What may have `long` lists is understood in threads: thousands of labels take a while.
        """
        began = perf_counter()
        phases = request.scope[PHASES] = Phases()
        # (As `opened_dataset`, without the coroutine: what is open is asked for most.)
        opened = serving.opened.current(dataset_id)
        if opened is None:
            opened = await cancellable(request, serving.opened.get(dataset_id))
        began = phases.since("open", began)
        make = self.grammars_of
        grammar = (opened.of_doors.get(make) or opened.for_door(make))[by]
        read, found = partial(parse, grammar, most_labels=serving.limits.labels), None
        query = await cancellable(request, asyncio.to_thread(read)) if long else read()
        if query.near is not None:
            near = near_places(request, serving, opened, query.selection, query.near)
            selection, found = await near
            query = replace(query, selection=selection)
        if (suffix := request.scope["path_params"].get("suffix")) is not None:
            query = replace(query, format=format_of_file(suffix, query.format, self.formats))
        if long:
            plan_it = partial(self._plan, request, serving, opened, grammar, query)
            asked = await cancellable(request, asyncio.to_thread(plan_it))
        else:
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
        representation = Representation(opened, self.formats["json"], None)
        at = {} if found is None else {"at": found.told}
        told = explanation(serving, opened, asked, self.formats, at)
        content = await cancellable(request, told)
        # What it says follows from answers before it, too.
        key = ((asked.key[0], asked.encoder.name), digest(content))
        return await respond(request, serving, representation, key, phases, partial(_made, content))

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
            along = query.selection.along.get(name)
            raise with_cure(error, axis, grammar.names.for_labels(name), along) from None
        return weigh(serving, planned, encoder, query.more)

    def grammars_of(self, opened: Opened) -> Mapping[By, Grammar]:
        """What requests can ask of this dataset on each path, prepared for many of them."""
        dataset = opened.dataset
        coords = {str(name): tuple(map(str, coord.dims)) for name, coord in dataset.coords.items()}
        grammar = partial(
            Grammar,
            dims=opened.prepared.sizes,
            coords=coords,
            formats={name: encoder.called for name, encoder in self.formats.items()},
            variables=tuple(map(str, dataset.data_vars)),
            unusable={name: one.reason for name, one in dataset.unusable.items()},
            roles=opened.prepared.roles,
            options=self.options,
        )
        return {"label": grammar(by="label"), "position": grammar(by="position")}


def format_of_file(suffix: str, f: str | None, formats: Mapping[str, Encoder]) -> str:
    """The name of the format whose files have this suffix, which `f` may name as well.

    Raises `UnknownSuffix`, and `QueryError` where `f` names another format.
    """
    names = {encoder.suffix: name for name, encoder in formats.items()}
    name = names.get(f".{suffix}")
    if name is None:
        raise UnknownSuffix(
            f"No format has the suffix {excerpt(f'.{suffix}')}; there are {', '.join(names)}.",
            known=list(names),
        )
    if f is not None and f != name:
        raise QueryError(
            f"f={f} is another format than the path's .{suffix}, which is f={name}; its own suffix"
            f" is {formats[f].suffix}: leave one of them out",
            parameter="f",
            known=[name],
        )
    return name


def read_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """The pairs in their order; names may repeat, values may be empty, nothing is refused.

    What is no UTF-8 becomes U+FFFD. (URL Standard, "application/x-www-form-urlencoded parsing".)
    """
    text = query_string.decode(errors="replace")
    pieces = [piece.partition("=") for piece in text.split("&") if piece]
    if "%" not in text and "+" not in text:
        return [(name, value) for name, _, value in pieces]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pieces]


async def _made(content: bytes) -> bytes:
    return content
