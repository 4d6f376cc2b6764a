"""Connections have a cap, with room for whoever watches the service; nobody is waited for long."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr

from loadtests.attack.stores import line_store
from tests.blackbox.conftest import Serve, Service
from tests.blackbox.processes import until

CONNECTIONS, RESERVED = 12, 4
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SELECT = b"GET /datasets/line/isel?x=0 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = (
    b"POST /datasets/line/isel HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n"
)
MIB = 2**20
# What a client that waits for long may be told meanwhile, and passes over.
ASIDE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few values, 32 MiB of them, and some that wait until they are written to a pipe."""
    folder = tmp_path_factory.mktemp("stores")
    large = line_store(folder / "large.zarr", 4 * MIB)
    slow = folder / "slow.zarr"
    values = ("x", np.arange(4.0))
    xr.Dataset({"t": values, "u": values}).to_zarr(slow, zarr_format=2)
    for name in ("t", "u"):
        (slow / name / "0").unlink()
        os.mkfifo(slow / name / "0")
    return {"line": line_store(folder / "line.zarr"), "large": large, "slow": slow}


@pytest.fixture(scope="module")
def crowded(serve: Serve, stores: dict[str, Path]) -> Service:
    """Few connections, and bodies that may come as slowly as they like."""
    return serve(
        stores,
        SLUICE_CONNECTIONS=str(CONNECTIONS),
        SLUICE_RESERVED_CONNECTIONS=str(RESERVED),
        SLUICE_BODY_BYTES_PER_SECOND="0",
    )


