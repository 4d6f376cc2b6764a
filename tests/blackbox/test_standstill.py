"""A process whose loop stands still does not stay: it is replaced, or ends and says where it was.

The loop is stopped from outside, by a signal whose handler Python runs in the loop's thread.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.blackbox.conftest import Serve, Service
from tests.blackbox.processes import says, status_of, until, workers_of

LIMIT_SECONDS = 4.0
# Python imports a module of this name, if there is one, before anything else.
SITECUSTOMIZE = """
import re
import signal
import time


def wait_for_ever(*signalled):
    while True:
        time.sleep(1)


def hold_the_interpreter(*signalled):
    re.match("(a+)+$", "a" * 60 + "b")


signal.signal(signal.SIGUSR1, wait_for_ever)
signal.signal(signal.SIGUSR2, hold_the_interpreter)
"""
STOPPERS = [(signal.SIGUSR1, "wait_for_ever"), (signal.SIGUSR2, "hold_the_interpreter")]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return {"PYTHONPATH": str(folder), "SLUICE_LOOP_STALL_SECONDS": str(LIMIT_SECONDS)}


@pytest.fixture(scope="module")
def two(
    serve: Serve, tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]
) -> Service:
    service = serve({"a": tmp_path_factory.mktemp("none")}, "--workers", "2", **settings)
    until(lambda: len(workers_of(service.pid)) == 2, "two workers")
    until(says(service.log, "startup complete", 2), "two workers that serve")
    return service


def pids(service: Service) -> set[int]:
    return {worker.pid for worker in workers_of(service.pid)}


def answers(service: Service) -> set[int]:
    """The status of health on connections of their own: all workers take some."""
    url = service.client.base_url.join("/healthz")
    return {
        httpx.get(url, timeout=60, trust_env=False, verify=False).status_code for _ in range(20)
    }


@pytest.mark.parametrize(("stopper", "place"), STOPPERS)
def test_a_worker_that_stands_still_is_replaced(
    two: Service, stopper: signal.Signals, place: str
) -> None:
    """Its stacks are in the log, another one serves, and the others were left alone."""
    before, serving = pids(two), two.log.read_text().count("startup complete")
    ill = min(before)
    os.kill(ill, stopper)
    until(says(two.log, "startup complete", serving + 1), "another worker")
    after = pids(two)
    assert ill not in after
    assert len(after & before) == 1
    said = two.log.read_text()
    assert re.search(rf"worker \[{ill}\] has not turned for 4 seconds", said)
    assert place in said
    assert answers(two) == {200}


def test_a_process_that_was_stopped_is_left_alone(two: Service) -> None:
    """Time in which it could not run does not count: one worker's, or that of all processes."""
    workers = workers_of(two.pid)
    parent = psutil.Process(two.pid)
    for stopped in (workers[:1], [parent, *workers]):
        for process in stopped:
            process.suspend()
        time.sleep(LIMIT_SECONDS + 3)
        for process in stopped:
            process.resume()
        time.sleep(2)
    assert pids(two) == {worker.pid for worker in workers}
    assert answers(two) == {200}


@pytest.mark.parametrize(("stopper", "place"), STOPPERS)
def test_one_alone_ends_and_says_where_it_stood(
    serve: Serve, tmp_path: Path, settings: dict[str, str], stopper: signal.Signals, place: str
) -> None:
    """It has no parent that would replace it: whoever started it sees that it failed."""
    service = serve({"a": tmp_path}, **settings)
    process = psutil.Process(service.pid)
    process.suspend()
    time.sleep(LIMIT_SECONDS + 2)
    process.resume()
    time.sleep(1)
    assert service.get("/healthz").status_code == 200
    os.kill(service.pid, stopper)
    until(says(service.log, place), "its stacks")
    assert status_of(service.pid) != 0
