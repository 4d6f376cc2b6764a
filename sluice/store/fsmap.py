"""Keys of a root on any asynchronous fsspec filesystem."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from sluice.errors import StoreError, StoreMissing, redacted
from sluice.store.failures import Kind, failure_of, kind_of
from sluice.store.http_bodies import LISTING_BYTES, bounded_answers
from sluice.store.protocols import filesystem_kind, reader_for
from sluice.store.readers import FilesystemReader, PartReader, TaggingReader
from sluice.store.source import (
    ByteSource,
    NotModified,
    Part,
    Tagged,
    Unchanged,
    check_range,
    gate_of,
    get_untagged,
    is_empty_range,
    joined,
    resolved,
)

if TYPE_CHECKING:
    from sluice.store.zarr_store import SourceStore


class AsyncFSMap(ByteSource):
    """A `ByteSource` over `root` of an asynchronous filesystem; at most `concurrency` calls run
    (None: any number).

    The filesystem belongs to whoever made it: the map neither connects nor closes it. Maps of one
    filesystem may share its `reader`, and with it what that has learned of their buckets.
    `most_bytes` bounds values that are read without a bound of their own.

    Raises:
        TypeError: `fs` is not asynchronous, or was not made for use on a running loop.
    """

    def __init__(
        self,
        root: str,
        fs: AsyncFileSystem,
        *,
        concurrency: int | None = 64,
        reader: FilesystemReader | None = None,
        most_bytes: int | None = None,
    ) -> None:
        _check_asynchronous(fs)
        self.fs = fs
        self.root: str = str(fs._strip_protocol(root)).rstrip("/")
        # The prefix of every path, where a path is no more than that and the key.
        self._before = f"{self.root}/" if self.root and "://" not in self.root else None
        self._reader = reader_for(fs) if reader is None else reader
        self._parts = self._reader if isinstance(self._reader, PartReader) else None
        self._most_bytes = most_bytes
        self._gate = gate_of(concurrency)
        self._kind = filesystem_kind(fs)

    def __repr__(self) -> str:
        return f"AsyncFSMap({self._name!r})"

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        """Bytes ``start`` to ``end`` (exclusive) of `key`, clipped; None when there is no such key.

        Raises:
            ValueError: not a range (see `sluice.store.source.check_range`).
            StoreOversized: the value has more than `most_bytes`, found out before all came.
            StoreRefused, StoreMissing, StoreTimeout, StoreError: the store did not do its part.
        """
        if end is not None:
            check_range(start, end)
            if is_empty_range(start, end):
                return b"" if await self.exists(key) else None
        most_bytes = self._most_bytes if most_bytes is None else most_bytes
        async with self._gate:
            try:
                return await self._reader.read(self._path(key), start, end, most_bytes)
            except Exception as error:
                return await self._no_value(error, key)

    async def get_part(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> Part | None:
        """The range as of `get`, and the size of the whole; see `PartSource`.

        A filesystem that does not tell the size with a range is asked for it first.
        """
        check_range(start, end)
        reader, path = self._reader, self._path(key)
        async with self._gate:
            try:
                if self._parts is not None:
                    return await self._parts.read_part(path, start, end, None)
                size = int((await self.fs._info(path))["size"])
                first, last = resolved(start, end, size)
                data = await reader.read(path, first, last, None) if first < last else b""
                return Part(data, first, size)
            except Exception as error:
                empty = await self._no_value(error, key)
                return None if empty is None else Part(empty, 0, None)

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """The whole value of `key` with its tag, unless that is still `known`; else as `get`.

        S3 and web servers give tags; of other filesystems there is the value alone.
        """
        reader = self._reader
        if not isinstance(reader, TaggingReader):
            return await get_untagged(self, key)
        async with self._gate:
            try:
                return await reader.read_tagged(self._path(key), known, self._most_bytes)
            except Exception as error:
                if known is not None and isinstance(error, NotModified):
                    return Unchanged()
                empty = await self._no_value(error, key)
                return None if empty is None else Tagged(empty, None)

    async def modified(self, key: str) -> float | None:
        """As `DatedSource.modified`; None also where asking fails."""
        async with self._gate:
            try:
                info = await self.fs._info(self._path(key))
            except Exception:
                return None
        for name in ("mtime", "LastModified", "last_modified"):
            match info.get(name):
                case datetime() as moment:
                    return moment.timestamp()
                case float() | int() as seconds:
                    return float(seconds)
        return None

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """All keys below the path `prefix`, recursively, relative to the root.

        Raises:
            StoreError: as `get`; also when the server offers no listing.
        """
        prefix = prefix.strip("/")
        for name in await self._listed(prefix, recursive=True):
            yield f"{prefix}/{name}" if prefix else name

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """Names one level below `prefix`, of values and of deeper prefixes alike, sorted."""
        return sorted(await self._listed(prefix.strip("/"), recursive=False))

    def as_zarr_store(self) -> SourceStore:
        """The same keys as a read-only zarr-python store."""
        from sluice.store.zarr_store import SourceStore

        return SourceStore(self)

    @property
    def _name(self) -> str:
        return redacted(str(self.fs.unstrip_protocol(self.root)))

    def _path(self, key: str) -> str:
        plain = key and self._before is not None
        return f"{self._before}{key}" if plain else joined(self.root, key)

    async def _listed(self, prefix: str, *, recursive: bool) -> builtins.list[str]:
        look = self._reader.find if recursive else self._reader.names
        async with self._gate:
            try:
                with bounded_answers(LISTING_BYTES):
                    names = await look(self.root, prefix)
                if not names:
                    await self._confirm_root()
                return names
            except Exception as error:
                if isinstance(error, StoreError):
                    raise
                if kind_of(error) is not Kind.MISSING_KEY:
                    advice = "" if self._kind is None else self._kind.list_advice
                    raise self._failure(error, f"listing {self._name}", advice) from error
                await self._confirm_root()
                return []

    async def _no_value(self, error: Exception, key: str) -> bytes | None:
        """What a failed read means: nothing of a value, no such key, or else a StoreError."""
        if isinstance(error, StoreError):
            raise error
        match kind_of(error):
            case Kind.PAST_END:
                return b""
            case Kind.MISSING_KEY:
                await self._confirm_root()
                return None
            case _:
                advice = "" if self._kind is None else self._kind.read_advice
                raise self._failure(error, f"reading {key} of {self._name}", advice) from error

    async def _confirm_root(self) -> None:
        """Raise StoreMissing where the root is gone: then an absent key means nothing."""
        try:
            there = await self._reader.root_is_there(self.root)
        except Exception as error:
            raise self._failure(error, f"looking for {self._name}", "") from error
        if not there:
            raise StoreMissing(f"There is no store at {self._name}.", root=self._name)

    def _failure(self, error: Exception, doing: str, advice: str) -> StoreError:
        return failure_of(error, doing=doing, advice=advice, root=self._name)


def _check_asynchronous(fs: object) -> None:
    if not isinstance(fs, AsyncFileSystem):
        raise TypeError(
            f"{type(fs).__name__} has only blocking calls: wrap it with "
            "fsspec.implementations.asyn_wrapper.AsyncFileSystemWrapper"
        )
    if not fs.asynchronous and not isinstance(fs, AsyncFileSystemWrapper):
        # Its connections live on fsspec's own loop, in another thread.
        raise TypeError(f"{type(fs).__name__} must be made with asynchronous=True")
