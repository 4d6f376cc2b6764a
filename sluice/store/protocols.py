"""The filesystems that are known, one row for each: how it is opened, read and described.

A row's functions import its library when they are called, and not before.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType, MethodType, ModuleType
from typing import Final, Literal, TypeAlias

from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from sluice.aliases import Document
from sluice.errors import CatalogError
from sluice.store.blocking import Calls, LoopCalls
from sluice.store.failures import S3_LIST_ADVICE, S3_READ_ADVICE
from sluice.store.readers import (
    OURS,
    AzureReader,
    BlockingReader,
    FilesystemReader,
    ObjectReader,
    Opened,
)

Connect: TypeAlias = Callable[[Document], Awaitable[Opened]]
MakeReader: TypeAlias = Callable[[AsyncFileSystem, Calls], FilesystemReader]


@dataclass(frozen=True, slots=True)
class FilesystemKind:
    """One row of the table: a filesystem.

    protocols: its names in URLs, the usual one first.
    needs: what an address has to name after ``://``; nothing where that is empty.
    connect: opens it on the running loop; None for a reference set, which is opened from its
        document instead.
    connect_outside: the same without connections to inner addresses, where that differs.
    reader: makes its reader, unless its calls block (see `reader_for`).
    modules: what opening and reading it imports.
    read_advice, list_advice: what an operator can do where reading or listing is refused.
    by_obstore: whether the obstore engine serves its protocols, too.
    """

    protocols: tuple[str, ...]
    needs: Literal["bucket", "host", "path", ""]
    connect: Connect | None
    reader: MakeReader
    modules: tuple[str, ...]
    connect_outside: Connect | None = None
    read_advice: str = ""
    list_advice: str = ""
    by_obstore: bool = False


async def imported(module: str, *, extra: str | None = None) -> ModuleType:
    """The module, imported in a thread because large libraries would stall the loop.

    Raises:
        CatalogError: it is not installed; names the extra to install.
    """
    try:
        return await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        wanted = f"sluice-zarr[{extra}]" if extra else "sluice-zarr"
        raise CatalogError(
            f"{error.name or module} is not installed: pip install '{wanted}'", extra=extra
        ) from error


def import_modules(names: Iterable[str]) -> None:
    """Import these modules, but for those of extras that are not installed: opening says that."""
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)


async def _connect_s3(options: Document) -> Opened:
    opened: Opened = await (await imported("sluice.store._s3fs")).connect(options)
    return opened


def _s3_reader(fs: AsyncFileSystem, calls: Calls) -> FilesystemReader:
    from sluice.store.s3_reader import S3Reader

    return S3Reader(fs)


async def _connect_http(options: Document) -> Opened:
    opened: Opened = await (await imported("sluice.store.http_reader")).connect(options)
    return opened


async def _connect_outer_http(options: Document) -> Opened:
    opened: Opened = await (await imported("sluice.store.http_reader")).connect_outside(options)
    return opened


def _http_reader(fs: AsyncFileSystem, calls: Calls) -> FilesystemReader:
    from sluice.store.http_reader import HttpReader

    return HttpReader(fs)


async def _connect_local(options: Document) -> Opened:
    local = await imported("fsspec.implementations.local")
    return _wrapped(local.LocalFileSystem(**{**OURS, **options}))


async def _connect_memory(options: Document) -> Opened:
    """fsspec's process-wide memory filesystem."""
    memory = await imported("fsspec.implementations.memory")
    return _wrapped(memory.MemoryFileSystem(**{**OURS, **options}))


def _wrapped(fs: object) -> Opened:
    return Opened(AsyncFileSystemWrapper(fs, asynchronous=True), _nothing_to_close)


async def _nothing_to_close() -> None:
    """For what has no connection."""


async def _connect_gs(options: Document) -> Opened:
    gcsfs = await imported("gcsfs", extra="gs")
    web = await imported("sluice.store.http_reader")
    session = {"response_class": web.BoundedAnswer, **options.get("session_kwargs", {})}

    def make() -> AsyncFileSystem:
        # In a thread: it may ask the metadata server for credentials with blocking calls.
        ours = {**OURS, **options, "session_kwargs": session, "asynchronous": True}
        return gcsfs.GCSFileSystem(**ours)

    fs = await asyncio.to_thread(make)
    # gcsfs wraps requests in six tries of its own; all tries are made above (see `resilient`).
    fs._request = MethodType(inspect.unwrap(type(fs)._request), fs)
    connected = await fs._set_session()
    return Opened(fs, connected.close)


