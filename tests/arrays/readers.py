"""What tests of arrays need: a reader with room for everything, and the rounds of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sluice.arrays.reader import Reader


def shared_reader(inline_bytes: int = 10**9) -> Reader:
    return Reader(
        cache_bytes=0, in_flight_bytes=10**9, inline_bytes=inline_bytes, threads=2, workers=4
    )


@asynccontextmanager
async def rounds_counted() -> AsyncIterator[Callable[[], int]]:
    """Inside the block, how often the loop has gone round."""
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        yield lambda: rounds
    finally:
        counting.cancel()
