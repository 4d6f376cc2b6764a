"""Large answers in pieces: the same bytes, and memory that counts until they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from app.admission import Admission, Budget, ClientLimit
from app.api.paced import PIECE_BYTES, LongBody, PacedResponse


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [1],
        [PIECE_BYTES],
        [PIECE_BYTES + 1],
        [3 * PIECE_BYTES],
        [1, 1, 1],
        [PIECE_BYTES - 1, 0, 2 * PIECE_BYTES, 2],
    ],
)
async def test_all_bytes_arrive_in_their_order(sizes: list[int]) -> None:
    """Each piece is of bounded size, the last one says so, and the headers are the answer's own."""
    content = bytes(n % 251 for n in range(sum(sizes)))
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    parts = [content[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    body = LongBody([memoryview(part) for part in parts], len(content))
    sent: list[Any] = []
    held: list[int] = []
    budget = Budget(1, queue_requests=0, queue_seconds=1.0, on_wait=lambda seconds: None)
    admission = Admission(budget, ClientLimit(1), 1.0, lambda event: None)

    async def send(message: Any) -> None:
        sent.append(message)
        held.append(budget.held_bytes)

    async def receive() -> Any:
        raise AssertionError("nothing is asked of the client")

    headers = [(b"etag", b'"x"')]
    await PacedResponse(200, headers, body, "a", admission)({"type": "http"}, receive, send)
    start, *pieces = sent
    assert (start["status"], start["headers"]) == (200, headers)
    assert b"".join(piece["body"] for piece in pieces) == content
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert max(len(piece["body"]) for piece in pieces) <= PIECE_BYTES
    assert set(held) == {len(content)}
    assert (budget.held_bytes, len(admission.clients)) == (0, 0)
