"""What one process is told, all are: reloads and refreshes over the workers of a real server."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numcodecs
import numpy as np
import pytest
import zarr

from app.catalog.configuration import hash_of
from tests.api.growing import hours, write
from tests.api.test_changing_stores import SERIES, until
from tests.server.test_run import served

ADMIN = {"X-API-Key": "let-me-in"}
KEYS = f"ops {hash_of(b'let-me-in').hex()} admin"


class Asking:
    """Asks a server of two workers, each time on a new connection, so that both answer some."""

    def __init__(self, client: httpx.Client, log: Path) -> None:
        self._base = client.base_url
        self.log = log
        self.catalog = log.with_name("catalog.yaml")

    @property
    def parent(self) -> int:
        (parent,) = re.findall(r"Started parent process \[(\d+)\]", self.log.read_text())
        return int(parent)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self._base.join(path), headers=ADMIN, timeout=60, verify=False)

    def post(self, path: str) -> httpx.Response:
        return httpx.post(self._base.join(path), headers=ADMIN, timeout=60, verify=False)

    def often(self, path: str) -> list[httpx.Response]:
        return [self.get(path) for _ in range(12)]

    def series(self, opens: int) -> list[httpx.Response]:
        """Answers from ``a``, of all workers: until it was opened so many times from now on."""
        before, answers = self._opens(), []

        def opened_by_all() -> bool:
            answers.extend(self.often(f"/datasets/a/{SERIES}"))
            return self._opens() == before + opens

        until(opened_by_all, f"{opens} opens")
        return answers

    def _opens(self) -> float:
        row = r'sluice_dataset_open_seconds_count\{dataset="a",outcome="ok"\} ([0-9.]+)'
        found = re.search(row, self.get("/metrics").text)
        return float(found[1]) if found else 0

    def reload(self, catalog: str) -> httpx.Response:
        self.catalog.write_text(catalog)
        return self.post("/catalog/reload")

    def datasets(self) -> set[tuple[str, ...]]:
        """The catalogs that are served."""
        listings = [answer.json()["datasets"] for answer in self.often("/datasets")]
        return {tuple(entry["id"] for entry in listing) for listing in listings}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A server of two workers beside a store."""
    folder = tmp_path_factory.mktemp("workers")
    write(folder / "a.zarr", hours(0, 12), zarr_format=3, consolidated=True)
    with served(folder, workers=2, KEYS=KEYS) as (client, log):
        yield Asking(client, log)


