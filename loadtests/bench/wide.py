"""Series at one point across maps: each chunk is large, and one value of it is wanted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import zarr
from numpy.typing import NDArray

from loadtests.bench.data import MAPS, MAPS_CODECS, MAPS_SHAPE, prepare
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.machine import Server, server
from loadtests.bench.stage import Stage, fetch

# As the issue of it says: of the time that zarr takes in a process of its own.
MOST = 0.9
POINTS_EACH_ROUND = 3


def wide(stage: Stage) -> Result:
    """Nothing is in memory: each series is asked of a copy of the store that was only opened."""
    steps, height, width = MAPS_SHAPE
    result = Result("wide", f"a series across {steps} maps of {height} x {width}, two cores")
    store = prepare(stage.root, MAPS, stage.say)
    random = np.random.default_rng(7)
    count = stage.rounds * POINTS_EACH_ROUND
    places = [(int(random.integers(height)), int(random.integers(width))) for _ in range(count)]
    ours: dict[str, list[float]] = {codec: [] for codec in MAPS_CODECS}
    theirs: dict[str, list[float]] = {codec: [] for codec in MAPS_CODECS}
    with _sluice(stage, store, count + 1) as sluice:
        for number, place in enumerate(places):
            for codec in MAPS_CODECS:
                took, found = _timed(lambda c=codec, n=number, p=place: _asked(sluice, n, c, p))  # type: ignore[misc]
                array = zarr.open_array(store / codec, mode="r")
                spent, right = _timed(lambda a=array, p=place: np.asarray(a[:, p[0], p[1]]))  # type: ignore[misc]
                if not np.array_equal(found, right):
                    raise RuntimeError(f"{codec} at {place}: wrong values")
                ours[codec].append(took)
                theirs[codec].append(spent)
    for codec in MAPS_CODECS:
        result.rows[f"sluice, {codec}"] = _row(ours[codec])
        result.rows[f"zarr, {codec}"] = _row(theirs[codec])
        ratio = median(a / b for a, b in zip(ours[codec], theirs[codec], strict=True))
        result.claims.append(Claim(f"{codec}: time / zarr's [:, i, j]", ratio, "<=", MOST))
    result.notes.append("default settings, one worker on both cores, files in the page cache")
    return result


@contextmanager
def _sluice(stage: Stage, store: Path, copies: int) -> Iterator[Server]:
    """Sluice on every core, over so many names of one store, all of which are open."""
    entries = {}
    for number in range(copies):
        link = stage.folder / "copies" / f"maps-{number}.zarr"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(store)
        entries[f"maps-{number}"] = {"url": str(link)}
    command = [sys.executable, "-m", "app", "serve"]
    command += ["--catalog", str(stage.write_catalog(entries)), "--workers", "1"]
    log = stage.folder / "sluice.log"
    with server("sluice", command, log, {}, ready="/healthz", core=None) as started:
        for number in range(copies):
            fetch(started, f"/datasets/maps-{number}")
        for codec in MAPS_CODECS:
            _asked(started, copies - 1, codec, (0, 0))
        yield started


def _asked(sluice: Server, number: int, codec: str, place: tuple[int, int]) -> NDArray[np.float32]:
    row, column = place
    path = f"/datasets/maps-{number}/sel?variables={codec}&isel[lat]={row}&isel[lon]={column}"
    answer = json.loads(fetch(sluice, path))
    return np.array(answer["data_vars"][codec]["data"], np.float32)


def _timed(
    work: Callable[[], NDArray[np.float32]],
) -> tuple[float, NDArray[np.float32]]:
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def _row(seconds: list[float]) -> Figures:
    return {"p50_ms": median(seconds) * 1e3, "p99_ms": max(seconds) * 1e3}
