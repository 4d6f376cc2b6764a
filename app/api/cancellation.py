"""How long a request is worked for: until its time is over, or its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from ..errors import DeadlineExceeded
from .state import service

T = TypeVar("T")

# Where the first wait of a request leaves the time by which it must be answered.
_DEADLINE: Final = "sluice.deadline"


class Expired(Exception):
    """The time for something is over."""


class Clock:
    """When work has to end: at its `end`, for want of progress, or because its client left."""

    def __init__(self, timeout: asyncio.Timeout, end: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._end = end
        self.left = False

    def expect(self, seconds: float | None) -> None:
        """Progress is to come within so many seconds; None: by the end."""
        if not self.left:
            soon = self._end if seconds is None else self._loop.time() + seconds
            self._timeout.reschedule(min(soon, self._end))

    async def watch(self, receive: Receive) -> None:
        """End the work when its client leaves."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._timeout.reschedule(self._loop.time())


@asynccontextmanager
async def ending(receive: Receive, end: float) -> AsyncIterator[Clock]:
    """The block is cancelled at `end` of the loop's time, or as its clock says.

    The body of the request must have been read. Raises Expired, and Starlette's ClientDisconnect.
    """
    timeout = asyncio.timeout_at(end)
    clock = Clock(timeout, end)
    try:
        async with timeout:
            watching = asyncio.create_task(clock.watch(receive))
            try:
                yield clock
            finally:
                watching.cancel()
    except TimeoutError as error:
        # A store that times out raises a kind of its own, which is not ours to explain.
        if type(error) is not TimeoutError or not timeout.expired():
            raise
        if clock.left:
            raise ClientDisconnect from None
        raise Expired from None


async def cancellable(
    request: Request, work: Coroutine[object, object, T], led_on: Callable[[], str] = str
) -> T:
    """What `work` brings; it is cancelled when the deadline comes or the client leaves before.

    So everything is awaited that may take long. The deadline is that of the request, however many
    parts of it are awaited so; `led_on` is told who meets it. The body of the request must have
    been read. Raises DeadlineExceeded, and Starlette's ClientDisconnect.
    """
    admission = service(request).admission
    end = asyncio.get_running_loop().time() + admission.seconds
    deadline: float = request.scope.setdefault(_DEADLINE, end)
    try:
        async with ending(request.receive, deadline):
            return await work
    except Expired:
        admission.refuse("deadline")
        raise DeadlineExceeded(
            f"There was no answer within {admission.seconds:g} seconds, the most that a request may"
            f" take: ask for a smaller part.{led_on()}",
            limit_seconds=admission.seconds,
        ) from None
