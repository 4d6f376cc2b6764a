"""Parts read one after the other: the next one while somebody has the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
V = TypeVar("V")


async def ahead(parts: Iterable[T], read: Callable[[T], Awaitable[V]]) -> AsyncGenerator[V, None]:
    """What is read of `parts`, in their order; the next one while somebody has the last.

    Whoever stops asking has ended what is read.
    """
    left = iter(parts)
    reading = _begun(left, read)
    try:
        while reading is not None:
            found = await reading
            # Begun no sooner: no more than `AT_ONCE` are in memory.
            reading = _begun(left, read)
            yield found
            del found
    finally:
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reading


def _begun(left: Iterator[T], read: Callable[[T], Awaitable[V]]) -> asyncio.Task[V] | None:
    """The next of the parts that are `left`, being read; None where there is none."""
    for part in left:
        return asyncio.ensure_future(_made(read, part))
    return None


async def _made(read: Callable[[T], Awaitable[V]], part: T) -> V:
    return await read(part)
