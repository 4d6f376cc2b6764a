"""Many reads at once, out of one source whose gate bounds how many run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def run_all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; the first failure is raised as itself and cancels the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]


async def get_all(
    get: Callable[[str], Awaitable[bytes | None]], keys: Iterable[str]
) -> dict[str, bytes]:
    """The values of those `keys` that exist.

    Raises:
        StoreError: what the first failing `get` raised.
    """

    async def one(key: str) -> tuple[str, bytes | None]:
        return key, await get(key)

    found = await run_all(one(key) for key in dict.fromkeys(keys))
    return {key: value for key, value in found if value is not None}
