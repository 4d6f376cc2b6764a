"""Answers that are sent while they are read: in constant memory, and from any byte on.

The first values are there before the first byte leaves, so that a store that fails at once is an
error of its own. What fails later breaks the connection off: no client takes a part for the whole.

Parts of an answer are asked for by their bytes (RFC 9110, section 14).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Final, NoReturn, Protocol

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sluice.aliases import record
from sluice.errors import SluiceError
from sluice.instrumentation import Phases

from ..errors import RangeNotSatisfiable
from .requests import Deadline, Expired, cancellable, ending, header_of
from .response_bodies import PIECE_BYTES, RawHeaders
from .state import ABORT, StreamLimits

# So much of the store's values is there before the first byte leaves: more than a lone scalar.
_FIRST_BYTES: Final = 2**16


class AnswerBroken(Exception):
    """An answer broke off after its head was sent: its client has seen the connection end."""


@record
class Stream:
    """A body in pieces of any size: those that are there, the rest, and what is held for them."""

    first: list[memoryview]
    rest: AsyncGenerator[memoryview, None]
    held: AsyncExitStack
    phases: Phases
    limits: StreamLimits

    async def send(self, send: Send, deadline: Deadline) -> None:
        """Send all pieces; each part waits until the connection has room for it."""
        with self.phases.recording():
            while self.first:
                # No longer in memory than it has to be.
                await _send(self.first.pop(0), send)
            deadline.expect(self.limits.stall_seconds)
            async for piece in self.rest:
                deadline.expect(None)
                await _send(piece, send)
                deadline.expect(self.limits.stall_seconds)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(piece: memoryview, send: Send) -> None:
    for start in range(0, len(piece), PIECE_BYTES):
        part = bytes(piece[start : start + PIECE_BYTES])
        await send({"type": "http.response.body", "body": part, "more_body": True})


@record
class Held:
    """What a stream holds until its end, and may take.

    `fail` is called with what kept the rest from being read, and raises what may be told of it.
    """

    stack: AsyncExitStack
    phases: Phases
    limits: StreamLimits
    fail: Callable[[Exception], NoReturn]

    async def begun(
        self, request: Request, pieces: AsyncGenerator[memoryview, None], nbytes: int
    ) -> Stream:
        """The stream of these pieces, of which so many bytes are there; raises as `fail`."""
        safe = self._redacted(pieces)
        self.stack.push_async_callback(safe.aclose)
        first = await cancellable(request, self._first(safe, nbytes))
        return Stream(first, safe, self.stack.pop_all(), self.phases, self.limits)

    async def _first(
        self, pieces: AsyncGenerator[memoryview, None], nbytes: int
    ) -> list[memoryview]:
        first: list[memoryview] = []
        with self.phases.recording():
            async for piece in pieces:
                first.append(piece)
                nbytes -= len(piece)
                if nbytes <= 0:
                    break
        return first

    async def _redacted(
        self, pieces: AsyncGenerator[memoryview, None]
    ) -> AsyncGenerator[memoryview, None]:
        async with aclosing(pieces):
            try:
                async for piece in pieces:
                    yield piece
            except Exception as error:
                self.fail(error)


@record
class StreamedRows:
    """A table that is written while it is read: `pieces` of its text, in its coding."""

    pieces: AsyncGenerator[memoryview, None]
    held: Held

    async def response(self, request: Request, headers: RawHeaders, tag: str | None) -> Response:
        """The whole, without a length; its first rows have been read. Raises as `fail`."""
        async with self.held.stack:
            stream = await self.held.begun(request, self.pieces, 1)
        return StreamedResponse(200, headers, stream)


class Readable(Protocol):
    """A file of a known size that can be read from any byte on."""

    @property
    def size(self) -> int: ...
    def place_of(self, start: int, nbytes: int) -> int:
        """The end of the first `nbytes` from `start` on that have to be read from a store.

        What the file has before and between them, such as its head, is there anyway.
        """

    def pieces(self, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """The bytes from `start` to `stop`."""


@record
class StreamedFile:
    """A file that is read while it is sent, from any byte on."""

    file: Readable
    held: Held

    async def response(self, request: Request, headers: RawHeaders, tag: str | None) -> Response:
        """The whole file, or with a `tag` the part that the request wants of it.

        The first values have been read. Raises RangeNotSatisfiable, and as `fail`.
        """
        size, part = self.file.size, None
        async with self.held.stack:
            if tag is not None and request.method == "GET":
                given, condition = header_of(request, b"range"), header_of(request, b"if-range")
                part = asked_range(given, condition, tag, size)
            start, stop = (0, size) if part is None else (part.start, part.stop)
            # What comes before the first values of the store, and these.
            first = self.file.place_of(start, _FIRST_BYTES) - start
            stream = await self.held.begun(request, self.file.pieces(start, stop), first)
        headers = [*headers, (b"content-length", str(stop - start).encode())]
        if part is not None:
            headers.append((b"content-range", part.content_range.encode()))
        return StreamedResponse(200 if part is None else 206, headers, stream)


class StreamedResponse(Response):
    """A response whose body comes piece by piece; what is held for it is given back at its end."""

    def __init__(self, status: int, headers: RawHeaders, stream: Stream) -> None:
        self.status_code = status
        self.raw_headers = headers
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stream.held:
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            try:
                await self._send(receive, send)
            except BaseException as error:
                await _abort(scope)
                if isinstance(error, Exception) and not isinstance(error, ClientDisconnect):
                    raise AnswerBroken(_why(error)) from error
                raise

    async def _send(self, receive: Receive, send: Send) -> None:
        end = asyncio.get_running_loop().time() + self._stream.limits.seconds
        try:
            async with ending(receive, end) as deadline:
                await self._stream.send(send, deadline)
        except Expired:
            raise TimeoutError("there was no progress in time") from None


def _why(error: Exception) -> str:
    return error.detail if isinstance(error, SluiceError) else f"{type(error).__name__}: {error}"


async def _abort(scope: Scope) -> None:
    """Break the connection off, so that nobody takes what was sent for the whole."""
    abort = scope.get("state", {}).get(ABORT)
    if abort is not None:
        abort()
        # The loop tells the server of it in its next step.
        await asyncio.sleep(0)


# One range of bytes; of several the server may send the whole (section 14.2), and this one does.
_RANGE: Final = re.compile(r"\s*bytes\s*=[\s,]*(\d*)\s*-\s*(\d*)[\s,]*", re.IGNORECASE)
# No file is as long as the least number of more digits says, which int() takes long for.
_MOST_DIGITS: Final = 18
_BEYOND: Final = 10**_MOST_DIGITS


@record
class ByteRange:
    """The bytes from `start` to `stop` of an answer of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        """The header ``Content-Range`` of a 206 (section 14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def asked_range(given: str | None, if_range: str | None, tag: str, size: int) -> ByteRange | None:
    """The part that a request wants of an answer of `size` bytes with the strong tag `tag`.

    `given` is its header ``Range`` and `if_range` its ``If-Range``. None where the whole is to be
    sent: without a range, with several or a misspelt one, and where the answer is another by now.
    Raises RangeNotSatisfiable.
    """
    if given is None or (if_range is not None and if_range.strip() != tag):
        return None
    found = _RANGE.fullmatch(given)
    if found is None or not any(found.groups()):
        return None
    first, last = (_position(digits) if digits else None for digits in found.groups())
    if first is None:
        start, stop = max(0, size - (last or 0)), size
    elif last is not None and last < first:
        return None
    else:
        start, stop = first, size if last is None else min(size, last + 1)
    if start >= stop:
        raise _none_of(size)
    return ByteRange(start, stop, size)


def _position(digits: str) -> int:
    """The position; any that is beyond the end of all files is as far (section 14.1.2)."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else _BEYOND


def _none_of(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(f"The answer has {size} bytes; none is in this range.", size=size)
