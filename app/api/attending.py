"""Answers end when nobody waits for them any more: at the deadline, or when the client left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from ..admission import watched
from ..errors import DeadlineExceeded
from .state import service

T = TypeVar("T")


def attended(request: Request, work: Coroutine[object, object, T]) -> Coroutine[Any, Any, T]:
    """What `work` brings; it is cancelled when the deadline comes or the client leaves before.

    The body of the request must have been read. Raises DeadlineExceeded, and Starlette's
    ClientDisconnect.
    """
    return watched(work, partial(_attendance, request))


@asynccontextmanager
async def _attendance(request: Request) -> AsyncIterator[None]:
    """The block is cancelled at the deadline, which comes at once when the client leaves."""
    admission = service(request).admission
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(admission.seconds)
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        scope.reschedule(loop.time())

    try:
        async with scope:
            watching = asyncio.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError as error:
        # A store that times out raises a kind of its own, which is not ours to explain.
        if type(error) is not TimeoutError or not scope.expired():
            raise
        if left:
            raise ClientDisconnect from None
        admission.refuse("deadline")
        raise DeadlineExceeded(
            f"There was no answer within {admission.seconds:g} seconds, the most that a request may"
            " take: ask for a smaller part.",
            limit_seconds=admission.seconds,
        ) from None
