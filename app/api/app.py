"""The ASGI application: `create_app(settings)` and what lives as long as it runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import FastAPI

from sluice import __version__
from sluice.arrays.chunk_cache import ChunkCache
from sluice.arrays.decode import single_threaded_blosc
from sluice.arrays.opening_limits import OpeningLimits
from sluice.arrays.threads import Threads, available_cores, busy_pool
from sluice.arrays.workshop import Workshop
from sluice.engine import ReadLimits
from sluice.events import CircuitChanged
from sluice.store import Filesystems
from sluice.store.blocking import BlockingThreads
from sluice.store.guarded import StoreGuards
from sluice.store.retries import Patience

from ..admission import Admission, Budget, ClientLimit
from ..catalog.bulletin import Bulletin
from ..catalog.catalog import Catalog
from ..catalog.configuration import Files
from ..catalog.following import Follower
from ..catalog.keys import Keys
from ..catalog.opened_datasets import OpenedDatasets, Opener
from ..catalog.opening import open_entry
from ..catalog.readiness import Readiness
from ..doors.native.routes import add_native_door
from ..settings import Settings
from ..shared import Shared, unnamed_file
from ..telemetry.events import DatasetLookedAt, DatasetOpened, Emit, RequestQueued, to_all
from ..telemetry.lasting import LastingObjects, spare_what_is_there
from ..telemetry.loop_lag import watch_loop
from ..telemetry.metrics import Metrics
from ..telemetry.request_log import RequestLog
from ..telemetry.sampling import sample
from ..telemetry.store_log import write_circuit
from .application import Application
from .cors import StrangeOrigins, allow_origins
from .docs import add_docs
from .limits import RequestLimits
from .observe import ObserveRequests
from .openapi import guide
from .problems import install_problems
from .routes import add_routes
from .state import Encoding, Service
from .writing import Writing


def create_app(settings: Settings, *, shared: Shared | None = None) -> FastAPI:
    """The application that serves the catalog of `settings`; does nothing before it is started.

    Our own server hands over what its processes have `shared`, and leaves SIGHUP to them.
    The lifespan raises CatalogError when the catalog is wrong, and owns the running loop's default
    executor: an application that embeds this one gets its bounded pool.
    """
    metrics = Metrics() if shared is None else Metrics(shared.counts, shared.place)
    request_log = RequestLog()
    sinks = [metrics.record, request_log.record, write_circuit]
    if shared is not None:
        # The process is ours: nobody else in it makes objects.
        sinks.append(LastingObjects().record)
    emit = to_all(*sinks)
    app = Application(
        title="Sluice",
        version=__version__,
        description=guide(),
        root_path=settings.root_path,
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is answered in words, like every other wrong path.
        redirect_slashes=False,
        lifespan=_lifespan(settings, metrics, request_log, emit, shared),
    )
    install_problems(app)
    add_native_door(app)
    add_routes(app)
    add_docs(app)
    strangers = StrangeOrigins(settings.cors_origins)
    app.add_middleware(
        ObserveRequests, emit=emit, url_bytes=settings.url_bytes, strangers=strangers
    )
    # The last one added is the first to see a request: refusals are readable across origins too.
    allow_origins(app, settings.cors_origins)
    return app


def create_app_from_environment() -> FastAPI:
    """What worker processes import: the application with the settings of the environment."""
    app = create_app(Settings(), shared=Shared.told())
    # What was imported lasts, and now nobody waits.
    spare_what_is_there()
    return app


def _lifespan(
    settings: Settings,
    metrics: Metrics,
    request_log: RequestLog,
    emit: Emit,
    shared: Shared | None,
) -> Callable[[Application], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(request_log.flush)
            app.service = await _start(settings, metrics, emit, shared, stack)
            try:
                yield
            finally:
                app.service = None

    return lifespan


async def _start(
    settings: Settings,
    metrics: Metrics,
    emit: Emit,
    shared: Shared | None,
    stack: AsyncExitStack,
) -> Service:
    """Make everything that lives as long as the server; `stack` closes it in reverse order."""
    single_threaded_blosc()
    _own_default_executor(settings.threads, stack)
    filesystems = await stack.enter_async_context(_filesystems(settings, stack))
    chunk_cache = ChunkCache(settings.chunk_cache_bytes)
    workshop = _workshop(settings, stack)
    await stack.enter_async_context(_going_on(watch_loop(emit)))
    await stack.enter_async_context(_going_on(sample(chunk_cache.lookups, emit)))
    admission = _admission(settings, emit)
    await stack.enter_async_context(_going_on(sample(admission.in_flight, emit)))
    opener = partial(
        open_entry,
        filesystems=filesystems,
        store_concurrency=settings.store_concurrency,
        shard_index_bytes=settings.shard_index_bytes,
        inline_decode_bytes=settings.inline_decode_bytes,
        chunk_cache=chunk_cache,
        workshop=workshop,
        emit=emit,
        guards=_guards(settings, emit),
        limits=OpeningLimits(**settings.store_limits),
    )
    opened, follower, keys = await _following(settings, opener, emit, shared, stack)
    await stack.enter_async_context(_going_on(sample(opened.count, emit)))
    readiness = Readiness(
        opened,
        keep_seconds=settings.ready_kept_seconds,
        patience_seconds=settings.ready_patience_seconds,
    )
    return Service(
        keys,
        opened,
        follower,
        readiness,
        settings.ready_strictly,
        settings.metrics_access == "public",
        _limits(settings),
        _encoding(settings, stack),
        admission,
        metrics,
    )


def _filesystems(settings: Settings, stack: AsyncExitStack) -> Filesystems:
    threads = BlockingThreads(per_store=settings.threads, total=settings.blocking_threads)
    stack.callback(threads.close)
    return Filesystems(
        document_bytes=settings.document_bytes,
        reference_bytes=settings.reference_bytes,
        threads=threads,
    )


async def _following(
    settings: Settings, opener: Opener, emit: Emit, shared: Shared | None, stack: AsyncExitStack
) -> tuple[OpenedDatasets, Follower, Keys]:
    """The datasets and the keys of the operator's files, and what follows their news."""
    files = Files(settings.catalog, settings.keys_file, settings.keys)
    file = _own_bulletin(files, stack) if shared is None else shared.bulletin
    bulletin = stack.enter_context(Bulletin(file))
    opened = OpenedDatasets(
        Catalog({}),
        opener,
        capacity=settings.opened_datasets,
        capacity_bytes=settings.opened_bytes,
        failed_open_seconds=settings.failed_open_seconds,
        on_open=lambda dataset, took, error: emit(DatasetOpened(dataset, took, error)),
        on_look=lambda dataset, outcome, error: emit(DatasetLookedAt(dataset, outcome, error)),
        on_gone=lambda dataset: follower.gone(dataset),
    )
    stack.push_async_callback(opened.aclose)
    keys = Keys()
    follower = Follower(bulletin, files, opened, keys)
    stack.push_async_callback(follower.aclose)
    await follower.begin()
    if shared is not None:
        _reload_on_hangup(follower)
    return opened, follower, keys


