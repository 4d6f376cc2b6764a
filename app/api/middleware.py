"""What happens around every request: its id, its length, its place in logs and metrics, CORS."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from random import getrandbits
from time import perf_counter, time
from typing import Final, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice.aliases import Document
from sluice.errors import SluiceError

from ..telemetry.events import DoorAnswered, Emit, RequestRefused, RequestServed
from .problems import expected_problem, plain_problem, problem, unexpected
from .requests import KEY, stopping
from .response_bodies import RawHeaders
from .state import ABORT, LOST, PHASES, Service
from .streaming import AnswerBroken

log = logging.getLogger(__name__)

# Anybody can make up origins: so many are told of, each cut to so many letters.
_MOST_TOLD: Final = 64
_LONGEST: Final = 200

_EXPOSED: Final = (
    "ETag",
    "X-Request-ID",
    "Retry-After",
    "Content-Disposition",
    "Server-Timing",
    "X-Sluice-Store",
    "X-Sluice-Distance",
    "Accept-Ranges",
    "Content-Range",
    "Content-Length",
)


# The form in which a problem of a request is sent.
ProblemForm: TypeAlias = Callable[[Scope, Response], Response]


def as_it_is(scope: Scope, failed: Response) -> Response:
    """A problem document, whatever was asked for."""
    return failed


class _CORS(CORSMiddleware):
    """Refused preflights are problems in the `form` of all others."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], form: ProblemForm) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        )
        self._form = form

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        facts = {
            "origin": request_headers.get("origin"),
            "method": request_headers.get("access-control-request-method"),
        }
        reason = bytes(answer.body).decode()
        kept = {name: v for name, v in answer.headers.items() if not name.startswith("content-")}
        failed = problem(400, "cors", "Not allowed across origins", f"{reason}.", facts, kept)
        return _Formed(failed, self._form)


class _Formed(Response):
    """A problem, which takes its form as it is sent: then it is known what was asked for."""

    def __init__(self, failed: Response, form: ProblemForm) -> None:
        super().__init__(failed.body, failed.status_code)
        self._failed = failed
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._form(scope, self._failed)(scope, receive, send)


def allow_origins(app: FastAPI, origins: tuple[str, ...], form: ProblemForm = as_it_is) -> None:
    """Let pages of these `origins` read answers; with none of them nothing changes."""
    if origins:
        app.add_middleware(_CORS, origins=origins, form=form)


class UnlistedOrigins:
    """Tells the log of each origin, once, whose pages asked and may not read the answers.

    Their first `fetch` is the moment in which an operator misses the setting; the browser itself
    tells nobody but the page's author.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._known = {origin.encode() for origin in origins}
        self._told: set[bytes] = set()

    def note(self, origin: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """A request with these `headers` came from a page of `origin`."""
        if origin in self._known or b"*" in self._known:
            return
        origin = origin[:_LONGEST]
        if origin in self._told or len(self._told) >= _MOST_TOLD or _is_own(origin, headers):
            return
        self._told.add(origin)
        log.warning(
            'a page of origin "%s" asked, and its browser will not let it read the answer:'
            " SLUICE_CORS_ORIGINS does not name that origin",
            ascii(origin.decode("latin-1"))[1:-1].replace('"', "%22"),
        )


def _is_own(origin: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the page came from the address that it asks; a browser names that for a POST."""
    host = origin.partition(b"://")[2]
    return any(name in (b"host", b"x-forwarded-host") and value == host for name, value in headers)


