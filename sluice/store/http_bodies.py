"""Bodies of HTTP messages of stores, read up to a bound, and no more of them than is wanted.

fsspec, gcsfs and aiobotocore read whole answers through aiohttp, however long these are: their
sessions make answers of `http_reader.BoundedAnswer`, which obey `bounded_answers`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp


class OversizedBody(Exception):
    """A body has, or announces, more bytes than the value may have; the rest was not read."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"it has more than the {most_bytes} bytes that it may have")
        self.most_bytes = most_bytes


def most_of_answer(start: int | None, end: int | None, most_bytes: int | None) -> int | None:
    """The most bytes of an answer with just this range of a value of at most `most_bytes`."""
    if end is not None:
        asked = end - (start or 0)
    elif start is not None and start < 0:
        asked = -start
    else:
        return most_bytes
    return asked if most_bytes is None else min(asked, most_bytes)


def check_size(data: bytes, start: int | None, end: int | None, most_bytes: int | None) -> bytes:
    """`data`, which came for the range; OversizedBody if it is longer than that can be."""
    most = most_of_answer(start, end, most_bytes)
    if most is not None and len(data) > most:
        raise OversizedBody(most)
    return data


class PartTaken:
    """Cuts a range out of a value that arrives in pieces, and holds no more than the range.

    Raises OversizedBody where the value goes on beyond `most_bytes`.
    """

    def __init__(self, start: int | None, end: int | None, most_bytes: int | None) -> None:
        self._start = start or 0
        self._end = end
        self._most_bytes = most_bytes
        self._seen = 0
        self._kept = bytearray()

    @property
    def data(self) -> bytes:
        """What the range has of the pieces so far."""
        return bytes(self._kept)

    def add(self, piece: bytes | memoryview) -> bool:
        """Take what the range has of the next piece; whether the range is complete."""
        before = self._seen
        self._seen += len(piece)
        if self._start < 0:
            self._kept += piece
            del self._kept[: self._start]
        else:
            end = None if self._end is None else max(self._end - before, 0)
            self._kept += piece[max(self._start - before, 0) : end]
        if self._end is not None and self._seen >= self._end:
            return True
        if self._most_bytes is not None and self._seen > self._most_bytes:
            self._kept.clear()  # an error keeps whatever raised it
            raise OversizedBody(self._most_bytes)
        return False


# What is read of an error's document, which has a few lines.
ERROR_BYTES: Final = 64 * 2**10
# What is read of a listing, which has a few hundred bytes for each name.
LISTING_BYTES: Final = 64 * 2**20


@dataclass(slots=True)
class Bound:
    """The most that one answer of this read may have, and whether one had more."""

    most_bytes: int
    exceeded: bool = False


bound_of_answers: ContextVar[Bound | None] = ContextVar("bound of answers", default=None)


@contextmanager
def bounded_answers(most_bytes: int | None) -> Iterator[None]:
    """No answer to a request that the block makes has more than `most_bytes` (None: any number).

    Raises:
        OversizedBody: one had, whatever the library made of that.
    """
    if most_bytes is None:
        yield
        return
    bound = Bound(most_bytes)
    token = bound_of_answers.set(bound)
    try:
        yield
    except Exception as error:
        if bound.exceeded:
            raise OversizedBody(most_bytes) from error
        raise
    finally:
        bound_of_answers.reset(token)


# The `read_bufsize` for bodies that are read whole. aiohttp pauses a connection when twice as much
# waits to be read, and resumes it when some was: the reader would be woken for each piece, and read
# no less. Its parser takes no larger number: a body of 4 GiB would pause until its deadline.
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
            return _inflated(data, coding, most_bytes)
        case other:
            raise ValueError(f"the body is coded as {other!r}, which was not asked for")


_GZIP_MAGIC: Final = b"\x1f\x8b"


def _inflated(data: bytes, coding: str, most_bytes: int | None) -> bytes:
    """All members of a gzip file, one after the other (RFC 1952, 2.2), or a zlib stream."""
    members: list[bytes] = []
    seen = 0
    while not members or data.startswith(_GZIP_MAGIC):
        inflating = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
        room = 0 if most_bytes is None else most_bytes + 1 - seen
        members.append(inflating.decompress(data, room))
        seen += len(members[-1])
        if most_bytes is not None and seen > most_bytes:
            raise OversizedBody(most_bytes)
        if not inflating.eof:
            raise EOFError(f"a body in {coding} ends early")
        data = inflating.unused_data
    return b"".join(members)


def _is_said_to_end(response: aiohttp.ClientResponse, most_bytes: int) -> bool:
    """Whether the headers announce a body of at most `most_bytes`; OversizedBody if of more."""
    stated = response.content_length
    if stated is None or "Transfer-Encoding" in response.headers:
        return False
    if stated > most_bytes:
        raise OversizedBody(most_bytes)
    return True
