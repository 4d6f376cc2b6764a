"""What locust runs: the users of `people`, as many at each time as ``LOAD_STAGES`` says.

Every answer is read back and compared with what was asked for; anything else is a failure.
``LOAD_TRUTH`` may name a folder with the true values (see `loadtests.grid.learn`), ``LOAD_SUMMARY``
a file for the figures, as JSON, and ``LOAD_PLAIN`` asks for no more than `people.PLAIN` do.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment

from loadtests.asker import Asker, Times, learn_grid, write_summary
from loadtests.people import EVERYONE, PLAIN, WARM_CELLS, Dashboard, warm_cell
from loadtests.profiles import read

STAGES = read(os.environ["LOAD_STAGES"])
# So that they do not all come in the same second.
ARRIVAL_SECONDS = 4
TIMES = Times()


class Stages(LoadTestShape):
    """One stage after the other."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # locust has no types for it
        self.begun = 0

    def tick(self) -> tuple[int, float] | None:
        """How many users there are now, and how many may come in a second; None at the end."""
        passed = self.get_run_time()  # type: ignore[no-untyped-call]  # as above
        for number, stage in enumerate(STAGES, start=1):
            if passed < stage.seconds:
                if number > self.begun:
                    self.begun = number
                    TIMES.begin()
                return stage.users, max(1.0, stage.users / ARRIVAL_SECONDS)
            passed -= stage.seconds
        return None


@events.init.add_listener  # type: ignore[untyped-decorator]  # as above
def prepare(environment: Environment, **_: Any) -> None:
    """Learn the first dataset of the catalog and share out the users; ends the run if it cannot."""
    try:
        Asker.grid = learn_grid(str(environment.host))
    except Exception as error:
        # Not an ordinary exception: locust would log it and go on.
        raise SystemExit(f"{environment.host} does not describe its datasets: {error}") from error
    dashboards = random.Random(1)
    Dashboard.cells = [warm_cell(Asker.grid, dashboards) for _ in range(WARM_CELLS)]
    kinds = PLAIN if "LOAD_PLAIN" in os.environ else EVERYONE
    environment.user_classes = list(kinds)
    # By number and not by weight where they are few: a small share of few users would be none.
    least = min(stage.users for stage in STAGES)
    weights = sum(kind.weight for kind in kinds)
    for kind in kinds:
        if kind is not Dashboard and kind.weight * least < weights:
            kind.fixed_count = 1
    environment.events.request.add_listener(TIMES.note)  # type: ignore[no-untyped-call]  # as above


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # as above
def summarise(environment: Environment, **_: Any) -> None:
    """Write the figures of the whole run."""
    if path := os.environ.get("LOAD_SUMMARY"):
        write_summary(Path(path), environment, TIMES)
