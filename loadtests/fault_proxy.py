"""A proxy in front of any S3 that misbehaves as it is told: by kind, by chance, and by a seed."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Self

HEAD_END = b"\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
ILL = b"<Error><Code>ServiceUnavailable</Code><Message>Try again.</Message></Error>"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Fault(StrEnum):
    """What may happen to an answer."""

    LATENCY = "latency"  # it begins late
    JITTER = "jitter"  # it begins more or less late
    UNAVAILABLE = "unavailable"  # 503 ServiceUnavailable
    SLOW_DOWN = "slow down"  # 503 SlowDown
    RESET = "reset"  # the connection is reset in its place
    TRUNCATION = "truncation"  # half of what its head promises, then the end of the connection
    STALL = "stall"  # it never begins
    WRONG_LENGTH = "wrong length"  # half of the value, and a head that fits the half
    DRIP = "drip"  # a byte now and then


@dataclass
class FaultProxy:
    """Passes requests without bodies on to `upstream` (host and port), and mostly their answers.

    `chances` are looked up for each answer by the kind of fault; `slow_seconds` is how late a late
    answer begins, and how long a drop takes. `asked` counts requests, `hit` faults.
    """

    upstream: tuple[str, int]
    seed: int = 0
    chances: Mapping[Fault, float] = field(default_factory=dict)
    slow_seconds: float = 0.02
    asked: Counter[str] = field(default_factory=Counter)
    hit: Counter[Fault] = field(default_factory=Counter)
    address: str = ""
    _server: asyncio.Server | None = None
    clients: set[asyncio.Transport] = field(default_factory=set)
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._random = Random(self.seed)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        for client in self.clients:
            client.close()

    def meet(self, talk: asyncio.Task[None]) -> None:
        """Look after a conversation until it ends."""
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def answer(self, head: bytes, above: Upstream, client: asyncio.Transport) -> None:
        """Ask `above`, and tell the `client` what it said, or something else."""
        self.asked[head.split(b" ", 2)[1].decode()] += 1
        answer = await above.ask(head)
        await self._tell(client, answer, self._fault())

    def _fault(self) -> Fault | None:
        drawn = self._random.random()
        for fault, chance in self.chances.items():
            if drawn < chance:
                self.hit[fault] += 1
                return fault
            drawn -= chance
        return None

    async def _tell(
        self, client: asyncio.Transport, answer: tuple[bytes, bytes], fault: Fault | None
    ) -> None:
        head, body = answer
        match fault:
            case Fault.LATENCY:
                await asyncio.sleep(self.slow_seconds)
            case Fault.JITTER:
                await asyncio.sleep(self._random.random() * self.slow_seconds)
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.DRIP:
                await self._drip(client, head, body)
                return
            case Fault.RESET:
                _reset(client)
                return
            case _:
                head, body = _changed(head, body, fault)
        client.write(head + body)
        if fault is Fault.TRUNCATION:
            client.close()

    async def _drip(self, client: asyncio.Transport, head: bytes, body: bytes) -> None:
        client.write(head)
        for drop in body:
            client.write(bytes([drop]))
            await asyncio.sleep(self.slow_seconds)


class Upstream:
    """One connection to the S3 behind, made when it is first needed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, head: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer to the request with this `head`."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(head)
        answer = await reader.readuntil(HEAD_END)
        if head.startswith(b"HEAD ") or answer.split()[1] in (b"204", b"304"):
            return answer, b""
        length = _LENGTH.search(answer)
        assert length is not None, answer
        return answer, await reader.readexactly(int(length[1]))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


class _Client(asyncio.Protocol):
    """One connection of a client: when it goes, so does what is being told."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._received = b""
        self._above = Upstream(proxy.upstream)
        self._talk: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._proxy.clients.add(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(HEAD_END):
            head, self._received = self._received, b""
            self._talk = asyncio.create_task(self._proxy.answer(head, self._above, self._transport))
            self._proxy.meet(self._talk)

    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy.clients.discard(self._transport)
        if self._talk is not None:
            self._talk.cancel()
        self._above.close()


def _changed(head: bytes, body: bytes, fault: Fault | None) -> tuple[bytes, bytes]:
    match fault:
        case Fault.UNAVAILABLE:
            return _with_length(UNAVAILABLE, len(ILL)), ILL
        case Fault.SLOW_DOWN:
            return _with_length(UNAVAILABLE, len(SLOW_DOWN)), SLOW_DOWN
        case Fault.TRUNCATION:
            return head, body[: len(body) // 2]
        case Fault.WRONG_LENGTH:
            return _with_length(head, len(body) // 2), body[: len(body) // 2]
        case _:
            return head, body


def _with_length(head: bytes, length: int) -> bytes:
    return _LENGTH.sub(b"\r\nContent-Length: %d" % length, head)


def _reset(client: asyncio.Transport) -> None:
    # A socket that does not linger is closed by a reset (SO_LINGER of zero seconds, socket(7)).
    linger = struct.pack("ii", 1, 0)
    client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.abort()
