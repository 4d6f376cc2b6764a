"""How long a request is worked for: until its time is over, or its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from ..errors import DeadlineExceeded
from .state import service

T = TypeVar("T")

# Where the first wait of a request leaves the time by which it must be answered.
_DEADLINE: Final = "sluice.deadline"


async def cancellable(request: Request, work: Coroutine[object, object, T]) -> T:
    """What `work` brings; it is cancelled when the deadline comes or the client leaves before.

    So everything is awaited that may take long. The deadline is that of the request, however many
    parts of it are awaited so. The body of the request must have been read. Raises
    DeadlineExceeded, and Starlette's ClientDisconnect.
    """
    admission = service(request).admission
    loop = asyncio.get_running_loop()
    deadline: float = request.scope.setdefault(_DEADLINE, loop.time() + admission.seconds)
    scope = asyncio.timeout_at(deadline)
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
                return await work
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
