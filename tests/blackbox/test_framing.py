"""Where requests begin and end: nobody, also behind a proxy, reads one into the body of another."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service, command
from tests.blackbox.doors import Address, door

HOST = b"Host: x\r\n"
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: hidden\r\n\r\n"
POST = b"POST /datasets/open/isel HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"x": 0}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: 8\r\n"
CHUNKS = b"8\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """A key, and the line that makes it valid."""
    made = command("key", "reader")
    return made.stderr.strip(), made.stdout.strip()


@pytest.fixture(scope="module")
def service(
    serve: Serve, tmp_path_factory: pytest.TempPathFactory, key: tuple[str, str]
) -> Service:
    """One dataset that everybody may read, and one that takes a key."""
    store = tmp_path_factory.mktemp("stores") / "line.zarr"
    xr.Dataset({"t": ("x", np.arange(4.0))}).to_zarr(store, consolidated=False)
    entries = {"open": {"url": str(store), "access": "public"}, "closed": {"url": str(store)}}
    return serve(entries, SLUICE_KEYS=key[1])


@pytest.fixture(scope="module", params=["alone", "haproxy", "nginx"])
def way(
    service: Service, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Address]:
    """The service itself, or a proxy before it."""
    folder = tmp_path_factory.mktemp("door")
    with door(request.param, service.address, folder) as address:
        yield address


def talk(address: Address, *parts: bytes) -> bytes:
    """All that comes for these bytes until the other side hangs up."""
    received = b""
    with socket.create_connection(address, timeout=30) as connection:
        # Who has hung up already resets what still comes.
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionError):
            while data := connection.recv(65536):
                received += data
    return received


def statuses(received: bytes) -> list[int]:
    """Of all answers, in order."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


def chunked(body: bytes = CHUNKS, *, more: bytes = b"") -> bytes:
    return POST + CHUNKED + more + b"\r\n" + body


# Two servers might find other requests in these: nothing that follows may be answered.
DOUBTFUL = {
    "two blanks before the target": b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "two blanks behind the target": b"GET /healthz  HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab for a blank": b"GET\t/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a blank behind the version": b"GET /healthz HTTP/1.1 \r\n" + HOST + b"\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment behind a query": b"GET /datasets?#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bare LF in the request line": b"GET /healthz HTTP/1.1\n" + HOST + b"\r\n",
    "a bare LF in the head": b"GET /healthz HTTP/1.1\r\nA: b\n" + HOST + b"\r\n",
    "a bare LF before the request": b"\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bare CR in the head": b"GET /healthz HTTP/1.1\r\nA: b\rC: d\r\n" + HOST + b"\r\n",
    "obs-fold": b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n",
    "obs-fold of the first header": b"GET /healthz HTTP/1.1\r\n A: b\r\n" + HOST + b"\r\n",
    "a blank before the colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n",
    "no name": b"GET /healthz HTTP/1.1\r\n" + HOST + b": b\r\n\r\n",
    "TE: gzip, chunked": b"GET /healthz HTTP/1.1\r\n" + HOST + b"TE: gzip, chunked\r\n\r\n",
    "length and coding": POST + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "coding and length": POST + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "two lengths": POST + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: 8, 8\r\n\r\n" + BODY,
    "a length with a sign": POST + b"Content-Length: +8\r\n\r\n" + BODY,
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "gzip and chunked": POST + b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "chunked and identity": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "chunked with a parameter": POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n" + CHUNKS,
    "no coding at all": POST + b"Transfer-Encoding:\r\n\r\n" + CHUNKS,
    "a coding in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNKS,
    "a coding behind a form feed": POST + b"Transfer-Encoding: \x0cchunked\r\n\r\n" + CHUNKS,
    "coding in HTTP/1.0": chunked().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a size with a sign": chunked(b"+" + CHUNKS),
    "a size as in C": chunked(b"0x" + CHUNKS),
    "a size with an underscore": chunked(b"0_" + CHUNKS),
    "a size of 17 digits": chunked(b"0" * 16 + CHUNKS),
    "no size": chunked(b"\r\n" + CHUNKS),
    "a blank behind the size": chunked(CHUNKS.replace(b"8\r\n", b"8 \r\n", 1)),
    "a blank before the size": chunked(b" " + CHUNKS),
    "an extension without a name": chunked(CHUNKS.replace(b"8\r\n", b"8;\r\n", 1)),
    "an extension with a bare LF": chunked(CHUNKS.replace(b"8\r\n", b"8;a\n\r\n", 1)),
    "a size that ends with LF": chunked(CHUNKS.replace(b"8\r\n", b"8\n", 1)),
    "a chunk longer than its size": chunked(CHUNKS.replace(b"8\r\n", b"7\r\n", 1)),
    "a chunk shorter than its size": chunked(CHUNKS.replace(b"8\r\n", b"9\r\n", 1)),
    "a chunk that ends with LF": chunked(CHUNKS.replace(b"}\r\n", b"}\n", 1)),
    "a trailer without a colon": chunked(CHUNKS[:-2] + b"nothing\r\n\r\n"),
    "a folded trailer": chunked(CHUNKS[:-2] + b"A: b\r\n c\r\n\r\n"),
    "a trailer with a blank before its colon": chunked(CHUNKS[:-2] + b"A : b\r\n\r\n"),
    "a trailer with a bare LF": chunked(CHUNKS[:-2] + b"A: b\n\r\n\r\n"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/datasets/open/isel?variables=größe", b"letters outside of ASCII"),
        ("/datasets/größe", b"written as %XX"),
        ("/datasets /open", b"one blank between each two"),
    ],
)
def test_the_flaw_of_a_first_line_is_told(service: Service, target: str, told: bytes) -> None:
    received = talk(service.address, f"GET {target} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
    assert statuses(received) == [400]
    assert told in received


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_two_might_read_differently_is_refused(service: Service, sent: bytes) -> None:
    """With 400, or 501 for a coding that is not known; then the connection ends."""
    received = talk(service.address, sent + HIDDEN)
    (status,) = statuses(received)
    assert status in (400, 501), received
    assert b"application/problem+json" in received
    assert b"x-request-id: hidden" not in received.lower()


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL)
def test_nobody_gets_the_answer_of_another(way: Address, sent: bytes) -> None:
    """Whatever was sent before over the same way, the next client gets its own answers."""
    received = talk(way, sent + HIDDEN)
    # A proxy may mend or refuse what was sent, but it hands on one request at most beside the last.
    assert len(statuses(received)) <= 2, received
    for number in range(3):
        path = b"/datasets/open?f=%d" % number
        own = b"X-Request-ID: own-%d\r\nConnection: close\r\n\r\n" % number
        answer = talk(way, b"GET " + path + b" HTTP/1.1\r\n" + HOST + own)
        assert statuses(answer) == [400]
        assert b"x-request-id: own-%d" % number in answer.lower()


