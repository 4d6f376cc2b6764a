"""The end of work that others wait for, too."""

from __future__ import annotations

import asyncio

import pytest

from sluice.store.ending import ended


async def test_any_end_is_an_end() -> None:
    """Results, failures and cancellations are for those whose work it is."""
    loop = asyncio.get_running_loop()
    results: list[asyncio.Future[int]] = [loop.create_future() for _ in range(3)]
    waits = [asyncio.create_task(ended(result)) for result in results]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    results[0].set_result(1)
    results[1].set_exception(ValueError("theirs"))
    results[2].cancel()
    assert await asyncio.gather(*waits) == [None] * 3
    for result in results:
        await ended(result)  # at once
    assert isinstance(results[1].exception(), ValueError)


async def test_who_leaves_leaves_the_work_alone() -> None:
    """A cancelled wait cancels nothing and leaves nothing behind; others go on waiting."""
    work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    leaver, stayer = (asyncio.create_task(ended(work)) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    assert not work.done()
    work.set_result(1)
    await asyncio.wait_for(stayer, 5)
