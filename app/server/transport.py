"""A connection's way out: small writes go out together, and its end waits for what was sent.

Beside it, who is waited for: how fast bodies go over a connection, in either direction, and whether
a client that sends no more is still there for its answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

# The head of an answer is smaller.
_SMALL_BYTES: Final = 4096
# To copy more takes longer than to hand on two pieces.
_LONG_BYTES: Final = 2**16
# How long an end waits for a client that may be sending; and how often it looks.
_LISTEN_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05
_LONGEST_LOOK_SECONDS: Final = 1.0
# No state of tcp(7), but of the kernel's list of them.
_TCP_CLOSE: Final = 7
_RESET: Final = struct.pack("ii", 1, 0)
# How often a client that sends no more is looked at.
PRESENCE_SECONDS: Final = 0.5
# Clients pass over it (RFC 9110, section 15.2); the kernel of one that has gone refuses it.
_ASIDE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

log = logging.getLogger(__name__)


class Outgoing(asyncio.Transport):
    """`transport`, but a small write waits for the next one, or for the end of the loop's step.

    The server writes the head of an answer and its body one after the other. Each would go to the
    kernel at once, and as a packet of its own: together they cost half as much on both sides.

    `holding` are all connections of the `loop` that hold a write: one call in its next step is for
    all of them.

    `close` says that no more comes (RFC 9112, section 9.6) and keeps the connection until its
    client has taken everything. Whoever takes less than `least_rate` bytes a second over
    `rate_seconds` is not waited for. While `listens` is set, clients that may be sending still have
    a moment to stop: their kernel drops an answer when its bytes are not read.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        holding: list[Outgoing],
        *,
        least_rate: float = 0.0,
        rate_seconds: float = 60.0,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._holding = holding
        self._held: bytes | None = None
        self._least_bytes = max(1.0, least_rate * rate_seconds)
        self._rate_seconds = rate_seconds
        self._ending: asyncio.TimerHandle | None = None
        self.listens = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._ending is not None:
            return
        held, self._held = self._held, None
        if held is not None and len(data) > _LONG_BYTES:
            self._transport.writelines((held, data))
        elif held is not None:
            self._transport.write(b"".join((held, data)))
        elif len(data) <= _SMALL_BYTES:
            self._held = bytes(data)
            if not self._holding:
                self._loop.call_soon(_flush_all, self._holding)
            self._holding.append(self)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        held, self._held = self._held, None
        if held is not None and not self._transport.is_closing():
            self._transport.write(held)

    def close(self) -> None:
        if self.is_closing():
            return
        self._flush()
        left = self.left_bytes()
        if not (left or self.listens) or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        listen_seconds = _LISTEN_SECONDS if self.listens else 0.0
        self._look(_LOOK_SECONDS, listen_seconds, self._loop.time(), left)

    def _look(self, pause: float, listen_seconds: float, since: float, left_then: int) -> None:
        """Wait while the client takes what is left, then for its own end."""
        left, now = self.left_bytes(), self._loop.time()
        if not left:
            if listen_seconds <= 0:
                self._transport.close()
                return
            listen_seconds -= pause
        elif now - since > self._rate_seconds:
            if left_then - left < min(left_then, self._least_bytes):
                client = self._transport.get_extra_info("peername")
                log.warning(
                    "hung up on %s, which had %d bytes of its last answer to take", client, left
                )
                self.abort()
                return
            since, left_then = now, left
        longer = min(2 * pause, _LONGEST_LOOK_SECONDS)
        self._ending = self._loop.call_later(
            pause, self._look, longer, listen_seconds, since, left_then
        )

    def left_bytes(self) -> int:
        """What was written and the client's kernel has not taken."""
        return self.get_write_buffer_size() + _queued_bytes(self._transport)

    def is_over(self) -> bool:
        """Whether the other side has reset the connection; maybe nobody has read of it yet."""
        with _socket_of(self._transport) as connection:
            return connection is not None and _is_over(connection)

    def release(self) -> None:
        """End without waiting: the kernel goes on sending what it has."""
        self._flush()
        self._transport.close()

    def lost(self) -> None:
        """The connection is over."""
        self._held = None
        if self._ending is not None:
            self._ending.cancel()

    def abort(self) -> None:
        self._held = None
        with _socket_of(self._transport) as connection:
            if connection is not None:
                # Else the kernel would go on sending what it has, for as long as that takes.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._ending is not None or self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + len(self._held or b"")


