"""How each protocol's filesystem is made, connected on the running loop, and closed."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MethodType
from typing import Any, Final

from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from sluice.aliases import Document
from sluice.errors import CatalogError
from sluice.store.headers import REGION_HEADER
from sluice.store.inner_addresses import outer_socket

Options = Document

# fsspec keeps instances per thread and hands them out again; ours must belong to one loop and
# end with it. Remembered listings would hide what was written since.
OURS = {"skip_instance_cache": True, "use_listings_cache": False}


@dataclass(frozen=True, slots=True)
class Opened:
    """A connected filesystem and how to close it."""

    fs: AsyncFileSystem
    aclose: Callable[[], Awaitable[Any]]


async def open_s3(options: Options) -> Opened:
    """s3fs, connected. Its words; each request is tried once (see `sluice.store.retry_policy`)."""
    s3fs = await imported("s3fs", extra=None)
    aiobotocore = await imported("aiobotocore.httpsession", extra=None)
    bounded = await imported("sluice.store.bounded_answers", extra=None)
    config = {
        "http_session_cls": bounded.session_class(aiobotocore.AIOHTTPSession),
        "max_pool_connections": 64,
        "connect_timeout": 5,
        "read_timeout": 20,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        **options.get("config_kwargs", {}),
    }
    # One part per value: more would mean a HEAD before each (see `s3_reader`).
    ours = {**OURS, "max_concurrency": 1, **options, "config_kwargs": config, "asynchronous": True}
    fs = s3fs.S3FileSystem(**ours)
    # s3fs has five tries of its own, nested twice: each would multiply those above and below.
    fs.retries = 1
    if fs.session is None:
        session = await imported("aiobotocore.session", extra=None)
        fs.session = session.AioSession(**fs.kwargs)
    # First of all handlers, those of clients come after it.
    fs.session.register("needs-retry.s3.HeadBucket", _end_of_redirects)
    await fs.set_session()

    async def aclose() -> None:
        # Through its creator, which also knows the clients of other regions.
        await fs._s3creator.__aexit__(None, None, None)

    return Opened(fs, aclose)


def _end_of_redirects(request_dict: Any, response: Any, **_: Any) -> None:
    """Of a bucket's HEAD that is redirected without a region, no other HEAD learns it.

    botocore would ask that again, and again for the answer of each, until the stack is full.
    """
    answered = None if response is None else response[0]
    if answered is None or answered.status_code not in (301, 302, 307, 308):
        return
    if REGION_HEADER not in answered.headers:
        request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


async def open_http(options: Options) -> Opened:
    """fsspec's HTTP filesystem over one aiohttp session."""
    http = await imported("fsspec.implementations.http", extra=None)
    aiohttp = await imported("aiohttp", extra=None)
    bounded = await imported("sluice.store.bounded_answers", extra=None)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    redirects = await imported("sluice.store.inner_addresses", extra=None)
    usual = {
        "timeout": timeout,
        "response_class": bounded.BoundedAnswer,
        "trace_configs": [redirects.outward_redirects()],
    }
    client = {**usual, **options.get("client_kwargs", {})}
    ours = {**OURS, **options, "client_kwargs": client, "asynchronous": True}
    fs = http.HTTPFileSystem(**ours)
    session = await fs.set_session()
    return Opened(fs, session.close)


async def open_outer_http(options: Options) -> Opened:
    """As `open_http`, without connections to inner addresses (see `inner_addresses`).

    Behind a proxy that the options name it is the proxy that connects, and knows where names lead.
    """
    client = dict(options.get("client_kwargs", {}))
    if not (options.get("proxy") or client.get("proxy") or client.get("trust_env")):
        aiohttp = await imported("aiohttp", extra=None)
        client["connector"] = aiohttp.TCPConnector(socket_factory=outer_socket)
    return await open_http({**options, "client_kwargs": client})


async def open_local(options: Options) -> Opened:
    """Local files, whose calls block (see `sluice.store.blocking`)."""
    local = await imported("fsspec.implementations.local", extra=None)
    return _wrapped(local.LocalFileSystem(**{**OURS, **options}))


