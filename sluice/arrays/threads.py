"""Threads for work that keeps a core busy: a bounded number, had in turns, and never left alone."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from time import perf_counter
from typing import Any, Final, TypeVar

from sluice.arrays.turns import Share, Turns
from sluice.concurrency import wait_done

Made = TypeVar("Made")

# The loop must not wait for a core that such work has: where both want it, the loop gets three
# quarters (sched(7), "The nice value").
_NICENESS: Final = 5
# Work on the loop begins within so long of a round of the loop, in which all others had theirs.
_ROUND_SECONDS: Final = 0.005


class Threads:
    """At most `number` threads of a `pool` (None: the loop's default executor), one a turn.

    What waits inside a pool could not be overtaken: it waits before it. Belongs to one event loop;
    whoever made the pool closes it.
    """

    def __init__(self, number: int, pool: Executor | None) -> None:
        self._turns = Turns(number)
        self._pool = pool
        self._round_ends = 0.0

    async def run(self, share: Share, work: Callable[..., Made], *given: Any) -> Made:
        """What ``work(*given)`` makes, in a turn of whoever has `share`.

        Who is cancelled meanwhile leaves when the thread has ended: no thread works for nobody, and
        what it has in its hands is counted for as long as it has it.
        """
        async with self._turns.turn(share, 1):
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, work, *given)
            try:
                await wait_done(running)
            except asyncio.CancelledError:
                await wait_done(running)
                running.exception()  # nobody is there to be told
                raise
            return running.result()

    async def between(self, share: Share, work: Callable[..., Made], *given: Any) -> Made:
        """What ``work(*given)`` makes, on the loop, in the same turns.

        Every few milliseconds the loop goes round, however much of this waits.
        """
        async with self._turns.turn(share, 1):
            if perf_counter() > self._round_ends:
                await asyncio.sleep(0)
                self._round_ends = perf_counter() + _ROUND_SECONDS
            return work(*given)


def busy_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Threads for work that keeps a core busy; they give way to the loop."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_give_way)


def _give_way() -> None:
    # On Linux it is the thread's own (nice(2), "C library/kernel differences").
    if sys.platform == "linux":
        os.nice(_NICENESS)
