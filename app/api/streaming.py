"""Answers that are sent while they are read: in constant memory, and from any byte on.

The first values are there before the first byte leaves, so that a store that fails at once is an
error of its own. What fails later breaks the connection off: no client takes a part for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Final, NoReturn

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sluice.engine import FileAnswer
from sluice.errors import SluiceError
from sluice.phases import Phases
from sluice.record import record

from .byte_ranges import asked_range
from .cancellation import Clock, Expired, cancellable, ending
from .response_bodies import PIECE_BYTES, RawHeaders, header_of
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

    async def send(self, send: Send, clock: Clock) -> None:
        """Send all pieces; each part waits until the connection has room for it."""
        with self.phases.recording():
            while self.first:
                # No longer in memory than it has to be.
                await _send(self.first.pop(0), send)
            clock.expect(self.limits.stall_seconds)
            async for piece in self.rest:
                clock.expect(None)
                await _send(piece, send)
                clock.expect(self.limits.stall_seconds)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(piece: memoryview, send: Send) -> None:
    for start in range(0, len(piece), PIECE_BYTES):
        part = bytes(piece[start : start + PIECE_BYTES])
        await send({"type": "http.response.body", "body": part, "more_body": True})


@record
class StreamedFile:
    """A file that is read while it is sent, from any byte on; `tell` raises what is told of a
    failure.
    """

    file: FileAnswer
    held: AsyncExitStack
    phases: Phases
    limits: StreamLimits
    tell: Callable[[Exception], NoReturn]

    async def response(self, request: Request, headers: RawHeaders, tag: str | None) -> Response:
        """The whole file, or with a `tag` the part that the request wants of it.

        The first values have been read. Raises RangeNotSatisfiable, and what `tell` raises.
        """
        size, part = self.file.size, None
        async with self.held:
            if tag is not None and request.method == "GET":
                given, condition = header_of(request, b"range"), header_of(request, b"if-range")
                part = asked_range(given, condition, tag, size)
            start, stop = (0, size) if part is None else (part.start, part.stop)
            pieces = self._pieces(start, stop)
            self.held.push_async_callback(pieces.aclose)
            first = await cancellable(request, self._first(pieces, start))
            stream = Stream(first, pieces, self.held.pop_all(), self.phases, self.limits)
        headers = [*headers, (b"content-length", str(stop - start).encode())]
        if part is not None:
            headers.append((b"content-range", part.content_range.encode()))
        return StreamedResponse(200 if part is None else 206, headers, stream)

    async def _first(
        self, pieces: AsyncGenerator[memoryview, None], start: int
    ) -> list[memoryview]:
        """What comes before the first values of the store, and these."""
        first: list[memoryview] = []
        enough = self.file.place_of(start, _FIRST_BYTES)
        with self.phases.recording():
            async for piece in pieces:
                first.append(piece)
                start += len(piece)
                if start >= enough:
                    break
        return first

    async def _pieces(self, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        async with aclosing(self.file.pieces(start, stop)) as pieces:
            try:
                async for piece in pieces:
                    yield piece
            except Exception as error:
                self.tell(error)


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
            async with ending(receive, end) as clock:
                await self._stream.send(send, clock)
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
