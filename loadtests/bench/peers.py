"""Beside our streams: a loop that does the least, and what others answer who are asked the same."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlencode

from loadtests.bench.contestants import EDR, OPENDAP, THREADPOOL, Contestant, titiler
from loadtests.bench.data import BUCKET
from loadtests.bench.download import Download, download, path_of, watched
from loadtests.bench.figures import Claim, Result
from loadtests.bench.large import VARIABLE, Large
from loadtests.bench.machine import Server, cores, on_the_asking_core, server
from loadtests.bench.stage import Stage, WrongAnswers
from loadtests.ground import NotReady

# Who takes more is ended: what is left of the machine may be needed.
MOST_BYTES = 10 * 2**30
MOST_SECONDS = 60.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Peer:
    """A contestant, and how it is asked for all of the variable."""

    who: Contestant
    path: str
    form: str


def throughput(stage: Stage, result: Result, local: Mapping[str, Any], large: Large) -> None:
    """Beside a loop that reads, decodes and writes the same chunks, on the same core, in turns."""
    command = [stage.python, "-m", "loadtests.bench.probes.bare_stream"]
    command += [local["maps"]["url"], str(large.chunk_bytes)]
    log, count = stage.folder / "bare.log", max(1, large.shape[0] // 16)
    speeds, costs = [], []
    with (
        watched(stage, local) as asked,
        server("bare loop", command, log, {}, ready="/", core=cores()[0]) as bare,
    ):
        for number in range(stage.rounds):
            first = number * count % (large.shape[0] - count + 1)
            lanes = ((asked.server, path_of(first, count)), (bare, f"/{first}/{count}"))
            ours, theirs = (_turn(*lane) for lane in lanes)
            speeds.append(ours[0] / theirs[0])
            costs.append(theirs[1] / ours[1])
            result.rows["sluice, part"] = {"mb_per_s": ours[0] / 1e6, "cpu_s": ours[1]}
            result.rows["bare loop, part"] = {"mb_per_s": theirs[0] / 1e6, "cpu_s": theirs[1]}
    result.claims.append(Claim("bytes per second / bare loop", median(speeds), ">=", 0.75))
    result.notes.append(
        f"parts: {count} steps each, the last round; by CPU, which other work on this machine"
        f" disturbs less, the ratio to the bare loop is {median(costs):.3g}"
    )


def _turn(asked: Server, path: str) -> tuple[float, float]:
    """Bytes a second, and the seconds of CPU."""
    with asked.awake():
        before = asked.usage().cpu
        found = download(asked.address, path)
        if not found.whole:
            raise NotReady(f"{asked.name} broke off {path}")
        return found.bytes_per_second, max(1e-9, asked.usage().cpu - before)


def peers(stage: Stage, result: Result, large: Large) -> None:
    """A row for each that is installed; a note of how those failed that did."""
    absent = []
    store = str(stage.root / BUCKET / large.name)
    for peer in _all(large, store):
        name = f"{peer.who.name}, {peer.form}"
        try:
            with stage.started(peer.who, BENCH_STORE=store) as asked:
                _ask(result, name, asked, peer.path)
        except WrongAnswers:
            absent.append(peer.who.name)
        except NotReady as error:
            result.notes.append(f"{name} is not measured: {error}")
    if absent:
        result.notes.append(
            f"NOT MEASURED: {', '.join(absent)}: the contestants' environment is not installed"
        )
    result.notes.append(
        "pydap is not measured: its server reads files of NetCDF and CSV alone, no Zarr"
    )


def _all(large: Large, store: str) -> list[Peer]:
    steps, rows, columns = large.shape
    named = urlencode({"url": store, "variable": VARIABLE})
    whole = f"[0:{steps - 1}][0:{rows - 1}][0:{columns - 1}]"
    times = "time=2020-01-01/2030-01-01"
    return [
        Peer(THREADPOOL, f"/box?variable={VARIABLE}&{times}&lat=-90/90&lon=0/360", "NetCDF"),
        Peer(
            EDR,
            f"/datasets/era5/edr/cube?bbox=0,-90,360,90&parameter-name={VARIABLE}&f=netcdf",
            "NetCDF",
        ),
        Peer(OPENDAP, f"/datasets/era5/opendap.dods?{VARIABLE}{whole}", "DAP"),
        # Each step is a band of one picture, with a mask behind them.
        Peer(titiler(store), f"/bbox/-180,-90,180,90/{columns}x{rows}.npy?{named}", "npy"),
    ]


def _ask(result: Result, name: str, asked: Server, path: str) -> None:
    before, why = asked.usage().rss, ""
    asked.forget_peak()
    peak, start = 0, time.perf_counter()
    with asked.awake(), on_the_asking_core(), ThreadPoolExecutor(1) as thread:
        over = threading.Event()
        asking = thread.submit(_told, asked.address, path, over)
        while not over.wait(_LOOK_SECONDS):
            peak = max(peak, _peak(asked))
            seconds = time.perf_counter() - start
            if peak > MOST_BYTES or seconds > MOST_SECONDS:
                why = f"ended after {seconds:.0f} s with {peak / 2**30:.1f} GiB"
                os.killpg(asked.pid, signal.SIGKILL)
                break
        found = asking.result()
        peak = max(peak, _peak(asked))
    seconds = time.perf_counter() - start
    if found is None:
        why = why or "it ended the connection without an answer"
        came, first = 0, math.inf
    else:
        came, first = found.body_bytes, found.first_seconds
        if not why and not (found.status == 200 and found.whole):
            why = (
                f"status {found.status}, {came:,} bytes, {'whole' if found.whole else 'broken off'}"
            )
            why += f": {found.began[:120]!r}" if found.status != 200 else ""
    result.rows[name] = {
        "first_ms": first * 1e3,
        "seconds": seconds,
        "mb_per_s": came / seconds / 1e6,
        "above_mib": (peak - before) / 2**20,
    }
    if why:
        result.notes.append(f"{name} FAILED: {why}")


def _told(address: str, path: str, over: threading.Event) -> Download | None:
    try:
        return download(address, path, patience_seconds=2 * MOST_SECONDS)
    except OSError:
        return None
    finally:
        over.set()


def _peak(asked: Server) -> int:
    with suppress(FileNotFoundError, ProcessLookupError, KeyError):
        return asked.peak()
    return 0
