"""Sources made from URLs and storage options; the owner of all their connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.reference import ReferenceFileSystem

from sluice.aliases import Document
from sluice.concurrency import SingleFlight
from sluice.errors import CatalogError, SluiceError, plain_words, redacted
from sluice.store import references
from sluice.store.addresses import (
    Engine,
    check_protocol,
    check_target_protocol,
    check_url,
    split_document,
    split_url,
    store_key,
)
from sluice.store.blocking import BlockingThreads, Calls, LoopCalls
from sluice.store.fsmap import AsyncFSMap
from sluice.store.obstore_map import ObstoreMap
from sluice.store.obstore_options import s3_store_options
from sluice.store.protocols import (
    KIND_OF,
    LOCAL,
    REFERENCE,
    WEB,
    Connect,
    canonical,
    imported,
    reader_for,
)
from sluice.store.readers import BlockingReader, FilesystemReader, Opened
from sluice.store.reference_roots import ReferenceRoots, RootedTargets
from sluice.store.resilient import GuardedStores
from sluice.store.source import ByteSource

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from sluice.store.zarr_store import TargetStore

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Connected:
    """A filesystem and its one reader, which remembers how its buckets are read for all stores."""

    fs: AsyncFileSystem
    reader: FilesystemReader


class Filesystems:
    """Makes sources; the same protocol and options share one filesystem and connection pool.

    It belongs to the loop that it is entered on, and closes there what it opened. Values that are
    read without a bound of their own, such as metadata documents, have at most `document_bytes`
    (None: any number), documents of references, once decompressed, `reference_bytes`; long ones of
    these are read and parsed one at a time. Blocking calls are made by `threads`, in which each
    store has its own share; without, in the loop's default executor.
    """

    def __init__(
        self,
        *,
        document_bytes: int | None = None,
        reference_bytes: int = 2**28,
        threads: BlockingThreads | None = None,
    ) -> None:
        self._document_bytes = document_bytes
        self._documents = references.ReferenceDocuments(reference_bytes)
        self._threads = threads
        self._made: dict[str, Connected] = {}
        self._buckets: dict[str, ObjectStore] = {}
        self._flight: SingleFlight[str, Connected] = SingleFlight()
        self._closing = AsyncExitStack()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all sessions; sources made here cannot read afterwards."""
        self._closed = True
        self._made.clear()
        self._buckets.clear()
        await self._closing.aclose()

    async def source(
        self,
        url: str,
        *,
        storage_options: Document,
        engine: Engine = "s3fs",
        concurrency: int | None = 64,
        reference_roots: Iterable[str] = (),
        guarded: GuardedStores | None = None,
    ) -> ByteSource:
        """The source of `url`, which may be a local path.

        Nothing of the store is read but the document behind ``reference://``: by the retry policy
        of `guarded`, or else with one try. Its references may read below `reference_roots`, too
        (see `ReferenceRoots`). At most `concurrency` requests run at once; None is for a source
        inside of a `ResilientSource`, which has a gate.

        Raises:
            CatalogError: `check_url` refuses it, its options are not the engine's, or an extra is
                not installed.
            StoreError: the reference document cannot be read.
            RuntimeError: after `aclose`.
        """
        if self._closed:
            raise RuntimeError("These filesystems are closed")
        check_url(url, storage_options, engine)
        protocol, path = split_url(url)
        if protocol == REFERENCE:
            roots = ReferenceRoots.of(storage_options, reference_roots)
            return await self._references(path, storage_options, roots, concurrency, guarded)
        if engine == "obstore":
            return await self._obstore_s3(path, storage_options, concurrency)
        made = await self._connected(protocol, storage_options)
        reader = _read_by(made, self._calls(store_key(url, storage_options)))
        return self._map(url, made.fs, concurrency, reader)

    async def target(self, url: str, storage_options: Document) -> TargetStore:
        """A zarr-python store to write to at `url`, which may be a local path.

        Raises CatalogError as `source` does, and for protocols that cannot be written to.
        """
        from sluice.store.zarr_store import target_store

        check_url(url, storage_options, "s3fs")
        protocol, _ = split_url(url)
        if protocol in LOCAL:
            return target_store(url, None)
        if protocol in WEB or protocol == REFERENCE:
            raise CatalogError(f"nothing can be written to {protocol}://", field="url")
        return target_store(url, (await self._connected(protocol, storage_options)).fs)

    async def connect(self, protocol: str, storage_options: Document) -> None:
        """Make the filesystem that sources of this protocol and options will share; reads nothing.

        Raises CatalogError as `source` does.
        """
        await self._connected(protocol, storage_options)

    def _calls(self, store: str) -> Calls:
        return LoopCalls() if self._threads is None else self._threads.of(store)

    def _map(
        self, url: str, fs: AsyncFileSystem, concurrency: int | None, reader: FilesystemReader
    ) -> AsyncFSMap:
        most = self._document_bytes
        return AsyncFSMap(url, fs, reader=reader, concurrency=concurrency, most_bytes=most)

    async def _connected(
        self, protocol: str, options: Document, *, outside: bool = False
    ) -> Connected:
        """The filesystem; with `outside` one that connects to no inner address, if there is one."""
        check_protocol(protocol, "url")
        kind = KIND_OF[protocol]
        connect = (kind.connect_outside if outside else None) or kind.connect
        # http and https, or gs and gcs, are one filesystem.
        name = f"{kind.protocols[0]} {connect is kind.connect} {_in_order(options)}"

        async def make() -> Connected:
            opened = await _opened(protocol, connect, options)
            if self._closed:
                await opened.aclose()
                raise RuntimeError("These filesystems are closed")
            self._closing.push_async_callback(opened.aclose)
            self._made[name] = connected = Connected(opened.fs, reader_for(opened.fs))
            return connected

        made = self._made.get(name)
        return made if made is not None else await self._flight.do(name, make)

    async def _obstore_s3(
        self, path: str, options: Document, concurrency: int | None
    ) -> ObstoreMap:
        bucket, _, root = path.partition("/")
        name = f"{bucket} {_in_order(options)}"
        if name not in self._buckets:
            arguments = s3_store_options(options)
            obstore_store = await imported("obstore.store")
            try:
                self._buckets[name] = obstore_store.S3Store(bucket, **arguments)
            except Exception as error:
                raise _refused_options("s3", error) from error
        most = self._document_bytes
        return ObstoreMap(self._buckets[name], root, concurrency=concurrency, most_bytes=most)

    async def _references(
        self,
        path: str,
        options: Document,
        roots: ReferenceRoots,
        concurrency: int | None,
        guarded: GuardedStores | None,
    ) -> AsyncFSMap:
        from sluice.store.reference_reader import ReferenceReader

        calls = self._calls(store_key(f"{REFERENCE}://{path}", options))
        fo, remote = options["fo"], options.get("remote_protocol")
        protocols: set[str] = set()
        if remote:
            check_target_protocol(remote)
            protocols.add(remote)
        if isinstance(fo, str) and references.is_table(fo):
            target, _ = _document_options(options)
            table = partial(references.table_filesystem, fo, target, calls)
            fs = await _by_policy(guarded, fo, target, table)
        else:
            fs = await self._document(fo, options, guarded)
            protocols |= await asyncio.to_thread(references.protocols_of, fs)
        connect = partial(self._target_reader, options, calls)
        for protocol in sorted(protocols):
            # Now, so that a missing extra or a wrong option shows when the store is opened. What is
            # not reached by any root fails later, for the references that use it.
            if roots.reaches(protocol):
                await connect(protocol, True)
        reader = ReferenceReader(fs, RootedTargets(roots, connect, calls), calls)
        return self._map(path, fs, concurrency, reader)

    async def _target_reader(
        self, options: Document, calls: Calls, protocol: str, named: bool
    ) -> FilesystemReader:
        """The reader of targets by `protocol`; it reads inner web addresses only if `named`."""
        remote = options.get("remote_protocol") or ""
        # `remote_options` are meant for the one protocol that they go with.
        meant = canonical(remote) == canonical(protocol) or (not remote and protocol not in LOCAL)
        given: Document = (options.get("remote_options") or {}) if meant else {}
        if protocol not in WEB:
            return _read_by(await self._connected(protocol, given), calls)
        from sluice.store.http_reader import HttpReader

        made = await self._connected(protocol, given, outside=not named)
        return HttpReader(made.fs, follows=False)

    async def _document(
        self, fo: str | Document, options: Document, guarded: GuardedStores | None
    ) -> ReferenceFileSystem:
        if not isinstance(fo, str):
            return await self._documents.given(fo)
        target_options, compression = _document_options(options)
        folder, name = split_document(fo)
        made = await self._connected(split_url(folder)[0], target_options)
        # With threads of its own: a document that hangs does not block others in its folder.
        reader = _read_by(made, self._calls(store_key(fo, target_options)))
        source = self._map(folder, made.fs, 1, reader)

        async def read(stored_bytes: int) -> bytes | None:
            get = partial(source.get, name, most_bytes=stored_bytes)
            return await _by_policy(guarded, fo, target_options, get)

        return await self._documents.read(read, redacted(fo), compression)


