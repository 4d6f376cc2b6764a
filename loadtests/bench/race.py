"""Scenarios in which contestants answer the same requests one after the other, at full speed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench import asks
from loadtests.bench.asks import Ask, Truth
from loadtests.bench.contestants import (
    EDR,
    ENCODE_ONLY,
    FLOOR,
    LOAD_ASYNC,
    OPENDAP,
    SLUICE,
    THREADPOOL,
    Contestant,
    titiler,
)
from loadtests.bench.drive import Lane, interleaved, medians, ratio
from loadtests.bench.figures import Claim, Result
from loadtests.bench.machine import Server
from loadtests.bench.report import number
from loadtests.bench.stage import (
    CACHE_BYTES,
    JSON,
    NETCDF,
    Stage,
    WrongAnswers,
    body_of,
    sluice_path,
    verify,
)
from loadtests.ground import NotReady

# For warm rows: what fits, so that what is measured is a hit. Each scenario touches less.
WARM = {CACHE_BYTES: str(512 * 2**20)}


@dataclass(frozen=True, slots=True)
class Race:
    """The requests, who answers them, and how much faster Sluice must be than each."""

    kind: str
    title: str
    asked: Sequence[Ask]
    users: int
    others: Sequence[Contestant]
    targets: dict[str, float]


def point(stage: Stage) -> Result:
    """Distinct points, caches warm."""
    others = (FLOOR, THREADPOOL, LOAD_ASYNC, EDR, OPENDAP, titiler(stage.era5))
    least = {"floor": 0.5, "threadpool": 25.0, "xpublish-edr": 50.0, "titiler.xarray": 50.0}
    return _run(stage, Race("point", "10,000 points, JSON", asks.points(10_000), 8, others, least))


def series(stage: Stage) -> Result:
    """Whole series over nine chunks, caches warm."""
    others = (ENCODE_ONLY, THREADPOOL, LOAD_ASYNC)
    least = {"encode-only": 0.5, "threadpool": 20.0}
    title = "2,160 steps over 9 chunks, JSON"
    return _run(stage, Race("series", title, asks.series(2_000), 8, others, least))


def box(stage: Stage) -> Result:
    """A day of a region as NetCDF, caches warm."""
    others = (ENCODE_ONLY, THREADPOOL, LOAD_ASYNC)
    least = {"encode-only": 0.6, "threadpool": 3.0}
    title = "24 x 61 x 60 over 4 chunks, NetCDF"
    return _run(stage, Race("box", title, asks.boxes(1_000), 8, others, least))


def stations(stage: Stage) -> Result:
    """Places all over the globe at one instant, caches warm."""
    others = (THREADPOOL, LOAD_ASYNC)
    title = "500 places over 18 chunks, JSON"
    return _run(stage, Race("stations", title, asks.stations(500), 8, others, {"threadpool": 20.0}))


def _run(stage: Stage, race: Race) -> Result:
    result = Result(race.kind, f"{race.title}, {race.users} users")
    truth = Truth(Path(stage.era5))
    with ExitStack() as stack:
        sluice = stack.enter_context(stage.started(SLUICE, **WARM))
        verify(sluice, SLUICE, race.kind, race.asked, truth)
        media_type = NETCDF if race.kind == "box" else JSON
        path = sluice_path(race.kind, race.asked[0])
        if race.kind == "series":
            # The arrays themselves, for the route that only encodes them.
            path += "&f=netcdf"
        body = body_of(stage, sluice, path, "floor.body", media_type)
        lanes = [_lane(sluice, SLUICE, race)]
        for who in race.others:
            try:
                started = stack.enter_context(stage.started(who, **body))
                if who.reads:
                    verify(started, who, race.kind, race.asked, truth)
            except (WrongAnswers, NotReady) as error:
                result.notes.append(f"{who.name} is not measured: {error}")
            else:
                lanes.append(_lane(started, who, race))
        rounds = interleaved(
            lanes,
            users=race.users,
            rounds=stage.rounds,
            seconds=stage.seconds,
            folder=stage.folder,
        )
    result.rows = {name: medians(found) for name, found in rounds.items()}
    for name, least in race.targets.items():
        value = ratio(rounds["sluice"], rounds[name]) if name in rounds else float("nan")
        result.claims.append(Claim(f"requests per second / {name}", value, ">=", least))
    _add_failures(result)
    cpu = {
        name: 1 / ratio(rounds["sluice"], rounds[name], "cpu_us")
        for name in race.targets
        if name in rounds
    }
    result.notes.append(
        "by CPU per request, which other work on this machine disturbs less: "
        + ", ".join(f"{name} {number(value)}" for name, value in cpu.items())
    )
    return result


def _lane(started: Server, who: Contestant, race: Race) -> Lane:
    return Lane(started, [who.urls[race.kind](ask) for ask in race.asked])


def _add_failures(result: Result) -> None:
    for name, row in result.rows.items():
        if row["failed"]:
            result.notes.append(f"{name}: {row['failed']:.0f} requests failed in the median round")
