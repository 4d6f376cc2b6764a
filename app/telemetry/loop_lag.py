"""How late the event loop is: the first thing to look at when everything is slow."""

from __future__ import annotations

import asyncio

from .events import Emit, LoopLag


async def watch_loop(emit: Emit, *, every_seconds: float = 0.25) -> None:
    """Emit a `LoopLag` for each appointment, for ever; cancel it to end it."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_seconds
        await asyncio.sleep(every_seconds)
        lag = max(0.0, loop.time() - due)
        emit(LoopLag(lag, tasks=len(asyncio.all_tasks())))
