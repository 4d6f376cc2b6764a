"""The least that FastAPI can do: one route that returns bytes which are there already."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI, Response


def create_app() -> FastAPI:
    """Answers with the bytes of the file ``BENCH_BODY``, whatever the query says.

    Another dataset has the bytes of ``BENCH_LARGE_BODY``, where that is told.
    """
    body = Path(os.environ["BENCH_BODY"]).read_bytes()
    media_type = os.environ["BENCH_MEDIA_TYPE"]
    large = Path(os.environ.get("BENCH_LARGE_BODY", os.environ["BENCH_BODY"])).read_bytes()
    app = FastAPI()

    @app.get("/datasets/era5/sel")
    async def answer() -> Response:
        return Response(body, media_type=media_type)

    @app.get("/datasets/long/sel")
    async def answer_long() -> Response:
        return Response(large, media_type=media_type)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response(b"{}")

    return app
