"""How each kind of fsspec filesystem is read: one whole-or-ranged GET per value, nothing more."""

from __future__ import annotations

import time
from math import inf
from typing import Any, NoReturn, Protocol, runtime_checkable

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.reference import ReferenceFileSystem

from app.errors import StoreError
from app.store.failures import redacted
from app.store.paths import below, joined
from app.store.ranges import resolved
from app.store.tags import Tagged

CONTAINER_SEEN_SECONDS = 30.0


class Reader(Protocol):
    """Paths of one filesystem; failures are raised as the filesystem raises them."""

    async def read(self, path: str, start: int | None, end: int | None) -> bytes: ...

    async def find(self, root: str, prefix: str) -> list[str]:
        """All values below `prefix` of `root`, relative to the prefix."""
        ...

    async def names(self, root: str, prefix: str) -> list[str]:
        """What lies one level below `prefix` of `root`."""
        ...

    async def root_is_there(self, root: str) -> bool:
        """Whether an absent key below `root` may be believed."""
        ...


class Redirected(Exception):
    """A web server sends a reader that follows nobody to another `address`."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


@runtime_checkable
class TaggingReader(Protocol):
    """A `Reader` of a filesystem that gives its values tags."""

    async def read_tagged(self, path: str, known: str | None) -> Tagged:
        """The whole value, unless it is still the one of the tag `known`: then NotModified."""
        ...


def protocols_of(fs: AsyncFileSystem) -> frozenset[str]:
    """The names of the protocols that `fs` serves."""
    return frozenset([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol)


def reader_for(fs: AsyncFileSystem) -> Reader:
    """The way to read `fs`."""
    if isinstance(fs, AsyncFileSystemWrapper):
        return WrappedReader(fs)
    if isinstance(fs, ReferenceFileSystem):
        from app.store.reference_reader import OwnTargets, ReferenceReader

        return ReferenceReader(fs, OwnTargets(fs))
    protocols = protocols_of(fs)
    if protocols & {"http", "https"}:
        from app.store.http_reader import HttpReader

        return HttpReader(fs)
    if "s3" in protocols:
        from app.store.s3_reader import S3Reader

        return S3Reader(fs)
    return AzureReader(fs) if "az" in protocols else ObjectReader(fs)


class ObjectReader:
    """Any other asynchronous filesystem, such as gcsfs."""

    def __init__(self, fs: AsyncFileSystem) -> None:
        self._fs: Any = fs
        self._seen: dict[str, float] = {}  # containers, and when they were last seen

    async def read(self, path: str, start: int | None, end: int | None) -> bytes:
        return bytes(await self._fs._cat_file(path, start=start, end=end))

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, [self._plain(name) for name in await self._fs._find(path)])

    async def names(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        entries = await self._fs._ls(path, detail=False)
        return below(path, [self._plain(entry).rstrip("/") for entry in entries])

    async def root_is_there(self, root: str) -> bool:
        # These raise the same error for an absent object and an absent bucket. Asking costs a
        # request per missing chunk, so a bucket that was seen is believed for a while.
        container = root.lstrip("/").split("/")[0]
        if time.monotonic() - self._seen.get(container, -inf) < CONTAINER_SEEN_SECONDS:
            return True
        there = bool(await self._fs._exists(container))
        if there:
            self._seen[container] = time.monotonic()
        return there

    def _plain(self, name: str) -> str:
        return str(self._fs._strip_protocol(name))


class AzureReader(ObjectReader):
    """adlfs, whose service knows no suffix ranges: the size is asked for first."""

    async def read(self, path: str, start: int | None, end: int | None) -> bytes:
        if start is not None and start < 0:
            start, end = resolved(start, end, await self._size(path))
            if start == end:
                return b""
        return await super().read(path, start, end)

    async def _size(self, path: str) -> int:
        # Not by adlfs's own question, which lists as well where there is no such blob.
        container, name, _ = self._fs.split_path(path)
        async with self._fs.service_client.get_blob_client(container, name) as blob:
            return int((await blob.get_blob_properties()).size)


class WrappedReader:
    """A blocking filesystem (local files, memory) whose calls run in the loop's executor."""

    def __init__(self, fs: AsyncFileSystemWrapper) -> None:
        self._fs = fs

    async def read(self, path: str, start: int | None, end: int | None) -> bytes:
        return bytes(await self._fs._cat_file(path, start=start, end=end))

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)

        def give_up(error: Exception) -> NoReturn:
            # fsspec would leave out whatever cannot be listed.
            raise error

        try:
            return below(path, await self._fs._find(path, on_error=give_up))
        except FileNotFoundError as error:
            if await self._fs._isdir(path):
                raise StoreError(f"{redacted(path)} changed while it was listed.") from error
            raise

    async def names(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        entries = await self._fs._ls(path, detail=False)
        return below(path, [entry.rstrip("/") for entry in entries])

    async def root_is_there(self, root: str) -> bool:
        return bool(await self._fs._isdir(root))
