"""A source that tells of each request to its store: how long it took and what it brought."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterable
from time import perf_counter
from typing import TypeAlias

from sluice.store.source import ByteSource, Tagged, Unchanged, get_all, get_tagged

# Operation, seconds, bytes received, and the error or None.
Observe: TypeAlias = Callable[[str, float, int, BaseException | None], None]


class ObservedSource:
    """`source` as it is, with `observe` called after each request, failed ones included.

    The time includes the wait at the source's gate.
    """

    def __init__(self, source: ByteSource, observe: Observe) -> None:
        self._source = source
        self._observe = observe

    def __repr__(self) -> str:
        return f"ObservedSource({self._source!r})"

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        """As the source's own."""
        began = perf_counter()
        try:
            data = await self._source.get(key, start, end, most_bytes=most_bytes)
        except BaseException as error:
            self._observe("get", perf_counter() - began, 0, error)
            raise
        self._observe("get", perf_counter() - began, len(data or b""), None)
        return data

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """As the source's own; an unchanged value is a request that brought nothing."""
        began = perf_counter()
        try:
            answer = await get_tagged(self._source, key, known)
        except BaseException as error:
            self._observe("get", perf_counter() - began, 0, error)
            raise
        received = len(answer.data) if isinstance(answer, Tagged) else 0
        self._observe("get", perf_counter() - began, received, None)
        return answer

    async def getitems(self, keys: Iterable[str]) -> dict[str, bytes]:
        """As the source's own; each key is a request."""
        return await get_all(self.get, keys)

    async def exists(self, key: str) -> bool:
        """As the source's own."""
        return await self.get(key, 0, 1) is not None

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """As the source's own; not observed, since its end is its reader's matter."""
        async for key in self._source.list(prefix):
            yield key

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """As the source's own."""
        began = perf_counter()
        try:
            names = await self._source.list_dir(prefix)
        except BaseException as error:
            self._observe("list", perf_counter() - began, 0, error)
            raise
        self._observe("list", perf_counter() - began, 0, None)
        return names
