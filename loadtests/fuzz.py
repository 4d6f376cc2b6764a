"""Thousands of requests that nobody meant: ``python -m loadtests.fuzz``; exits with 1 on a fault.

A real server with the sample and three odd stores is asked by hypothesis, to the byte, and by
schemathesis, as its OpenAPI document allows and as it does not.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from loadtests.by_schema import draw_case, judge, operations
from loadtests.fuzz_answers import DEADLINE_SECONDS, Answer, check, check_talk, send
from loadtests.fuzz_requests import DATASETS
from loadtests.fuzz_talks import Talk, talks
from loadtests.ground import ROOT, NotReady, serving
from loadtests.odd_stores import write_odd_stores
from sluice.encoders.formats import ENCODERS

FAILED = 1
# Besides what a process that is warm still takes: buffers of the largest answers.
GROWTH_BYTES = 64 * 2**20
BY_SCHEMA = 0.25
# Small limits, so that large selections are refused, and small memory, so that growth is seen.
ENVIRONMENT = {
    "SLUICE_REQUEST_SECONDS": str(DEADLINE_SECONDS),
    "SLUICE_REQUEST_RESULT_BYTES": str(2**20),
    "SLUICE_CHUNK_CACHE_BYTES": str(8 * 2**20),
}


@dataclass(slots=True)
class Tally:
    """What has come so far; `memory` asks for the server's, which is noted after a fifth."""

    count: int
    memory: Callable[[], int]
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    start: int = 0

    def judge(self, answer: Answer) -> None:
        """Count an answer; raises Fault."""
        self.statuses[answer.status] += 1
        self.slowest = max(self.slowest, answer.seconds)
        if self.statuses.total() == self.count // 5:
            self.start = self.memory()
        check(answer)


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, judge, print the table; the exit status."""
    parser = argparse.ArgumentParser("loadtests.fuzz", description="Odd requests, on loopback.")
    parser.add_argument("count", type=int, nargs="?", default=20_000, help="requests (20000)")
    parser.add_argument("--seed", type=int, default=None, help="asks the same again")
    parser.add_argument("--sample", type=Path, default=ROOT / ".sample", help="folder (.sample)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz", help="(build/fuzz)")
    arguments = parser.parse_args(argv)
    number = random.randrange(2**32) if arguments.seed is None else arguments.seed
    folder: Path = arguments.out.absolute()
    try:
        catalog = begin(arguments.sample.absolute(), folder)
        log = folder / "server.log"
        with serving(catalog, log, **ENVIRONMENT) as (pid, address):
            ask_for_each_format(address)
            process = psutil.Process(pid)
            tally = Tally(arguments.count, lambda: process.memory_info().rss)
            say(f"fuzz: {arguments.count} requests, seed {number} ...")
            return FAILED if faulty(address, tally, number) else report(tally, log)
    except NotReady as error:
        say(f"fuzz: {error}")
        return FAILED


def begin(sample: Path, folder: Path) -> Path:
    """The catalog of the sample, written unless it is there, and of the odd stores."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = sample / "analyses.zarr"
    if not store.exists():
        from demo.sample import write_sample

        sample.mkdir(parents=True, exist_ok=True)
        write_sample(store)
    urls = {"sample": store, **write_odd_stores(folder)}
    catalog = folder / "catalog.yaml"
    catalog.write_text(dumps({"datasets": {name: {"url": str(url)} for name, url in urls.items()}}))
    return catalog


def ask_for_each_format(address: str) -> None:
    """One map in each, so that what only some of them load is in memory before it is measured."""
    for name in ENCODERS:
        query = {"variables": "t", "isel[time]": "0", "isel[level]": "0", "f": name}
        httpx.get(f"{address}/datasets/sample/isel", params=query, timeout=60, trust_env=False)


def faulty(address: str, tally: Tally, number: int) -> bool:
    """Whether an answer was at fault, which is said with the least request that gets it."""
    by_schema = int(tally.count * BY_SCHEMA)
    try:
        ask_raw(address, tally, tally.count - by_schema, number)
        ask_by_schema(address, tally, by_schema, number)
    except Exception as error:
        say("fuzz: " + "".join(traceback.format_exception_only(error)))
        return True
    return False


def plan(count: int, number: int) -> Callable[[Any], Any]:
    """Hypothesis with so many examples, and the least one where there is a fault."""
    limits = settings(
        max_examples=count,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: limits(seed(number)(test))


def ask_raw(address: str, tally: Tally, count: int, number: int) -> None:
    """Send requests to the byte; raises Fault."""
    url = urlsplit(address)

    @plan(count, number)
    @given(talks())
    def each(talk: Talk) -> None:
        answers = send(talk, (url.hostname or "", url.port or 0))
        for answer in answers:
            tally.judge(answer)
        check_talk(talk, answers)

    each()


def ask_by_schema(address: str, tally: Tally, count: int, number: int) -> None:
    """Send what the OpenAPI document allows, and what it does not; raises Fault."""
    found = operations(httpx.get(f"{address}/openapi.json", trust_env=False).json())

    @plan(count, number)
    @given(st.data())
    def each(data: st.DataObject) -> None:
        case = draw_case(data, found, DATASETS)
        came = case.call(base_url=address)
        media_type = (came.headers.get("content-type") or [""])[0]
        answer = Answer(case.method, came.status_code, media_type, came.content, came.elapsed)
        tally.judge(answer)
        judge(case, came)

    each()


def report(tally: Tally, log: Path) -> int:
    """Print the table; the exit status, which tells of memory and of the log as well."""
    end = tally.memory()
    say(f"requests      {tally.statuses.total():>8}")
    for status, times in sorted(tally.statuses.items()):
        say(f"status {status}    {times:>8}")
    say(f"slowest, ms   {1000 * tally.slowest:>8.0f}")
    say(f"RSS, MiB      {tally.start / 2**20:>8.0f} after a fifth, {end / 2**20:.0f} at the end")
    if end > tally.start + GROWTH_BYTES:
        say(f"fuzz: memory grew by more than {GROWTH_BYTES / 2**20:.0f} MiB")
        return FAILED
    if "Traceback" in log.read_text(encoding="utf-8", errors="replace"):
        say(f"fuzz: the server's log has a traceback: {log}")
        return FAILED
    return 0


def say(line: str) -> None:
    """Print now, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
