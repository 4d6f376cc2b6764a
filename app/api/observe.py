"""What happens around every request: its id, its length, its place in logs and metrics."""

from __future__ import annotations

import asyncio
import logging
import re
from random import getrandbits
from time import perf_counter, time
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice.aliases import Document

from ..telemetry.events import Emit, RequestServed
from .access import KEY
from .cors import StrangeOrigins
from .headers import RawHeaders
from .problems import expected_problem, plain_problem, problem, unexpected
from .state import LOST, knows, phases_of, stopping

log = logging.getLogger(__name__)

_PLAIN_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class ObserveRequests:
    """ASGI middleware: gives each answer an ``X-Request-ID`` and emits a `RequestServed` for it.

    A client's own id is taken over if it is short and plain. Every error that leaves a route is
    answered here, inside CORS, so that a browser can read it; one that nobody expected is logged
    with the id.
    """

    def __init__(self, app: ASGIApp, emit: Emit, url_bytes: int, strangers: StrangeOrigins) -> None:
        self._app = app
        self._emit = emit
        self._url_bytes = url_bytes
        self._strangers = strangers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        state = scope.get("state", {})
        answer = _Answer(send, self._request_id(scope["headers"]), state)
        try:
            if _url_length(scope) > self._url_bytes:
                await self._refuse_length(scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        except ClientDisconnect:
            # Nobody is there to be answered: neither our error nor theirs.
            pass
        except asyncio.CancelledError:
            await _cut_off(scope, receive, answer)
        except Exception as error:
            await _explain(error, scope, receive, answer)
        finally:
            self._emit(self._served(scope, answer, perf_counter() - began))

    def _request_id(self, headers: RawHeaders) -> str:
        """The client's own id if it is short and plain, else a new one of 32 hexadecimal digits.

        On the way, an origin that may not read the answer is told of.
        """
        found = None
        for name, value in headers:
            if name == b"x-request-id" and found is None and _PLAIN_ID.fullmatch(value):
                found = str(value, "ascii")
            elif name == b"origin":
                self._strangers.note(value, headers)
        # Nobody has to be unable to guess it, and asking the system takes three times as long.
        return found or f"{getrandbits(128):032x}"

    async def _refuse_length(self, scope: Scope, receive: Receive, send: Send) -> None:
        length, limit = _url_length(scope), self._url_bytes
        detail = (
            f"The path and query have {length} bytes; at most {limit} are read."
            " Send a long selection as the JSON object of a POST."
        )
        facts = {"estimate": length, "limit": limit}
        await problem(414, "url-too-long", "The URL is too long", detail, facts)(
            scope, receive, send
        )

    def _served(self, scope: Scope, answer: _Answer, seconds: float) -> RequestServed:
        dataset = scope.get("path_params", {}).get("dataset_id", "")
        key = scope.get(KEY)
        return RequestServed(
            ended=time(),
            id=answer.id,
            client=(scope.get("client") or ("",))[0],
            method=scope["method"],
            path=scope["path"],
            # Labels come from what we know, never from what a client made up.
            route=getattr(scope.get("route"), "path", ""),
            dataset=dataset if knows(scope, dataset) else "",
            status=answer.status,
            seconds=seconds,
            sent_bytes=answer.sent_bytes,
            phases=phases_of(scope),
            key="" if key is None else key.name,
        )


class _Answer:
    """The way out: adds the id to the headers, and keeps what was sent in mind."""

    def __init__(self, send: Send, request_id: str, state: Document) -> None:
        self._send = send
        self._state = state
        self.id = request_id
        # 0 until the answer starts, and for ever when its client left before.
        self.status = 0
        self.sent_bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.id.encode())]
        elif LOST not in self._state:
            self.sent_bytes += len(message.get("body", b""))
        await self._send(message)


async def _explain(error: Exception, scope: Scope, receive: Receive, answer: _Answer) -> None:
    """Answer with the problem that `error` is."""
    explained = None if answer.status else expected_problem(scope, error)
    if explained is None:
        log.exception("unexpected error id=%s", answer.id)
        if answer.status:
            # Half an answer cannot be taken back: the server closes the connection.
            raise error
        explained = unexpected()
    await explained(scope, receive, answer)
    # An error that is kept, and raised again for others, would keep every request's frames.
    error.__traceback__ = None


async def _cut_off(scope: Scope, receive: Receive, answer: _Answer) -> None:
    """End a request that was cancelled because the grace time is over; raise for any other."""
    if not stopping(scope):
        raise
    log.warning("cut off, since the server stops id=%s", answer.id)
    if not answer.status:
        detail = "The server stops and could not finish this; ask again."
        headers = {"Retry-After": "1", "Connection": "close"}
        await plain_problem(503, detail, {}, headers)(scope, receive, answer)


def _url_length(scope: Scope) -> int:
    return len(scope.get("raw_path") or b"") + len(scope["query_string"])
