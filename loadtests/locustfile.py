"""Two kinds of users: dashboards that ask for warm points, scientists who pull boxes.

Every answer is read back and compared with what was asked for; anything else is a failure.
``LOAD_TRUTH`` may name a folder with the true values (see `loadtests.grid.learn`), and
``LOAD_SUMMARY`` a file for the figures, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.stats import StatsEntry

from loadtests.formats import from_csv, from_json, from_netcdf
from loadtests.grid import Axis, Found, Grid, Region, WrongAnswer, learn

WARM_CELLS = 40
RECENT_TIMES = 12
BOX_SIDE = 20
BOX_TIMES = 24
SCIENTISTS = 0.1
PATIENCE_SECONDS = 60


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust has no types for it
def prepare(environment: Environment, **_: Any) -> None:
    """Learn the first dataset of the catalog and share out the users; ends the run if it cannot."""
    try:
        Asker.grid = learn_grid(str(environment.host))
    except Exception as error:
        # Not an ordinary exception: locust would log it and go on.
        raise SystemExit(f"{environment.host} does not describe its datasets: {error}") from error
    dashboards = random.Random(1)
    Dashboard.cells = [warm_cell(Asker.grid, dashboards) for _ in range(WARM_CELLS)]
    users = getattr(environment.parsed_options, "num_users", None) or 1
    # By number and not by weight: a small share of few users would be none.
    Scientist.fixed_count = max(1, round(users * SCIENTISTS))


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # as above
def summarise(environment: Environment, **_: Any) -> None:
    """Write the figures of the whole run; locust's own CSV files lag behind its end."""
    if path := os.environ.get("LOAD_SUMMARY"):
        requests = [figures(entry) for entry in environment.stats.entries.values()]
        errors = [
            {"name": error.name, "error": str(error.error), "times": error.occurrences}
            for error in environment.stats.errors.values()
        ]
        summary = {"requests": sorted(requests, key=lambda row: row["name"]), "errors": errors}
        Path(path).write_text(json.dumps(summary), encoding="utf-8")


def figures(entry: StatsEntry) -> dict[str, Any]:
    """One kind of request: how many, and the times in milliseconds."""
    return {
        "name": entry.name,
        "asked": entry.num_requests,
        "failed": entry.num_failures,
        "per s": round(entry.total_rps, 2),
        "p50 ms": entry.get_response_time_percentile(0.5),
        "p95 ms": entry.get_response_time_percentile(0.95),
        "p99 ms": entry.get_response_time_percentile(0.99),
        "max ms": entry.max_response_time,
    }


def learn_grid(address: str) -> Grid:
    """The grid of the first dataset that the server at `address` lists."""
    first = fetch_json(f"{address}/datasets")["datasets"][0]["id"]
    truth = os.environ.get("LOAD_TRUTH")
    return learn(fetch_json(f"{address}/datasets/{first}"), Path(truth) if truth else None)


def fetch_json(url: str) -> Any:
    """The body of a plain GET."""
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        return json.load(response)


def warm_cell(grid: Grid, random: random.Random) -> dict[str, int]:
    """A cell anywhere, among the latest times."""
    return {
        axis.name: random.randrange(max(0, axis.size - RECENT_TIMES), axis.size)
        if axis.is_time
        else random.randrange(axis.size)
        for axis in grid.axes
    }


class Asker(FastHttpUser):
    """A user who does not believe an answer before it is checked."""

    abstract = True
    connection_timeout = network_timeout = PATIENCE_SECONDS
    grid: ClassVar[Grid]

    def ask(self, name: str, path: str, check: Callable[[Any], None], **headers: str) -> None:
        """GET `path`; whatever `check` raises makes the answer a failure."""
        with self.client.get(path, name=name, headers=headers, catch_response=True) as answer:
            try:
                check(answer)
            except Exception as error:
                answer.failure(f"{type(error).__name__}: {error}"[:200])
            else:
                answer.success()


