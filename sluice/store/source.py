"""What every store looks like from above: a few named coroutines from key to bytes."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import quote

from sluice.concurrency import map_concurrently


class ByteSource(Protocol):
    """Keys under one root, read asynchronously; calls may run concurrently.

    ``None`` means "no such key in a store that is there" and nothing else. A read that was refused,
    failed or timed out raises a `StoreError`, and so does one whose bucket or root is gone.
    A source bounds how many requests run at once, unless its reader does (`ResilientSource`).

    Implementations define `get`, `list` and `list_dir`; the other two follow from `get`.
    """

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        """Bytes ``start`` to ``end`` (exclusive) of `key`, clipped to its size.

        A negative `start` (without `end`) is a suffix: the last ``-start`` bytes. A whole value
        that has more than `most_bytes` is a StoreOversized as soon as that shows; of a range no
        more is held than was asked for.
        """
        ...

    async def getitems(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Whole values of those `keys` that exist, read concurrently; missing keys are omitted."""
        return await get_all(self.get, keys)

    async def exists(self, key: str) -> bool:
        """Whether `key` names a value (not merely a prefix of others).

        It is asked by reading one byte: the answer to a HEAD has no body, so it cannot tell a
        missing key from a missing bucket.
        """
        return await self.get(key, 0, 1) is not None

    def list(self, prefix: str = "") -> AsyncIterator[str]:
        """All keys below the path `prefix`, recursively, relative to the root.

        A prefix is a path, with or without its slash: ``a`` holds ``a/b``, and not ``ab``.
        """
        ...

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """Names one level below `prefix`, of values and of deeper prefixes alike, sorted."""
        ...


@dataclass(frozen=True, slots=True)
class Tagged:
    """A whole value and its entity tag (RFC 9110, 8.8.3); None: there is none to rely on."""

    data: bytes
    tag: str | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The answer in place of a value: its tag is still the one that was sent."""


class NotModified(Exception):
    """The answer 304 to a read that sent a tag (If-None-Match); only within this package."""


@runtime_checkable
class TaggingSource(Protocol):
    """A `ByteSource` that reads a value only if it has changed."""

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """The whole value of `key`, or `Unchanged` if its tag is still `known`; errors as of `get`.

        None for a key that is gone, whatever tag was sent.
        """
        ...


@runtime_checkable
class DatedSource(Protocol):
    """A `ByteSource` that may know when its values were written."""

    async def modified(self, key: str) -> float | None:
        """When `key` was written last, in seconds since 1970; None where that is not known."""
        ...


async def get_tagged(
    source: ByteSource, key: str, known: str | None = None
) -> Tagged | Unchanged | None:
    """As `TaggingSource.get_tagged`; of a source that knows no tags, the value without one."""
    if isinstance(source, TaggingSource):
        return await source.get_tagged(key, known)
    return await get_untagged(source, key)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a value from `start` on; `size` is that of the whole value, None if unknown."""

    data: bytes
    start: int
    size: int | None


@runtime_checkable
class PartSource(Protocol):
    """A `ByteSource` whose ranges come with the size of the whole value."""

    async def get_part(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> Part | None:
        """The range as of `get`, in one request to the store; None when there is no such key.

        A range behind the end of the value is empty, and the size may be unknown then.
        """
        ...


@dataclass(frozen=True, slots=True)
class _WholeParts:
    """Parts of a source that knows no sizes: each is cut out of the whole value."""

    source: ByteSource

    async def get_part(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> Part | None:
        data = await self.source.get(key)
        if data is None:
            return None
        first, last = resolved(start, end, len(data))
        return Part(data[first:last], first, len(data))


def part_source(source: ByteSource) -> PartSource:
    """`source` as a `PartSource`. To be kept: the check of the protocol takes as long as a read."""
    return source if isinstance(source, PartSource) else _WholeParts(source)


async def get_untagged(source: ByteSource, key: str) -> Tagged | None:
    """The whole value of `key`, without a tag."""
    data = await source.get(key)
    return None if data is None else Tagged(data, None)


def gate_of(concurrency: int | None) -> AbstractAsyncContextManager[object]:
    """A gate that at most `concurrency` requests pass at once (None: any number)."""
    return nullcontext() if concurrency is None else asyncio.Semaphore(concurrency)


async def get_all(
    get: Callable[[str], Awaitable[bytes | None]], keys: Iterable[str]
) -> dict[str, bytes]:
    """The values of those `keys` that exist; the source's own gate bounds how many run.

    Raises:
        StoreError: what the first failing `get` raised.
    """
    found: dict[str, bytes | None] = dict.fromkeys(keys)

    async def one(key: str) -> None:
        found[key] = await get(key)

    await map_concurrently(list(found), one)
    return {key: value for key, value in found.items() if value is not None}


def check_range(start: int | None, end: int | None) -> None:
    """Refuse what the source protocol does not define.

    Raises:
        ValueError: a negative `end`, or a suffix (negative `start`) with an `end`.
    """
    if end is not None and (end < 0 or (start is not None and start < 0)):
        raise ValueError(f"Not a byte range: {start} to {end}; a suffix has a negative start alone")


def is_empty_range(start: int | None, end: int | None) -> bool:
    """Whether a range holds no byte of any value; no Range header can say that."""
    return end is not None and (start or 0) >= end


def resolved(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """The range within a value of `size` bytes: its first byte and its end (exclusive), clipped."""
    if start is None:
        start = 0
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, max(first, size if end is None else min(end, size))


def joined(root: str, key: str) -> str:
    """The full path of `key` below `root`.

    A web address keeps its query at the end; the key is quoted in it as a path must be.
    """
    if "://" not in root:
        return f"{root}/{key}" if root and key else root or key
    base, mark, query = root.partition("?")
    return f"{base.rstrip('/')}/{quote(key)}{mark}{query}"


def below(path: str, found: list[str]) -> list[str]:
    """Those of the full names `found` that lie below `path`, relative to it."""
    prefix = f"{path.rstrip('/')}/" if path else ""
    # A name that ends in a slash is a console's folder marker, not a value.
    return [
        name[len(prefix) :]
        for name in found
        if name.startswith(prefix) and name != prefix and not name.endswith("/")
    ]
