"""Byte sources as zarr-python stores, and zarr-python stores as byte sources."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from fsspec.asyn import AsyncFileSystem
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ZipStore

from sluice.concurrency import map_concurrently
from sluice.errors import StoreError, StoreMissing
from sluice.store.addresses import split_url
from sluice.store.failures import Kind, failure_of, kind_of
from sluice.store.http_bodies import check_size
from sluice.store.source import ByteSource, check_range, is_empty_range

# Stores that answer a range beyond a value's end with what there is, where others fail.
CLIPPING = (LocalStore, MemoryStore, ZipStore)


class SourceStore(Store):
    """A read-only zarr-python store over any `ByteSource`.

    Failures are `StoreError` and never `StoreMissing`, which is a FileNotFoundError too: zarr's
    sharding takes any FileNotFoundError for a missing shard and answers with fill values. A value
    of more than `most_bytes` is a failure.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, source: ByteSource, *, most_bytes: int | None = None) -> None:
        super().__init__(read_only=True)
        self.source = source
        self._most_bytes = most_bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceStore) and self.source is other.source

    def __hash__(self) -> int:
        return hash((SourceStore, id(self.source)))

    def __repr__(self) -> str:
        return f"SourceStore({self.source!r})"

    def with_read_only(self, read_only: bool = False) -> SourceStore:
        """The same store.

        Raises:
            ValueError: it is asked to be writable.
        """
        if not read_only:
            raise ValueError("A SourceStore cannot be written to")
        return self

    def bounded(self, most_bytes: int) -> SourceStore:
        """The same store, which fails for a value of more than `most_bytes`."""
        return SourceStore(self.source, most_bytes=most_bytes)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The value of `key`, or the part of it that `byte_range` names; None when missing."""
        with _never_a_missing_key():
            limits, most = _limits(byte_range), self._most_bytes
            data = await self.source.get(key, *limits, most_bytes=most)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> builtins.list[Buffer | None]:
        """The parts in the order in which they were asked for, None for missing keys."""
        asked = list(key_ranges)
        parts: dict[int, Buffer | None] = {}

        async def read(number: int) -> None:
            key, byte_range = asked[number]
            parts[number] = await self.get(key, prototype, byte_range)

        await map_concurrently(range(len(asked)), read)
        return [parts[number] for number in range(len(asked))]

    async def exists(self, key: str) -> bool:
        """Whether `key` names a value."""
        with _never_a_missing_key():
            return await self.source.exists(key)

    def list(self) -> AsyncIterator[str]:
        """All keys."""
        return self.list_prefix("")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys that begin with the text `prefix`, which need not end at a slash."""
        with _never_a_missing_key():
            async for key in self.source.list(prefix.rpartition("/")[0]):
                if key.startswith(prefix):
                    yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names one level below `prefix`."""
        with _never_a_missing_key():
            names = await self.source.list_dir(prefix)
        for name in names:
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Never writes.

        Raises:
            ValueError: always.
        """
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Never deletes.

        Raises:
            ValueError: always.
        """
        self._check_writable()


class ZarrStoreSource(ByteSource):
    """A `ByteSource` over any zarr-python store (icechunk, zip, memory); at most `concurrency`
    reads run. The store belongs to whoever made it."""

    def __init__(self, store: Store, *, concurrency: int = 64) -> None:
        self.store = store
        self._gate = asyncio.Semaphore(concurrency)

    def __repr__(self) -> str:
        return f"ZarrStoreSource({self.store!r})"

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
            StoreOversized: the value has more than `most_bytes`. Stores of files and of memory
                are asked for no more than that; what others bring is measured once it is here.
            StoreError: the store failed.
        """
        check_range(start, end)
        if is_empty_range(start, end):
            return b"" if await self.exists(key) else None
        wanted = _byte_request(start, end)
        if wanted is None and most_bytes is not None and isinstance(self.store, CLIPPING):
            wanted = RangeByteRequest(0, most_bytes + 1)
        async with self._gate:
            try:
                value = await self.store.get(key, default_buffer_prototype(), wanted)
                if value is not None:
                    return check_size(value.to_bytes(), start, end, most_bytes)
            except StoreError:
                raise
            except Exception as error:
                if kind_of(error) is Kind.PAST_END:
                    return b""
                raise _failure(error, f"reading {key} of {self.store}") from error
        return None

    async def exists(self, key: str) -> bool:
        """Whether `key` names a value."""
        async with self._gate:
            try:
                return await self.store.exists(key)
            except StoreError:
                raise
            except Exception as error:
                raise _failure(error, f"looking for {key} in {self.store}") from error

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """All keys below the path `prefix`, recursively, relative to the store's root."""
        prefix = prefix.strip("/")
        try:
            async for key in self.store.list_prefix(f"{prefix}/" if prefix else ""):
                yield key
        except StoreError:
            raise
        except Exception as error:
            raise _failure(error, f"listing {self.store}") from error

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """Names one level below `prefix`, sorted."""
        async with self._gate:
            try:
                names = [name async for name in self.store.list_dir(prefix.strip("/"))]
            except StoreError:
                raise
            except Exception as error:
                raise _failure(error, f"listing {self.store}") from error
        return sorted({name.rstrip("/") for name in names} - {""})

    def as_zarr_store(self) -> Store:
        """The store itself."""
        return self.store


# zarr-python's store, by a name for modules that do not import zarr.
TargetStore: TypeAlias = Store


def target_store(url: str, fs: AsyncFileSystem | None) -> TargetStore:
    """The zarr-python store that writes to a URL: through `fs`, or to a local path without one."""
    if fs is None:
        return LocalStore(split_url(url)[1])
    return FsspecStore(fs, path=split_url(url)[1].rstrip("/"))


@contextmanager
def _never_a_missing_key() -> Iterator[None]:
    """A StoreMissing of the block is raised as a plain StoreError (see `SourceStore`)."""
    try:
        yield
    except StoreMissing as error:
        raise StoreError(error.detail, **error.facts) from error


def _failure(error: Exception, doing: str) -> StoreError:
    return failure_of(error, doing=doing)


def _limits(byte_range: ByteRequest | None) -> tuple[int | None, int | None]:
    match byte_range:
        case None:
            return None, None
        case RangeByteRequest(start, end):
            return start, end
        case OffsetByteRequest(offset):
            return offset, None
        case SuffixByteRequest(suffix):
            return (-suffix, None) if suffix else (0, 0)
        case _:
            raise TypeError(f"Not a byte request: {byte_range!r}")


def _byte_request(start: int | None, end: int | None) -> ByteRequest | None:
    match start, end:
        case None, None:
            return None
        case int(), None:
            return SuffixByteRequest(-start) if start < 0 else OffsetByteRequest(start)
        case _, int():
            return RangeByteRequest(start or 0, end)
        case _:
            raise TypeError(f"Not a byte range: {start!r} to {end!r}")
