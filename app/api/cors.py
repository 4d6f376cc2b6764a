"""Which other origins' pages may ask from a browser: Starlette's CORS, with our own refusals."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app.api.problems import problem

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
