"""Memory over many cold points: the cache's budget, and nothing that grows."""

from __future__ import annotations

import time

from loadtests.bench import asks
from loadtests.bench.client import drive_all
from loadtests.bench.figures import Claim, Result
from loadtests.bench.machine import on_the_asking_core
from loadtests.bench.stage import CACHE_BYTES, Stage, sluice_path

MIB = 2**20
BUDGET = 256 * MIB
POINTS, STEP, USERS = 20_000, 500, 16
# A slow machine asks for fewer points, and says so.
MOST_SECONDS = 150
# What an allocator may keep more of, of what was free before: not growth.
SLACK = 16 * MIB


def memory(stage: Stage) -> Result:
    """RSS after each few hundred points of all variables."""
    result = Result("memory", f"random points of 648 chunks, {USERS} users, budget 256 MiB")
    paths = [sluice_path("point", ask) for ask in asks.anywhere(POINTS)]
    held: list[int] = []
    failed = 0
    with stage.sluice(environment={CACHE_BYTES: str(BUDGET)}) as sluice:
        start = time.monotonic()
        with sluice.awake(), on_the_asking_core():
            for first in range(0, POINTS, STEP):
                failed += drive_all(sluice.address, paths[first : first + STEP], USERS).failed
                held.append(sluice.usage().rss)
                if time.monotonic() - start > MOST_SECONDS:
                    break
        taken = time.monotonic() - start
        threads = sluice.usage().threads
    asked = len(held) * STEP
    allowed = held[0] + 1.3 * BUDGET
    half = held[len(held) // 2 :]
    growth = max(half) - half[0]
    result.rows["sluice"] = {
        "per_s": asked / taken,
        "rss_mib": max(held) / MIB,
        "threads": float(threads),
        "failed": float(failed),
    }
    early, limit = held[0] / MIB, allowed / MIB
    result.claims += [
        Claim(f"RSS MiB, after 500 points {early:.0f}", max(held) / MIB, "<=", limit),
        Claim("growth over the second half, MiB", growth / MIB, "<=", SLACK / MIB),
    ]
    if asked < POINTS:
        result.notes.append(f"{asked:,} points in {MOST_SECONDS} s, not {POINTS:,}")
    return result
