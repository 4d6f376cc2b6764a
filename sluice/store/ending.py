"""Waiting for the end of work that is not one's own."""

from __future__ import annotations

import asyncio
from typing import Any


async def ended(work: asyncio.Future[Any]) -> None:
    """Return when `work` has ended, however it did; whoever is cancelled meanwhile leaves it be.

    What ``asyncio.wait`` does for many, at half its cost. (A shield would report a failure
    that comes after its caller left to the loop's handler, although others receive it.)
    """
    if work.done():
        return
    end = asyncio.get_running_loop().create_future()

    def tell(_: asyncio.Future[Any]) -> None:
        if not end.done():
            end.set_result(None)

    work.add_done_callback(tell)
    try:
        await end
    finally:
        work.remove_done_callback(tell)
