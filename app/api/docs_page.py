"""``/docs``: Swagger UI with this server's datasets in its examples; small, and fit for phones."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse

from sluice.bounded_cache import BoundedCache
from sluice.encoders.formats import CODINGS, compress, negotiate_coding
from sluice.errors import SluiceError

from ..catalog.opened import Opened
from .representations import PRIVATE
from .requests import cancellable, header_of, key_of, seen_entries, service
from .server_examples import with_examples

Page: TypeAlias = Callable[[Request], Awaitable[Response]]

_ASSETS: Final = "/docs/assets"
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_BUNDLE: Final = "swagger-ui-bundle.js"
_STYLES: Final = "swagger-ui.css"
_ICON: Final = "favicon-32x32.png"
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "png": "image/png"}
# Of OpenAPI documents, one for each path below which a proxy shows the service, and each dataset
# that somebody may see first.
_DOCUMENTS_BYTES: Final = 4 * 2**20
# Of datasets that come first, so many are looked at for one that is open already.
_FEW: Final = 50
# So long the document waits for the first of them to be opened: a store may hang.
_OPENING_SECONDS: Final = 3.0
_A_DAY: Final = "public, max-age=86400"


def add_document(app: FastAPI) -> None:
    """Serve the OpenAPI document, whose text FastAPI would write anew for every request."""
    written: BoundedCache[tuple[str, str], bytes] = BoundedCache(_DOCUMENTS_BYTES)
    # FastAPI makes its document, which takes a tenth of a second, in steps that others could see.
    lock = asyncio.Lock()

    async def document(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        opened = await _first(request)
        key = root, "" if opened is None else f"{opened.entry.id} {opened.identity}"
        text = written.get(key)
        if text is None:
            async with lock:
                text = await asyncio.to_thread(_written, app, root, opened)
            written.put(key, text, len(text) + len(root))
        headers = PRIVATE if service(request).keys else {"Cache-Control": "no-cache"}
        return Response(text, 200, headers, "application/json")

    if app.openapi_url:
        app.add_route(app.openapi_url, document, include_in_schema=False)


async def _first(request: Request) -> Opened | None:
    """The first dataset that the caller may see, rather one that is open; None without any.

    The document is for everybody: who has no key, or a wrong one, sees what is public.
    """
    serving = service(request)
    key = None
    with suppress(SluiceError):
        key = key_of(request, serving)
    entries = seen_entries(serving, key)
    ids = [entry.id for entry in islice(entries, _FEW)]
    found = next(filter(None, map(serving.opened.peek, ids)), None)
    if found is None and ids:
        # It says how to ask, whether or not there is something to ask for just now.
        with suppress(SluiceError, TimeoutError):
            async with asyncio.timeout(_OPENING_SECONDS):
                found = await cancellable(request, serving.opened.get(ids[0]))
    return found


def _written(app: FastAPI, root: str, opened: Opened | None) -> bytes:
    servers = {"servers": [{"url": root}]} if root else {}
    text = json.dumps({**app.openapi(), **servers}, ensure_ascii=False)
    if opened is not None:
        told = with_examples(json.loads(text), opened.entry.id, opened.prepared)
        text = json.dumps(told, ensure_ascii=False)
    return text.encode()


def add_docs(app: FastAPI, *, at_root: bool) -> None:
    """Serve Swagger UI at ``/docs``; who comes to the root is sent there, if it is `at_root`."""

    async def docs(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        made = get_swagger_ui_html(
            title="Sluice",
            openapi_url=f"{root}{app.openapi_url}",
            swagger_js_url=f"{root}{_ASSETS}/{_BUNDLE}",
            swagger_css_url=f"{root}{_ASSETS}/{_STYLES}",
            swagger_favicon_url=f"{root}{_ASSETS}/{_ICON}",
            swagger_ui_parameters={"tryItOutEnabled": True, "displayRequestDuration": True},
        )
        text = bytes(made.body).decode()
        return Response(text, 200, _page_headers(text), "text/html; charset=utf-8")

    async def to_docs(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    _add_page(app, "/docs", docs)
    if at_root:
        _add_page(app, "/", to_docs)
    for name in (_BUNDLE, _STYLES, _ICON):
        # No mounted folder: Starlette loses its files where a proxy strips the root path.
        _add_page(app, f"{_ASSETS}/{name}", _Asset(name))


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


class _Asset:
    """A file of Swagger UI, read and compressed when it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._forms: Mapping[str | None, bytes] | None = None

    async def __call__(self, request: Request) -> Response:
        """The file in the coding that the client likes best."""
        if self._forms is None:
            self._forms = await asyncio.to_thread(_forms_of, self._name)
        coding = negotiate_coding(header_of(request, b"accept-encoding"))
        coding = coding if coding in self._forms else None
        headers = {"Cache-Control": _A_DAY, "Vary": "Accept-Encoding"}
        if coding is not None:
            headers["Content-Encoding"] = coding
        kind = _TYPES[self._name.rpartition(".")[2]]
        return Response(self._forms[coding], 200, headers, kind)


def _forms_of(name: str) -> Mapping[str | None, bytes]:
    """The file by content coding (None: as it is); pictures are compressed already."""
    content = Path(str(files("fastapi_swagger.resources") / name)).read_bytes()
    if name == _STYLES:
        # Swagger UI knows no phones.
        content += files(__package__).joinpath("docs.css").read_bytes()
    forms: dict[str | None, bytes] = {None: content}
    if not name.endswith(".png"):
        forms |= {coding: compress(coding, content) for coding in CODINGS}
        forms["gzip"] = gzip.compress(content, 9, mtime=0)
    return forms