def _queued_bytes(transport: asyncio.Transport) -> int:
    """What the kernel holds that the other side has not acknowledged (tcp(7), SIOCOUTQ)."""
    with _socket_of(transport) as connection:
        if connection is None or _is_over(connection):
            return 0
        try:
            from fcntl import ioctl
            from termios import TIOCOUTQ
        except ImportError:  # such a system does not tell
            return 0
        with suppress(OSError):
            return int(struct.unpack("i", ioctl(connection.fileno(), TIOCOUTQ, bytes(4)))[0])
    return 0


def _is_over(connection: socket.socket) -> bool:
    """Whether the other side has reset the connection, which takes nothing any more."""
    if not hasattr(socket, "TCP_INFO") or connection.family == socket.AF_UNIX:
        return False
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE


@contextmanager
def _socket_of(transport: asyncio.Transport) -> Iterator[socket.socket | None]:
    """The socket below `transport`, whose it stays; None when it is closed."""
    shown = transport.get_extra_info("socket")
    descriptor = -1 if shown is None or transport.is_closing() else shown.fileno()
    if descriptor < 0:
        yield None
        return
    # What event loops show of a socket may have none of its methods.
    connection = socket.socket(fileno=descriptor)
    try:
        yield connection
    finally:
        connection.detach()


def _flush_all(holding: list[Outgoing]) -> None:
    held = holding.copy()
    holding.clear()
    for connection in held:
        connection._flush()


class SendingPace:
    """Watches a body that a client sends: `least_rate` bytes a second, over `seconds` each time.

    `paused` says whether we are the ones who keep it waiting; `on_slow` is called once.
    """

    def __init__(
        self,
        least_rate: float,
        seconds: float,
        paused: Callable[[], bool],
        on_slow: Callable[[], object],
    ) -> None:
        self._least_bytes = least_rate * seconds
        self._seconds = seconds
        self._paused = paused
        self._on_slow = on_slow
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A body begins."""
        self._bytes = 0
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._judge)

    def came(self, size: int) -> None:
        """So many bytes of it have come."""
        self._bytes += size

    def end(self) -> None:
        """It has ended, or nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _judge(self) -> None:
        if self._bytes >= self._least_bytes or self._paused():
            self.begin()
        else:
            self._timer = None
            self._on_slow()


class TakingPace:
    """Watches how fast a client takes what was written to it, while it is waited for.

    `left_bytes` tells what is not taken yet. Once `seconds` were waited, in one piece or in many,
    `on_slow` is called with the bytes that were taken if they are less than `least_rate` a second.
    """

    def __init__(
        self,
        least_rate: float,
        seconds: float,
        left_bytes: Callable[[], int],
        on_slow: Callable[[int], object],
    ) -> None:
        self._least_bytes = least_rate * seconds
        self._seconds = seconds
        self._bytes_left = left_bytes
        self._on_slow = on_slow
        self._since = 0.0
        self._left_before = 0
        self._waited_seconds = 0.0
        self._taken_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        """The client is waited for from now on."""
        loop = asyncio.get_running_loop()
        self._since, self._left_before = loop.time(), self._bytes_left()
        left_seconds = max(0.0, self._seconds - self._waited_seconds)
        self._timer = loop.call_later(left_seconds, self._judge)

    def go_on(self) -> None:
        """It has taken enough for now."""
        if self._timer is not None:
            self._count()
            self.end()

    def end(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self) -> None:
        self._waited_seconds += asyncio.get_running_loop().time() - self._since
        self._taken_bytes += self._left_before - self._bytes_left()

    def _judge(self) -> None:
        self._count()
        self._timer = None
        if self._taken_bytes < self._least_bytes:
            self._on_slow(self._taken_bytes)
            return
        self._waited_seconds, self._taken_bytes = 0.0, 0
        self.wait()


class Presence:
    """Watches a client that has closed its own direction, and may have closed both.

    The two look alike (RFC 9293, section 3.6) until something is sent: where an answer takes long
    and `may_ask` says that none has begun, a word is sent that means nothing. `on_gone` is called
    once the connection turns out to be over.
    """

    def __init__(
        self,
        transport: Outgoing,
        may_ask: Callable[[], bool],
        on_gone: Callable[[], object],
    ) -> None:
        self._transport = transport
        self._may_ask = may_ask
        self._on_gone = on_gone
        self._asked = False
        self._timer = self._later()

    def _later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(PRESENCE_SECONDS, self._look)

    def _look(self) -> None:
        if self._transport.is_over():
            self._on_gone()
            return
        if not self._asked and self._may_ask():
            self._asked = True
            self._transport.write(_ASIDE)
        self._timer = self._later()

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._timer.cancel()
