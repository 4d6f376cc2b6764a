"""Two worker processes beside one: what each request costs, and who answers it."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

from loadtests.bench import asks
from loadtests.bench.drive import Lane, medians, ratio, turn
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.stage import Stage, sluice_path
from loadtests.ground import NotReady

USERS = 32
WARM_SECONDS = 3


def two_workers(stage: Stage) -> Result:
    """Warm points; one worker has a core, two have all of them and share these with the askers."""
    result = Result("two-workers", f"warm points, {USERS} users")
    paths = [sluice_path("point", ask) for ask in asks.points(10_000)]
    counted = stage.folder / "workers"
    shutil.rmtree(counted, ignore_errors=True)
    counted.mkdir()
    with ExitStack() as stack:
        one = Lane(stack.enter_context(stage.sluice()), paths)
        told = {"PROMETHEUS_MULTIPROC_DIR": str(counted)}
        two = Lane(stack.enter_context(stage.sluice(workers=2, **told)), paths)
        for lane in (one, two):
            turn(lane, USERS, WARM_SECONDS, stage.folder)
        found: dict[str, list[Figures]] = {"one worker": [], "two workers": []}
        before = answered(counted)
        for _ in range(stage.rounds):
            found["one worker"].append(turn(one, USERS, stage.seconds, stage.folder))
            found["two workers"].append(turn(two, USERS, stage.seconds, stage.folder))
        after = answered(counted)
    result.rows = {name: medians(rounds) for name, rounds in found.items()}
    taken = [count - before.get(worker, 0.0) for worker, count in after.items()]
    if len(taken) != 2 or not sum(taken):
        raise NotReady(f"two workers were started, {len(taken)} answered")
    cost = 1 / ratio(found["two workers"], found["one worker"], "cpu_us")
    result.claims += [
        Claim("requests per CPU second / one worker", cost, ">=", 0.9),
        Claim("share of the worker that answers less", min(taken) / sum(taken), ">=", 0.35),
    ]
    return result


def answered(folder: Path) -> dict[str, float]:
    """How many requests each worker process has answered, by the files of its metrics."""
    from prometheus_client.mmap_dict import MmapedDict

    counts: dict[str, float] = {}
    for path in folder.glob("histogram_*.db"):
        values = MmapedDict.read_all_values_from_file(str(path))
        named = ((json.loads(key)[1], value) for key, value, *_ in values)
        total = sum(value for name, value in named if name == "sluice_request_seconds_bucket")
        if total:
            counts[path.stem] = total
    return counts
