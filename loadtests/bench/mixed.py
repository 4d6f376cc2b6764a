"""Warm points beside users who pull long series: whether the small suffer from the large."""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TypeAlias

from loadtests.bench import asks
from loadtests.bench.asks import Truth
from loadtests.bench.client import Driven, Stop, Tally, ask, endless, users
from loadtests.bench.contestants import FLOOR, SLUICE, s3_entry
from loadtests.bench.data import BUCKET, ERA5, LONG, LONG_SHAPE
from loadtests.bench.drive import drive
from loadtests.bench.figures import Claim, Result
from loadtests.bench.machine import Server, on_the_asking_core
from loadtests.bench.stage import JSON, Stage, body_of, fetch, sluice_path, verify

POINT_USERS, SERIES_USERS = 16, 8
PROBE_SECONDS = 0.005
LEAST_SECONDS = 3
Round: TypeAlias = tuple[Driven, Driven, Driven, Driven]


def mixed(stage: Stage) -> Result:
    """Points alone, then points beside series; `/healthz` tells how long the loop stood still."""
    title = f"{POINT_USERS} users ask warm points, {SERIES_USERS} pull 40 chunks of 4 MiB each"
    result = Result("mixed", title)
    points = asks.points(2_000)
    paths = [sluice_path("point", one) for one in points]
    series = [_series(number) for number in range(500)]
    with ExitStack() as stack:
        endpoint = stack.enter_context(stage.s3(ERA5, LONG))
        stores = {"era5": ERA5, "long": LONG}
        entries = {n: s3_entry(endpoint, BUCKET, store, "s3fs") for n, store in stores.items()}
        sluice = stack.enter_context(stage.sluice(entries))
        verify(sluice, SLUICE, "point", points, Truth(Path(stage.era5)))
        bodies = body_of(stage, sluice, paths[0], "floor.body", JSON)
        large = stage.folder / "floor.large.body"
        large.write_bytes(fetch(sluice, series[0]))
        floor = stack.enter_context(stage.started(FLOOR, BENCH_LARGE_BODY=str(large), **bodies))
        found = {server.name: _rounds(server, paths, series, stage) for server in (sluice, floor)}
    for name, rounds in found.items():
        result.rows[f"{name}, points alone"] = _row(rounds[-1][0])
        result.rows[f"{name}, points beside"] = _row(rounds[-1][1])
        result.rows[f"{name}, series"] = _row(rounds[-1][2])
    worse = median(beside.p99_ms / alone.p99_ms for alone, beside, *_ in found["sluice"])
    stall = median(stalls.max_ms for *_, stalls in found["sluice"])
    at_least = median(stalls.max_ms for *_, stalls in found["floor"])
    result.claims += [
        Claim("p99 of points beside series / alone", worse, "<=", 5.0),
        Claim("longest wait for /healthz, ms", stall, "<=", max(50.0, 2 * at_least)),
    ]
    result.notes.append("rows: the last round; claims: medians of rounds")
    return result


def _rounds(server: Server, points: list[str], series: list[str], stage: Stage) -> list[Round]:
    """Points alone, points beside series, the series, and the waits for `/healthz` meanwhile."""
    seconds = max(LEAST_SECONDS, stage.seconds)
    drive_both(server, points, [], stage, LEAST_SECONDS)
    found = []
    for _ in range(stage.rounds):
        alone, *_ = drive_both(server, points, [], stage, seconds)
        found.append((alone, *drive_both(server, points, series, stage, seconds)))
    return found


def drive_both(
    server: Server, points: list[str], series: list[str], stage: Stage, seconds: int
) -> tuple[Driven, Driven, Driven]:
    """What users of points, of series and of `/healthz` saw of the same seconds."""

    async def run() -> tuple[Driven, Driven, Driven]:
        large, probes, stop = Tally(), Tally(), Stop()
        async with asyncio.TaskGroup() as group:
            if series:
                pulling = users(server.address, endless(series), SERIES_USERS, large, stop)
                group.create_task(pulling)
            probing = ask(server.address, endless(["/healthz"]), probes, stop, PROBE_SECONDS)
            group.create_task(probing)
            told = (server, points, POINT_USERS, seconds, stage.folder)
            small = await asyncio.to_thread(drive, *told)
            stop.now()
        return small, large.driven(seconds), probes.driven(seconds)

    with server.awake(), on_the_asking_core():
        return asyncio.run(run())


def _series(number: int) -> str:
    """One cell's whole series, each time of another column."""
    row, column = number * 37 % LONG_SHAPE[1], number * 23 % LONG_SHAPE[2]
    return f"/datasets/long/sel?variables=t2m&isel[lat]={row}&isel[lon]={column}"


def _row(driven: Driven) -> dict[str, float]:
    shown = {"p50_ms": driven.p50_ms, "p99_ms": driven.p99_ms, "max_ms": driven.max_ms}
    known = {name: value for name, value in shown.items() if not math.isnan(value)}
    return {"per_s": driven.requests / driven.seconds, "failed": float(driven.failed), **known}
