"""Threads and switches on the s3fs engine: none per request, and none while waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from loadtests.bench import asks
from loadtests.bench.contestants import FLOOR, s3_entry
from loadtests.bench.data import BUCKET, ERA5
from loadtests.bench.drive import Lane, interleaved, medians, turn
from loadtests.bench.figures import Claim, Result
from loadtests.bench.machine import Server
from loadtests.bench.stage import CACHE_BYTES, JSON, NO_CACHE, Stage, body_of, sluice_path
from loadtests.bench.stand_in import set_delay

USERS = 8
COLD_USERS = 64
BUDGET = {CACHE_BYTES: str(512 * 2**20)}


def threads(stage: Stage) -> Result:
    """Warm points beside the floor, then cold ones; threads are counted while they are asked."""
    result = Result("threads", "points over s3fs, warm and cold")
    with stage.s3(ERA5) as endpoint:
        entry = {"era5": s3_entry(endpoint, BUCKET, ERA5, "s3fs")}
        for name, environment in (("warm", BUDGET), ("cold", NO_CACHE)):
            set_delay(endpoint, 0 if name == "warm" else 0.03)
            with ExitStack() as stack:
                sluice = stack.enter_context(stage.sluice(entry, environment=environment))
                _measure(stage, result, stack, sluice, name)
    return result


def _measure(stage: Stage, result: Result, stack: ExitStack, sluice: Server, name: str) -> None:
    if name == "warm":
        paths = [sluice_path("point", ask) for ask in asks.points(10_000)]
        body = body_of(stage, sluice, paths[0], "floor.body", JSON)
        floor = stack.enter_context(stage.started(FLOOR, **body))
        lanes = [Lane(sluice, paths), Lane(floor, paths)]
        turn(lanes[0], USERS, 2, stage.folder)
        with counting(sluice) as seen:
            rounds = interleaved(
                lanes,
                users=USERS,
                rounds=stage.rounds,
                seconds=stage.seconds,
                folder=stage.folder,
            )
        result.rows["sluice, warm"] = medians(rounds["sluice"])
        result.rows["floor"] = medians(rounds["floor"])
        more = result.rows["sluice, warm"]["switches"] - result.rows["floor"]["switches"]
        result.claims.append(Claim("voluntary switches per point above floor's", more, "<=", 0.02))
    else:
        paths = [sluice_path("point", ask) for ask in asks.scattered(2_000)]
        turn(Lane(sluice, paths), COLD_USERS, 2, stage.folder)
        with counting(sluice) as seen:
            cold = [turn(Lane(sluice, paths), COLD_USERS, stage.seconds, stage.folder)]
        result.rows["sluice, cold"] = medians(cold)
    spread = float(max(seen) - min(seen))
    result.claims.append(Claim(f"threads that come and go, {name}", spread, "<=", 0.0))


@contextmanager
def counting(server: Server) -> Iterator[list[int]]:
    """The number of the server's threads, many times a second while the block runs."""
    seen = [server.usage().threads]
    over = threading.Event()

    def count() -> None:
        while not over.wait(0.05):
            seen.append(server.usage().threads)

    counter = threading.Thread(target=count)
    counter.start()
    try:
        yield seen
    finally:
        over.set()
        counter.join()
