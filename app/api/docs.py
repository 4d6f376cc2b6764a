"""The page at ``/docs``, with its scripts from this server: it works where there is no other."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, RedirectResponse

Page: TypeAlias = Callable[[Request], Awaitable[Response]]

_ASSETS: Final = "/docs/assets"
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_FILES: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")


def add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at ``/docs``; a browser that comes to the root is sent there."""

    async def docs(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            title="Sluice",
            openapi_url=f"{root}{app.openapi_url}",
            swagger_js_url=f"{root}{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_ASSETS}/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True},
        )
        page.headers.update(_page_headers(bytes(page.body).decode()))
        return page

    async def to_docs(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    _add_page(app, "/docs", docs)
    _add_page(app, "/", to_docs)
    folder = Path(str(files("fastapi_swagger.resources")))
    for name in _FILES:
        # No mounted folder: Starlette loses its files where a proxy strips the root path.
        _add_page(app, f"{_ASSETS}/{name}", _file(folder / name))


def _page_headers(page: str) -> dict[str, str]:
    """What keeps a page to itself: its own scripts and this server, inside no other page.

    The inline script is allowed by its hash (Content Security Policy 3, section 2.3.1).
    """
    scripts = [sha256(text.encode()).digest() for text in _INLINE_SCRIPT.findall(page)]
    hashes = " ".join(f"'sha256-{b64encode(digest).decode()}'" for digest in scripts)
    return {
        "Content-Security-Policy": f"default-src 'none'; script-src 'self' {hashes};"
        " style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }


def _add_page(app: FastAPI, path: str, page: Page) -> None:
    app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)(page)


def _file(path: Path) -> Page:
    async def file(request: Request) -> Response:
        return FileResponse(path, headers={"Cache-Control": "public, max-age=86400"})

    return file
