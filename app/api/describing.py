"""What one dataset holds, as JSON: written beside the loop, and kept unless it is long."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from fastapi import Request, Response

from sluice.engine import describe_prepared

from ..catalog.opened import Opened
from .access import caller
from .answers import caching
from .bodies import json_bytes
from .headers import RawHeaders
from .paced import PIECE_BYTES, LongBody, PacedResponse
from .state import Service

# Longer ones are written anew: attributes may be as long as metadata may.
_MOST_KEPT_BYTES: Final = 2**20
# So often are attributes in memory while their text is made: as values, as text, as bytes.
_FORMS: Final = 4


async def description_of(request: Request, serving: Service, dataset_id: str) -> Response:
    """The dimensions, coordinates and variables of a dataset with their attributes."""
    opened = await serving.opened.get(dataset_id)
    content = opened.description.text
    if content is None:
        cost = _FORMS * sum(opened.prepared.layout.attribute_bytes.values())
        write = partial(asyncio.to_thread, _text, opened)
        content = await serving.admission.run(caller(request), cost, write)
        if len(content) <= _MOST_KEPT_BYTES:
            opened.description.text = content
    headers: RawHeaders = [
        (b"content-length", str(len(content)).encode()),
        (b"content-type", b"application/json"),
        *caching(request, opened.entry),
    ]
    if len(content) > PIECE_BYTES:
        body = LongBody([content], len(content))
        return PacedResponse(200, headers, body, caller(request), serving.admission)
    answer = Response(content, media_type="application/json")
    answer.raw_headers = headers
    return answer


def _text(opened: Opened) -> bytes:
    told = describe_prepared(opened.prepared)
    return json_bytes({"id": opened.entry.id, "title": opened.entry.title, **told})
