"""The routes of the native door: ``sel`` and ``isel``, by GET, HEAD and POST."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from sluice.errors import QueryError
from sluice.wording import excerpt

from ...api.access import visible_id
from ...api.application import Answering
from ...api.attending import attended
from ...api.routes import add_reading_route, add_route
from ...api.state import service
from .names import By
from .openapi import ask_described, post_described
from .pairs import read_pairs
from .posted import posted_pairs
from .selecting import Pairs, select


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
