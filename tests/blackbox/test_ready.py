"""/readyz: whether the process takes requests, which no store has a part in."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from loadtests.attack.odd_web import odd_web

from .conftest import Serve

ASKED = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_it_opens_nothing(serve: Serve, tmp_path: Path) -> None:
    """However many datasets there are, and whatever is wrong with them, no store is asked."""
    with odd_web(tmp_path) as web:
        entries = {f"d{n}": f"{web.address}/{n}.zarr" for n in range(1000)}
        service = serve(entries, SLUICE_STATUS_PATIENCE_SECONDS="0.5")
        for _ in range(20):
            answer = service.get("/readyz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
            assert answer.headers["cache-control"] == "no-store"
        assert not web.asked
        assert service.get("/readyz?x=1").status_code == 400
        # The report by dataset is elsewhere, and bounded in time.
        report = service.get("/catalog/status")
        assert report.status_code == 503
        assert len(report.json()["datasets"]) == 1000
        words = {"store-missing", "store-timeout", "pending"}
        assert set(report.json()["datasets"].values()) <= words


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_it_is_unready_from_the_signal_on(serve: Serve, tmp_path: Path) -> None:
    """A connection that is kept learns it; a request that runs keeps the process until then."""
    service = serve({"none": tmp_path / "none.zarr"})
    body = b"POST /datasets/none/sel HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    body += b"Content-Type: application/json\r\n\r\n{"
    with (
        socket.create_connection(service.address, 20) as kept,
        socket.create_connection(service.address, 20) as running,
    ):
        running.sendall(body)
        kept.sendall(ASKED)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.2)
        os.kill(service.pid, signal.SIGTERM)
        said = b""
        give_up = time.monotonic() + 20
        while not said.startswith(b"HTTP/1.1 503 "):
            assert time.monotonic() < give_up
            kept.sendall(ASKED)
            said = kept.recv(4096)
            assert said, "it hung up"
        assert b'{"status":"stopping"}' in said
        running.sendall(b"}")
        assert running.recv(4096).startswith(b"HTTP/1.1 ")
