"""How each kind of fsspec filesystem is read: each value by one request, whole or a range of it."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import FileIO
from math import inf
from os import SEEK_END
from types import MappingProxyType
from typing import BinaryIO, Final, NoReturn, Protocol, TypeAlias, runtime_checkable

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from sluice.errors import StoreError, redacted
from sluice.store.blocking import Calls
from sluice.store.http_bodies import (
    ERROR_BYTES,
    OversizedBody,
    bounded_answers,
    check_size,
    most_of_answer,
)
from sluice.store.source import Part, Tagged, below, joined, resolved

# For how long a bucket that was seen counts as there.
CONTAINER_SEEN_SECONDS = 30.0

# The start and the end of a range, as `ByteSource.get` takes them.
Limits: TypeAlias = tuple[int | None, int | None]
_WHOLE: Final[Limits] = (None, None)

# fsspec keeps instances per thread and hands them out again; ours must belong to one loop and
# end with it. Remembered listings would hide what was written since.
OURS: Final = MappingProxyType({"skip_instance_cache": True, "use_listings_cache": False})


@dataclass(frozen=True, slots=True)
class Opened:
    """A connected filesystem and how to close it."""

    fs: AsyncFileSystem
    aclose: Callable[[], Awaitable[object]]


class FilesystemReader(Protocol):
    """Reads paths of one filesystem; failures are raised as its library raises them."""

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        """The range of a value; OversizedBody for a value of more than `most_bytes`.

        Little more than the range, or than `most_bytes`, is read before that shows.
        """
        ...

    async def find(self, root: str, prefix: str) -> list[str]:
        """All values below `prefix` of `root`, relative to the prefix."""
        ...

    async def names(self, root: str, prefix: str) -> list[str]:
        """What lies one level below `prefix` of `root`."""
        ...

    async def root_is_there(self, root: str) -> bool:
        """Whether `root` exists, so that a key that is absent below it is really missing."""
        ...


class Redirected(Exception):
    """A web server redirects to `address`, and the reader follows no redirects."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


@runtime_checkable
class TaggingReader(Protocol):
    """A `FilesystemReader` of a filesystem that gives its values tags."""

    async def read_tagged(self, path: str, known: str | None, most_bytes: int | None) -> Tagged:
        """The whole value, unless it is still the one of the tag `known`: then NotModified.

        Bounded as in `FilesystemReader.read`.
        """
        ...


@runtime_checkable
class PartReader(Protocol):
    """A `FilesystemReader` whose ranges come with the size of the whole value."""

    async def read_part(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part:
        """The range, bounded as in `FilesystemReader.read`, and the value's size where known."""
        ...


class ObjectReader:
    """An asynchronous filesystem without a reader of its own, such as gcsfs."""

    def __init__(self, fs: AsyncFileSystem) -> None:
        self._fs = fs
        self._seen: dict[str, float] = {}  # containers, and when they were last seen

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        most = most_of_answer(start, end, most_bytes)
        # An error's document may be larger than a small value.
        with bounded_answers(None if most is None else max(most, ERROR_BYTES)):
            data = bytes(await self._fs._cat_file(path, start=start, end=end))
        return check_size(data, start, end, most_bytes)

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

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        if start is not None and start < 0:
            start, end = resolved(start, end, await self._size(path))
            if start == end:
                return b""
        return await super().read(path, start, end, most_bytes)

    async def _size(self, path: str) -> int:
        # Not by adlfs's own question, which lists as well where there is no such blob.
        container, name, _ = self._fs.split_path(path)
        async with self._fs.service_client.get_blob_client(container, name) as blob:
            return int((await blob.get_blob_properties()).size)


class BlockingReader:
    """A filesystem that has only blocking calls (local files, memory)."""

    def __init__(self, fs: AsyncFileSystemWrapper, calls: Calls) -> None:
        self._fs = fs.sync_fs
        self._calls = calls

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        part = await self.read_part(path, start, end, most_bytes)
        return part.data

    async def read_part(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part:
        return await self._calls.run(path, _read, self._fs, path, (start, end), most_bytes)

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        try:
            return below(path, await self._calls.run(path, _find, self._fs, path))
        except FileNotFoundError as error:
            if await self._calls.run(path, self._fs.isdir, path):
                raise StoreError(f"{redacted(path)} changed while it was listed.") from error
            raise

    async def names(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        entries = await self._calls.run(path, _names, self._fs, path)
        return below(path, [entry.rstrip("/") for entry in entries])

    async def root_is_there(self, root: str) -> bool:
        return bool(await self._calls.run(root, self._fs.isdir, root))


def _read(fs: AbstractFileSystem, path: str, limits: Limits, most_bytes: int | None) -> Part:
    if isinstance(fs, MemoryFileSystem):
        # What it opens for one is the file that all others read, and its place in it.
        data = check_size(fs.cat_file(path, *limits), *limits, most_bytes)
        size = len(data) if limits == _WHOLE else int(fs.size(path))
        return Part(data, resolved(*limits, size)[0], size)
    with _opened(fs, path) as file:
        size = file.seek(0, SEEK_END)
        first, last = (0, size) if limits == _WHOLE else resolved(*limits, size)
        if most_bytes is not None and last - first > most_bytes:
            raise OversizedBody(most_bytes)
        file.seek(first)
        # A device, which has no size, gives nothing: reading on would have no end.
        data = bytes(file.read(last - first))
        # No system reads more than 2 GiB at once.
        while first + len(data) < last and (more := file.read(last - first - len(data))):
            data += more
        return Part(data, first, size)


def _opened(fs: AbstractFileSystem, path: str) -> BinaryIO | FileIO:
    """The file opened for reading; a local one without fsspec's wrapper and buffer."""
    if isinstance(fs, LocalFileSystem) and os.sep == "/" and path[:1] == "/" != path[-1:]:
        return open(path, "rb", buffering=0)
    opened: BinaryIO = fs.open(path, "rb")
    return opened


def _find(fs: AbstractFileSystem, path: str) -> list[str]:
    def give_up(error: Exception) -> NoReturn:
        # fsspec would leave out whatever cannot be listed.
        raise error

    return list(fs.find(path, on_error=give_up))


def _names(fs: AbstractFileSystem, path: str) -> list[str]:
    return list(fs.ls(path, detail=False))
