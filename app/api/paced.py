"""Large answers, sent no faster than their client takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from fastapi import Response
from starlette.types import Receive, Scope, Send

from ..admission import Admission
from .headers import RawHeaders

PIECE_BYTES: Final = 256 * 2**10

Piece: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class LongBody:
    """A body in pieces of any size, `size` bytes in all, that are never put together."""

    pieces: Sequence[Piece]
    size: int

    def __len__(self) -> int:
        return self.size


class PacedResponse(Response):
    """A response whose body counts as memory in flight until its client has taken it.

    Each piece waits until the connection has room: the server's buffer never holds more than one.
    """

    def __init__(
        self, status: int, headers: RawHeaders, body: LongBody, client: str, admission: Admission
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
            for piece in even_pieces(self._body.pieces):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def even_pieces(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """The same bytes in pieces of at most `PIECE_BYTES`: long ones are cut, short ones joined."""
    short: list[Piece] = []
    length = 0
    for piece in pieces:
        if length + len(piece) > PIECE_BYTES:
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
