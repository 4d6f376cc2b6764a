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
    The source has the gate that bounds how many requests run at once, unless who reads it has one.

    A source needs `get` and the two listings; it may be any class that has all five.
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
    """In place of a value: the store still has the one whose tag it was shown."""


class NotModified(Exception):
    """The answer 304 to a read that showed a tag."""


@runtime_checkable
class TaggingSource(Protocol):
    """A `ByteSource` that may spare the reader a value that he has."""

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """The whole value of `key`, unless it is still the one of the tag `known`; else as `get`.

        A key that is gone is None, whatever tag is shown.
        """
        ...


@runtime_checkable
class DatedSource(Protocol):
    """A `ByteSource` that may know when its values were written."""

    async def modified(self, key: str) -> float | None:
        """When `key` was written last, in seconds since 1970; None where nobody tells."""
        ...


async def get_tagged(
    source: ByteSource, key: str, known: str | None = None
) -> Tagged | Unchanged | None:
    """What `source` says of `key`; of a source that knows no tags, the value."""
    if isinstance(source, TaggingSource):
        return await source.get_tagged(key, known)
    return await get_untagged(source, key)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a value, from its `start` on, and how many it has in all; None: nobody has said."""

    data: bytes
    start: int
    size: int | None


@runtime_checkable
class PartSource(Protocol):
    """A `ByteSource` that tells of each range how long the whole value is."""

    async def get_part(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> Part | None:
        """The range as of `get`, of one request to the store; None when there is no such key.

        Of a range that lies behind the end there is nothing, and its size may be unknown.
        """
        ...


@dataclass(frozen=True, slots=True)
class _WholeParts:
    """Parts of a source that knows no sizes: out of the whole value."""

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
    """What tells ranges of `source` with sizes. Looked for once: that takes as long as a read."""
    return source if isinstance(source, PartSource) else _WholeParts(source)


async def get_untagged(source: ByteSource, key: str) -> Tagged | None:
    """The whole value of `key`, without a tag."""
    data = await source.get(key)
    return None if data is None else Tagged(data, None)


def gate_of(concurrency: int | None) -> AbstractAsyncContextManager[object]:
    """What at most `concurrency` requests pass at once; None: any number."""
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


def resolved(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """The range within a value of `size` bytes, as a first byte and an exclusive end."""
    if start is None:
        start = 0
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, max(first, size if end is None else min(end, size))


def joined(root: str, key: str) -> str:
    """The full path of `key`; web addresses keep their query, and quote what a path cannot hold."""
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
