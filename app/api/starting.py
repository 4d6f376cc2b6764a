"""What lives as long as the server runs, made in its order and closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from sluice.arrays.chunk_decoders import single_threaded_blosc
from sluice.arrays.member_documents import OpeningLimits
from sluice.arrays.reader import Reader
from sluice.cgroup import available_cores
from sluice.engine import ReadLimits
from sluice.scheduler import Threads, low_priority_pool
from sluice.store import Filesystems
from sluice.store.blocking import BlockingThreads
from sluice.store.resilient import StoreGuards
from sluice.store.retry_policy import RetryPolicy

from ..admission import Admission, ClientLimit, MemoryBudget
from ..catalog.catalog import Catalog
from ..catalog.config_sync import ConfigSync
from ..catalog.configuration import Files, Keys
from ..catalog.control_log import ControlLog, KeptEpochs
from ..catalog.listings import ListingLimits, Listings
from ..catalog.opened import Opened
from ..catalog.opened_datasets import OpenedDatasets, Opener
from ..catalog.opening import open_entry
from ..catalog.readiness import Preparation, StatusProbe, prepare_stores
from ..catalog.relisting import ListNames, Relister, list_names
from ..server.processes import Shared, unnamed_file
from ..settings import Settings
from ..telemetry.events import (
    DatasetOpened,
    DatasetRevalidated,
    Emit,
    RequestQueued,
    freeze_objects,
    sample,
    watch_loop,
)
from ..telemetry.metrics import Metrics
from .response_bodies import BodyWriter
from .spool import Spool
from .state import Encoding, RequestLimits, Service, StreamLimits

log = logging.getLogger(__name__)


async def start(
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
    reader = _reader(settings, stack)
    await stack.enter_async_context(_background(watch_loop(emit)))
    await stack.enter_async_context(_background(sample(reader.cache.lookups, emit)))
    admission = _admission(settings, emit)
    await stack.enter_async_context(_background(sample(admission.in_flight, emit)))
    guards = _guards(settings, emit)
    lister = partial(_lister(settings, filesystems), emit=emit, guards=guards)
    opener = partial(
        _opener(settings, filesystems),
        reader=reader,
        emit=emit,
        guards=guards,
    )
    opened, config_sync, keys = await _config_sync_of(settings, opener, lister, emit, shared, stack)
    await _prepare(opened, config_sync, filesystems, stack)
    if shared is not None:
        freeze_objects()  # the libraries of stores, before a request opens one
    await stack.enter_async_context(_background(sample(opened.count, emit)))
    status = StatusProbe(
        opened,
        keep_seconds=settings.status_cache_seconds,
        patience_seconds=settings.status_patience_seconds,
    )
    return Service(
        keys,
        opened,
        config_sync,
        status,
        settings.status_strictly,
        settings.metrics_access == "public",
        _limits(settings),
        _encoding(settings, stack),
        admission,
        await _spool(settings, emit, stack),
        metrics,
    )


def _lister(
    settings: Settings, filesystems: Filesystems
) -> partial[Coroutine[object, object, tuple[str, ...]]]:
    """What lists the stores behind a glob, and the groups of a hierarchy."""
    return partial(
        list_names,
        filesystems=filesystems,
        store_concurrency=settings.store_concurrency,
        most=ListingLimits(*settings.listing_limits),
        limits=OpeningLimits(**settings.store_limits),
    )


def _opener(
    settings: Settings, filesystems: Filesystems
) -> partial[Coroutine[object, object, Opened]]:
    return partial(
        open_entry,
        filesystems=filesystems,
        store_concurrency=settings.store_concurrency,
        limits=OpeningLimits(**settings.store_limits),
    )


def _filesystems(settings: Settings, stack: AsyncExitStack) -> Filesystems:
    threads = BlockingThreads(per_store=settings.threads, total=settings.blocking_threads)
    stack.callback(threads.close)
    return Filesystems(
        document_bytes=settings.document_bytes,
        reference_bytes=settings.reference_bytes,
        threads=threads,
    )


async def _config_sync_of(
    settings: Settings,
    opener: Opener,
    lister: ListNames,
    emit: Emit,
    shared: Shared | None,
    stack: AsyncExitStack,
) -> tuple[OpenedDatasets, ConfigSync, Keys]:
    """The datasets and the keys of the operator's files, and what follows their news."""
    files = Files(settings.catalog, settings.keys_file, settings.keys, settings.urls)
    kept = KeptEpochs.of(settings.catalog, settings.refreshes_file)
    file = _own_control_log(files, kept, stack) if shared is None else shared.control_log
    control_log = stack.enter_context(ControlLog(file, kept))
    opened = OpenedDatasets(
        Catalog({}),
        opener,
        capacity=settings.opened_datasets,
        capacity_bytes=settings.opened_bytes,
        failed_open_seconds=settings.failed_open_seconds,
        on_open=lambda dataset, took, error: emit(DatasetOpened(dataset, took, error)),
        on_revalidated=lambda dataset, outcome, error: emit(
            DatasetRevalidated(dataset, outcome, error)
        ),
        on_gone=lambda dataset: config_sync.gone(dataset),
        find_groups=lambda dataset: config_sync.find_groups(dataset),
    )
    stack.push_async_callback(opened.aclose)
    keys = Keys()
    relister = Relister(
        control_log,
        Listings(ListingLimits(*settings.listing_limits)),
        lister,
        retry_seconds=settings.failed_open_seconds,
    )
    config_sync = ConfigSync(control_log, files, opened, keys, relister)
    stack.push_async_callback(config_sync.aclose)
    await config_sync.begin()
    await config_sync.list_globs()
    if shared is None or shared.place == 0:
        await stack.enter_async_context(_background(config_sync.keep_listed()))
        await stack.enter_async_context(_background(config_sync.keep_groups_listed()))
    if shared is not None:
        _reload_on_hangup(config_sync)
    return opened, config_sync, keys