async def open_memory(options: Options) -> Opened:
    """fsspec's process-wide memory filesystem."""
    memory = await imported("fsspec.implementations.memory", extra=None)
    return _wrapped(memory.MemoryFileSystem(**{**OURS, **options}))


async def open_gs(options: Options) -> Opened:
    """gcsfs, connected."""
    gcsfs = await imported("gcsfs", extra="gs")
    bounded = await imported("sluice.store.bounded_answers", extra=None)
    session = {"response_class": bounded.BoundedAnswer, **options.get("session_kwargs", {})}

    def make() -> Any:
        # In a thread: it may ask the metadata server for credentials with blocking calls.
        ours = {**OURS, **options, "session_kwargs": session, "asynchronous": True}
        return gcsfs.GCSFileSystem(**ours)

    fs = await asyncio.to_thread(make)
    # gcsfs wraps it in six tries of its own.
    fs._request = MethodType(inspect.unwrap(type(fs)._request), fs)
    connected = await fs._set_session()
    return Opened(fs, connected.close)


async def open_az(options: Options) -> Opened:
    """adlfs, whose service client connects with its first request."""
    adlfs = await imported("adlfs", extra="az")
    # At exit adlfs closes what it opened once more, on its loop; an asynchronous instance has none,
    # and the interpreter would end with a traceback.
    with_loop = {"loop": property(lambda _: get_loop())}
    blobs = type("AzureBlobs", (adlfs.AzureBlobFileSystem,), with_loop)
    fs = blobs(**{**OURS, **options, "asynchronous": True})
    # The SDK tries three times more, after pauses of 12 s and longer: each would multiply ours.
    for policy in fs.service_client._pipeline._impl_policies:
        if hasattr(policy, "total_retries"):
            policy.total_retries = 0

    async def aclose() -> None:
        await fs.service_client.close()
        if hasattr(fs.credential, "close"):
            await fs.credential.close()

    return Opened(fs, aclose)


def _wrapped(fs: Any) -> Opened:
    return Opened(AsyncFileSystemWrapper(fs, asynchronous=True), _nothing_to_close)


async def _nothing_to_close() -> None:
    """Close nothing."""


async def imported(module: str, *, extra: str | None) -> Any:
    """The module, imported in a thread because engines take long enough to stall a loop.

    Raises:
        CatalogError: it is not installed; names the extra to install.
    """
    try:
        return await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        wanted = f"sluice-zarr[{extra}]" if extra else "sluice-zarr"
        raise CatalogError(
            f"{module} is not installed: pip install '{wanted}'", extra=extra
        ) from error


_S3: Final = (
    "s3fs",
    "aiobotocore.session",
    "aiobotocore.httpsession",
    "sluice.store.bounded_answers",
    "sluice.store.s3_reader",
)
_HTTP: Final = (
    "fsspec.implementations.http",
    "aiohttp",
    "sluice.store.bounded_answers",
    "sluice.store.inner_addresses",
    "sluice.store.http_reader",
)
_LOCAL: Final = ("fsspec.implementations.local",)
_GS: Final = ("gcsfs", "sluice.store.bounded_answers")
_AZ: Final = ("adlfs",)

# What a filesystem is made and read with, for each protocol that names no other engine.
MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": _S3,
    "s3a": _S3,
    "http": _HTTP,
    "https": _HTTP,
    "file": _LOCAL,
    "local": _LOCAL,
    "memory": ("fsspec.implementations.memory",),
    "gs": _GS,
    "gcs": _GS,
    "az": _AZ,
    "abfs": _AZ,
    "abfss": _AZ,
    "reference": ("fsspec.implementations.reference", "sluice.store.reference_reader"),
}
OBSTORE_MODULES: Final = ("obstore.store",)


def import_modules(names: Iterable[str]) -> None:
    """Import these modules, but for those of extras that are not installed: opening says that."""
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)


Opener = Callable[[Options], Coroutine[object, object, Opened]]

OPENERS: Mapping[str, Opener] = {
    "s3": open_s3,
    "s3a": open_s3,
    "http": open_http,
    "https": open_http,
    "file": open_local,
    "local": open_local,
    "memory": open_memory,
    "gs": open_gs,
    "gcs": open_gs,
    "az": open_az,
    "abfs": open_az,
    "abfss": open_az,
}
