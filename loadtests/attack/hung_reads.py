"""Six reads of one local store that never end: what becomes of all others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import Final

import httpx
import numpy as np
import xarray as xr

from loadtests.attack.stage import Figure, Stage, Target

HUNG: Final = 6
OTHERS: Final = ("well", *(f"late{number}" for number in range(8)))


def attack(stage: Stage) -> Iterable[Figure]:
    """Chunks of one store are pipes that nobody writes to; eight others open meanwhile."""
    data = xr.Dataset({"a": ("x", np.arange(16.0))}, {"x": np.arange(16)})
    for name in ("sick", *OTHERS):
        store = stage.folder / f"{name}.zarr"
        data.to_zarr(store, zarr_format=2, encoding={"a": {"chunks": (1,)}})
    for number in range(HUNG):
        chunk = stage.folder / "sick.zarr/a" / str(number)
        chunk.unlink()
        os.mkfifo(chunk)
    entries = {name: stage.folder / f"{name}.zarr" for name in ("sick", *OTHERS)}
    with stage.serving(entries, SLUICE_STORE_ATTEMPT_SECONDS="5") as target:
        yield from _attacked(target)


def _attacked(target: Target) -> Iterable[Figure]:
    def ask(path: str) -> tuple[int, float]:
        began = time.monotonic()
        status = httpx.get(target.address + path, timeout=60, trust_env=False).status_code
        return status, time.monotonic() - began

    ask("/datasets/sick/isel?x=12")
    hung = [
        threading.Thread(target=ask, args=(f"/datasets/sick/isel?x={number}",))
        for number in range(HUNG)
    ]
    with target.watched() as watch:
        for thread in hung:
            thread.start()
        time.sleep(1)
        others = [ask(f"/datasets/{name}/isel?x=3") for name in OTHERS]
        for thread in hung:
            thread.join()
        after = [ask(f"/datasets/sick/isel?x={number % 16}") for number in range(20)]
        others.append(ask("/datasets/well/isel?x=5"))
    yield Figure("hung reads: others not answered", sum(s != 200 for s, _ in others), 0)
    yield Figure("hung reads: longest other", 1000 * max(took for _, took in others), 3000, "ms")
    yield Figure("hung reads: longest refusal", 1000 * max(took for _, took in after), 3000, "ms")
    yield Figure("hung reads: threads", len(os.listdir(f"/proc/{target.pid}/task")), 60)
    yield from watch.figures("hung reads", longest_ms=500, grown_mib=100)
