"""How each kind of fsspec filesystem is read: one whole-or-ranged GET per value, nothing more."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from math import inf
from typing import Any, NoReturn, Protocol, TypeAlias, runtime_checkable

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.reference import ReferenceFileSystem

from app.errors import StoreError
from app.store.failures import Kind, causes, kind_of, reason_of, redacted, store_error
from app.store.paths import below, joined
from app.store.ranges import resolved, sliced
from app.store.tags import Tagged

CONTAINER_SEEN_SECONDS = 30.0

_TABLE_KEY = re.compile(r"(^|/)(\.z\w+|\d+(\.\d+)*)$")

Limits: TypeAlias = tuple[int | None, int | None]


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
        return ReferenceReader(fs)
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


class ReferenceReader:
    """kerchunk references, whose targets are read as their own filesystem is best read."""

    def __init__(self, fs: ReferenceFileSystem) -> None:
        self._fs = fs
        self._lazy = not isinstance(fs.references, dict)
        self._readers = {
            protocol: reader_for(
                target
                if isinstance(target, AsyncFileSystem)
                else AsyncFileSystemWrapper(target, asynchronous=True)
            )
            for protocol, target in fs.fss.items()
        }

    async def _run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        # References in Parquet are read from their files when they are looked up.
        return await asyncio.to_thread(call, *arguments) if self._lazy else call(*arguments)

    async def read(self, path: str, start: int | None, end: int | None) -> bytes:
        target, first, last = await self._looked_up(path)
        if isinstance(target, bytes):
            return sliced(target, start, end)
        if not isinstance(target, str):  # a hole in a Parquet table
            raise FileNotFoundError(path)
        try:
            return await self._read_target(target, (first, last), (start, end))
        except Exception as error:
            kind = kind_of(error)
            if first is None and kind is Kind.PAST_END:
                return b""
            doing = f"reading {redacted(target)}, to which the reference {path} points"
            raise store_error(kind, reason_of(error), doing=doing, key=path) from error

    async def _looked_up(self, path: str) -> tuple[Any, int | None, int | None]:
        if self._lazy and not _TABLE_KEY.search(path):
            raise FileNotFoundError(path)  # a table takes any last part for chunk numbers
        try:
            target, first, last = await self._run(self._fs._cat_common, path)
        except FileNotFoundError as error:
            # Tables say the same for a part that was never written and for one that is broken.
            origin = list(causes(error))[-1]
            if isinstance(origin, (KeyError, FileNotFoundError)):
                raise
            raise store_error(Kind.FAILED, reason_of(origin), doing=f"looking up {path}") from error
        return target, None if first is None else int(first), None if last is None else int(last)

    async def _read_target(self, target: str, part: Limits, wanted: Limits) -> bytes:
        protocol = target.partition("://")[0] if "://" in target else None
        if protocol not in self._readers:
            raise LookupError(f"no filesystem was given for {protocol}://")
        first, last = part
        if first is None or last is None:
            return await self._readers[protocol].read(target, *wanted)
        begin, stop = resolved(*wanted, last - first)
        if begin == stop:
            return b""
        data = await self._readers[protocol].read(target, first + begin, first + stop)
        if len(data) != stop - begin:
            # Not for now: a target that is shorter than the references say stays so.
            raise ValueError(f"{len(data)} bytes of {stop - begin} at {first + begin}")
        return data

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, await self._run(list, self._fs.references))

    async def names(self, root: str, prefix: str) -> list[str]:
        return sorted({key.partition("/")[0] for key in await self.find(root, prefix)})

    async def root_is_there(self, root: str) -> bool:
        return True