BLANKS = {
    "in odd case": POST + b"tRANSFER-eNCODING:\tChunked \r\n\r\n" + CHUNKS,
    "around a length": POST + b"Content-Length: \t 8 \t\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("sent", BLANKS.values(), ids=BLANKS)
def test_blanks_around_a_value_are_no_part_of_it(service: Service, sent: bytes) -> None:
    """Tabs and blanks, before and behind (RFC 9110, section 5.5); some proxies refuse them."""
    assert statuses(talk(service.address, sent + HIDDEN)) == [200, 200]


RARE = {
    "a blank line before": b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunks of one byte": chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "extensions": chunked(CHUNKS.replace(b"8\r\n", rb'8;a;b=1;c="d;\""' + b"\r\n", 1)),
    "zeros before sizes": chunked(b"000" + CHUNKS.replace(b"\n0", b"\n000")),
    "trailers": chunked(CHUNKS[:-2] + b"A: b\r\nA: c\r\nX-Request-ID: trailer\r\n\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("sent", RARE.values(), ids=RARE)
def test_what_is_rare_and_right_is_answered(way: Address, sent: bytes) -> None:
    """And what follows it as well; in one piece, or byte by byte."""
    for parts in ([sent + HIDDEN], [bytes([byte]) for byte in sent + HIDDEN]):
        received = talk(way, *parts)
        assert statuses(received) == [200, 200], received
        assert b"x-request-id: hidden" in received.lower()
        assert b"x-request-id: trailer" not in received.lower()


def test_trailers_are_no_headers(way: Address, service: Service, key: tuple[str, str]) -> None:
    """They bring no key, no address and no format, whichever way they come."""
    forged = {
        "X-API-Key": key[0],
        "Authorization": f"Bearer {key[0]}",
        "X-Forwarded-For": "203.0.113.66",
        "Accept": "text/csv",
        "X-Request-ID": "forged",
    }
    trailers = "".join(f"{name}: {value}\r\n" for name, value in forged.items()).encode()
    for dataset, status in ((b"open", 200), (b"closed", 401)):
        for own in (b"first", b"second"):
            sent = chunked(CHUNKS[:-2] + trailers + b"\r\n", more=b"Connection: close\r\n")
            sent = sent.replace(b"/open/", b"/%b/" % dataset)
            sent = sent.replace(HOST, HOST + b"X-Request-ID: " + own + b"\r\n", 1)
            received = talk(way, sent)
            assert statuses(received) == [status], received
            assert b"text/csv" not in received
            assert b"x-request-id: " + own in received.lower()
    time.sleep(0.5)  # lines are written a moment after their answers
    assert "203.0.113.66" not in service.log.read_text()


def test_a_key_that_a_proxy_takes_away_stays_away(
    service: Service, way: Address, key: tuple[str, str]
) -> None:
    """As a header it opens the dataset, and a proxy that deletes it is not fooled by a trailer."""
    ask = b"GET /datasets/closed HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
    given = b"X-API-Key: " + key[0].encode() + b"\r\n\r\n"
    straight = way == service.address
    assert statuses(talk(way, ask + given)) == ([200] if straight else [401])


MIB = 2**20
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
ENDLESS = {
    "trailers": (chunked(CHUNKS[:-2]), b"X-Trailer: " + b"t" * 1000 + b"\r\n", 431),
    "one trailer": (chunked(CHUNKS[:-2] + b"X-Trailer: "), b"t" * 1000, 431),
    "trailers of a GET": (GET + CHUNKED + b"\r\n0\r\n", b"A: b\r\n" * 99, 431),
    "an extension": (chunked(b"8;a="), b"a" * 1000, 431),
    "extensions": (chunked(b""), b"1;" + b"a" * 1000 + b"\r\n{\r\n", 431),
    "chunks of a byte": (chunked(b""), b"1\r\n \r\n" * 200, 431),
    "digits of a size": (chunked(b""), b"0" * 1000, 431),
    "blank lines": (b"", b"\r\n" * 500, 431),
    "blank lines between": (HIDDEN.replace(b"close", b"keep-alive"), b"\r\n" * 500, 431),
    "headers": (b"GET /healthz HTTP/1.1\r\n", b"A: b\r\n" * 99, 431),
    "a URL": (b"GET /", b"u" * 1000, 414),
    "a method": (b"G", b"E" * 1000, 414),
}  # fmt: skip


@pytest.mark.parametrize(("begin", "more", "status"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_cut(service: Service, begin: bytes, more: bytes, status: int) -> None:
    """Before, between and after a body: the answer comes long before 16 MiB are sent."""
    taken = 0
    with socket.create_connection(service.address, timeout=30) as connection:
        with suppress(ConnectionError):
            connection.sendall(begin)
            for _ in range(16 * MIB // len(more)):
                connection.sendall(more)
                taken += len(more)
        received = b""
        with suppress(ConnectionError):
            while data := connection.recv(65536):
                received += data
    # An answer before it is allowed: of what was asked before, or of a body that nobody reads.
    assert taken < 16 * MIB or statuses(received)[-1] == status
    assert all(found in (200, status) for found in statuses(received)), received
    assert service.get("/healthz").status_code == 200


def test_a_large_body_in_middling_chunks_is_read(service: Service) -> None:
    """What frames a body grows with it: 900 KB in chunks of 100 bytes are no attack."""
    body = b'{"x": ' + b" " * 900_000 + b"0}"
    parts = (body[start : start + 100] for start in range(0, len(body), 100))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    received = talk(service.address, chunked(chunks + b"0\r\n\r\n", more=b"Connection: close\r\n"))
    assert statuses(received) == [200], received[:300]


def test_many_requests_in_one_breath_are_answered_one_by_one(service: Service) -> None:
    """In their order, each behind a body, however they were cut on their way."""
    asked = [chunked().replace(HOST, HOST + b"X-Request-ID: n%d\r\n" % n, 1) for n in range(300)]
    received = talk(service.address, b"".join(asked) + HIDDEN)
    ids = re.findall(rb"x-request-id: ([a-z0-9]+)", received.lower())
    assert ids == [*(b"n%d" % n for n in range(300)), b"hidden"]


def test_the_log_of_the_service_has_no_traceback(service: Service) -> None:
    """Whatever was sent to it."""
    assert Path(service.log).read_text().count("Traceback") == 0
