"""The workshop: what is done on the loop, what beside it, and how much of that at once."""

from __future__ import annotations

import asyncio
import threading
import time

from sluice.arrays.threads import busy_pool
from sluice.arrays.workshop import Shares, Workshop


async def test_small_work_stays_on_the_loop_and_large_work_does_not() -> None:
    """Up to the bound in the caller's thread, above it in the pool's."""
    with busy_pool(2, "decode") as pool:
        shop = Workshop(inline_bytes=10, under_way_bytes=100, threads=2, pool=pool)

        def where(_: None) -> threading.Thread:
            return threading.current_thread()

        assert await shop.run(Shares(), where, None, 10) is threading.current_thread()
        assert (await shop.run(Shares(), where, None, 11)).name.startswith("decode")


async def test_work_between_rounds_needs_no_thread() -> None:
    """Where threads have no core of their own, up to a bound of its own."""
    with busy_pool(1, "decode") as pool:
        shop = Workshop(
            inline_bytes=10, between_bytes=20, under_way_bytes=100, threads=1, pool=pool
        )

        def where(_: None) -> threading.Thread:
            return threading.current_thread()

        assert await shop.run(Shares(), where, None, 20) is threading.current_thread()
        assert (await shop.run(Shares(), where, None, 21)).name.startswith("decode")


async def test_nothing_waits_inside_the_pool() -> None:
    """Of many works at most as many run as there are threads, and a newcomer's is the next."""
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        time.sleep(0.002)

    with busy_pool(1, "decode") as pool:
        shop = Workshop(inline_bytes=0, under_way_bytes=100, threads=1, pool=pool)
        many, one = Shares(), Shares()
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(shop.run(many, work, "many", 1))
            await asyncio.sleep(0)
            group.create_task(shop.run(one, work, "one", 1))
    assert begun.index("one") == 1
