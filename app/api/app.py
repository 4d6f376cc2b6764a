"""The ASGI application: `create_app(settings)` and what lives as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI

from app import __version__
from app.api.limits import RequestLimits
from app.api.problems import install_problems
from app.api.routes import add_routes
from app.api.state import Service, State
from app.arrays.decode import single_threaded_blosc
from app.catalog.catalog import load_catalog
from app.catalog.opened import OpenedDatasets
from app.catalog.opening import open_entry
from app.settings import Settings
from app.store import Filesystems

DESCRIPTION = "Slices of Zarr stores by label or by position, as JSON or NetCDF."


def create_app(settings: Settings) -> FastAPI:
    """The application that serves the catalog of `settings`; does nothing before it is started.

    Its lifespan raises CatalogError when the catalog is wrong, and owns the running loop's default
    executor: an application that embeds this one gets its bounded pool.
    """
    app = FastAPI(
        title="Sluice",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(settings),
    )
    install_problems(app)
    add_routes(app)
    return app


def create_app_from_environment() -> FastAPI:
    """What worker processes import: the application with the settings of the environment."""
    return create_app(Settings())


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            yield {"service": await _start(settings, stack)}

    return lifespan


async def _start(settings: Settings, stack: AsyncExitStack) -> Service:
    """Make everything that lives as long as the server; `stack` closes it in reverse order."""
    catalog = load_catalog(settings.catalog)
    single_threaded_blosc()
    _own_default_executor(settings.threads, stack)
    filesystems = await stack.enter_async_context(Filesystems())
    opener = partial(
        open_entry,
        filesystems=filesystems,
        store_concurrency=settings.store_concurrency,
        inline_decode_bytes=settings.inline_decode_bytes,
    )
    opened = OpenedDatasets(
        catalog,
        opener,
        capacity=settings.opened_datasets,
        failed_open_seconds=settings.failed_open_seconds,
    )
    limits = RequestLimits(settings.request_chunk_bytes, settings.request_result_bytes)
    return Service(catalog, opened, limits, settings.inline_encode_bytes)


def _own_default_executor(threads: int, stack: AsyncExitStack) -> None:
    """Bound the pool behind every `asyncio.to_thread` of this loop."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sluice")
    asyncio.get_running_loop().set_default_executor(pool)
    # Not waiting: by now no request runs, and waiting here would block the loop.
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
