"""The body of a POST, read up to a limit and a deadline."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import Request

from sluice.errors import LimitError, SluiceError

from ..errors import RequestTimeout

# What is no longer, in bytes, is parsed in a millisecond.
LONG_BODY: Final = 2048


def media_type_of(request: Request) -> str:
    """What the body says that it is, in lower case and without parameters; "" where nothing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(
    request: Request, unreadable: type[SluiceError], *, most_bytes: int, seconds: float
) -> bytes:
    """The whole body.

    Raises `unreadable` for one in a coding, LimitError for more than `most_bytes`, RequestTimeout
    for what has not arrived after `seconds`.
    """
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise unreadable("The body is taken as it is, without a coding.", content_encoding=coding)
    announced = request.headers.get("content-length", "")
    _check_length(int(announced) if announced.isdecimal() else 0, most_bytes)
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, most_bytes)
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
