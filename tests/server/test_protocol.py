"""Requests that are not HTTP, or have no end, are refused in our own form."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from app.server.connections import ConnectionLimits
from app.server.protocol import LINGER_SECONDS, HttpProtocol
from tests.server.test_run import served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


def said(server: tuple[httpx.Client, Path], *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the first answer to these bytes, sent one after the other."""
    url = server[0].base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break  # it has hung up already
        received = b""
        while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
            received += data
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
    return int(lines[0].split()[1]), headers, body


def check(answer: tuple[int, dict[str, str], bytes], status: int) -> None:
    found, headers, body = answer
    assert found == status, body
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert len(headers["x-request-id"]) == 32
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\xc3\xa9T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        b"POST /datasets HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /datasets HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_400_problem(server: tuple[httpx.Client, Path], data: bytes) -> None:
    """Each is answered in the form of all other errors, and the connection is closed."""
    check(said(server, data), 400)


def test_a_head_without_end_is_refused(server: tuple[httpx.Client, Path]) -> None:
    """Headers and URLs that go on are cut off, whether in one piece or in many."""
    check(said(server, b"GET / HTTP/1.1\r\n", *[b"X: " + b"x" * 30_000 + b"\r\n"] * 8), 431)
    check(said(server, b"GET / HTTP/1.1\r\nX: ", *[b"x" * 30_000] * 8), 431)
    check(said(server, b"GET /", *[b"x" * 30_000] * 8), 414)


def test_a_url_that_is_too_long_is_414(server: tuple[httpx.Client, Path]) -> None:
    """One that arrives whole reaches the service, which says what to do instead."""
    check(said(server, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 414)


def test_ordinary_requests_go_on_one_connection(server: tuple[httpx.Client, Path]) -> None:
    """The bound is on one request's head, not on all that a connection ever sends."""
    padding = {"X-Padding": "x" * 30_000}
    assert {server[0].get("/healthz", headers=padding).status_code for _ in range(5)} == {200}


@pytest.mark.parametrize("target", [b"/datasets", b"http://elsewhere/datasets"])
def test_both_forms_of_a_target_are_understood(
    server: tuple[httpx.Client, Path], target: bytes
) -> None:
    """Origin form and absolute form (RFC 9112 3.2.2)."""
    answer = said(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer[0] == 200


def test_who_speaks_the_older_protocol_need_not_name_a_host(
    server: tuple[httpx.Client, Path],
) -> None:
    """HTTP/1.0 has no Host header (RFC 9112 appendix A)."""
    assert said(server, b"GET /healthz HTTP/1.0\r\n\r\n")[0] == 200


def test_an_upgrade_is_not_taken(server: tuple[httpx.Client, Path]) -> None:
    """Whoever asks for a websocket gets the plain answer."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    answer = said(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + upgrade + key + b"\r\n")
    assert answer[0] == 200


def all_said(server: tuple[httpx.Client, Path], sent: bytes) -> bytes:
    """All that comes for these bytes until the server hangs up."""
    url = server[0].base_url
    received = b""
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(sent)
        while data := connection.recv(65536):
            received += data
    return received


UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: last\r\n\r\n"


def test_what_follows_an_upgrade_is_answered(server: tuple[httpx.Client, Path]) -> None:
    """Nobody upgrades, so it is a request like any other."""
    received = all_said(server, (b"GET /healthz HTTP/1.1\r\n" + UPGRADE + b"\r\n") * 1200 + LAST)
    assert received.count(b"HTTP/1.1 200 OK") == 1201
    assert b"x-request-id: last" in received


@pytest.mark.parametrize("head", [b"Content-Length: 0010\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_the_body_of_an_upgrade_is_no_request(
    server: tuple[httpx.Client, Path], head: bytes
) -> None:
    """The parser would take it for one."""
    received = all_said(server, b"POST /datasets HTTP/1.1\r\n" + UPGRADE + head + b"\r\n" + LAST)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"x-request-id: last" not in received


def test_a_refusal_does_not_come_before_an_answer_that_is_due(
    server: tuple[httpx.Client, Path],
) -> None:
    """First the answers to what was asked come whole, and then it."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    received = all_said(server, request * 2 + b"garbage\r\n\r\n")
    lengths = re.findall(rb"content-length: (\d+)", received)
    _, *answers = received.split(b"HTTP/1.1 ")
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"400"]
    for answer, length in zip(answers, lengths, strict=True):
        assert len(answer.partition(b"\r\n\r\n")[2]) == int(length)


def test_a_body_that_breaks_off_is_refused(server: tuple[httpx.Client, Path]) -> None:
    """While it is waited for, the refusal is its answer."""
    post = b"POST /datasets/cube/sel HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    received = all_said(server, post + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nx\r\n" + LAST)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", [1, 3, 20])