class Dashboard(Asker):
    """Asks for points of a modest set, often, and asks again with the tag that it was given."""

    wait_time = between(0.1, 0.5)
    cells: ClassVar[list[dict[str, int]]]

    def on_start(self) -> None:
        self.tags: dict[str, str] = {}

    @task
    def point(self) -> None:
        """One cell as JSON; half of the time, if its tag is known, only if it has changed."""
        number = random.randrange(len(self.cells))
        cell, variables = self.cells[number], self.grid.variables[:2]
        # The same click each time, so that proxies and tags can know it.
        path = self.grid.nearby_url(cell, variables, random.Random(number))
        tag = self.tags.get(path)
        if tag is not None and random.random() < 0.5:
            self.ask("point, unchanged", path, unchanged, **GZIP, **{"If-None-Match": tag})
            return

        def check(answer: Any) -> None:
            content = body(answer, "application/json")
            self.grid.check(from_json(content), cell, variables)
            self.tags[path] = header(answer, "ETag")

        self.ask("point", path, check, **GZIP)


class Scientist(Asker):
    """Pulls boxes as NetCDF, now and then a series or a table, and looks at every value."""

    wait_time = between(1, 4)

    def on_start(self) -> None:
        self.box()

    @task(4)
    def box(self) -> None:
        """A day of a box at one level, as NetCDF."""
        region = {a.name: some(a, BOX_TIMES if a.is_time else BOX_SIDE) for a in self.grid.axes}
        self.pull("box, NetCDF", region, "netcdf", "application/netcdf", from_netcdf)

    @task(1)
    def series(self) -> None:
        """All times of one cell, as JSON."""
        region = {a.name: some(a, a.size if a.is_time else 1) for a in self.grid.axes}
        self.pull("series, JSON", region, "json", "application/json", from_json)

    @task(1)
    def table(self) -> None:
        """A small box at one time, as CSV."""
        region = {a.name: some(a, 1 if a.is_time else BOX_SIDE) for a in self.grid.axes}
        variables = self.grid.variables
        self.pull("box, CSV", region, "csv", "text/csv", lambda body: from_csv(body, variables))

    def pull(
        self, name: str, region: Region, f: str, media_type: str, read: Callable[[bytes], Found]
    ) -> None:
        """Ask for `region` in the format `f` and compare it."""
        variables = (random.choice(self.grid.variables),)

        def check(answer: Any) -> None:
            self.grid.check(read(body(answer, media_type)), region, variables)

        self.ask(name, self.grid.url(region, variables, f=f), check)


GZIP = {"Accept-Encoding": "gzip"}


def some(axis: Axis, most: int) -> int | range:
    """Up to `most` neighbouring positions; one of an axis that knows no labels, or of `most` 1."""
    length = min(most, axis.size)
    if axis.first is None or length == 1:
        return random.randrange(axis.size)
    start = random.randrange(axis.size - length + 1)
    return range(start, start + length)


def body(answer: Any, media_type: str) -> bytes:
    """The content of a 200 of this type; otherwise raises WrongAnswer."""
    if answer.status_code != 200:
        raise WrongAnswer(f"status {answer.status_code}")
    content: bytes = answer.content or b""
    if not content:
        raise WrongAnswer("an empty body")
    if header(answer, "Content-Type").split(";")[0] != media_type:
        raise WrongAnswer(f"{header(answer, 'Content-Type')} in place of {media_type}")
    return content


def unchanged(answer: Any) -> None:
    """Returns if `answer` is a 304 without a body; otherwise raises WrongAnswer."""
    if answer.status_code != 304:
        raise WrongAnswer(f"status {answer.status_code} in place of 304")
    if answer.content:
        raise WrongAnswer("a 304 with a body")


def header(answer: Any, name: str) -> str:
    """The value of a header that must be there; otherwise raises WrongAnswer."""
    value = answer.headers.get(name)
    if not value:
        raise WrongAnswer(f"no {name}")
    return str(value)
