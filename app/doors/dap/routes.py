"""The routes of the OPeNDAP door: what a dataset has, what is said of it, and its values.

A URL without its last dot is what clients are given: they append ``.dds``, ``.das`` and ``.dods``
(DAP2), or ``.dmr`` and ``.dap`` (DAP4). What fails is told as the protocol tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Final, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from sluice.encoders import dap2, dap2_documents, dap4
from sluice.encoders.dap_variables import DapDataset, DapPart
from sluice.encoders.encoder import Encoder
from sluice.instrumentation import Phases

from ...api.answering import answer
from ...api.application import Route
from ...api.doors import Link, ToldProblem, door_dataset
from ...api.representations import caching, digest, is_not_modified
from ...api.requests import caller, cancellable, lines_of, opened_dataset, service
from ...api.response_bodies import PIECE_BYTES, BackpressureResponse, LongBody, RawHeaders
from ...api.routes import add_reading_route
from ...api.state import PHASES
from ...api.weighing import weigh
from ...catalog.entry import DoorName
from ...catalog.opened import Opened
from . import form
from .constraint import parameter, parse_dap2, parse_dap4
from .parts import dap2_of, dap4_of, part_key, plan_of

# Of an error: its status and what is told of it.
_Body: TypeAlias = Callable[[int, str], tuple[str, str]]
_Parse: TypeAlias = Callable[[DapDataset, Request], Sequence[DapPart]]
_Format: TypeAlias = Callable[[DapDataset, Sequence[DapPart]], Encoder]

# What clients of DAP2 look for; the dot of `dods` says that the version follows.
_TOLD: Final = {"XDODS-Server": "dods/3.7", "XDAP": "3.2"}
# The same of data, as ASGI has headers: Starlette looks through all others for each of its own.
_TOLD_OF_DATA: Final = [(name.lower().encode(), value.encode()) for name, value in _TOLD.items()]
_TEXT: Final = "text/plain; charset=utf-8"
# So many variables are described in a millisecond or two.
_FEW: Final = 100


class DapDoor:
    """The routes of OPeNDAP below ``/dap``."""

    name: DoorName = "dap"

    def add_to(self, app: FastAPI) -> None:
        """Register the routes; the one without a suffix comes last, for ids may have dots."""
        routes: tuple[tuple[str, Route], ...] = (
            (".dods", self.dods),
            (".dds", self.dds),
            (".das", self.das),
            (".ascii", self.ascii),
            (".html", self.html),
            (".dmr", self.dmr),
            (".dmr.xml", self.dmr),
            (".dap", self.dap),
            ("", self.base),
        )
        for suffix, route in routes:
            # (The protocol describes itself, and what it asks for is no parameter of a query.)
            path, hidden = f"/dap/{{dataset_id}}{suffix}", {"include_in_schema": False}
            add_reading_route(app, path, route, hidden, door=self.name)

    def links(self, opened: Opened) -> Iterable[Link]:
        """The address that clients take, which shows the form to a browser."""
        yield Link(f"dap/{opened.entry.id}", "OPeNDAP (DAP2 and DAP4)", "application/octet-stream")

    def tell(self, path: str, failed: ToldProblem) -> Response:
        """The same problem as the protocol that was asked for tells it, under its own status."""
        body = next((body for suffix, body in _BODIES.items() if path.endswith(suffix)), _dap2)
        text, media_type = body(failed.status, failed.detail or failed.title)
        sent = {**failed.headers, **_TOLD, "Content-Description": "dods-error"}
        return Response(text, failed.status, sent, media_type)

    async def base(self, request: Request) -> Response:
        """Send a browser to the form; clients append a suffix."""
        return RedirectResponse(f"{door_dataset(request, service(request), 'dap')}.html", 307)

    async def html(self, request: Request) -> Response:
        """The form, or what was asked for with it."""
        opened, dataset = await _served(request, dap2_of)
        asked = form.asked_by_form(dataset, request.scope["query_string"])
        if asked is not None:
            suffix, constraint = asked
            return RedirectResponse(f"{opened.entry.id}.{suffix}?{constraint}", 303)
        text = await _made(dataset, form.page, dataset, opened.entry.id)
        return _with(_document(request, opened, text, form.MEDIA_TYPE, "dods-form"), form.GUARDS)

    async def dds(self, request: Request) -> Response:
        """The declarations of what is asked for."""
        opened, dataset = await _served(request, dap2_of)
        parts = parse_dap2(dataset, request.scope["query_string"])
        text = await _made(dataset, dap2_documents.dds, dataset, parts)
        return _document(request, opened, text, _TEXT, "dods-dds")

    async def das(self, request: Request) -> Response:
        """The attributes of the whole dataset."""
        opened, dataset = await _served(request, dap2_of)
        text = await _made(dataset, dap2_documents.das, dataset)
        return _document(request, opened, text, _TEXT, "dods-das")

    async def dods(self, request: Request) -> Response:
        """The values of what is asked for."""
        response = await _values(request, dap2_of, _asked_dap2, dap2.data_format)
        return _of_data(response, b"dods-data")

    async def ascii(self, request: Request) -> Response:
        """The same as text."""
        response = await _values(request, dap2_of, _asked_dap2, dap2.ascii_format)
        # A browser shows it.
        return _with(response, {**_TOLD, "Content-Disposition": "inline"})

    async def dmr(self, request: Request) -> Response:
        """The description of what is asked for."""
        opened, dataset = await _served(request, dap4_of)
        text = await _made(dataset, dap4.dmr, dataset, _asked_dap4(dataset, request))
        return _document(request, opened, text, dap4.DMR_TYPE, "dap4-dmr")

    async def dap(self, request: Request) -> Response:
        """The values of what is asked for."""
        declined = parameter(request.scope["query_string"], "dap4.checksum") == "false"
        format_of = partial(dap4.data_format, checksums=not declined)
        response = await _values(request, dap4_of, _asked_dap4, format_of)
        return _of_data(response, b"dap4-data")


async def _served(
    request: Request, make: Callable[[Opened], DapDataset]
) -> tuple[Opened, DapDataset]:
    """The dataset of this request's path, if its caller may see it, and as the protocol has it.

    That is prepared beside the loop when it is first asked for.
    """
    serving = service(request)
    dataset_id = door_dataset(request, serving, "dap")
    # (Without a coroutine of its own, as in the native door.)
    opened = serving.opened.current(dataset_id)
    if opened is None:
        opened = await opened_dataset(request, serving, dataset_id)
    dataset: DapDataset | None = opened.of_doors.get(make)
    if dataset is None:
        dataset = await cancellable(request, asyncio.to_thread(opened.for_door, make))
    return opened, dataset


async def _made(dataset: DapDataset, make: Callable[..., str], *given: object) -> str:
    """A document, which of many variables is written beside the loop."""
    if len(dataset.variables) <= _FEW:
        return make(*given)
    return await asyncio.to_thread(make, *given)


def _asked_dap2(dataset: DapDataset, request: Request) -> Sequence[DapPart]:
    return parse_dap2(dataset, request.scope["query_string"])


def _asked_dap4(dataset: DapDataset, request: Request) -> Sequence[DapPart]:
    return parse_dap4(dataset, parameter(request.scope["query_string"], "dap4.ce"))


async def _values(
    request: Request, make: Callable[[Opened], DapDataset], parse: _Parse, format_of: _Format
) -> Response:
    """The values of the parts that are asked for, in this format."""
    began = perf_counter()
    phases = request.scope[PHASES] = Phases()
    opened, dataset = await _served(request, make)
    began = phases.since("open", began)
    serving = service(request)
    parts = parse(dataset, request)
    few, encoder = len(parts) <= _FEW, format_of(dataset, parts)
    planned = plan_of(opened, parts) if few else await asyncio.to_thread(plan_of, opened, parts)
    # A plan with keys says what is asked of each variable.
    apart = () if planned.reading.keys is not None else (("parts", part_key(parts)),)
    asked = weigh(serving, planned, encoder, (*encoder.variant, *apart))
    phases.since("plan", began)
    phases.cells = asked.cells
    return await answer(request, serving, opened, asked, phases)


def _document(
    request: Request, opened: Opened, text: str, media_type: str, description: str
) -> Response:
    """A document that follows from metadata alone."""
    content, serving = text.encode(), service(request)
    tag = f'"{digest(content)}"'
    headers: RawHeaders = [
        (b"content-type", media_type.encode()),
        (b"etag", tag.encode()),
        *caching(serving, opened.entry),
    ]
    known = is_not_modified(lines_of(request, b"if-none-match"), tag)
    if not known:
        headers.append((b"content-length", str(len(content)).encode()))
    if len(content) > PIECE_BYTES and not known and request.method == "GET":
        body = LongBody([content], len(content))
        found: Response = BackpressureResponse(
            200, headers, body, caller(request), serving.admission
        )
    else:
        sent = b"" if known or request.method == "HEAD" else content
        found = Response(sent, 304 if known else 200)
        found.raw_headers = headers
    return _with(found, {**_TOLD, "Content-Description": description})


def _of_data(response: Response, description: bytes) -> Response:
    response.raw_headers += [*_TOLD_OF_DATA, (b"content-description", description)]
    return response


def _with(response: Response, headers: Mapping[str, str]) -> Response:
    response.headers.update(headers)
    return response


def _dap2(status: int, message: str) -> tuple[str, str]:
    return dap2_documents.error(status, message), _TEXT


def _dap4(status: int, message: str) -> tuple[str, str]:
    return dap4.error(status, message), dap4.ERROR_TYPE


# Of errors; those of other paths are told as DAP2 tells them.
_BODIES: Final[Mapping[str, _Body]] = {
    ".html": form.problem,
    ".dmr": _dap4,
    ".dmr.xml": _dap4,
    ".dap": _dap4,
}