async def _connect_az(options: Document) -> Opened:
    """adlfs, whose service client connects with its first request."""
    adlfs = await imported("adlfs", extra="az")
    # At exit adlfs closes what it opened once more, on its loop; an asynchronous instance has none,
    # and the interpreter would end with a traceback.
    with_loop = {"loop": property(lambda _: get_loop())}
    blobs = type("AzureBlobs", (adlfs.AzureBlobFileSystem,), with_loop)
    fs = blobs(**{**OURS, **options, "asynchronous": True})
    # The SDK tries three times more, after pauses of 12 s and longer: that would multiply ours.
    for policy in fs.service_client._pipeline._impl_policies:
        if hasattr(policy, "total_retries"):
            policy.total_retries = 0

    async def aclose() -> None:
        await fs.service_client.close()
        if hasattr(fs.credential, "close"):
            await fs.credential.close()

    return Opened(fs, aclose)


def _object_reader(fs: AsyncFileSystem, calls: Calls) -> FilesystemReader:
    return ObjectReader(fs)


def _azure_reader(fs: AsyncFileSystem, calls: Calls) -> FilesystemReader:
    return AzureReader(fs)


def _reference_reader(fs: AsyncFileSystem, calls: Calls) -> FilesystemReader:
    from sluice.store.reference_reader import GivenTargets, ReferenceReader

    readers = {
        protocol: reader_for(
            target
            if isinstance(target, AsyncFileSystem)
            else AsyncFileSystemWrapper(target, asynchronous=True),
            calls,
        )
        for protocol, target in fs.fss.items()
    }
    return ReferenceReader(fs, GivenTargets(readers), calls)


_S3: Final = FilesystemKind(
    protocols=("s3", "s3a"),
    needs="bucket",
    connect=_connect_s3,
    reader=_s3_reader,
    modules=("sluice.store._s3fs", "sluice.store.s3_reader"),
    read_advice=S3_READ_ADVICE,
    list_advice=S3_LIST_ADVICE,
    by_obstore=True,
)
_WEB: Final = FilesystemKind(
    protocols=("http", "https"),
    needs="host",
    connect=_connect_http,
    reader=_http_reader,
    modules=("fsspec.implementations.http", "sluice.store.http_reader"),
    connect_outside=_connect_outer_http,
)
_FILES: Final = FilesystemKind(
    protocols=("file", "local"),
    needs="path",
    connect=_connect_local,
    reader=_object_reader,
    modules=("fsspec.implementations.local",),
)
_MEMORY: Final = FilesystemKind(
    # The root of a memory filesystem, or of a reference set, is a store like any other.
    protocols=("memory",),
    needs="",
    connect=_connect_memory,
    reader=_object_reader,
    modules=("fsspec.implementations.memory",),
)
_GOOGLE: Final = FilesystemKind(
    protocols=("gs", "gcs"),
    needs="bucket",
    connect=_connect_gs,
    reader=_object_reader,
    modules=("gcsfs", "sluice.store.http_reader"),
)
_AZURE: Final = FilesystemKind(
    protocols=("az", "abfs", "abfss"),
    needs="bucket",
    connect=_connect_az,
    reader=_azure_reader,
    modules=("adlfs",),
)
_REFERENCES: Final = FilesystemKind(
    protocols=("reference",),
    needs="",
    connect=None,
    reader=_reference_reader,
    modules=("fsspec.implementations.reference", "sluice.store.reference_reader"),
)
KINDS: Final = (_S3, _WEB, _FILES, _MEMORY, _GOOGLE, _AZURE, _REFERENCES)
KIND_OF: Final[Mapping[str, FilesystemKind]] = MappingProxyType(
    {protocol: kind for kind in KINDS for protocol in kind.protocols}
)
OBSTORE_MODULES: Final = ("obstore.store",)

REFERENCE: Final = _REFERENCES.protocols[0]
LOCAL: Final = _FILES.protocols
WEB: Final = _WEB.protocols
ROOTLESS: Final = tuple(name for kind in KINDS if not kind.needs for name in kind.protocols)
# Protocols whose addresses begin with a bucket or a container, by their usual names.
BUCKETS: Final = tuple(kind.protocols[0] for kind in KINDS if kind.needs == "bucket")


def canonical(protocol: str) -> str:
    """The usual name of a protocol, given by any of its names in any case (RFC 3986, 3.1)."""
    name = protocol.lower()
    kind = KIND_OF.get(name)
    # http and https stay apart: by each of them a host may serve something else.
    return name if kind is None or kind is _WEB else kind.protocols[0]


def filesystem_kind(fs: AsyncFileSystem) -> FilesystemKind | None:
    """The row of `fs`, whoever made it; None where no row has its protocol."""
    names = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return next((KIND_OF[name] for name in names if name in KIND_OF), None)


def reader_for(fs: AsyncFileSystem, calls: Calls | None = None) -> FilesystemReader:
    """The reader of `fs`, which makes blocking calls by `calls` (None: in the default executor)."""
    calls = LoopCalls() if calls is None else calls
    if isinstance(fs, AsyncFileSystemWrapper):
        return BlockingReader(fs, calls)
    kind = filesystem_kind(fs)
    return ObjectReader(fs) if kind is None else kind.reader(fs, calls)
