"""The least that FastAPI can do: one route that returns bytes which are there already."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI, Response


def create_app() -> FastAPI:
    """Answers with the bytes of the file ``BENCH_BODY``, whatever the query says."""
    body = Path(os.environ["BENCH_BODY"]).read_bytes()
    media_type = os.environ["BENCH_MEDIA_TYPE"]
    app = FastAPI()

    @app.get("/datasets/era5/sel")
    async def answer() -> Response:
        return Response(body, media_type=media_type)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response(b"{}")

    return app
