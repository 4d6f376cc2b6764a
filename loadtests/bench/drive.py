"""Throughput: `wrk` where it is installed, our own client elsewhere, from the asking core."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench import client
from loadtests.bench.client import Driven
from loadtests.bench.figures import Figures
from loadtests.bench.machine import Server, cores, on_the_asking_core, pinned

SCRIPT = Path(__file__).with_name("wrk.lua")
WARM_SECONDS = 1
WAKE_SECONDS = 0.3
# A turn lasts until about so many answers, but no longer than so many times what was asked for.
ENOUGH, LONGER = 60, 3
SETTLE_TRIES = 60


@dataclass(frozen=True, slots=True)
class Lane:
    """A contestant, and what it is asked for."""

    server: Server
    paths: Sequence[str]


def driver() -> str:
    """What asks in throughput rows."""
    return "wrk" if shutil.which("wrk") else "the bundled client"


def drive(server: Server, paths: Sequence[str], users: int, seconds: int, folder: Path) -> Driven:
    """`users` connections that ask `server` for `paths` in turn, for whole seconds."""
    if not shutil.which("wrk"):
        with on_the_asking_core():
            return client.drive(server.address, paths, users, seconds)
    listed = folder / f"{server.name}.paths"
    listed.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    options = ["-t1", f"-c{users}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT)]
    command = [*pinned(cores()[1]), "wrk", *options, server.address, "--", str(listed)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.strip().splitlines()[-1])
    if not found["requests"]:
        # wrk calls the times of no answers zero.
        found.update(dict.fromkeys(("p50_ms", "p99_ms", "max_ms"), math.inf))
    return Driven(**found)


def interleaved(
    lanes: Sequence[Lane], *, users: int, rounds: int, seconds: int, folder: Path
) -> dict[str, list[Figures]]:
    """Each contestant's figures in each round; all of them have a turn in every round."""
    turns = {}
    for lane in lanes:
        warm = turn(lane, users, WARM_SECONDS, folder)
        turns[lane.server.name] = _long_enough(warm["per_s"], seconds)
    found: dict[str, list[Figures]] = {lane.server.name: [] for lane in lanes}
    for _ in range(rounds):
        for lane in lanes:
            name = lane.server.name
            _wake(lane, users)
            found[name].append(turn(lane, users, turns[name], folder))
    return found


def _wake(lane: Lane, users: int) -> None:
    """Ask a little that does not count: who has stood still for seconds has lost its caches."""
    with lane.server.awake(), on_the_asking_core():
        client.drive(lane.server.address, lane.paths, users, WAKE_SECONDS)


def _long_enough(per_s: float, seconds: int) -> int:
    """The seconds of a turn: longer for those who answer too rarely to be counted in `seconds`."""
    wanted = math.ceil(ENOUGH / per_s) if per_s else seconds * LONGER
    return min(max(seconds, wanted), seconds * LONGER)


def turn(lane: Lane, users: int, seconds: int, folder: Path) -> Figures:
    """What the askers saw and what the server took while `users` asked it for some seconds."""
    server = lane.server
    with server.awake():
        before = server.usage()
        driven = drive(server, lane.paths, users, seconds, folder)
        after = server.usage()
        _settle(server)
    done = max(1, driven.requests)
    return {
        "per_s": driven.requests / driven.seconds,
        "p50_ms": driven.p50_ms,
        "p99_ms": driven.p99_ms,
        "max_ms": driven.max_ms,
        "failed": float(driven.failed),
        "rss_mib": after.rss / 2**20,
        "threads": float(after.threads),
        # Those of threads that have ended are not known: with many of them it is too few.
        "switches": max(0, after.switches - before.switches) / done,
        "cpu_us": (after.cpu - before.cpu) / done * 1e6,
        "requests": float(driven.requests),
    }


def _settle(server: Server) -> None:
    """Let it finish what its askers no longer wait for, or its next turn starts with it."""
    for _ in range(SETTLE_TRIES):
        before = server.usage().cpu
        time.sleep(0.05)
        if server.usage().cpu - before < 0.015:
            return


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure over the rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def ratio(over: Sequence[Figures], under: Sequence[Figures], name: str = "per_s") -> float:
    """The median of the rounds' ratios; rounds are neighbours in time, so drift falls out."""
    pairs = zip(over, under, strict=True)
    return statistics.median(a[name] / b[name] if b[name] else math.inf for a, b in pairs)
