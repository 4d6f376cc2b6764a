"""What is waited for is cancelled at the deadline, and when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from app.admission import Admission, ClientLimit, MemoryBudget
from app.api import create_app
from app.api.requests import cancellable
from app.errors import DeadlineExceeded
from app.settings import Settings
from tests.api.conftest import CATALOG


class Client:
    """A request whose client stays until it is told to leave."""

    def __init__(self, seconds: float = 60.0) -> None:
        budget = MemoryBudget(1, queue_requests=0, queue_seconds=1.0, on_wait=lambda seconds: None)
        self.refused: list[Any] = []
        admission = Admission(budget, ClientLimit(0), seconds, self.refused.append)
        app = SimpleNamespace(service=SimpleNamespace(admission=admission))
        self.leaves = asyncio.Event()
        self.request = Request({"type": "http", "app": app}, self._receive)

    async def _receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}


@pytest.mark.parametrize("waits", [0, 1, 5])
async def test_what_is_made_or_raised_is_the_works_own(waits: int) -> None:
    """However often it waits."""

    async def work(error: Exception | None) -> int:
        for _ in range(waits):
            await asyncio.sleep(0)
        if error is not None:
            raise error
        return waits

    client = Client()
    assert await cancellable(client.request, work(None)) == waits
    for error in (ValueError("no"), TimeoutError("a store's own")):
        with pytest.raises(type(error), match=str(error)):
            await cancellable(client.request, work(error))


async def test_the_work_is_cancelled_where_it_waits() -> None:
    """Work that goes on although it was cancelled goes on."""
    seen = []

    async def work(stubborn: bool) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(stubborn)
            if not stubborn:
                raise
        await asyncio.sleep(0.001)
        return "went on"

    client = Client()
    for stubborn in (False, True):
        task = asyncio.create_task(cancellable(client.request, work(stubborn)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        if stubborn:
            assert await task == "went on"
        else:
            with pytest.raises(asyncio.CancelledError):
                await task
    assert seen == [False, True]


async def test_the_deadline_ends_what_the_work_has_begun() -> None:
    """Groups and timeouts inside and the deadline outside keep apart."""
    ended = []

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def work() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(part())

    client = Client(seconds=0.05)
    with pytest.raises(DeadlineExceeded):
        await cancellable(client.request, work())
    assert (ended, [event.reason for event in client.refused]) == ([True] * 3, ["deadline"])


async def test_all_parts_of_a_request_have_one_deadline() -> None:
    """What the first took of the time is not there for the second."""
    client = Client(seconds=0.2)
    await cancellable(client.request, asyncio.sleep(0))
    await asyncio.sleep(0.2)
    with pytest.raises(DeadlineExceeded):
        await cancellable(client.request, asyncio.sleep(60))


async def test_a_client_that_leaves_takes_the_work_with_it() -> None:
    """Nobody is told of it as refused."""
    client = Client()
    asyncio.get_running_loop().call_soon(client.leaves.set)
    with pytest.raises(ClientDisconnect):
        await cancellable(client.request, asyncio.sleep(60))
    assert client.refused == []


async def test_what_is_in_memory_is_answered_without_watching_the_client(
    write_catalog: Callable[[str], Path],
) -> None:
    """The first answer waits for the store; the second waits for nobody."""
    app = create_app(Settings(catalog=write_catalog(CATALOG)))
    watched: list[bool] = []

    async def receive() -> Message:
        watched[-1] = True
        await asyncio.Event().wait()
        raise AssertionError

    async def status() -> int:
        sent: list[Message] = []
        watched.append(False)

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": "/datasets/v2/isel",
            "query_string": b"variables=t&time=0&level=0&latitude=0&longitude=0",
            "headers": [],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await app(scope, receive, send)
        return int(sent[0]["status"])

    async with app.router.lifespan_context(app):
        assert [await status() for _ in range(3)] == [200] * 3
    assert watched == [True, False, False]
