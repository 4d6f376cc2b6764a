"""Points of chunks that nobody holds, from a store that takes its time to answer."""

from __future__ import annotations

from pathlib import Path

from loadtests.bench import asks
from loadtests.bench.asks import Ask, Truth
from loadtests.bench.client import drive_all
from loadtests.bench.contestants import SLUICE, s3_entry
from loadtests.bench.data import BUCKET, CHUNK_HOURS, CHUNKS, ERA5
from loadtests.bench.drive import Lane, medians, ratio, turn
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.machine import Server, on_the_asking_core
from loadtests.bench.stage import NO_CACHE, Stage, fetch, sluice_path, verify
from loadtests.bench.stand_in import asked_since, set_delay

LATENCY_SECONDS = 0.03
USERS = 64
COUNTED = 320
ENGINES = ("s3fs", "obstore")


def cold(stage: Stage) -> Result:
    """Random chunks, no cache, 30 ms: what is above the floor is ours."""
    result = Result("cold", f"points, no cache, 30 ms, {USERS} users and one")
    asked = asks.scattered(2_000)
    keys = stage.folder / "cold.keys"
    keys.write_text("\n".join(f"{ERA5}/{chunk_key(ask)}" for ask in asked), encoding="utf-8")
    with stage.s3(ERA5) as endpoint:
        for engine in ENGINES:
            _one_engine(stage, result, endpoint, engine, asked, keys)
    return result


def _one_engine(
    stage: Stage, result: Result, endpoint: str, engine: str, asked: list[Ask], keys: Path
) -> None:
    entry = {"era5": s3_entry(endpoint, BUCKET, ERA5, engine)}
    set_delay(endpoint, 0)
    with stage.sluice(entry, environment=NO_CACHE) as sluice:
        verify(sluice, SLUICE, "point", asked, Truth(Path(stage.era5)))
        fetch(sluice, sluice_path("point", asked[0]))
        set_delay(endpoint, LATENCY_SECONDS)
        lane = Lane(sluice, [sluice_path("point", ask) for ask in asked])
        floors: dict[int, list[Figures]] = {USERS: [], 1: []}
        ours: dict[int, list[Figures]] = {USERS: [], 1: []}
        gets = _gets_each(sluice, [*lane.paths[:COUNTED]], endpoint)
        for _ in range(stage.rounds):
            for users in (USERS, 1):
                floor = ("get_and_decode", engine, endpoint, BUCKET, keys, users, stage.seconds)
                found = stage.probe(*floor)
                floors[users].append({**found, "per_s": found["requests"] / found["seconds"]})
                ours[users].append(turn(lane, users, stage.seconds, stage.folder))
    for users, who in ((USERS, f"{USERS} users"), (1, "one user")):
        result.rows[f"sluice {engine}, {who}"] = {**medians(ours[users]), "gets": gets}
        result.rows[f"floor {engine}, {who}"] = medians(floors[users])
    rate, delay = ratio(ours[USERS], floors[USERS]), ratio(ours[1], floors[1], "p50_ms")
    result.claims += [
        Claim(f"{engine}: requests per second / floor-cold", rate, ">=", 0.8),
        Claim(f"{engine}: p50 for one user / floor-cold", delay, "<=", 1.15),
        Claim(f"{engine}: store requests per point", gets, "<=", 1.0),
    ]


def _gets_each(sluice: Server, paths: list[str], endpoint: str) -> float:
    """How often the store is asked for each of `paths`, all of which are answered."""
    asked_since(endpoint)
    with sluice.awake(), on_the_asking_core():
        drive_all(sluice.address, paths, USERS)
    return sum(asked_since(endpoint).values()) / len(paths)


def chunk_key(ask: Ask) -> str:
    """The key of the chunk that holds a point, below its store."""
    rows, columns = ask.positions
    assert ask.hours is not None
    t, y, x = ask.hours[0] // CHUNK_HOURS, rows[0] // CHUNKS[1], columns[0] // CHUNKS[2]
    return f"{ask.variable}/c/{t}/{y}/{x}"
