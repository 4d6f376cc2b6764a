"""Opening a store on a connected client, beside `xarray.open_zarr` on the same engine."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from loadtests.bench.contestants import s3_entry
from loadtests.bench.data import BUCKET, WIDE
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.stage import Stage, fetch
from loadtests.bench.stand_in import set_delay

LATENCY_MS = 30.0
FIRST_MS = 200.0
FASTER = {"s3fs": 5.0, "obstore": 3.0}


def opening(stage: Stage) -> Result:
    """40 variables, 6 coordinates, 30 ms: two waves and little more."""
    result = Result("open", "40 variables, 6 coordinates, 30 ms, connected client")
    with stage.s3(WIDE) as endpoint:
        for engine, times in FASTER.items():
            ours = stage.probe("open_once", engine, endpoint, "sluice", stage.rounds)
            theirs = stage.probe("open_once", engine, endpoint, "xarray", stage.rounds)
            result.rows[f"sluice {engine}"] = _row(ours)
            result.rows[f"open_zarr {engine}"] = _row(theirs)
            cpu_ms = median(ours["cpu"]) * 1e3
            allowed = 2.5 * LATENCY_MS + 1.5 * cpu_ms
            took = median(ours["at_30"]) * 1e3
            said = f"{engine}: ms, allowed 2.5 x 30 + 1.5 x {cpu_ms:.0f} of CPU"
            faster = median(theirs["at_30"]) / median(ours["at_30"])
            result.claims += [
                Claim(said, took, "<=", allowed),
                Claim(f"{engine}: open_zarr's time / ours", faster, ">=", times),
            ]
            first = _first_answers(stage, endpoint, engine)
            result.rows[f"first answer {engine}"] = {
                "p50_ms": median(first) * 1e3,
                "max_ms": max(first) * 1e3,
            }
            said = f"{engine}: ms of the first answer about a dataset after /readyz"
            result.claims.append(Claim(said, median(first) * 1e3, "<=", FIRST_MS))
    return result


def _first_answers(stage: Stage, endpoint: str, engine: str) -> list[float]:
    """Seconds of what each new server answers first: it opens the store for that."""
    found = []
    for _ in range(stage.rounds):
        set_delay(endpoint, 0)
        with stage.sluice({"wide": s3_entry(endpoint, BUCKET, WIDE, engine)}) as sluice:
            fetch(sluice, "/readyz")
            set_delay(endpoint, LATENCY_MS / 1e3)
            start = time.perf_counter()
            fetch(sluice, "/datasets/wide")
            found.append(time.perf_counter() - start)
    set_delay(endpoint, 0)
    return found


def _row(found: dict[str, Any]) -> Figures:
    return {
        "per_s": 1 / median(found["at_30"]),
        "p50_ms": median(found["at_30"]) * 1e3,
        "max_ms": max(found["at_30"]) * 1e3,
        "gets": median(found["gets"]),
        "cpu_us": median(found["cpu"]) * 1e6,
    }
