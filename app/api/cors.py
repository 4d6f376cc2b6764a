"""Which other origins' pages may ask from a browser: Starlette's CORS, with our own refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from .problems import problem

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
)


class _CORS(CORSMiddleware):
    """Refused preflights are problem documents, like every other error."""

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
        return problem(400, "cors", "Not allowed across origins", f"{reason}.", facts, kept)


def allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Let pages of these `origins` read answers; with none of them nothing changes."""
    if origins:
        app.add_middleware(
            _CORS,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        )


class StrangeOrigins:
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
