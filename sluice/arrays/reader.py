"""What the readings of all datasets share: limits on chunks in flight, a cache, a decode pool."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

import numpy as np

from sluice.aliases import Array, DType
from sluice.arrays.chunk_cache import ChunkCache
from sluice.cgroup import available_cores
from sluice.scheduler import FairScheduler, Flow, Threads

Given = TypeVar("Given")
Made = TypeVar("Made")

_MIB: Final = 2**20
# The memory of larger arrays comes from the kernel, which clears it page by page at the first write
# to each: 40 ms for 30 MB, where it has no huge pages.
_SCANT_BYTES: Final = _MIB
_PAGE: Final = 4096


class DecodePool:
    """Where chunks are decoded: on the loop if that takes little time, else in threads.

    Work on up to `inline_bytes` is done on the loop at once, since the hop to a thread costs more.
    Larger work is done by at most `threads` of the `pool` (None: the loop's default executor), or
    of the `calm_pool` while the loop has little to do. Work on up to `cooperative_bytes` is done on
    the loop too, a few milliseconds between two rounds of its other callbacks: for a machine of one
    core, where threads run instead of the loop and not beside it.

    It belongs to one event loop; whoever made the pools closes them.
    """

    def __init__(
        self,
        *,
        inline_bytes: int,
        cooperative_bytes: int = 0,
        threads: int,
        pool: Executor | None = None,
        calm_pool: Executor | None = None,
    ) -> None:
        self.inline_bytes = inline_bytes
        self._cooperative_bytes = cooperative_bytes
        self._threads = Threads(threads, pool, calm_pool)

    async def run(
        self, flow: Flow, work: Callable[[Given], Made], given: Given, nbytes: int
    ) -> Made:
        """What ``work(given)`` returns; it takes about as long as decoding `nbytes` does."""
        if nbytes <= self.inline_bytes:
            return work(given)
        if nbytes <= self._cooperative_bytes:
            return await self._threads.cooperatively(flow, work, given)
        return await self._threads.run(flow, work, given)

    async def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array of any content, whose memory is already there when it is written to."""
        made = np.empty(shape, dtype)
        if made.nbytes > _SCANT_BYTES and dtype.kind not in "OT":
            pages = made.reshape(-1).view("u1")[::_PAGE]
            step = _SCANT_BYTES // _PAGE if self._cooperative_bytes else pages.size
            for start in range(0, pages.size, step):
                await self.run(Flow(), _write, pages[start : start + step], step * _PAGE)
        return made


def _write(values: Array) -> None:
    """Touch the memory of `values`."""
    values[...] = 0


class Reader:
    """What all datasets share that are opened with it: limits, a chunk cache, a decode pool.

    cache_bytes: the most that decoded chunks take which are kept (see `ChunkCache`).
    in_flight_bytes: the most that chunks take which are fetched and decoded at one time, and as
        much for ranges of shards; each reading gets its fair share. (How many requests run at once
        is up to the source of each store.)
    inline_bytes, threads, pool, calm_pool: as of `DecodePool`; `threads` is one for each core where
        it is None.
    single_core_bytes: the `cooperative_bytes` of the `DecodePool` where there is one core alone.
    shard_index_bytes: the most that the kept shard indexes of one store take, and each of them.
    workers: how many chunks of one array are read at once.
    cores: how many this process may use; None to find out.

    It belongs to one event loop; whoever made the pools closes them.
    """

    def __init__(
        self,
        *,
        cache_bytes: int = 256 * _MIB,
        in_flight_bytes: int = 64 * _MIB,
        inline_bytes: int = 256 * 1024,
        single_core_bytes: int = 2 * _MIB,
        threads: int | None = None,
        pool: Executor | None = None,
        calm_pool: Executor | None = None,
        shard_index_bytes: int = 64 * _MIB,
        workers: int = 32,
        cores: int | None = None,
    ) -> None:
        cores = available_cores() if cores is None else cores
        self.cache = ChunkCache(cache_bytes)
        self.pool = DecodePool(
            inline_bytes=inline_bytes,
            cooperative_bytes=single_core_bytes if cores == 1 else 0,
            threads=cores if threads is None else threads,
            pool=pool,
            calm_pool=calm_pool,
        )
        self.shard_index_bytes = shard_index_bytes
        self.workers = workers
        self.in_flight_bytes = in_flight_bytes
        self._gate = FairScheduler(in_flight_bytes)
        self._ranges = FairScheduler(in_flight_bytes)

    def range_in_flight(self, flow: Flow, nbytes: int) -> AbstractAsyncContextManager[None]:
        """A block in which a range of `nbytes` of a shard is fetched and its chunks are decoded."""
        return self._ranges.turn(flow, nbytes)

    def in_flight(self, flow: Flow, nbytes: int) -> AbstractAsyncContextManager[None]:
        """A block in which a chunk of `nbytes` is fetched and decoded; entered in its turn."""
        return self._gate.turn(flow, nbytes)
