"""Sluice's own application, with a count of the chunks that its codec decodes."""

from __future__ import annotations

from typing import Any

import numcodecs
from fastapi import FastAPI
from numcodecs.zstd import Zstd

from app.api.app import create_app_from_environment


def create_app() -> FastAPI:
    """The application of ``SLUICE_*``, and ``/-/decoded``: how many so far."""
    decoded = [0]

    class CountedZstd(Zstd):  # type: ignore[misc]
        def decode(self, buf: Any, out: Any = None) -> Any:
            decoded[0] += 1
            return super().decode(buf, out)

    # numcodecs' own way to bring a codec: the latest of a name is the one that is made.
    numcodecs.register_codec(CountedZstd, "zstd")
    app = create_app_from_environment()

    @app.get("/-/decoded")
    async def count() -> int:
        return decoded[0]

    return app
