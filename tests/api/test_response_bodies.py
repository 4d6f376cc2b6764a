"""Long answers: written in steps, sent in pieces, only as long as somebody waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.admission import Admission, ClientLimit, MemoryBudget
from app.api.response_bodies import PIECE_BYTES, BackpressureResponse, BodyWriter, LongBody, Piece
from sluice.scheduler import Threads, low_priority_pool


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
    budget = MemoryBudget(1, queue_requests=0, queue_seconds=1.0, on_wait=lambda seconds: None)
    admission = Admission(budget, ClientLimit(1), 1.0, lambda event: None)

    async def send(message: Any) -> None:
        sent.append(message)
        held.append(budget.held_bytes)

    async def receive() -> Any:
        raise AssertionError("nothing is asked of the client")

    headers = [(b"etag", b'"x"')]
    await BackpressureResponse(200, headers, body, "a", admission)({"type": "http"}, receive, send)
    start, *pieces = sent
    assert (start["status"], start["headers"]) == (200, headers)
    assert b"".join(piece["body"] for piece in pieces) == content
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert max(len(piece["body"]) for piece in pieces) <= PIECE_BYTES
    assert set(held) == {len(content)}
    assert (budget.held_bytes, len(admission.clients)) == (0, 0)


@pytest.fixture
def writer() -> Iterator[BodyWriter]:
    """One thread for all answers."""
    with low_priority_pool(1, "encode") as pool:
        yield BodyWriter(Threads(1, pool))


async def whole(writer: BodyWriter, pieces: list[Piece]) -> bytes:
    body = await writer.write(iter(pieces))
    assert len(body) == sum(map(len, pieces))
    return b"".join(body.pieces)


class Endless:
    """Pieces without end, each when it may come."""

    def __init__(self) -> None:
        self.made = 0
        self.asked = threading.Event()
        self.may_come = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.asked.set()
            assert self.may_come.wait(30)
            self.made += 1
            yield b"piece"


async def test_pieces_come_in_their_order(writer: BodyWriter) -> None:
    """Whatever their kind; nothing among them is no end."""
    assert await whole(writer, [b"a", b"", memoryview(b"bcd")[1:], b"e"]) == b"acde"
    assert await whole(writer, []) == b""


async def test_an_error_is_the_callers(writer: BodyWriter) -> None:
    """What the writing of a piece raises comes out, and the thread is free."""

    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("no such piece")

    with pytest.raises(ValueError, match="no such piece"):
        await writer.write(pieces())
    assert await whole(writer, [b"x"]) == b"x"


async def test_a_short_answer_is_written_between_the_steps_of_a_long_one(
    writer: BodyWriter,
) -> None:
    """Though there is one thread, which the long one would have for ever."""
    endless = Endless()
    endless.may_come.set()
    long = asyncio.create_task(writer.write(iter(endless)))
    while not endless.made:  # noqa: ASYNC110 - a thread cannot set the loop's event
        await asyncio.sleep(0)
    assert await whole(writer, [b"short"]) == b"short"
    assert not long.done()
    long.cancel()
    await asyncio.wait([long])


async def test_memory_counts_until_the_thread_has_ended(writer: BodyWriter) -> None:
    """Who leaves takes no further piece, and its bytes are given back after the one under way."""
    budget = MemoryBudget(100, queue_requests=0, queue_seconds=1.0, on_wait=lambda seconds: None)
    admission = Admission(budget, ClientLimit(1), 1.0, lambda event: None)
    endless = Endless()
    work = admission.run("a", 60, lambda: writer.write(iter(endless)))
    task = asyncio.create_task(work)
    while not endless.asked.is_set():  # noqa: ASYNC110 - a thread cannot set the loop's event
        await asyncio.sleep(0.001)
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (budget.held_bytes, task.done()) == (60, False)
    endless.may_come.set()
    await asyncio.wait([task])
    assert (budget.held_bytes, task.cancelled()) == (0, True)
    made = endless.made
    assert await whole(writer, [b"x"]) == b"x"
    assert endless.made == made
