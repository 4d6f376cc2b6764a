"""From a URL and its options to a source of bytes; owns every connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from fsspec.asyn import AsyncFileSystem

from app.errors import CatalogError, SluiceError, StoreMissing
from app.store import references
from app.store.addresses import (
    REFERENCE,
    Engine,
    check_protocol,
    check_url,
    split_document,
    split_url,
    store_of,
)
from app.store.blocking import BlockingThreads, Calls, LoopCalls
from app.store.documents import json_object
from app.store.failures import redacted
from app.store.fsmap import AsyncFSMap
from app.store.obstore_map import ObstoreMap
from app.store.obstore_options import s3_store_options
from app.store.openers import OPENERS, Options, imported
from app.store.readers import Reader, WrappedReader, reader_for
from app.store.single_flight import SingleFlight
from app.store.source import ByteSource


@dataclass(frozen=True, slots=True)
class Connected:
    """A filesystem and its one reader, which keeps what it has learned for all stores on it."""

    fs: AsyncFileSystem
    reader: Reader


class Filesystems:
    """Makes sources; the same protocol and options share one filesystem and connection pool.

    It belongs to the loop that it is entered on, and closes there what it opened. A value of which
    its reader says nothing, such as a metadata document, has at most `document_bytes`, a document
    of references `reference_bytes`. Blocking calls are made by `threads`, of each store its own.
    """

    def __init__(
        self,
        *,
        document_bytes: int | None = None,
        reference_bytes: int | None = None,
        threads: BlockingThreads | None = None,
    ) -> None:
        self._document_bytes = document_bytes
        self._reference_bytes = reference_bytes
        self._threads = threads
        self._made: dict[str, Any] = {}
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
        await self._closing.aclose()

    async def source(
        self,
        url: str,
        *,
        storage_options: Mapping[str, Any],
        engine: Engine = "s3fs",
        concurrency: int = 64,
    ) -> ByteSource:
        """The source of `url`, which may be a local path.

        Nothing of the store itself is read, except the document behind ``reference://``.

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
            return await self._references(path, storage_options, concurrency)
        if engine == "obstore":
            return await self._obstore_s3(path, storage_options, concurrency)
        made = await self._connected(protocol, storage_options)
        reader = made.reader
        if isinstance(reader, WrappedReader):
            # Its calls block: each store has threads of its own.
            reader = reader_for(made.fs, self._calls(store_of(url, storage_options)))
        return self._map(url, made.fs, concurrency, reader)

    def _calls(self, store: str) -> Calls:
        return LoopCalls() if self._threads is None else self._threads.of(store)

    def _map(self, url: str, fs: AsyncFileSystem, concurrency: int, reader: Reader) -> AsyncFSMap:
        most = self._document_bytes
        return AsyncFSMap(url, fs, reader=reader, concurrency=concurrency, most_bytes=most)

    async def _connected(self, protocol: str, options: Options) -> Connected:
        check_protocol(protocol, "url")
        # http and https, or gs and gcs, are one filesystem.
        opener = OPENERS[protocol]
        name = f"{opener.__name__} {_canonical(options)}"

        async def make() -> Connected:
            opened = await _accepting(protocol, opener(options))
            self._closing.push_async_callback(opened.aclose)
            self._made[name] = connected = Connected(opened.fs, reader_for(opened.fs))
            return connected

        made: Connected | None = self._made.get(name)
        return made if made is not None else await self._flight.do(name, make)

    async def _obstore_s3(self, path: str, options: Options, concurrency: int) -> ObstoreMap:
        bucket, _, root = path.partition("/")
        name = f"obstore {bucket} {_canonical(options)}"
        if name not in self._made:
            arguments = s3_store_options(options)
            obstore_store = await imported("obstore.store", extra=None)
            try:
                self._made[name] = obstore_store.S3Store(bucket, **arguments)
            except Exception as error:
                raise _refused_options("s3", error) from error
        most = self._document_bytes
        return ObstoreMap(self._made[name], root, concurrency=concurrency, most_bytes=most)

    async def _references(self, path: str, options: Options, concurrency: int) -> AsyncFSMap:
        remote: str | None = options.get("remote_protocol")
        remote_options: Options = options.get("remote_options") or {}
        target_options: Options = options.get("target_options") or {}
        default = (await self._connected(remote or "file", remote_options if remote else {})).fs
        fo = options["fo"]
        if isinstance(fo, str) and not references.is_table(fo):
            fo = await self._document(fo, target_options)
        calls = self._calls(store_of(f"{REFERENCE}://{path}", options))
        fs = await references.reference_filesystem(
            fo, default, target_options=target_options, calls=calls
        )
        protocols = {remote} if remote else set()
        if not isinstance(fo, str):
            protocols |= references.target_protocols(fs)
        for protocol in protocols:
            # `remote_options` are meant for the one protocol that they go with.
            meant = remote_options if remote in (None, protocol) else {}
            fs.fss[protocol] = (await self._connected(protocol, meant)).fs
        return self._map(path, fs, concurrency, reader_for(fs, calls))

    async def _document(self, address: str, options: Options) -> dict[str, Any]:
        folder, name = split_document(address)
        source = await self.source(folder, storage_options=options)
        document = await source.get(name, most_bytes=self._reference_bytes)
        if document is None:
            raise StoreMissing(f"There is no reference document at {redacted(address)}.")
        return json_object(document, f"the reference set {redacted(address)}")


def _canonical(options: Options) -> str:
    return json.dumps(options, sort_keys=True, default=repr)


async def _accepting(protocol: str, opening: Any) -> Any:
    try:
        return await opening
    except SluiceError:
        raise
    except Exception as error:
        raise _refused_options(protocol, error) from error


def _refused_options(protocol: str, error: Exception) -> CatalogError:
    words = redacted(str(error)).split("\n")[0]
    return CatalogError(
        f"storage_options do not suit {protocol}://: {words or type(error).__name__}",
        field="storage_options",
    )
