"""What the OpenAPI document says of selections."""

from __future__ import annotations

from typing import Final

from sluice.encoders.formats import ENCODERS

from ...api.openapi import DATASET_ID, Described, described
from ...api.openapi.answers import Responses, headers_of, problems
from .names import By
from .parameters import posted, selection

_SELECTING: Final = (400, 401, 404, 406, 413, 414, 422, 429, 500, 502, 503, 504)


def ask_described(by: By) -> Described:
    """Keyword arguments for the route of a GET."""
    return described(
        "selections",
        f"Select by {by}",
        selected(tagged=True),
        problems(*_SELECTING),
        parameters=[DATASET_ID, *selection(by)],
    )


def post_described(by: By) -> Described:
    """Keyword arguments for the route of a POST."""
    return described(
        "selections",
        f"Select by {by}, for what is too long for a URL",
        selected(tagged=False),
        problems(*_SELECTING, 408, 415),
        parameters=[DATASET_ID],
        requestBody=posted(by),
    )


def selected(*, tagged: bool) -> Responses:
    """The part that was selected, in each format; `tagged` answers can be asked for again."""
    content = {encoder.media_type: dict(encoder.described) for encoder in ENCODERS.values()}
    names = ["X-Request-ID", "Cache-Control", "Content-Disposition", "Server-Timing"]
    names.append("X-Sluice-Store")
    answers: Responses = {}
    if tagged:
        names += ["ETag", "Vary"]
        told = headers_of("ETag", "Vary", "Cache-Control", "X-Request-ID")
        answers[304] = {"description": "The client has this answer already.", "headers": told}
    answers[200] = {
        "description": "The selected part.",
        "content": content,
        "headers": headers_of(*names),
    }
    return answers
