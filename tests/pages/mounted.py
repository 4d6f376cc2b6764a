"""The service inside another application, below ``/data``, as a project would mount it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from app.api import create_app
from app.settings import Settings

service = create_app(Settings(catalog=Path(os.environ["MOUNTED_CATALOG"])))


@asynccontextmanager
async def lifespan(outer: FastAPI) -> AsyncIterator[None]:
    """That of the service, which whoever mounts it enters."""
    async with service.router.lifespan_context(service):
        yield


outer = FastAPI(lifespan=lifespan)
outer.mount("/data", service)
