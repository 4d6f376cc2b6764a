"""A user who does not believe an answer, and the figures of what all of them saw."""

from __future__ import annotations

import json
import os
import random
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from locust import FastHttpUser
from locust.env import Environment
from locust.stats import RequestStats, StatsEntry

from loadtests.grid import Found, Grid, Region, WrongAnswer, learn
from loadtests.profiles import HEAVY

PATIENCE_SECONDS = 60
# What a full server says, with the seconds after which to come again.
FULL = (429, 503)


class Asker(FastHttpUser):
    """Asks for parts of one dataset; `grid` is what all users know of it.

    Of all answers a share is `looked` at in full: looking costs more than answering does.
    """

    abstract = True
    connection_timeout = network_timeout = PATIENCE_SECONDS
    grid: ClassVar[Grid]
    looked: ClassVar[float] = float(os.environ.get("LOAD_LOOKED", "1"))
    refused: ClassVar[Counter[str]] = Counter()

    def ask(
        self,
        name: str,
        path: str,
        check: Callable[[Any], None],
        headers: dict[str, str] | None = None,
        *,
        always: bool = False,
    ) -> None:
        """GET `path`; whatever `check` raises makes the answer a failure."""
        if not always and random.random() >= self.looked:
            check = arrived
        with self.client.get(path, name=name, headers=headers, catch_response=True) as answer:
            if answer.status_code in FULL and answer.headers.get("Retry-After"):
                self.refused[name] += 1
                answer.success()
                return
            try:
                check(answer)
            except Exception as error:
                answer.failure(f"{type(error).__name__}: {error}"[:200])
            else:
                answer.success()

    def any_variable(self) -> tuple[str, ...]:
        """One of them."""
        return (random.choice(self.grid.variables),)

    def pull(
        self,
        name: str,
        region: Region,
        variables: tuple[str, ...],
        media_type: str,
        read: Callable[[bytes], Found],
        **asked: str,
    ) -> None:
        """Ask for `region` of `variables` and compare it."""

        def check(answer: Any) -> None:
            self.grid.check(read(body(answer, media_type)), region, variables)

        self.ask(name, self.grid.url(region, variables, **asked), check)


def arrived(answer: Any) -> None:
    """Returns if `answer` is good, with a body unless it is a 304; otherwise raises WrongAnswer."""
    if not (answer.status_code == 304 or (answer.status_code in (200, 206) and answer.content)):
        raise WrongAnswer(f"status {answer.status_code} and {len(answer.content or b'')} bytes")


def body(answer: Any, media_type: str, status: int = 200) -> bytes:
    """The content of an answer of this type and status; otherwise raises WrongAnswer."""
    if answer.status_code != status:
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


def learn_grid(address: str) -> Grid:
    """The grid of the first dataset that the server at `address` lists."""
    first = fetch_json(f"{address}/datasets")["datasets"][0]["id"]
    truth = os.environ.get("LOAD_TRUTH")
    return learn(fetch_json(f"{address}/datasets/{first}"), Path(truth) if truth else None)


def fetch_json(url: str) -> Any:
    """The body of a plain GET."""
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        return json.load(response)


class Times:
    """How long the small requests of each stage took."""

    def __init__(self) -> None:
        self.stages: list[StatsEntry] = []

    def begin(self) -> None:
        """What is told from now on belongs to a new stage."""
        self.stages.append(StatsEntry(RequestStats(), "small", "GET"))

    def note(self, name: str, response_time: float, **_: Any) -> None:
        """One answer; a listener of the users' requests."""
        if self.stages and name not in HEAVY:
            self.stages[-1].log(round(response_time), 0)

    def p99(self) -> list[float | None]:
        """Milliseconds for each stage; None where nothing small was asked."""
        return [
            stage.get_response_time_percentile(0.99) if stage.num_requests else None
            for stage in self.stages
        ]


def write_summary(path: Path, environment: Environment, times: Times) -> None:
    """The figures of the whole run as JSON; locust's own CSV files lag behind its end."""
    entries = sorted(environment.stats.entries.values(), key=lambda entry: entry.name)
    errors = [
        {"name": error.name, "error": str(error.error), "times": error.occurrences}
        for error in environment.stats.errors.values()
    ]
    summary = {
        "requests": [figures(entry) for entry in entries],
        "errors": errors,
        "asked": environment.stats.total.num_requests,
        "refused": Asker.refused.total(),
        "p99 of stages": times.p99(),
        "cpu": sum(os.times()[:2]),
    }
    path.write_text(json.dumps(summary), encoding="utf-8")


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
