"""Many calls at once, in a task group: the one way in which Sluice fans out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")


async def spread(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, workers: int | None = None
) -> None:
    """Await `work` for every item, at most `workers` at a time (None: all at once).

    The first failure stops the rest and is raised itself, not inside an ExceptionGroup. One lone
    item costs no task.
    """
    waiting = iter(items)
    ahead = list(islice(waiting, 2))
    if len(ahead) < 2:
        for item in ahead:
            await work(item)
        return
    waiting = chain(ahead, waiting)

    async def worker(item: Item) -> None:
        await work(item)
        for following in waiting:
            await work(following)

    try:
        async with asyncio.TaskGroup() as group:
            for item in islice(waiting, workers):
                group.create_task(worker(item))
    except BaseExceptionGroup as failures:
        failure = _first(failures)
        raise failure from failure.__cause__


def _first(failure: BaseException) -> BaseException:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


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

    await spread(list(found), one)
    return {key: value for key, value in found.items() if value is not None}
