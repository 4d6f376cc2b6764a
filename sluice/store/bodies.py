"""Bodies of HTTP answers, of which no more is taken than the asker has use for.

What a store sends is bounded while it comes: a body may have no end.
"""

from __future__ import annotations

import zlib
from typing import Final

import aiohttp

from sluice.store.bounds import ERROR_BYTES
from sluice.store.parts import OversizedBody, PartTaken

# aiohttp asks a connection to pause when twice as much waits to be read, and to go on when some of
# it was. Who wants the whole body would be woken up for each piece to say so, and read no less.
# Its parser takes no larger number: bodies of 4 GiB would pause, and wait until their deadline.
UNPAUSED_BYTES: Final = 2**31 - 1


async def whole_body(response: aiohttp.ClientResponse, most_bytes: int | None) -> bytes:
    """The body of `response`, joined once; raises aiohttp.ClientError where it breaks off.

    The request was made with a `read_bufsize` of `UNPAUSED_BYTES`, and without `auto_decompress`:
    then that would inflate without bounds.

    Raises:
        OversizedBody: it has more than `most_bytes`.
    """
    if most_bytes is None or _is_said_to_end(response, most_bytes):
        content = response.content
        if content.exception() is None:
            await content.wait_eof()
        return content.read_nowait()
    return await body_part(response, None, None, most_bytes)


async def body_part(
    response: aiohttp.ClientResponse, start: int | None, end: int | None, most_bytes: int | None
) -> bytes:
    """The range out of the whole value that is the body of `response`, as its pieces come.

    No more than the range is held, and nothing behind it is waited for.

    Raises:
        OversizedBody: the value has more than `most_bytes`.
    """
    taken = PartTaken(start, end, most_bytes)
    async for piece in response.content.iter_any():
        if taken.add(piece):
            break
    return taken.data


async def body_beginning(response: aiohttp.ClientResponse, nbytes: int = ERROR_BYTES) -> bytes:
    """The first `nbytes` of the body, or all of it."""
    return await body_part(response, 0, nbytes, None)


def uncoded(data: bytes, coding: str, most_bytes: int | None) -> bytes:
    """The value whose body came in this content coding (RFC 9110, 8.4), though none was asked for.

    Raises:
        OversizedBody: it inflates to more than `most_bytes`.
        EOFError: it ends early.
        ValueError: it is coded in a way that is not known here.
    """
    match coding.strip().lower():
        case "" | "identity":
            return data
        case "gzip" | "x-gzip" | "deflate":
            inflating = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
            made = inflating.decompress(data, 0 if most_bytes is None else most_bytes + 1)
            if most_bytes is not None and len(made) > most_bytes:
                raise OversizedBody(most_bytes)
            if not inflating.eof:
                raise EOFError(f"a body in {coding} ends early")
            return made
        case other:
            raise ValueError(f"the body is coded as {other!r}, which was not asked for")


def _is_said_to_end(response: aiohttp.ClientResponse, most_bytes: int) -> bool:
    """Whether the head bounds the body."""
    stated = response.content_length
    if stated is None or "Transfer-Encoding" in response.headers:
        return False
    if stated > most_bytes:
        raise OversizedBody(most_bytes)
    return True
