"""The least that an ASGI application does to send files: each is read in a thread."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send


def create_app() -> ASGIApp:
    """Answers with the files of the store in ``BENCH_STORE``, by their keys; nothing is kept."""
    store = os.environ["BENCH_STORE"]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # uvicorn goes on without a lifespan where the application has none.
            raise RuntimeError("this application has requests alone")
        content = await asyncio.to_thread(Path(store + scope["path"]).read_bytes)
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content})

    return app
