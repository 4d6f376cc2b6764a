"""Two worker processes beside one: what each request costs, and who answers it."""

from __future__ import annotations

from contextlib import ExitStack

import psutil

from loadtests.bench import asks
from loadtests.bench.drive import Lane, medians, ratio, turn
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.machine import Server
from loadtests.bench.stage import Stage, sluice_path
from loadtests.ground import NotReady

USERS = 32
WARM_SECONDS = 3


def two_workers(stage: Stage) -> Result:
    """Warm points; one worker has a core, two have all of them and share these with the askers."""
    result = Result("two-workers", f"warm points, {USERS} users")
    paths = [sluice_path("point", ask) for ask in asks.points(10_000)]
    with ExitStack() as stack:
        one = Lane(stack.enter_context(stage.sluice()), paths)
        several = stack.enter_context(stage.sluice(workers=2))
        two = Lane(several, paths)
        for lane in (one, two):
            turn(lane, USERS, WARM_SECONDS, stage.folder)
        found: dict[str, list[Figures]] = {"one worker": [], "two workers": []}
        before = worked(several)
        for _ in range(stage.rounds):
            found["one worker"].append(turn(one, USERS, stage.seconds, stage.folder))
            found["two workers"].append(turn(two, USERS, stage.seconds, stage.folder))
        after = worked(several)
    result.rows = {name: medians(rounds) for name, rounds in found.items()}
    taken = [seconds - before.get(worker, 0.0) for worker, seconds in after.items()]
    if len(taken) != 2 or not sum(taken):
        raise NotReady(f"two workers were started, {len(taken)} worked")
    cost = 1 / ratio(found["two workers"], found["one worker"], "cpu_us")
    result.claims += [
        Claim("requests per CPU second / one worker", cost, ">=", 0.9),
        Claim("share of the worker that works less", min(taken) / sum(taken), ">=", 0.35),
    ]
    return result


def worked(started: Server) -> dict[int, float]:
    """The processor's seconds that each worker process has used."""
    children = psutil.Process(started.pid).children()
    workers = [child for child in children if any("spawn_main" in w for w in child.cmdline())]
    return {worker.pid: sum(worker.cpu_times()[:2]) for worker in workers}