def _own_bulletin(files: Files, stack: AsyncExitStack) -> int:
    """A bulletin that no other process knows."""
    file = unnamed_file("bulletin")
    stack.callback(os.close, file)
    Bulletin.begin(file, files.read())
    return file


def _reload_on_hangup(follower: Follower) -> None:
    """Let SIGHUP, where there is one, mean that the operator's files are to be read again."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        asyncio.get_running_loop().add_signal_handler(hangup, follower.reload_soon)


def _limits(settings: Settings) -> RequestLimits:
    reading = ReadLimits(
        chunks=settings.request_chunks,
        chunk_bytes=settings.request_chunk_bytes,
        result_bytes=settings.request_result_bytes,
    )
    return RequestLimits(reading, labels=settings.request_labels, body_bytes=settings.body_bytes)


def _guards(settings: Settings, emit: Emit) -> StoreGuards:
    patience = Patience(
        concurrency=settings.store_concurrency,
        attempts=settings.store_attempts,
        attempt_seconds=settings.store_attempt_seconds,
        read_seconds=settings.store_read_seconds,
        failures=settings.store_failures,
        rest_seconds=settings.store_rest_seconds,
    )
    return StoreGuards(
        patience,
        lambda store, datasets, state: emit(CircuitChanged(store, datasets, state.value)),
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


def _workshop(settings: Settings, stack: AsyncExitStack) -> Workshop:
    """Where the chunks of all datasets are decoded."""
    threads, pool = _busy_threads(settings, "decode", stack)
    return Workshop(
        inline_bytes=settings.inline_decode_bytes,
        between_bytes=settings.lone_core_decode_bytes if available_cores() == 1 else 0,
        under_way_bytes=settings.under_way_bytes,
        threads=threads,
        pool=pool,
    )


def _encoding(settings: Settings, stack: AsyncExitStack) -> Encoding:
    writing = Writing(Threads(*_busy_threads(settings, "encode", stack)))
    return Encoding(settings.inline_encode_bytes, settings.compress_bytes, writing)


def _busy_threads(
    settings: Settings, name: str, stack: AsyncExitStack
) -> tuple[int, ThreadPoolExecutor]:
    """How many threads may work on large values at once, and they."""
    threads = settings.decode_threads or available_cores()
    pool = busy_pool(threads, name)
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    return threads, pool


def _own_default_executor(threads: int, stack: AsyncExitStack) -> None:
    """Bound the pool behind every `asyncio.to_thread` of this loop; no store's calls are there."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sluice")
    asyncio.get_running_loop().set_default_executor(pool)
    # Not waiting: by now no request runs, and waiting here would block the loop.
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
