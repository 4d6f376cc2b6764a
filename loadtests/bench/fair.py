"""Warm points beside streams of a large store: whether the small suffer from the large."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from loadtests.bench import asks
from loadtests.bench.asks import Truth
from loadtests.bench.contestants import SLUICE
from loadtests.bench.drive import Lane, medians, turn
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.machine import Server, cores, pinned
from loadtests.bench.stage import Stage, sluice_path, verify
from loadtests.ground import running

STREAMS = 10
MANY = "16 users"
USERS = {MANY: 16, "one user": 1}
LEAST_SECONDS = 3
MOST = 5.0
STREAM = "/datasets/era5/sel?f=netcdf"


def fair(stage: Stage) -> Result:
    """Points alone, then beside streams that are read as fast as they come."""
    result = Result("fair", f"warm points alone, and beside {STREAMS} streams of 1.1 GB")
    points = asks.points(2_000)
    paths = [sluice_path("point", one) for one in points]
    seconds = max(LEAST_SECONDS, stage.seconds)
    with stage.sluice() as sluice:
        verify(sluice, SLUICE, "point", points, Truth(Path(stage.era5)))
        lane = Lane(sluice, paths)
        for who, users in USERS.items():
            turn(lane, users, LEAST_SECONDS, stage.folder)
            alone: list[Figures] = []
            beside: list[Figures] = []
            for _ in range(stage.rounds):
                alone.append(turn(lane, users, seconds, stage.folder))
                with _streams(stage, sluice) as read:
                    turn(lane, users, 1, stage.folder)
                    before = int(read.read_text())
                    found = turn(lane, users, seconds, stage.folder)
                    rate = (int(read.read_text()) - before) / seconds / 2**20
                    beside.append({**found, "stream_mib_s": rate})
            _tell(result, who, alone, beside)
    result.notes.append("one worker, default settings, files in the page cache")
    return result


def _tell(result: Result, who: str, alone: list[Figures], beside: list[Figures]) -> None:
    result.rows[f"{who}, alone"] = medians(alone)
    result.rows[f"{who}, beside"] = medians(beside)
    worse = median(b["p99_ms"] / a["p99_ms"] for a, b in zip(alone, beside, strict=True))
    if who == MANY:
        result.claims.append(Claim(f"{who}: p99 beside streams / alone", worse, "<=", MOST))
    else:
        result.notes.append(f"{who}: p99 beside streams / alone {worse:.1f}, of few requests")
    rate = median(one["stream_mib_s"] for one in beside)
    result.notes.append(f"beside {who} the streams had {rate:.0f} MiB/s together")


@contextmanager
def _streams(stage: Stage, sluice: Server) -> Iterator[Path]:
    """Ten readers of the whole store while the block lasts; the file says what they have had."""
    read = stage.folder / "fair.read"
    read.write_text("0")
    command = [*pinned(cores()[1]), sys.executable, "-m", "loadtests.bench.probes.pull"]
    command += [sluice.address, STREAM, str(STREAMS), str(read)]
    with running(command, stage.folder / "pull.log"):
        yield read
