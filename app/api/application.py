"""The kind of application that ours is: FastAPI's, with less on the way to a route."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from app.api.openapi import SECURITY_SCHEMES

# Sluice counts and logs by itself; FastAPI would look for somebody to tell at every request.
_NO_TELEMETRY: Final[Any] = {"tracing": False, "metrics": False, "logs": False}


class Application(FastAPI):
    """An application whose middleware is what was added to it, and nothing else.

    FastAPI puts six layers of its own around the router: for errors, which `ObserveRequests`
    answers, and for parameters, dependencies and bodies, which our routes read by themselves.
    Together they cost a tenth of a warm point.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(telemetry=_NO_TELEMETRY, **options)

    def build_middleware_stack(self) -> ASGIApp:
        """The router inside what `add_middleware` was given, the last one outermost."""
        stack: ASGIApp = self.router
        for cls, args, options in reversed(self.user_middleware):
            stack = cls(stack, *args, **options)
        return stack

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, which FastAPI makes of routes, and how a key is sent.

        That it would learn from the parameters of routes, and ours have none.
        """
        document = super().openapi()
        document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
        return document
