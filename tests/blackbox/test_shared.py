"""What workers share: it survives reloads in a row, folders that are swept, and dead workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service, command
from tests.blackbox.processes import is_there, says, status_of, until, workers_of

# A new worker ends as one does whose application cannot start.
BROKEN_START = """
import os
import sys

if os.path.exists({!r}) and any("spawn_main" in word for word in sys.orig_argv):
    os._exit(3)
"""
GAUGES = ("sluice_open_datasets", "sluice_tasks", "sluice_inflight_bytes", "sluice_queue_length")


@cache
def admin() -> tuple[str, str]:
    """A key, and the line that makes it valid."""
    made = command("key", "ops", "--admin")
    return made.stderr.strip(), made.stdout.strip()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "a.zarr"
    xr.Dataset({"v": ("x", [1.0, 2.0, 3.0])}).to_zarr(path, consolidated=True, zarr_format=2)
    return path


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def two(serve: Serve, store: Path, temporary: Path) -> Service:
    service = serve({"a": store}, "--workers", "2", TMPDIR=str(temporary), SLUICE_KEYS=admin()[1])
    until(says(service.log, "startup complete", 2), "two workers that serve")
    return service


def ask(service: Service, path: str, method: str = "GET") -> httpx.Response:
    """An answer on a connection of its own, which any worker may take."""
    return httpx.request(
        method,
        service.client.base_url.join(path),
        headers={"X-API-Key": admin()[0]},
        timeout=60,
        trust_env=False,
        verify=False,
    )


def rewrite(service: Service, store: Path, *ids: str) -> None:
    entries = {name: {"url": str(store)} for name in ids}
    service.catalog.write_text(json.dumps({"datasets": entries}), encoding="utf-8")


def catalogs(service: Service) -> set[tuple[str, ...]]:
    """The catalogs that are served, by whichever worker."""
    listings = [ask(service, "/datasets").json()["datasets"] for _ in range(16)]
    return {tuple(entry["id"] for entry in listing) for listing in listings}


def numbers(service: Service) -> dict[str, float]:
    lines = ask(service, "/metrics").text.splitlines()
    told = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in told}


def kill_one(service: Service) -> None:
    """End a worker without a warning, and wait until another one serves in its place."""
    started = service.log.read_text().count("startup complete")
    os.kill(workers_of(service.pid)[0].pid, signal.SIGKILL)
    until(says(service.log, "startup complete", started + 1), "another worker")


@contextmanager
def asked_meanwhile(service: Service) -> Iterator[list[int]]:
    """Ask for health again and again until the block ends; the list gets each status."""
    over, statuses = threading.Event(), []

    def look() -> None:
        while not over.is_set():
            statuses.append(ask(service, "/healthz").status_code)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_reloads_in_a_row_hold_nobody(two: Service, store: Path) -> None:
    """By signal and by request, with requests meanwhile: all are answered, and all workers end up
    with the last catalog."""
    with asked_meanwhile(two) as statuses:
        for number in range(30):
            rewrite(two, store, "a", f"b{number}")
            os.kill(two.pid, signal.SIGHUP)
            assert ask(two, "/catalog/reload", "POST").status_code == 200
    assert set(statuses) == {200}
    assert catalogs(two) == {("a", "b29")}


def test_a_swept_temporary_folder_harms_nothing(two: Service, store: Path, temporary: Path) -> None:
    """Reloads reach all workers, one that dies is replaced, and its place knows what all know."""
    shutil.rmtree(temporary)
    rewrite(two, store, "a", "swept")
    assert ask(two, "/catalog/reload", "POST").status_code == 200
    assert catalogs(two) == {("a", "swept")}
    answered = numbers(two)['sluice_request_seconds_count{route="/catalog/reload",status="200"}']
    kill_one(two)
    rewrite(two, store, "not read by the new one")
    assert catalogs(two) == {("a", "swept")}
    assert ask(two, "/datasets/a/isel?x=1").json()["data_vars"]["v"]["data"] == 2
    after = numbers(two)['sluice_request_seconds_count{route="/catalog/reload",status="200"}']
    assert after == answered
    rewrite(two, store, "a", "later")
    os.kill(two.pid, signal.SIGHUP)
    until(lambda: catalogs(two) == {("a", "later")}, "a reload by signal")


def test_a_dead_worker_leaves_the_gauges(two: Service) -> None:
    """They are those of the workers that live; nothing that it counted is lost."""

    def open_by_both() -> bool:
        ask(two, "/datasets/a/isel?x=1")
        return numbers(two)["sluice_open_datasets"] == 2

    until(open_by_both, "both having opened the dataset")
    before = numbers(two)
    kill_one(two)
    until(lambda: numbers(two)["sluice_open_datasets"] == 1, "the gauge of those that live")
    after = numbers(two)
    assert after["sluice_tasks"] < 1.8 * before["sluice_tasks"]
    route = 'sluice_request_seconds_count{route="/datasets/{dataset_id}/isel",status="200"}'
    assert after[route] == before[route]
    assert all(gauge in after for gauge in GAUGES)


def test_nothing_is_written_where_nothing_can_be(serve: Serve, store: Path, tmp_path: Path) -> None:
    """One alone with a temporary folder that is none reloads and tells its metrics."""
    service = serve({"a": store}, TMPDIR=str(tmp_path / "none"), SLUICE_KEYS=admin()[1])
    rewrite(service, store, "a", "b")
    assert ask(service, "/catalog/reload", "POST").json()["added"] == ["b"]
    assert "sluice_tasks" in ask(service, "/metrics").text


def test_reloads_at_once_of_a_file_that_changes(two: Service, store: Path, tmp_path: Path) -> None:
    """Each tells the difference that it found, whatever another one does to it meanwhile."""
    statuses: list[int] = []

    def reload() -> None:
        for _ in range(25):
            statuses.append(ask(two, "/catalog/reload", "POST").status_code)

    threads = [threading.Thread(target=reload) for _ in range(4)]
    for thread in threads:
        thread.start()
    number = 0
    while any(thread.is_alive() for thread in threads):
        number += 1
        aside = tmp_path / "catalog"
        names = ("a", f"x{number % 3}")
        aside.write_text(json.dumps({"datasets": {name: {"url": str(store)} for name in names}}))
        aside.replace(two.catalog)
        time.sleep(0.01)
    assert statuses == [200] * 100


def test_a_server_that_gives_up_says_so(serve: Serve, store: Path, tmp_path: Path) -> None:
    """A worker that cannot take a dead one's place ends it: whoever started it sees a failure."""
    broken = tmp_path / "broken"
    (tmp_path / "sitecustomize.py").write_text(BROKEN_START.format(str(broken)))
    service = serve({"a": store}, "--workers", "2", PYTHONPATH=str(tmp_path))
    until(says(service.log, "startup complete", 2), "two workers that serve")
    broken.touch()
    os.kill(workers_of(service.pid)[0].pid, signal.SIGKILL)
    until(says(service.log, "did not come to serve"), "its end")
    assert status_of(service.pid) == 3


def test_workers_do_not_outlive_their_parent(serve: Serve, store: Path) -> None:
    """They would hold the address, and nobody would replace or end them."""
    service = serve({"a": store}, "--workers", "2")
    until(says(service.log, "startup complete", 2), "two workers that serve")
    left = workers_of(service.pid)
    os.kill(service.pid, signal.SIGKILL)
    until(lambda: not any(map(is_there, left)), "their end")