def _document_options(options: Document) -> tuple[Document, str | None]:
    """The options of the document's filesystem, and how the document is compressed."""
    given = dict(options.get("target_options") or {})
    compression = given.pop("compression", None)
    return given, compression


async def _by_policy(
    guarded: GuardedStores | None, fo: str, options: Document, ask: Callable[[], Awaitable[Answer]]
) -> Answer:
    """What `ask`, a read of the references at `fo`, returns, by the retry policy of its store."""
    if guarded is None:
        return await ask()
    return await guarded.ask(fo, options, ask, doing=f"reading the references {redacted(fo)}")


def _read_by(made: Connected, calls: Calls) -> FilesystemReader:
    """The reader of `made`; where its calls block, one that makes them by `calls`."""
    return reader_for(made.fs, calls) if isinstance(made.reader, BlockingReader) else made.reader


def _in_order(options: Document) -> str:
    return json.dumps(options, sort_keys=True, default=repr)


async def _opened(protocol: str, connect: Connect | None, options: Document) -> Opened:
    if connect is None:
        raise CatalogError(f"{protocol}:// is no filesystem of its own", field="url")
    try:
        return await connect(options)
    except SluiceError:
        raise
    except Exception as error:
        raise _refused_options(protocol, error) from error


def _refused_options(protocol: str, error: Exception) -> CatalogError:
    words = plain_words(redacted(str(error)).split("\n")[0])
    return CatalogError(
        f"storage_options do not suit {protocol}://: {words or 'they are of a wrong kind'}",
        field="storage_options",
    )
