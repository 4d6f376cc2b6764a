"""What a connection writes, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.server.transport import Outgoing


class Wire(asyncio.Transport):
    """The end of a connection: each write as it is handed to the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


def joined(holding: list[Outgoing] | None = None) -> tuple[Outgoing, Wire]:
    wire = Wire()
    holding = [] if holding is None else holding
    return Outgoing(wire, asyncio.get_running_loop(), holding), wire


async def test_a_head_goes_out_with_the_body_behind_it() -> None:
    """Two writes are one, however large the second is, and nothing is written twice."""
    transport, wire = joined()
    for body in (b"body", b"b" * 100_000):
        transport.write(b"head")
        transport.write(body)
    await asyncio.sleep(0)
    assert wire.written == [b"headbody", b"head" + b"b" * 100_000]


async def test_what_nothing_follows_goes_out_by_itself() -> None:
    """A head without a body is not kept back longer than the loop's step lasts."""
    transport, wire = joined()
    transport.write(b"head")
    assert wire.written == []
    await asyncio.sleep(0)
    assert wire.written == [b"head"]


async def test_one_step_of_the_loop_sends_what_all_connections_hold() -> None:
    """Each its own, step after step, whatever became of the others."""
    holding: list[Outgoing] = []
    (one, first), (two, second), (three, third) = (joined(holding) for _ in range(3))
    for step in (b"1", b"2"):
        one.write(b"one" + step)
        two.write(b"two" + step)
        three.write(b"three" + step)
        three.abort()
        await asyncio.sleep(0)
    assert first.written == [b"one1", b"one2"]
    assert second.written == [b"two1", b"two2"]
    assert third.written == []
    assert holding == []


async def test_large_parts_are_not_kept_at_all() -> None:
    """The connection's own buffer, which tells writers to wait, sees each of them at once."""
    transport, wire = joined()
    for _ in range(3):
        transport.write(b"p" * 10_000)
    assert len(wire.written) == 3


async def test_the_end_comes_after_what_was_written() -> None:
    """Closing sends the rest first; aborting sends nothing more, and neither does a lost end."""
    transport, wire = joined()
    transport.write(b"last")
    transport.close()
    assert (wire.written, wire.closed) == ([b"last"], True)
    for end in ("abort", "lost"):
        transport, wire = joined()
        transport.write(b"never")
        if end == "abort":
            transport.abort()
        else:
            wire.close()
        await asyncio.sleep(0)
        assert (wire.written, wire.closed) == ([], True)


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of a server that answers each line with a head and a body, written one by one."""

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = Outgoing(transport, asyncio.get_running_loop(), [])

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"%d:" % len(data))
            self.transport.write(data)

    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader, writer
        writer.close()


async def test_over_a_socket_nothing_is_lost_or_moved() -> None:
    """The bytes of many answers arrive in their order."""
    async with echoing() as (reader, writer):
        for number in range(100):
            line = b"x" * number + b"\n"
            writer.write(line)
            assert await reader.readexactly(len(b"%d:" % len(line))) == b"%d:" % len(line)
            assert await reader.readexactly(len(line)) == line
