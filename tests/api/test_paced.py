"""Large answers in pieces: the same bytes, and memory that counts until they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request, Response

from app.admission import Admission, Budget, ClientLimit
from app.api.paced import PIECE_BYTES, paced


class Service:
    """As much of the service as an answer needs on its way out."""

    def __init__(self) -> None:
        budget = Budget(1, queue_requests=0, queue_seconds=1.0, on_wait=[].append)
        self.admission = Admission(budget, ClientLimit(1), 1.0, [].append)
        self.keys = ()


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_all_bytes_arrive_in_their_order(size):
    """Each piece is of bounded size, the last one says so, and the headers are the answer's own."""
    content = bytes(n % 251 for n in range(size))
    sent: list[Any] = []
    held: list[int] = []
    serving = Service()

    async def send(message: Any) -> None:
        sent.append(message)
        held.append(serving.admission.budget.held_bytes)

    async def receive() -> Any:
        raise AssertionError("nothing is asked of the client")

    scope = {"type": "http", "headers": [], "state": {"service": serving}, "client": ("a", 1)}
    response = Response(content, 200, {"ETag": '"x"'})
    await paced(Request(scope), response)(scope, receive, send)
    start, *pieces = sent
    assert (start["status"], start["headers"]) == (200, response.raw_headers)
    assert b"".join(piece["body"] for piece in pieces) == content
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [
        False
    ]
    assert max(len(piece["body"]) for piece in pieces) <= PIECE_BYTES
    assert set(held) == {size if size > PIECE_BYTES else 0}
    assert (serving.admission.budget.held_bytes, len(serving.admission.clients)) == (0, 0)
