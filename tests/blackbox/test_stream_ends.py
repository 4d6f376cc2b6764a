"""How streams end: whole, or broken off so that nobody takes a part for the whole."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr

from loadtests.ground import serving

from .conftest import write_catalog
from .processes import is_there, says, status_of, until, workers_of

PATH = "/datasets/long/isel?f=netcdf"
# More than the sockets of both sides and the server hold.
STEPS = 400


@dataclass(frozen=True)
class Streaming:
    """A server process of this test alone, and where it is."""

    pid: int
    address: str
    log: Path

    def connected(self, request: str) -> socket.socket:
        """A connection that has asked, and has taken the first bytes of the answer."""
        host, port = self.address.removeprefix("http://").split(":")
        connection = socket.socket()
        # Else the kernels on both sides take several megabytes.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        connection.settimeout(60)
        connection.connect((host, int(port)))
        connection.sendall(request.encode())
        assert connection.recv(2**12).startswith(b"HTTP/1.1 200")
        return connection

    def metric(self, line: str) -> float:
        text = httpx.get(f"{self.address}/metrics", trust_env=False, verify=False, timeout=60).text
        found = [row.split()[-1] for row in text.splitlines() if row.startswith(f"{line} ")]
        return float(found[0]) if found else 0.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ends") / "long.zarr"
    ds = xr.Dataset({"t": (("time", "lat", "lon"), np.ones((STEPS, 200, 400), "i2"))})
    ds.t.encoding = {"chunks": (1, 200, 400)}
    ds.to_zarr(path, zarr_format=2, consolidated=True)
    return path


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose last chunks do not decode."""
    path = tmp_path_factory.mktemp("ends") / "broken.zarr"
    values = np.random.default_rng(0).normal(size=(60, 200, 400))
    ds = xr.Dataset({"t": (("time", "lat", "lon"), values)})
    ds.t.encoding = {"chunks": (1, 200, 400)}
    ds.to_zarr(path, zarr_format=2, consolidated=True)
    for chunk in (path / "t").glob("[345]?.0.0"):
        chunk.write_bytes(b"no chunk")
    return path


@contextmanager
def served(
    store: Path, folder: Path, grace: int, workers: str = "1", **more: str
) -> Iterator[Streaming]:
    log = folder / "server.log"
    settings = {"SLUICE_GRACE_SECONDS": str(grace), "SLUICE_CHUNK_CACHE_BYTES": "0", **more}
    catalog = write_catalog(folder, {"long": store})
    with serving(catalog, log, "--workers", workers, **settings) as (pid, address):
        yield Streaming(pid, address, log)


def asked(version: str = "1.1", form: str = "netcdf") -> str:
    return f"GET {PATH.replace('netcdf', form)} HTTP/{version}\r\nHost: x\r\n\r\n"


def rest_of(connection: socket.socket) -> int:
    """How many bytes come until the server ends; raises ConnectionResetError for an abort."""
    taken = 0
    while part := connection.recv(2**20):
        taken += len(part)
    return taken


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_lets_a_stream_end(store: Path, tmp_path: Path, workers: str) -> None:
    """Within the grace time it comes whole, and then the process ends by itself."""
    with served(store, tmp_path, 60, workers) as server:
        with server.connected(asked()) as connection:
            os.kill(server.pid, signal.SIGTERM)
            time.sleep(1)
            assert rest_of(connection) > STEPS * 200 * 400 * 2 - 2**12
        assert status_of(server.pid) in (0, signal.SIGTERM)
        assert "broken off" not in server.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_breaks_off_what_outlasts_the_grace_time(
    store: Path, tmp_path: Path, workers: str
) -> None:
    """Its client takes nothing: it is reset, and never ended as if that were all."""
    with served(store, tmp_path, 2, workers) as server:
        children = workers_of(server.pid)
        with server.connected(asked()) as connection:
            os.kill(server.pid, signal.SIGTERM)
            assert status_of(server.pid) in (0, signal.SIGTERM)
            until(lambda: not any(map(is_there, children)), "the end of its workers")
            with pytest.raises(ConnectionResetError):
                rest_of(connection)


def test_a_client_that_leaves_frees_all(store: Path, tmp_path: Path) -> None:
    """Nothing is held, and nothing is read for it any more."""
    read = 'sluice_chunk_lookups_total{outcome="miss"}'
    with served(store, tmp_path, 20) as server:
        connections = [server.connected(asked()) for _ in range(3)]
        until(lambda: server.metric("sluice_inflight_bytes") > 0, "memory that is held")
        for connection in connections:
            connection.close()
        until(lambda: server.metric("sluice_inflight_bytes") == 0, "memory that is free")
        before = server.metric(read)
        time.sleep(0.5)
        assert server.metric(read) == before < 3 * STEPS
        assert server.metric('sluice_refused_total{reason="broken"}') == 0


