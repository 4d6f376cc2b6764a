"""What readings share: what is done on the loop, what beside it, and how much at once."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from sluice.arrays.reader import DecodePool, Reader
from sluice.scheduler import Flow, low_priority_pool


async def test_small_work_stays_on_the_loop_and_large_work_does_not() -> None:
    """Up to the bound in the caller's thread, above it in the pool's."""
    with low_priority_pool(2, "decode") as pool:
        decodes = DecodePool(inline_bytes=10, threads=2, pool=pool)

        def where(_: None) -> threading.Thread:
            return threading.current_thread()

        assert await decodes.run(Flow(), where, None, 10) is threading.current_thread()
        assert (await decodes.run(Flow(), where, None, 11)).name.startswith("decode")


async def test_cooperative_work_needs_no_thread() -> None:
    """Where threads have no core of their own, up to a bound of its own."""
    with low_priority_pool(1, "decode") as pool:
        decodes = DecodePool(inline_bytes=10, cooperative_bytes=20, threads=1, pool=pool)

        def where(_: None) -> threading.Thread:
            return threading.current_thread()

        assert await decodes.run(Flow(), where, None, 20) is threading.current_thread()
        assert (await decodes.run(Flow(), where, None, 21)).name.startswith("decode")


@pytest.mark.parametrize("cooperative", [0, 2**21])
async def test_memory_of_large_arrays_is_taken_before_they_are_written_to(cooperative: int) -> None:
    """In a thread; where threads have no core of their own, in steps on the loop."""
    with low_priority_pool(1, "decode") as pool:
        decodes = DecodePool(inline_bytes=10, cooperative_bytes=cooperative, threads=1, pool=pool)
        where = [(0,), (100, 7), (3, 2**20)]
        for shape in where:
            made = await decodes.empty(shape, np.dtype("i2"))
            made[...] = 7
            assert (made.shape, made.dtype) == (shape, np.dtype("i2"))
        texts = await decodes.empty((2**18,), np.dtype(object))
        assert texts[0] is None


async def test_nothing_waits_inside_the_pool() -> None:
    """Of many works at most as many run as there are threads, and a newcomer's is the next."""
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        time.sleep(0.002)

    with low_priority_pool(1, "decode") as pool:
        decodes = DecodePool(inline_bytes=0, threads=1, pool=pool)
        many, one = Flow(), Flow()
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(decodes.run(many, work, "many", 1))
            await asyncio.sleep(0)
            group.create_task(decodes.run(one, work, "one", 1))
    assert begun.index("one") == 1


@pytest.mark.parametrize(("cores", "in_a_thread"), [(1, False), (2, True)])
async def test_a_single_core_decodes_between_the_rounds_of_the_loop(
    cores: int, in_a_thread: bool
) -> None:
    """Where there are more, threads do not take the place of the loop."""
    reader = Reader(inline_bytes=10, single_core_bytes=20, cores=cores)

    def where(_: None) -> threading.Thread:
        return threading.current_thread()

    found = await reader.pool.run(Flow(), where, None, 20)
    assert (found is not threading.current_thread()) is in_a_thread


async def test_chunks_in_flight_are_bounded_together() -> None:
    """Two readings of one reader have no more of them at once than it allows."""
    reader, most, now = Reader(in_flight_bytes=100), 0, 0

    async def read(flow: Flow) -> None:
        nonlocal most, now
        async with reader.in_flight(flow, 40):
            now += 40
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 40

    async with asyncio.TaskGroup() as group:
        for flow in (Flow(), Flow()):
            for _ in range(4):
                group.create_task(read(flow))
    assert most == 80
