"""What a decode costs on the loop and in the pool, and how long the loop stands still for forty.

On the loop in one go, or between its rounds; the process has one core, as under the bench.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from numcodecs.blosc import Blosc
from numcodecs.zstd import Zstd

from sluice.arrays.chunk_decoders import single_threaded_blosc
from sluice.arrays.reader import DecodePool
from sluice.concurrency import map_concurrently
from sluice.scheduler import Flow, low_priority_pool

SIZES = tuple(2**power * 1024 for power in (2, 4, 5, 6, 7, 8, 10, 11, 12))
AT_ONCE = 40
Decode = Callable[[Any], Any]


async def main(rounds: int) -> None:
    """Print, for each codec and size: microseconds a decode and the longest gap, each way."""
    single_threaded_blosc()
    found = []
    with low_priority_pool(1, "decode") as pool:
        ways = {
            name: DecodePool(
                inline_bytes=inline,
                cooperative_bytes=between,
                threads=1,
                pool=pool,
            )
            for name, inline, between in (("loop", 2**40, 0), ("between", 0, 2**40), ("pool", 0, 0))
        }
        for codec, (encode, decode) in _codecs().items():
            for size in SIZES:
                data = encode(_values(size))
                row: dict[str, Any] = {"codec": codec, "size": size}
                taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
                for _ in range(rounds):
                    for way, shop in ways.items():
                        taken[way].append(await _forty(shop, decode, data, size))
                for way, figures in taken.items():
                    row[f"{way}_us"] = median(us for us, _ in figures)
                    row[f"{way}_gap_ms"] = median(gap for _, gap in figures)
                found.append(row)
    sys.stdout.write(json.dumps(found) + "\n")


def _codecs() -> Mapping[str, tuple[Decode, Decode]]:
    zstd, blosc = Zstd(level=3), Blosc("lz4")
    return {
        "zstd": (zstd.encode, zstd.decode),
        "blosc": (blosc.encode, blosc.decode),
        "raw": (np.ndarray.tobytes, lambda data: np.frombuffer(data, "i2")),
    }


def _values(size: int) -> np.ndarray[Any, Any]:
    """Two-byte values that compress as weather does."""
    steps = np.random.default_rng(7).integers(-8, 8, size // 2)
    return (1000 * np.sin(np.arange(size // 2) / 500) + steps).astype("i2")


async def _forty(pool: DecodePool, decode: Decode, data: Any, size: int) -> tuple[float, float]:
    """CPU microseconds of each of forty decodes, and the loop's longest gap in milliseconds."""
    flow, gaps = Flow(), [0.0]

    async def one(_: int) -> None:
        await pool.run(flow, decode, data, size)

    async def beat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    start = time.process_time()
    await map_concurrently(range(AT_ONCE), one, workers=32)
    spent = time.process_time() - start
    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    await map_concurrently(range(AT_ONCE), one, workers=32)
    beating.cancel()
    return spent / AT_ONCE * 1e6, max(gaps) * 1e3


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
