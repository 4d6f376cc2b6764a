"""How each kind of fsspec filesystem is read: one whole-or-ranged GET per value, nothing more."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from math import inf
from os import SEEK_END
from typing import Any, NoReturn, Protocol, TypeAlias, runtime_checkable

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.reference import ReferenceFileSystem

from app.errors import StoreError
from app.store.blocking import Calls, LoopCalls
from app.store.bounds import ERROR_BYTES, bounded_answers
from app.store.failures import (
    Kind,
    causes,
    failure_of,
    kind_of,
    reason_of,
    redacted,
    store_error,
)
from app.store.parts import OversizedBody, checked, most_of_answer
from app.store.paths import below, joined
from app.store.ranges import resolved, sliced
from app.store.tags import Tagged

CONTAINER_SEEN_SECONDS = 30.0

_TABLE_KEY = re.compile(r"(^|/)(\.z\w+|\d+(\.\d+)*)$")

Limits: TypeAlias = tuple[int | None, int | None]


class Reader(Protocol):
    """Paths of one filesystem; failures are raised as the filesystem raises them."""

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        """The range of a value, which has at most `most_bytes`: OversizedBody where it has more.

        Then little more is read than that, or than the range.
        """
        ...

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

    async def read_tagged(self, path: str, known: str | None, most_bytes: int | None) -> Tagged:
        """The whole value, unless it is still the one of the tag `known`: then NotModified.

        Bounded as in `Reader.read`.
        """
        ...


def protocols_of(fs: AsyncFileSystem) -> frozenset[str]:
    """The names of the protocols that `fs` serves."""
    return frozenset([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol)


def reader_for(fs: AsyncFileSystem, calls: Calls | None = None) -> Reader:
    """The way to read `fs`; its blocking calls are made by `calls`."""
    calls = LoopCalls() if calls is None else calls
    if isinstance(fs, AsyncFileSystemWrapper):
        return WrappedReader(fs, calls)
    if isinstance(fs, ReferenceFileSystem):
        return ReferenceReader(fs, calls)
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

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        most = most_of_answer(start, end, most_bytes)
        # An error's document may be larger than a small value.
        with bounded_answers(None if most is None else max(most, ERROR_BYTES)):
            data = bytes(await self._fs._cat_file(path, start=start, end=end))
        return checked(data, start, end, most_bytes)

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


class WrappedReader:
    """A filesystem that has only blocking calls (local files, memory)."""

    def __init__(self, fs: AsyncFileSystemWrapper, calls: Calls) -> None:
        self._fs: Any = fs.sync_fs
        self._calls = calls

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
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


def _read(fs: Any, path: str, limits: Limits, most_bytes: int | None) -> bytes:
    if isinstance(fs, MemoryFileSystem):
        # What it opens for one is the file that all others read, and its place in it.
        return checked(fs.cat_file(path, *limits), *limits, most_bytes)
    with fs.open(path, "rb") as file:
        size = file.seek(0, SEEK_END)
        first, last = resolved(*limits, size)
        if most_bytes is not None and last - first > most_bytes:
            raise OversizedBody(most_bytes)
        file.seek(first)
        # A device, which has no size, gives nothing: reading on would have no end.
        return bytes(file.read(last - first))


def _find(fs: Any, path: str) -> list[str]:
    def give_up(error: Exception) -> NoReturn:
        # fsspec would leave out whatever cannot be listed.
        raise error

    return list(fs.find(path, on_error=give_up))


def _names(fs: Any, path: str) -> list[str]:
    return list(fs.ls(path, detail=False))


class ReferenceReader:
    """kerchunk references, whose targets are read as their own filesystem is best read."""

    def __init__(self, fs: ReferenceFileSystem, calls: Calls) -> None:
        self._fs = fs
        self._calls = calls
        self._lazy = not isinstance(fs.references, dict)
        self._readers = {
            protocol: reader_for(
                target
                if isinstance(target, AsyncFileSystem)
                else AsyncFileSystemWrapper(target, asynchronous=True),
                calls,
            )
            for protocol, target in fs.fss.items()
        }

    async def _run(self, path: str, call: Callable[..., Any], *arguments: Any) -> Any:
        # References in Parquet are read from their files when they are looked up.
        return await self._calls.run(path, call, *arguments) if self._lazy else call(*arguments)

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        target, first, last = await self._looked_up(path)
        if isinstance(target, bytes):
            return sliced(target, start, end)
        if not isinstance(target, str):  # a hole in a Parquet table
            raise FileNotFoundError(path)
        try:
            return await self._read_target(target, (first, last), (start, end), most_bytes)
        except StoreError:
            raise
        except Exception as error:
            if first is None and kind_of(error) is Kind.PAST_END:
                return b""
            doing = f"reading {redacted(target)}, to which the reference {path} points"
            raise failure_of(error, doing=doing, key=path) from error

    async def _looked_up(self, path: str) -> tuple[Any, int | None, int | None]:
        if self._lazy and not _TABLE_KEY.search(path):
            raise FileNotFoundError(path)  # a table takes any last part for chunk numbers
        try:
            target, first, last = await self._run(path, self._fs._cat_common, path)
        except FileNotFoundError as error:
            # Tables say the same for a part that was never written and for one that is broken.
            origin = list(causes(error))[-1]
            if isinstance(origin, (KeyError, FileNotFoundError)):
                raise
            raise store_error(Kind.FAILED, reason_of(origin), doing=f"looking up {path}") from error
        return target, None if first is None else int(first), None if last is None else int(last)

    async def _read_target(
        self, target: str, part: Limits, wanted: Limits, most_bytes: int | None
    ) -> bytes:
        protocol = target.partition("://")[0] if "://" in target else None
        if protocol not in self._readers:
            raise LookupError(f"no filesystem was given for {protocol}://")
        first, last = part
        if first is None or last is None:
            return await self._readers[protocol].read(target, *wanted, most_bytes)
        begin, stop = resolved(*wanted, last - first)
        if begin == stop:
            return b""
        if most_bytes is not None and stop - begin > most_bytes:
            raise OversizedBody(most_bytes)
        # Of the file around the value no metadata says how large it is.
        data = await self._readers[protocol].read(target, first + begin, first + stop, None)
        if len(data) != stop - begin:
            # Not for now: a target that is shorter than the references say stays so.
            raise ValueError(f"{len(data)} bytes of {stop - begin} at {first + begin}")
        return data

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, await self._run(path, list, self._fs.references))

    async def names(self, root: str, prefix: str) -> list[str]:
        return sorted({key.partition("/")[0] for key in await self.find(root, prefix)})

    async def root_is_there(self, root: str) -> bool:
        return True
