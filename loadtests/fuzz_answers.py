"""What came for a talk with the server, and whether a server may say that."""

from __future__ import annotations

import gzip
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from io import BytesIO
from json import loads
from typing import Any

import zstandard

from loadtests.fuzz_talks import HIDDEN_ID, Talk

DEADLINE_SECONDS = 10
# The one answer of its kind that is a client's fault (RFC 9112, section 6.1).
UNKNOWN_CODING = 501


class Fault(Exception):
    """An answer that no request may get; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for a request by this method, in all seconds since it was sent."""

    method: str
    status: int
    media_type: str
    content: bytes
    seconds: float
    request_id: str = ""


class _Received(BytesIO):
    """All that came over a connection, for readers who take it for one, and each leave the rest."""

    def makefile(self, *_: object) -> _Received:
        return self

    def close(self) -> None:
        pass


def send(talk: Talk, address: tuple[str, int]) -> list[Answer]:
    """The answers on a connection of its own; raises if the server does not hang up in time."""
    began = time.perf_counter()
    with socket.create_connection(address, timeout=2 * DEADLINE_SECONDS) as connection:
        # A server that has refused and hung up resets what still comes.
        with suppress(ConnectionError):
            connection.sendall(talk.sent)
        received = _Received(_until_the_end(connection))
    seconds = time.perf_counter() - began
    size = len(received.getvalue())
    answers: list[Answer] = []
    while received.tell() < size:
        method = talk.methods[len(answers)] if len(answers) < len(talk.methods) else ""
        answers.append(read(received, method, seconds))
    return answers


def _until_the_end(connection: socket.socket) -> bytes:
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def read(received: _Received, method: str, seconds: float) -> Answer:
    """The next answer; raises where it is not whole."""
    answer = HTTPResponse(received, method=method)  # type: ignore[arg-type]  # it reads a file
    answer.begin()
    headers = answer.headers
    content = unpacked(answer.read(), headers.get("Content-Encoding", ""))
    if method == "HEAD" and received.getvalue()[received.tell() :].startswith(b"{"):
        # What cannot be parsed is refused before anybody knows its method.
        content = received.read()
    told = [headers.get(name, "") for name in ("Content-Type", "X-Request-ID")]
    return Answer(method, answer.status, told[0], content, seconds, told[1])


def unpacked(content: bytes, coding: str) -> bytes:
    """The content before it was compressed, if it is any; raises where it is not whole."""
    if content and coding == "gzip":
        return gzip.decompress(content)
    if content and coding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return content


def check(answer: Answer) -> None:
    """Returns if the answer is one that a request may get; otherwise raises Fault."""
    if answer.status >= 500 and answer.status != UNKNOWN_CODING:
        raise Fault(f"{answer.status}: {answer.content[:300]!r}")
    if answer.seconds > DEADLINE_SECONDS:
        raise Fault(f"{answer.seconds:.1f} s for a {answer.status}")
    media_type = answer.media_type.partition(";")[0]
    if answer.status >= 400 and media_type != "application/problem+json":
        raise Fault(f"a {answer.status} of type {answer.media_type!r}")
    if answer.method.upper() == "HEAD" or not media_type.endswith(("/json", "+json")):
        return
    try:
        told = loads(answer.content, parse_constant=_refused)
    except ValueError as error:
        raise Fault(f"a {answer.status} that is not JSON: {error}") from error
    if answer.status >= 400 and told.get("status") != answer.status:
        raise Fault(f"a {answer.status} that calls itself {told.get('status')}")
    if answer.status == 200 and "data_vars" in told:
        check_shapes(told)


def check_shapes(document: dict[str, Any]) -> None:
    """Returns if each variable's data has the sizes of its dimensions; otherwise raises Fault."""
    for name, variable in {**document["coords"], **document["data_vars"]}.items():
        data = variable.get("data")
        for dim in variable["dims"] if "data" in variable else ():
            size = document["dims"][dim]
            if not isinstance(data, list) or len(data) != size:
                raise Fault(f"{name} is not as long along {dim} as that is: {size}")
            if not size:
                break
            data = data[0]


def check_talk(talk: Talk, answers: list[Answer]) -> None:
    """Returns if there are as many answers as there have to be; otherwise raises Fault."""
    asked, came = len(talk.methods), len(answers)
    if came != asked and not (0 < came < asked and answers[-1].status >= 400):
        raise Fault(f"{came} answers to {asked} requests: {talk.sent[:300]!r}")
    if talk.doubtful and any(answer.request_id == HIDDEN_ID for answer in answers):
        raise Fault(f"an answer to what may be a part of a body: {talk.sent[:300]!r}")


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
