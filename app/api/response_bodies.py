"""Headers and bodies of answers: small ones as JSON, long ones written and sent step by step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, TypeAlias

from fastapi import Response
from starlette.types import Receive, Scope, Send

from sluice.encoders.jsonable import json_text, to_jsonable
from sluice.scheduler import Flow, Threads

from ..admission import Admission

# Names in small letters, as ASGI has them (specification, "HTTP Connection Scope").
RawHeader: TypeAlias = tuple[bytes, bytes]
RawHeaders: TypeAlias = list[RawHeader]


def json_bytes(value: object) -> bytes:
    """`value` as valid JSON, whatever is in it: what JSON cannot say becomes null or text."""
    return json_text(to_jsonable(value))


PIECE_BYTES: Final = 256 * 2**10

Piece: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class LongBody:
    """A body in pieces of any size, `size` bytes in all, that are never put together."""

    pieces: Sequence[Piece]
    size: int

    def __len__(self) -> int:
        return self.size


class BackpressureResponse(Response):
    """A response whose body counts as memory in flight until its client has taken it.

    Each piece waits until the connection has room: the server's buffer never holds more than one.
    Bytes that are there in one piece are sent so, without a copy.
    """

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        body: LongBody | bytes,
        client: str,
        admission: Admission,
    ) -> None:
        self.status_code = status
        self.raw_headers = headers
        self._body = body
        self._client = client
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._admission.sending(self._client, len(self._body)):
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            body = self._body
            for piece in [body] if isinstance(body, bytes) else even_pieces(body.pieces):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class ByteCounter:
    """Counts the bytes of a content that comes in pieces."""

    def __init__(self) -> None:
        self.nbytes = 0

    def through(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The same pieces, counted as they are taken."""
        for piece in pieces:
            self.nbytes += len(piece)
            yield piece


def even_pieces(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """The same bytes in pieces of at most `PIECE_BYTES`: long ones are cut, short ones joined."""
    short: list[Piece] = []
    length = 0
    for piece in pieces:
        if short and length + len(piece) > PIECE_BYTES:
            yield b"".join(short)
            short, length = [], 0
        cut = len(piece) - len(piece) % PIECE_BYTES
        for start in range(0, cut, PIECE_BYTES):
            yield bytes(piece[start : start + PIECE_BYTES])
        if cut < len(piece):
            short.append(piece[cut:])
            length += len(piece) - cut
    if short:
        yield b"".join(short)


# Long beside the hop to a thread and back, short beside what a client or another answer waits for.
_STEP_SECONDS: Final = 0.01


class BodyWriter:
    """Writes answers in a few threads: each in steps, between which it makes way for the others.

    A short answer is not kept waiting by long ones, whose place it takes at their next step.
    """

    def __init__(self, threads: Threads) -> None:
        self.threads = threads

    async def write(self, pieces: Iterator[Piece]) -> LongBody:
        """All of the pieces. Whoever is cancelled has ended the work, at the end of its step."""
        written: list[Piece] = []
        flow = Flow()
        while await self.threads.run(flow, _write_some, pieces, written):
            pass
        return LongBody(written, sum(map(len, written)))

    async def steps(self, pieces: Iterator[Piece]) -> AsyncGenerator[bytes, None]:
        """What each step writes, once it is asked for; whoever stops asking has ended the work."""
        flow, more = Flow(), True
        while more:
            written: list[Piece] = []
            more = await self.threads.run(flow, _write_some, pieces, written)
            if written:
                yield b"".join(written)


def _write_some(pieces: Iterator[Piece], written: list[Piece]) -> bool:
    """Write on for the time of a step; whether there may be more."""
    enough = perf_counter() + _STEP_SECONDS
    for piece in pieces:
        if piece:
            written.append(piece)
        if perf_counter() > enough:
            return True
    return False
