"""The parameters of a request, as names with values: in the URL, and in the form of a POST.

EDR 1.1 has no POST; clients send one where a place is too long for a URL, such as a coastline.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from sluice.errors import QueryError

from ...api.doors import door_dataset
from ...api.request_bodies import LONG_BODY, media_type_of, read_body
from ...api.requests import cancellable, service
from ...errors import NotForm

FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_PAIRS: Final = 1000


def read_pairs(request: Request) -> list[tuple[str, str]]:
    """The query's names and values; a name may repeat."""
    return _parsed(request.scope["query_string"])


async def read_all_pairs(request: Request) -> list[tuple[str, str]]:
    """The query's names and values, and those of the body of a POST, if its caller may ask.

    To be awaited before anything that watches whether the client leaves: that takes the body.
    Raises NotForm for a body that says it is something else, `QueryError` for too many names, and
    what `door_dataset` and `read_body` raise.
    """
    pairs = read_pairs(request)
    if request.method != "POST":
        return pairs
    serving = service(request)
    door_dataset(request, serving, "edr")
    if (media_type := media_type_of(request)) not in (FORM_TYPE, ""):
        detail = f"A POST has its parameters as a form, as Content-Type: {FORM_TYPE}."
        raise NotForm(detail, content_type=media_type, known=[FORM_TYPE])
    most, seconds = serving.limits.body_bytes, serving.admission.seconds
    body = await read_body(request, NotForm, most_bytes=most, seconds=seconds)
    if len(body) <= LONG_BODY:
        return pairs + _parsed(body)
    return pairs + await cancellable(request, asyncio.to_thread(_parsed, body))


def _parsed(text: bytes) -> list[tuple[str, str]]:
    """(URL Standard, section 5.1.)"""
    try:
        return parse_qsl(
            text.decode(errors="replace"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=_MOST_PAIRS,
        )
    except ValueError:
        raise QueryError(f"there are more than {_MOST_PAIRS} parameters") from None