def at_rest(server: Streaming, gauges: tuple[str, ...]) -> dict[str, float]:
    """The most that each of them is while nobody asks; they are taken about once a second."""
    found = dict.fromkeys(gauges, 0.0)
    until(lambda: server.metric("sluice_tasks") > 0, "tasks that are counted")
    for _ in range(30):
        found = {name: max(most, server.metric(name)) for name, most in found.items()}
        time.sleep(0.1)
    return found


def test_what_was_held_for_a_client_is_free_soon(store: Path, tmp_path: Path) -> None:
    """Memory, places and tasks, whatever was sent; a second is promised, of a machine at rest."""
    gauges = ("sluice_inflight_bytes", "sluice_queue_length", "sluice_tasks")
    with served(store, tmp_path, 20) as server:
        rest = at_rest(server, gauges)
        for form in ("netcdf", "netcdf3", "bin", "csv", "ndjson"):
            connections = [server.connected(asked(form=form)) for _ in range(3)]
            until(lambda: server.metric("sluice_inflight_bytes") > 0, "memory that is held")
            for connection in connections:
                connection.close()
            left = time.monotonic()
            free = f"all of {form} free"
            until(lambda: all(server.metric(n) <= rest[n] for n in gauges), free)
            assert time.monotonic() - left < 10, form


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Path]:
    """A store whose last chunk is a pipe that nobody writes to: who reads it waits."""
    path = tmp_path / "hanging.zarr"
    ds = xr.Dataset({"t": (("time", "lat", "lon"), np.ones((60, 200, 400)))})
    ds.t.encoding = {"chunks": (1, 200, 400)}
    ds.to_zarr(path, zarr_format=2, consolidated=True)
    pipe = path / "t/59.0.0"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    yield path
    # Those who wait get an end.
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


@pytest.mark.parametrize("form", ["netcdf", "csv"])
def test_a_stream_that_stands_still_is_broken_off(hanging: Path, tmp_path: Path, form: str) -> None:
    """Long before the store's own deadline; nothing is held for it then."""
    stall = {"SLUICE_STREAM_STALL_SECONDS": "1", "SLUICE_STORE_READ_SECONDS": "50"}
    stall["SLUICE_STORE_ATTEMPT_SECONDS"] = "50"
    with served(hanging, tmp_path, 20, **stall) as server:
        with server.connected(asked(form=form)) as connection:
            began = time.monotonic()
            with pytest.raises(ConnectionResetError):
                rest_of(connection)
            assert time.monotonic() - began < 40
        until(says(server.log, "there was no progress in time"), "a line in the log")
        assert server.metric('sluice_refused_total{reason="broken"}') == 1
        until(lambda: server.metric("sluice_inflight_bytes") == 0, "memory that is free")


@pytest.mark.parametrize("form", ["netcdf", "csv"])
def test_a_client_that_takes_nothing_is_dropped(store: Path, tmp_path: Path, form: str) -> None:
    """Though it stays connected: what it was to get is read no further, and held no longer."""
    rate = {"SLUICE_RATE_SECONDS": "1", "SLUICE_STREAM_STALL_SECONDS": "1"}
    with (
        served(store, tmp_path, 20, **rate) as server,
        server.connected(asked(form=form)) as connection,
    ):
        until(lambda: server.metric("sluice_inflight_bytes") > 0, "memory that is held")
        until(lambda: server.metric("sluice_inflight_bytes") == 0, "memory that is free")
        with pytest.raises(ConnectionResetError):
            rest_of(connection)


FAILING = {
    "with a length": ("netcdf", "1.1", "identity"),
    "in chunks": ("csv", "1.1", "identity"),
    "in chunks, with a coding": ("csv", "1.1", "gzip"),
    "until the connection ends": ("csv", "1.0", "identity"),
    "until the connection ends, with a coding": ("csv", "1.0", "gzip"),
}


def test_a_failure_is_no_end_whatever_frames_the_answer(broken: Path, tmp_path: Path) -> None:
    """Each is reset, logged with its id, and counted."""
    with served(broken, tmp_path, 20) as server:
        for number, (name, (form, version, coding)) in enumerate(FAILING.items(), 1):
            head = f"GET /datasets/long/isel?f={form} HTTP/{version}\r\nHost: x\r\n"
            head += f"Accept-Encoding: {coding}\r\nX-Request-ID: mine{number}\r\n\r\n"
            with server.connected(head) as connection, pytest.raises(ConnectionResetError):
                rest_of(connection)
            until(says(server.log, f"answer broken off id=mine{number}"), name)
            assert server.metric('sluice_refused_total{reason="broken"}') == number
        until(lambda: server.metric("sluice_inflight_bytes") == 0, "memory that is free")