def install_problems(app: FastAPI, form: ProblemForm = as_it_is) -> None:
    """Make the same problems of errors that leave other routes than our own."""

    async def answer(request: Request, error: Exception) -> Response:
        return form(request.scope, expected_problem(request.scope, error) or unexpected())

    for kind in (SluiceError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


_PLAIN_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class ObserveRequests:
    """ASGI middleware: gives each answer an ``X-Request-ID`` and emits a `RequestServed` for it.

    A client's own id is taken over if it is short and plain. Every error that leaves a route is
    answered here, inside CORS, so that a browser can read it; one that nobody expected is logged
    with the id.
    """

    def __init__(
        self,
        app: ASGIApp,
        emit: Emit,
        url_bytes: int,
        unlisted: UnlistedOrigins,
        form: ProblemForm = as_it_is,
    ) -> None:
        self._app = app
        self._form = form
        self._emit = emit
        self._url_bytes = url_bytes
        self._unlisted = unlisted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        state = scope.get("state", {})
        answer = _Answer(send, self._request_id(scope["headers"]), state)
        try:
            length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
            if length > self._url_bytes:
                await self._refuse_length(length, scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        except ClientDisconnect:
            # Nobody is there to be answered: neither our error nor theirs.
            pass
        except asyncio.CancelledError:
            await _cut_off(scope, receive, answer, self._form)
        except AnswerBroken as error:
            self._emit(RequestRefused("broken"))
            log.error("answer broken off id=%s: %s", answer.id, error)
            if ABORT not in state:
                raise
        except Exception as error:
            await _explain(error, scope, receive, answer, self._form)
        finally:
            self._tell(scope, answer, perf_counter() - began)

    def _request_id(self, headers: RawHeaders) -> str:
        """The client's own id if it is short and plain, else a new one of 32 hexadecimal digits.

        On the way, an origin that may not read the answer is told of.
        """
        found = None
        for name, value in headers:
            if name == b"x-request-id" and found is None and _PLAIN_ID.fullmatch(value):
                found = str(value, "ascii")
            elif name == b"origin":
                self._unlisted.note(value, headers)
        # Nobody has to be unable to guess it, and asking the system takes three times as long.
        return found or f"{getrandbits(128):032x}"

    async def _refuse_length(self, length: int, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._url_bytes
        detail = (
            f"The path and query have {length} bytes; at most {limit} are read."
            " Send a long selection as a POST: the native routes take a JSON object, EDR a form."
        )
        facts = {"estimate": length, "limit": limit}
        failed = problem(414, "url-too-long", "The URL is too long", detail, facts)
        await self._form(scope, failed)(scope, receive, send)

    def _tell(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        """Emit what became of the request, and of one to a standard door that door's part."""
        dataset = scope.get("path_params", {}).get("dataset_id", "")
        key = scope.get(KEY)
        # An application that is mounted in ours leaves its own name behind.
        serving: Service | None = getattr(scope.get("app"), "service", None)
        known = serving is not None and dataset in serving.opened.catalog.entries
        served = RequestServed(
            ended=time(),
            id=answer.id,
            client=(scope.get("client") or ("",))[0],
            method=scope["method"],
            path=scope["path"],
            # Labels come from what we know, never from what a client made up.
            route=getattr(scope.get("route"), "path", ""),
            dataset=dataset if known else "",
            status=answer.status,
            seconds=seconds,
            sent_bytes=answer.sent_bytes,
            phases=scope.get(PHASES),
            key="" if key is None else key.name,
        )
        self._emit(served)
        if door := getattr(scope.get("route"), "door", ""):
            self._emit(DoorAnswered(door, answer.status, seconds))


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


async def _explain(
    error: Exception, scope: Scope, receive: Receive, answer: _Answer, form: ProblemForm
) -> None:
    """Answer with the problem that `error` is."""
    explained = None if answer.status else expected_problem(scope, error)
    if explained is None:
        log.exception("unexpected error id=%s", answer.id)
        if answer.status:
            # Half an answer cannot be taken back: the server closes the connection.
            raise error
        explained = unexpected()
    await form(scope, explained)(scope, receive, answer)
    # An error that is kept, and raised again for others, would keep every request's frames.
    error.__traceback__ = None


async def _cut_off(scope: Scope, receive: Receive, answer: _Answer, form: ProblemForm) -> None:
    """End a request that was cancelled because the grace time is over; raise for any other."""
    if not stopping(scope):
        raise
    log.warning("cut off, since the server stops id=%s", answer.id)
    if not answer.status:
        detail = "The server stops and could not finish this; ask again."
        headers = {"Retry-After": "1", "Connection": "close"}
        failed = plain_problem(503, detail, {}, headers)
        await form(scope, failed)(scope, receive, answer)
