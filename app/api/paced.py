"""Large answers, sent no faster than their client takes them."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from app.admission import Admission
from app.api.access import caller
from app.api.state import service

PIECE_BYTES: Final = 256 * 2**10


def paced(request: Request, response: Response) -> Response:
    """`response`, in pieces if it is large."""
    if len(response.body) <= PIECE_BYTES:
        return response
    return _Pieces(response, caller(request), service(request).admission)


class _Pieces(Response):
    """A response whose body counts as memory in flight until its client has taken it.

    Each piece waits until the connection has room: the server's buffer never holds more than one.
    """

    def __init__(self, whole: Response, client: str, admission: Admission) -> None:
        self.status_code = whole.status_code
        self.raw_headers = whole.raw_headers
        self.body = whole.body
        self._client = client
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, size = self.body, len(self.body)
        with self._admission.sending(self._client, size):
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            for start in range(0, size, PIECE_BYTES):
                end = start + PIECE_BYTES
                piece = {"body": bytes(body[start:end]), "more_body": end < size}
                await send({"type": "http.response.body", **piece})
