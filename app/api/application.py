"""The kind of application that ours is: FastAPI's, with a short way to our own routes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from sluice.bounded_cache import BoundedCache

from .doors import Door
from .openapi import SECURITY_SCHEMES, Schema
from .requests import service
from .small_answers import schemas
from .state import Service

Answering: TypeAlias = Coroutine[object, object, Response]
Route: TypeAlias = Callable[[Request], Answering]

_KEPT_BYTES: Final = 512 * 2**10
# What is kept of one path besides its signs: its scope, the places in dictionaries.
_PATH_BYTES: Final = 1024
_SIGN_BYTES: Final = 8

# Sluice counts and logs by itself; FastAPI would look for somebody to tell at every request.
_NO_TELEMETRY: Final[Any] = {"tracing": False, "metrics": False, "logs": False}


class PlainRoute(APIRoute):
    """A route whose function takes the request and gives the response, and nothing around it.

    FastAPI looks for parameters to solve, and enters stacks of dependencies to close and of
    handlers that the application asks once more: together they cost a fifth of a warm point.
    What other processes have posted until now is true for whatever the function does. A route of a
    standard `door` has its name.
    """

    door: str = ""

    def __init__(self, path: str, endpoint: Route, **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            config_sync = service(request).config_sync
            if config_sync.control_log.has_news:
                await config_sync.catch_up()
            response = await endpoint(request)
            await response(scope, receive, send)

        self.app = answer


class Application(FastAPI):
    """An application whose `PlainRoute`s are reached past most of FastAPI's middleware.

    Errors that leave them are the matter of `ObserveRequests`. All other routes, which whoever
    embeds the application may add, are FastAPI's own, with all that these need.

    `service` is there as long as the lifespan goes on; `doors` are the standard ones.
    """

    service: Service | None = None
    doors: tuple[Door, ...] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(telemetry=_NO_TELEMETRY, **options)

    def setup(self) -> None:
        """Nothing of FastAPI's own: see `add_document` and `add_docs`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI's own and Starlette's do, in one step."""
        if self.root_path:
            scope["root_path"] = self.root_path
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """What `add_middleware` was given, the last one outermost, around the routes.

        FastAPI's three outermost layers (for errors that nobody expected, for telemetry and for
        the length of bodies) are left out, since we see to these ourselves.
        """
        inner: ASGIApp = AsyncExitStackMiddleware(self.router)
        inner = ExceptionMiddleware(inner, handlers=self.exception_handlers)
        plain = [route for route in self.routes if isinstance(route, PlainRoute)]
        inner = _PlainRoutesFirst(plain, inner)
        for cls, args, options in reversed(self.user_middleware):
            inner = cls(inner, *args, **options)
        return inner

    def openapi(self) -> Schema:
        """The OpenAPI document, which FastAPI makes of routes, the answers, and how a key is sent.

        These it would learn from the parameters and results of routes, and ours have none.
        """
        made = self.openapi_schema is not None
        document = super().openapi()
        if not made:
            components = document.setdefault("components", {})
            components["securitySchemes"] = SECURITY_SCHEMES
            components["schemas"] = {**schemas(), **components.get("schemas", {})}
        return document


_Asked: TypeAlias = tuple[str, str, str]
_Found: TypeAlias = tuple[PlainRoute, Scope]


class _PlainRoutesFirst:
    """ASGI middleware: a request that one of `routes` takes goes there, any other one on."""

    def __init__(self, routes: Sequence[PlainRoute], app: ASGIApp) -> None:
        # What their paths begin with, before the first parameter: few of them come into question.
        self._routes = [(route.path.partition("{")[::2], route) for route in routes]
        self._app = app
        # A service has few paths that are asked for; looking takes longer than remembering.
        self._found: BoundedCache[_Asked, _Found] = BoundedCache(_KEPT_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http":
            asked = scope["method"], scope["path"], scope.get("root_path", "")
            found = self._found.get(asked) or self._look(asked)
        if found is None:
            await self._app(scope, receive, send)
            return
        route, child_scope = found
        params = {**scope.get("path_params", {}), **child_scope["path_params"]}
        scope.update(child_scope, path_params=params)
        await route.app(scope, receive, send)

    def _look(self, asked: _Asked) -> _Found | None:
        """The first route that takes such requests, and what it adds to their scope; it is kept."""
        method, path, root_path = asked
        scope = {"type": "http", "method": method, "path": path, "root_path": root_path}
        for (start, more), route in self._routes:
            if start not in path if more else not path.endswith(start):
                continue
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                self._found.put(asked, (route, child_scope), _PATH_BYTES + _SIGN_BYTES * len(path))
                return route, child_scope
        return None
