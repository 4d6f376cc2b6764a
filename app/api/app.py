"""The ASGI application: `create_app(settings)` and what lives as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import FastAPI

from app import __version__
from app.admission import Admission, Budget, ClientLimit
from app.api.cors import allow_origins
from app.api.docs import add_docs
from app.api.limits import RequestLimits
from app.api.observe import ObserveRequests
from app.api.openapi import guide
from app.api.problems import install_problems
from app.api.routes import add_routes
from app.api.state import Encoding, Service, State
from app.arrays.chunk_cache import ChunkCache
from app.arrays.decode import single_threaded_blosc
from app.catalog.catalog import load_catalog
from app.catalog.opened import OpenedDatasets
from app.catalog.opening import open_entry
from app.catalog.readiness import Readiness
from app.settings import Settings
from app.store import Filesystems
from app.telemetry.events import DatasetOpened, Emit, RequestQueued, to_all
from app.telemetry.loop_lag import watch_loop
from app.telemetry.metrics import Metrics
from app.telemetry.request_log import RequestLog
from app.telemetry.sampling import sample


def create_app(settings: Settings) -> FastAPI:
    """The application that serves the catalog of `settings`; does nothing before it is started.

    Its lifespan raises CatalogError when the catalog is wrong, and owns the running loop's default
    executor: an application that embeds this one gets its bounded pool.
    """
    metrics = Metrics()
    request_log = RequestLog()
    emit = to_all(metrics.record, request_log.record)
    app = FastAPI(
        title="Sluice",
        version=__version__,
        description=guide(),
        root_path=settings.root_path,
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is answered in words, like every other wrong path.
        redirect_slashes=False,
        lifespan=_lifespan(settings, metrics, request_log, emit),
    )
    install_problems(app)
    add_routes(app)
    add_docs(app)
    app.add_middleware(ObserveRequests, emit=emit, url_bytes=settings.url_bytes)
    # The last one added is the first to see a request: refusals are readable across origins too.
    allow_origins(app, settings.cors_origins)
    return app


def create_app_from_environment() -> FastAPI:
    """What worker processes import: the application with the settings of the environment."""
    return create_app(Settings())


def _lifespan(
    settings: Settings, metrics: Metrics, request_log: RequestLog, emit: Emit
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            stack.callback(request_log.flush)
            yield {"service": await _start(settings, metrics, emit, stack)}

    return lifespan


async def _start(
    settings: Settings, metrics: Metrics, emit: Emit, stack: AsyncExitStack
) -> Service:
    """Make everything that lives as long as the server; `stack` closes it in reverse order."""
    catalog = load_catalog(settings.catalog)
    single_threaded_blosc()
    _own_default_executor(settings.threads, stack)
    filesystems = await stack.enter_async_context(Filesystems())
    chunk_cache = ChunkCache(settings.chunk_cache_bytes)
    await stack.enter_async_context(_going_on(watch_loop(emit)))
    await stack.enter_async_context(_going_on(sample(chunk_cache.lookups, emit)))
    admission = _admission(settings, emit)
    await stack.enter_async_context(_going_on(sample(admission.in_flight, emit)))
    opener = partial(
        open_entry,
        filesystems=filesystems,
        store_concurrency=settings.store_concurrency,
        inline_decode_bytes=settings.inline_decode_bytes,
        chunk_cache=chunk_cache,
        emit=emit,
    )
    opened = OpenedDatasets(
        catalog,
        opener,
        capacity=settings.opened_datasets,
        failed_open_seconds=settings.failed_open_seconds,
        on_open=lambda dataset, took, error: emit(DatasetOpened(dataset, took, error)),
    )
    readiness = Readiness(
        catalog,
        opened,
        keep_seconds=settings.ready_kept_seconds,
        patience_seconds=settings.ready_patience_seconds,
    )
    return Service(
        catalog,
        opened,
        readiness,
        settings.ready_strictly,
        _limits(settings),
        Encoding(settings.inline_encode_bytes, settings.compress_bytes),
        admission,
        metrics,
    )


def _limits(settings: Settings) -> RequestLimits:
    return RequestLimits(
        chunks=settings.request_chunks,
        chunk_bytes=settings.request_chunk_bytes,
        result_bytes=settings.request_result_bytes,
        labels=settings.request_labels,
        body_bytes=settings.body_bytes,
    )


def _admission(settings: Settings, emit: Emit) -> Admission:
    budget = Budget(
        settings.inflight_bytes,
        queue_requests=settings.queue_requests,
        queue_seconds=settings.queue_seconds,
        on_wait=lambda seconds: emit(RequestQueued(seconds)),
    )
    clients = ClientLimit(settings.client_requests)
    return Admission(budget, clients, settings.request_seconds, emit)


@asynccontextmanager
async def _going_on(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work that never ends by itself goes on inside the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _own_default_executor(threads: int, stack: AsyncExitStack) -> None:
    """Bound the pool behind every `asyncio.to_thread` of this loop."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sluice")
    asyncio.get_running_loop().set_default_executor(pool)
    # Not waiting: by now no request runs, and waiting here would block the loop.
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