def pids(log: Path) -> list[int]:
    """The worker processes that were ever started."""
    return [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", log.read_text())]


def logged(log: Path, text: str) -> Callable[[], bool]:
    return lambda: text in log.read_text()


def test_a_reload_reaches_every_worker(ask: Asking) -> None:
    """Whichever answers after the POST has the new catalog: one that is gone is 404 at once."""
    answer = ask.reload("datasets: {a: {url: a.zarr}, left: {url: left.zarr}}")
    assert answer.status_code == 200
    assert ask.datasets() == {("a", "left")}
    answer = ask.reload("datasets: {a: {url: a.zarr}}")
    assert answer.json() == {"added": [], "changed": [], "removed": ["left"]}
    assert {answer.status_code for answer in ask.often("/datasets/left/sel")} == {404}
    assert ask.datasets() == {("a",)}


def test_a_refresh_reaches_every_worker(ask: Asking) -> None:
    """Whichever answers after the POST has the new values, and all have one tag for them."""
    ask.reload("datasets: {a: {url: a.zarr, title: To be refreshed}}")
    before = ask.series(opens=2)
    zarr.open_array(ask.catalog.with_name("a.zarr") / "v", mode="r+")[:] = 100
    assert ask.post("/datasets/a/refresh").status_code == 200
    after = ask.series(opens=1)  # the other one opened it for the POST
    assert {tuple(answer.json()["data_vars"]["v"]["data"]) for answer in after} == {(100.0,) * 12}
    (tag,) = {answer.headers["etag"] for answer in after}
    assert tag not in {answer.headers["etag"] for answer in before}


def test_a_hangup_of_the_parent_is_a_reload(ask: Asking) -> None:
    """All or nothing, in the log for a wrong file, and no worker is started anew for it."""
    ask.reload("datasets: {a: {url: a.zarr}}")
    workers = pids(ask.log)
    ask.catalog.write_text("datasets: {a: {url: a.zarr}, b: {url: b.zarr, titel: B}}")
    os.kill(ask.parent, signal.SIGHUP)
    until(logged(ask.log, "the catalog stays as it was"), "refused")
    assert "dataset 'b': titel: unknown field (did you mean 'title'?)" in ask.log.read_text()
    assert ask.datasets() == {("a",)}
    ask.catalog.write_text("datasets: {a: {url: a.zarr}, b: {url: b.zarr, title: B}}")
    os.kill(ask.parent, signal.SIGHUP)
    until(logged(ask.log, "the catalog was reloaded"), "reloaded")
    assert ask.datasets() == {("a", "b")}
    assert pids(ask.log) == workers


def test_a_worker_that_takes_a_dead_ones_place_knows_what_all_know(ask: Asking) -> None:
    """It serves the catalog that was reloaded last, whatever the file says, and the same tags."""
    ask.reload("datasets: {a: {url: a.zarr, title: Before}, c: {url: c.zarr}}")
    ask.post("/datasets/a/refresh")
    tags = {answer.headers["etag"] for answer in ask.series(opens=1)}
    ask.catalog.write_text("datasets: {")
    started = ask.log.read_text().count("startup complete")
    os.kill(pids(ask.log)[-1], signal.SIGKILL)
    until(lambda: ask.log.read_text().count("startup complete") > started, "started anew")
    assert {answer.headers["etag"] for answer in ask.series(opens=1)} == tags
    assert ask.datasets() == {("a", "c")}


def test_one_worker_follows_a_hangup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP is a reload for one process, too, which lives on, and leaves nothing when it ends."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    catalog = tmp_path / "catalog.yaml"
    with served(tmp_path) as (client, log):
        (pid,) = pids(log)
        catalog.write_text("datasets: {cube: {}}")
        os.kill(pid, signal.SIGHUP)
        until(logged(log, "dataset 'cube': url: this field is required"), "refused")
        catalog.write_text("datasets: {other: {url: other.zarr}}")
        os.kill(pid, signal.SIGHUP)
        until(logged(log, "1 added (other); 1 removed (cube)"), "reloaded")
        assert client.get("/datasets").json()["datasets"] == [{"id": "other", "title": None}]
    assert list(temporary.iterdir()) == []


@contextmanager
def two_workers(catalog: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that is told to end when the block does, if not before, and its address."""
    serve = [sys.executable, "-m", "app", "serve", "--catalog", str(catalog), "--port", "0"]
    command = [*serve, "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            said = ""
            while said.count("startup complete") < 2:
                said += (line := server.stderr.readline())
                assert line, said
            (address,) = re.findall(r"running on (http://[0-9.:]+)", said)
            yield server, address
        finally:
            server.send_signal(signal.SIGTERM)


def test_all_workers_end_by_themselves(tmp_path: Path) -> None:
    """SIGTERM ends them with status 0, and nothing is left that anybody has to warn of.

    Whoever has decoded a Blosc chunk has a semaphore in the system's memory.
    """
    encoding = {"v": {"compressors": numcodecs.Blosc()}}
    hours(0, 12).to_zarr(tmp_path / "a.zarr", zarr_format=2, encoding=encoding)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("datasets: {a: {url: a.zarr}}")
    with two_workers(catalog) as (server, address):
        assert server.stderr is not None
        for _ in range(8):
            url = f"{address}/datasets/a/{SERIES}"
            assert httpx.get(url, timeout=60, verify=False).status_code == 200
        server.send_signal(signal.SIGTERM)
        # To its end, which is when the last process that could warn has ended.
        said = server.stderr.read()
        server.wait(60)
    assert server.returncode == 0, said
    assert said.count("Finished server process") == 2
    for word in ("leaked", "Warning", "WARNING", "Traceback"):
        assert word not in said, said


def test_nobody_is_let_in_while_workers_end(tmp_path: Path) -> None:
    """A client that comes while an answer is sent to its end is refused at once, and asks another
    server: it is not kept waiting for a worker that never takes it."""
    zeros: Any = np.zeros(4_000_000)
    zarr.save_array(tmp_path / "a.zarr" / "v", zeros, dimension_names=("x",))
    zarr.open_group(tmp_path / "a.zarr", mode="a")
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("datasets: {a: {url: a.zarr}}")
    with two_workers(catalog) as (server, address):
        assert server.stderr is not None
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(b"GET /datasets/a/isel HTTP/1.1\r\nHost: a\r\n\r\n")
            received = slow.recv(100)
            assert b" 200 " in received
            server.send_signal(signal.SIGTERM)
            said = ""
            while said.count("Shutting down") < 2:
                said += (line := server.stderr.readline())
                assert line, said
            until(lambda: _is_refused(host, int(port)), "a closed door")
            while data := slow.recv(2**20):
                received += data
        said += server.stderr.read()
    assert received.endswith(b"]}}}"), received[-100:]
    assert "Traceback" not in said, said


def _is_refused(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False