async def _prepare(
    opened: OpenedDatasets, config_sync: ConfigSync, filesystems: Filesystems, stack: AsyncExitStack
) -> None:
    """Have engines ready before the first request, and what a reload brings soon after it."""
    await prepare_stores(opened.catalog, filesystems)
    preparation = Preparation(opened, filesystems)
    stack.push_async_callback(preparation.aclose)
    config_sync.on_catalog = preparation.begin
    preparation.begin()


def _own_control_log(files: Files, kept: KeptEpochs, stack: AsyncExitStack) -> int:
    """A control log that no other process knows."""
    file = unnamed_file("control-log")
    stack.callback(os.close, file)
    ControlLog.begin(file, files.read(), kept)
    return file


def _reload_on_hangup(config_sync: ConfigSync) -> None:
    """Let SIGHUP, where there is one, mean that the operator's files are to be read again."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        asyncio.get_running_loop().add_signal_handler(hangup, config_sync.reload_soon)


# So much any answer may have, on however small a server.
_LEAST_MEMORY: Final = 64 * 2**20


def _limits(settings: Settings) -> RequestLimits:
    whole = ReadLimits(
        chunks=settings.request_chunks,
        chunk_bytes=settings.request_chunk_bytes,
        result_bytes=settings.request_result_bytes,
    )
    return RequestLimits(
        whole,
        StreamLimits(
            replace(whole, result_bytes=settings.stream_result_bytes),
            seconds=settings.stream_seconds,
            stall_seconds=settings.stream_stall_seconds,
        ),
        # What is more than all that there is has it alone.
        memory_bytes=max(settings.inflight_bytes, _LEAST_MEMORY),
        text_bytes=settings.request_text_bytes,
        labels=settings.request_labels,
        body_bytes=settings.body_bytes,
    )


def _guards(settings: Settings, emit: Emit) -> StoreGuards:
    policy = RetryPolicy(
        concurrency=settings.store_concurrency,
        attempts=settings.store_attempts,
        attempt_seconds=settings.store_attempt_seconds,
        read_seconds=settings.store_read_seconds,
        failures=settings.store_failures,
        open_seconds=settings.circuit_open_seconds,
    )
    return StoreGuards(policy, emit)


def _admission(settings: Settings, emit: Emit) -> Admission:
    budget = MemoryBudget(
        settings.inflight_bytes,
        queue_requests=settings.queue_requests,
        queue_seconds=settings.queue_seconds,
        on_wait=lambda seconds: emit(RequestQueued(seconds)),
    )
    clients = ClientLimit(settings.client_requests)
    return Admission(budget, clients, settings.request_seconds, emit)


async def _spool(settings: Settings, emit: Emit, stack: AsyncExitStack) -> Spool:
    spool = Spool(
        settings.spool_folder,
        capacity=max(1, settings.spool_bytes // settings.workers),
        kept_seconds=settings.spool_seconds,
        # Sooner than the request is given up.
        patience_seconds=0.8 * settings.request_seconds,
    )
    stack.callback(spool.close)
    await stack.enter_async_context(_background(sample(spool.filled, emit)))
    return spool


@asynccontextmanager
async def _background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """The work that never ends by itself goes on inside the block; that it ended is logged."""
    task = asyncio.create_task(work)
    task.add_done_callback(_write_end)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _write_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        name = getattr(task.get_coro(), "__qualname__", "some work")
        log.error("%s has ended, and goes on after a restart", name, exc_info=error)


def _reader(settings: Settings, stack: AsyncExitStack) -> Reader:
    """What all datasets share: the cache of their chunks, and where these are decoded."""
    threads, pool = _low_priority_threads(settings, "decode", stack)
    cores, calm_pool = available_cores(settings.cgroup_root), None
    if cores > 1:
        calm_pool = ThreadPoolExecutor(threads, thread_name_prefix="decode-calm")
        stack.callback(calm_pool.shutdown, wait=False, cancel_futures=True)
    return Reader(
        cache_bytes=settings.chunk_cache_bytes,
        in_flight_bytes=settings.chunks_inflight_bytes,
        inline_bytes=settings.inline_decode_bytes,
        single_core_bytes=settings.single_core_decode_bytes,
        cores=cores,
        threads=threads,
        pool=pool,
        calm_pool=calm_pool,
        shard_index_bytes=settings.shard_index_bytes,
    )


def _encoding(settings: Settings, stack: AsyncExitStack) -> Encoding:
    writer = BodyWriter(Threads(*_low_priority_threads(settings, "encode", stack)))
    return Encoding(settings.inline_encode_bytes, settings.compress_bytes, writer)


def _low_priority_threads(
    settings: Settings, name: str, stack: AsyncExitStack
) -> tuple[int, ThreadPoolExecutor]:
    """How many threads may work on large values at once, and they."""
    threads = settings.decode_threads
    pool = low_priority_pool(threads, name)
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    return threads, pool


def _own_default_executor(threads: int, stack: AsyncExitStack) -> None:
    """Bound the pool behind every `asyncio.to_thread` of this loop; no store's calls are there."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sluice")
    asyncio.get_running_loop().set_default_executor(pool)
    # Not waiting: by now no request runs, and waiting here would block the loop.
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