@pytest.fixture(scope="module")
def impatient(serve: Serve, stores: dict[str, Path]) -> Service:
    """Whoever is slow for a second is hung up on."""
    rates = ("SLUICE_BODY_BYTES_PER_SECOND", "SLUICE_ANSWER_BYTES_PER_SECOND")
    return serve(stores, SLUICE_RATE_SECONDS="1", **dict.fromkeys(rates, str(MIB // 2)))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def connect(service: Service, stack: ExitStack, sent: bytes = b"") -> socket.socket:
    connection = stack.enter_context(socket.create_connection(service.address, timeout=30))
    connection.sendall(sent)
    return connection


def answer(connection: socket.socket) -> bytes:
    """The next answer with a length; nothing once the other side has hung up."""
    received = b""
    with suppress(ConnectionError):
        while b"\r\n\r\n" not in received and (part := connection.recv(65536)):
            received += part
        head, _, body = received.lower().partition(b"\r\n\r\n")
        if b"content-length: " in head:
            size = int(head.partition(b"content-length: ")[2].split()[0])
            while len(body) < size and (part := connection.recv(65536)):
                body += part
                received += part
    return received


def test_who_has_waited_longest_makes_room(crowded: Service, stack: ExitStack) -> None:
    """The oldest idle connections end without a word; the others go on."""
    kept = []
    for _ in range(CONNECTIONS):
        kept.append(connect(crowded, stack, HEALTH))
        assert answer(kept[-1]).startswith(b"HTTP/1.1 200 ")
    for _ in range(3):
        assert answer(connect(crowded, stack, HEALTH)).startswith(b"HTTP/1.1 200 ")
    assert [answer(connection) for connection in kept[:3]] == [b""] * 3
    kept[-1].sendall(SELECT)
    assert answer(kept[-1]).startswith(b"HTTP/1.1 200 ")


def test_a_head_that_does_not_end_makes_room_with_a_word(
    crowded: Service, stack: ExitStack
) -> None:
    """It is a 503 that says when to ask again."""
    first = connect(crowded, stack, HEALTH[:-2])
    for _ in range(CONNECTIONS):
        assert answer(connect(crowded, stack, HEALTH)).startswith(b"HTTP/1.1 200 ")
    told = answer(first)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in told.lower()
    assert b"application/problem+json" in told


def test_while_all_are_busy_operators_are_answered(crowded: Service, stack: ExitStack) -> None:
    """Others get a 503 until there is room again, and no request that runs is cut."""
    busy = [connect(crowded, stack, POST) for _ in range(CONNECTIONS - RESERVED)]
    give_up = time.monotonic() + 30
    while answer(connect(crowded, stack, SELECT)).startswith(b"HTTP/1.1 200 "):
        assert time.monotonic() < give_up
    refused = answer(connect(crowded, stack, SELECT))
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in refused.lower()
    for path in ("/healthz", "/readyz", "/catalog/status", "/metrics", "/healthz?x=1"):
        asked = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        assert b" 503 " not in answer(connect(crowded, stack, asked)).splitlines()[0]
    body = b'{"x": 0}'
    for connection in busy:
        connection.sendall(body.ljust(100_000))
    assert all(answer(connection).startswith(b"HTTP/1.1 200 ") for connection in busy)
    assert answer(connect(crowded, stack, SELECT)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("workers", [1, 2])
def test_half_open_heads_leave_room_for_health(
    serve: Serve, stores: dict[str, Path], stack: ExitStack, workers: int
) -> None:
    """With 1,024 descriptors and more clients than that, all who ask are answered."""
    if shutil.which("prlimit") is None:
        pytest.skip("program: prlimit is not installed (Debian's util-linux)")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = min(2000, hard - 500)
    assert clients > 1600, "this machine allows too few descriptors"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    service = serve(stores, "--workers", str(workers), descriptors="1024")
    for number in range(clients):
        connect(service, stack, HEALTH[:-2])
        if number % (clients // 40) == 0:
            assert (
                httpx.get(
                    f"{service.client.base_url}/healthz", timeout=30, verify=False
                ).status_code
                == 200
            )
    for path in ("/healthz", "/datasets/line/isel?x=0") * 20:
        assert (
            httpx.get(f"{service.client.base_url}{path}", timeout=30, verify=False).status_code
            == 200
        )
    assert "Too many open files" not in service.log.read_text()


def test_who_takes_an_answer_slowly_is_hung_up_on(impatient: Service) -> None:
    """And one who takes it as it comes has all of it, though that takes longer too."""
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        slow.settimeout(60)
        slow.connect(impatient.address)
        slow.sendall(SELECT.replace(b"line/isel?x=0", b"large/isel?f=netcdf"))
        taken = 0
        with suppress(ConnectionError):
            while part := slow.recv(1024):
                taken += len(part)
                time.sleep(0.02)
    assert taken < 30 * MIB
    assert "hung up on 127.0.0.1" in impatient.log.read_text()
    time.sleep(0.5)  # its line is written a moment later
    (told,) = re.findall(r"status=200 ms=\S+ bytes=(\d+) dataset=large", impatient.log.read_text())
    assert int(told) < 30 * MIB, "the log tells of bytes that went nowhere"
    assert len(impatient.get("/datasets/large/isel?f=netcdf").content) > 32 * MIB


def test_who_sends_a_body_slowly_is_refused(impatient: Service, stack: ExitStack) -> None:
    """Drop by drop, or not at all; the answer says how fast it would have to be."""
    for drop in (b"", b" "):
        connection = connect(impatient, stack, POST)
        connection.settimeout(0.1)
        received = b""
        for _ in range(600):
            with suppress(TimeoutError):
                connection.sendall(drop)
                received = answer(connection)
                break
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"524288 bytes a second" in received


def test_an_answer_that_nobody_takes_is_not_kept(impatient: Service, stack: ExitStack) -> None:
    """Answers of which the connection holds a part are as much as one that is waited for."""
    asked = SELECT.replace(b"line/isel?x=0", b"large/isel?x=0:7000")
    connection = connect(impatient, stack, asked * 1000)
    give_up = time.monotonic() + 60
    while impatient.log.read_text().count("hung up on") < 2 and time.monotonic() < give_up:
        time.sleep(0.1)
    assert impatient.log.read_text().count("hung up on") >= 2
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass


def test_the_next_request_begins_when_the_last_answer_is_taken(
    crowded: Service, stack: ExitStack
) -> None:
    """Who asks ahead and reads nothing has few answers made; who reads then gets them all."""
    asked = SELECT.replace(b"line/isel?x=0", b"large/isel?x=0:40000")
    many = 100
    connection = connect(crowded, stack, asked * many)
    written = "path=/datasets/large/isel status=200"
    before = crowded.log.read_text().count(written)
    until(lambda: crowded.log.read_text().count(written) > before, "the first answer")
    time.sleep(1)
    assert crowded.log.read_text().count(written) - before < many // 2
    connection.shutdown(socket.SHUT_WR)
    assert last(rest(connection)).count(b"HTTP/1.1 200 OK") == many


def half_closed(service: Service, stack: ExitStack, sent: bytes) -> socket.socket:
    """A connection whose client has said all that it will."""
    connection = connect(service, stack, sent)
    connection.shutdown(socket.SHUT_WR)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side hangs up."""
    received = bytearray()
    while piece := connection.recv(MIB):
        received += piece
    return bytes(received)


def last(came: bytes) -> bytes:
    """What came, without the word that finds out whether its client is still there."""
    return came.removeprefix(ASIDE)


@pytest.mark.parametrize("times", [1, 3])
def test_who_has_said_all_is_answered(crowded: Service, stack: ExitStack, times: int) -> None:
    """As many answers as were asked for, and then an end."""
    came = rest(half_closed(crowded, stack, SELECT * times))
    assert came.count(b"HTTP/1.1 200 OK") == times
    large = SELECT.replace(b"line", b"large").replace(b"?x=0", b"?f=csv")
    head, _, body = last(rest(half_closed(crowded, stack, large))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) > 32 * MIB
    assert rest(half_closed(crowded, stack, HEALTH[:20])) == b""
    assert rest(half_closed(crowded, stack, POST)) == b""


def test_who_has_said_all_may_wait(
    crowded: Service, stores: dict[str, Path], stack: ExitStack
) -> None:
    """For a chunk that comes late; of a client that has gone instead, the service hears."""
    pipe = stores["slow"] / "t" / "0"
    select = SELECT.replace(b"line", b"slow")
    waits = half_closed(crowded, stack, select.replace(b"x=0", b"x=0&variables=t"))
    gone = connect(crowded, stack, select.replace(b"x=0", b"x=0&variables=u"))
    gone.close()
    left = re.compile(r"path=/datasets/slow/isel\S* status=0")
    until(lambda: left.search(crowded.log.read_text()) is not None, "the end of what is not wanted")
    # (The service may have found that it is a pipe, and closed it, before anything is written.)
    with suppress(BrokenPipeError), pipe.open("wb") as writer:
        writer.write(np.arange(4.0).tobytes())
    came = rest(waits)
    assert came.startswith(ASIDE)
    # A pipe is no chunk, whose end could be sought: what counts is that an answer comes.
    answered = json.loads(last(came).rpartition(b"\r\n\r\n")[2])
    assert answered["dataset"] == "slow"
