"""Series at one point across maps: each chunk is large, and one value of it is wanted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Took:
    """Seconds of each series by the clock, and of all of them together by the cores."""

    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def figures(self) -> Figures:
        """As rows have them."""
        p50, longest = median(self.seconds) * 1e3, max(self.seconds) * 1e3
        return {"p50_ms": p50, "p99_ms": longest, "cpu_us": self.cpu / len(self.seconds) * 1e6}


def wide(stage: Stage) -> Result:
    """Nothing is in memory: each series is asked of a copy of the store that was only opened."""
    steps, height, width = MAPS_SHAPE
    result = Result("wide", f"a series across {steps} maps of {height} x {width}, two cores")
    store = prepare(stage.root, MAPS, stage.say)
    random = np.random.default_rng(7)
    count = stage.rounds * POINTS_EACH_ROUND
    places = [(int(random.integers(height)), int(random.integers(width))) for _ in range(count)]
    ours, theirs = ({codec: Took() for codec in MAPS_CODECS} for _ in range(2))
    with _sluice(stage, store, count + 1) as sluice:
        for number, place in enumerate(places):
            for codec in MAPS_CODECS:
                found = _ours(ours[codec], sluice, number, codec, place)
                right = _theirs(theirs[codec], store / codec, place)
                if not np.array_equal(found, right):
                    raise RuntimeError(f"{codec} at {place}: wrong values")
    for codec in MAPS_CODECS:
        our, their = ours[codec], theirs[codec]
        result.rows[f"sluice, {codec}"] = our.figures()
        result.rows[f"zarr, {codec}"] = their.figures()
        ratio = median(a / b for a, b in zip(our.seconds, their.seconds, strict=True))
        result.claims.append(Claim(f"{codec}: time / zarr's [:, i, j]", ratio, "<=", MOST))
        result.notes.append(f"{codec}: CPU / zarr's {our.cpu / their.cpu:.2f}")
    result.notes.append("default settings, one worker on both cores, files in the page cache")
    return result


def _ours(
    took: Took, sluice: Server, number: int, codec: str, place: tuple[int, int]
) -> NDArray[np.float32]:
    cpu, start = sluice.usage().cpu, time.perf_counter()
    found = _asked(sluice, number, codec, place)
    took.seconds.append(time.perf_counter() - start)
    took.cpu += sluice.usage().cpu - cpu
    return found


def _theirs(took: Took, path: Path, place: tuple[int, int]) -> NDArray[np.float32]:
    array = zarr.open_array(path, mode="r")
    cpu, start = time.process_time(), time.perf_counter()
    found = np.asarray(array[:, place[0], place[1]], np.float32)
    took.seconds.append(time.perf_counter() - start)
    took.cpu += time.process_time() - cpu
    return found


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