def test_a_body_that_goes_wrong_takes_no_answer_from_those_before(
    server: tuple[httpx.Client, Path], before: int
) -> None:
    """What was asked in the same breath is answered, then the refusal comes."""
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /datasets/cube/sel HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    sent = get * before + post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + LAST
    _, *answers = all_said(server, sent).split(b"HTTP/1.1 ")
    assert [answer[:3] for answer in answers] == [b"200"] * before + [b"400"]


def test_a_client_that_leaves_while_it_posts_is_not_our_error(
    server: tuple[httpx.Client, Path],
) -> None:
    """The log has its line, without a status, a traceback or a 500."""
    client, log = server
    url = client.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(
            b"POST /datasets/cube/sel HTTP/1.1\r\nHost: x\r\nX-Request-ID: leaver\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
    for _ in range(200):
        client.get("/healthz")
        if "leaver" in log.read_text():
            break
    (line,) = [line for line in log.read_text().splitlines() if "leaver" in line]
    assert "method=POST path=/datasets/cube/sel status=0 " in line
    assert "Traceback" not in log.read_text()


def asked(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def answered(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"done") and (data := connection.recv(65536)):
        received += data
    return received


def test_what_arrives_while_the_loop_is_busy_is_answered_before_the_end() -> None:
    """A connection that was idle for too long is not closed over a request that nobody read yet."""
    busy = threading.Event()

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/busy":
            busy.set()
            # Until after the time at which the other connection is to be closed.
            time.sleep(LINGER_SECONDS + 0.5)  # noqa: ASYNC251 - the loop has to stand still
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})

    config = uvicorn.Config(app, port=0, http=HttpProtocol, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    connect = partial(socket.create_connection, address, timeout=30)
    with connect() as first, connect() as second:
        for connection in (first, second):
            asked(connection, "/")
            assert b"connection: close" not in answered(connection)
        server.should_exit = True
        while server.servers[0].is_serving():
            time.sleep(0.01)
        asked(first, "/busy")
        assert busy.wait(30)
        asked(second, "/")
        for connection in (first, second):
            assert b"connection: close" in answered(connection)
    thread.join()


# The same, with clocks that a test can wait for.
HEAD_SECONDS = 0.2
IMPATIENT = ConnectionLimits(head_seconds=HEAD_SECONDS, rate_seconds=0.2)


@contextmanager
def impatient(app: Any) -> Iterator[tuple[str, int]]:
    """The address of a server of `app` that waits for nobody."""
    protocol: Any = partial(HttpProtocol, limits=IMPATIENT)
    config = uvicorn.Config(app, port=0, http=protocol, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join()


def test_a_client_that_takes_nothing_is_hung_up_on() -> None:
    """Its connection ends before the answer does; one that reads gets all of it."""
    ended = threading.Event()

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
        await send({"type": "http.response.body"})
        ended.set()

    with impatient(large) as address:
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert ended.wait(30)
        with httpx.stream("GET", f"http://127.0.0.1:{address[1]}/", timeout=30) as answer:
            assert sum(map(len, answer.iter_bytes())) == 100 * 2**20


async def done(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"done"})


def heard(connection: socket.socket, drip: bytes = b"") -> bytes:
    """What is said until the server hangs up, to a client that says `drip` now and then."""
    connection.settimeout(0.05)
    received = b""
    for _ in range(600):
        try:
            if drip:
                connection.sendall(drip)
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return received
        if not data:
            return received
        received += data
    pytest.fail("the server waits for ever")


@pytest.mark.parametrize(
    ("sent", "drip", "answers"),
    [
        (b"", b"", []),
        (b"", b"\r\n", []),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"", [408]),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"x", [408]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT", b"", [200, 408]),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"x", [200]),
    ],
    ids=["nothing", "blank lines", "no end", "drips", "the next one has no end", "unwanted body"],
)
def test_a_client_that_does_not_come_to_its_end_is_hung_up_on(
    sent: bytes, drip: bytes, answers: list[int]
) -> None:
    """Whoever begins a request without ending it, or says nothing, holds no connection."""
    with impatient(done) as address, socket.create_connection(address, timeout=30) as connection:
        connection.sendall(sent)
        received = heard(connection, drip)
    assert [int(n) for n in re.findall(rb"HTTP/1.1 (\d+) ", received)] == answers
    assert (b"urn:sluice:problem:request-timeout" in received) is (408 in answers)


def test_who_sends_whole_requests_is_not_hurried() -> None:
    """A connection lives on between requests and during an answer, longer than a head may take."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(2 * HEAD_SECONDS)
        await done(scope, receive, send)

    with impatient(slow) as address, socket.create_connection(address, timeout=30) as connection:
        for _ in range(2):
            asked(connection, "/")
            assert answered(connection).endswith(b"done")
            time.sleep(2 * HEAD_SECONDS)
