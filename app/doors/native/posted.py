"""The body of a POST: parameters as a JSON object, read up to a limit and a deadline."""

from __future__ import annotations

import asyncio

from fastapi import Request

from sluice.errors import LimitError

from ...errors import NotJson, RequestTimeout
from .json_body import read_posted


async def posted_pairs(
    request: Request, *, most_bytes: int, seconds: float
) -> list[tuple[str, str]]:
    """The parameters in the body, as a query string would name them.

    Raises NotJson for another media type, LimitError for more than `most_bytes`, RequestTimeout for
    what has not arrived after `seconds`, QueryError for what is not an object of parameters.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = "POST takes a JSON object of parameters, as Content-Type: application/json."
        raise NotJson(detail, content_type=media_type, known=["application/json"])
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise NotJson("The body is taken as it is, without a coding.", content_encoding=coding)
    announced = request.headers.get("content-length", "")
    _check_length(int(announced) if announced.isdecimal() else 0, most_bytes)
    try:
        async with asyncio.timeout(seconds):
            return read_posted(await _read(request, most_bytes))
    except TimeoutError:
        raise RequestTimeout(
            f"The body did not arrive within {seconds:g} seconds.", limit_seconds=seconds
        ) from None


async def _read(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        _check_length(len(body), most_bytes)
    return bytes(body)


def _check_length(length: int, most_bytes: int) -> None:
    if length > most_bytes:
        raise LimitError(
            f"The body is longer than {most_bytes} bytes, which is all that is read.",
            limited="body_bytes",
            limit=most_bytes,
        )
