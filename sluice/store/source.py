"""What every store looks like from above: a few named coroutines from key to bytes."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterable
from typing import Protocol


class ByteSource(Protocol):
    """Keys under one root, read asynchronously; calls may run concurrently.

    ``None`` means "no such key in a store that is there" and nothing else. A read that was refused,
    failed or timed out raises a `StoreError`, and so does one whose bucket or root is gone.
    The source owns the gate that bounds how many requests run at once.
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
        ...

    async def exists(self, key: str) -> bool:
        """Whether `key` names a value (not merely a prefix of others)."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[str]:
        """All keys below the path `prefix`, recursively, relative to the root.

        A prefix is a path, with or without its slash: ``a`` holds ``a/b``, and not ``ab``.
        """
        ...

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """Names one level below `prefix`, of values and of deeper prefixes alike, sorted."""
        ...
