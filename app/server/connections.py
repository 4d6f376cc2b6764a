"""The connections of one event loop: how many there may be, and who makes room for new ones."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..settings import Settings
from .transport import Outgoing

# Accepted in one step of the loop: descriptors of connections that make room are free in the next.
_AT_ONCE: Final = 16
_PAUSE_SECONDS: Final = 0.05
# A system without descriptors or memory for one more connection.
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# More of them help nobody, and some systems name no bound at all.
_MOST_DESCRIPTORS: Final = 2**16
_MOST_CONNECTIONS: Final = 10_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may take: bytes, seconds, and bytes a second over `rate_seconds`.

    Of `connections` at once, `reserved_connections` are for requests that operators make.
    """

    connections: int = 1000
    reserved_connections: int = 16
    head_bytes: int = 64 * 2**10
    head_seconds: float = 30.0
    answer_bytes_per_second: int = 80 * 2**10
    body_bytes_per_second: int = 4 * 2**10
    rate_seconds: float = 20.0


class _Drain:
    """Stands among a server's connections, and so learns that the server begins to stop.

    Connections that are made after that are told nothing by uvicorn: they look at `draining`.
    """

    def __init__(self, server: set[Any], connections: Connections) -> None:
        self._server = server
        self._connections = connections
        self.told = self.began = False
        server.add(self)

    def shutdown(self) -> None:
        self.began = self._connections.draining = True
        self._server.discard(self)


class Connection(Protocol):
    """One that may be told to make room."""

    client: tuple[str, int] | None
    transport: Outgoing

    def make_room(self) -> None:
        """End, while nothing is being answered."""


@dataclass(eq=False, slots=True)
class Connections:
    """Who is connected, and of those that are not being answered who has waited longest.

    `draining` is so from the moment in which the server begins to stop.
    """

    limits: ConnectionLimits
    draining: bool = False
    holding: list[Outgoing] = field(default_factory=list)
    _all: set[Connection] = field(default_factory=set)
    _waiting: dict[Connection, None] = field(default_factory=dict)
    # They are told to make room, and have a descriptor until the loop's next step.
    _leaving: set[Connection] = field(default_factory=set)

    @classmethod
    def among(
        cls, server: set[Any], state: dict[str, object], limits: ConnectionLimits | None = None
    ) -> Connections:
        """What the connections of a `server` share by its `state`: made when first asked for."""
        found = state.get("connections")
        if not isinstance(found, cls):
            found = state["connections"] = cls(limits or ConnectionLimits())
            # Where the application looks.
            state["drain"] = _Drain(server, found)
        return found

    def __len__(self) -> int:
        """How many there are, but for those that leave."""
        return len(self._all) - len(self._leaving)

    def add(self, connection: Connection) -> None:
        """A new one, which waits for its first request."""
        self._all.add(connection)
        self._waiting[connection] = None

    def answer(self, connection: Connection) -> bool:
        """It has asked; whether more are answered now than may be, but for what operators ask."""
        self._waiting.pop(connection, None)
        answered = len(self._all) - len(self._waiting) - len(self._leaving)
        return answered > self.limits.connections - self.limits.reserved_connections

    def wait(self, connection: Connection) -> None:
        """It was answered, and waits again, as the last of all."""
        if connection in self._all and connection not in self._leaving:
            self._waiting[connection] = None

    def discard(self, connection: Connection) -> None:
        """It is over."""
        self._all.discard(connection)
        self._leaving.discard(connection)
        self._waiting.pop(connection, None)

    def left_bytes(self) -> Iterator[tuple[str, int]]:
        """For each, by its client's address, what was written and not taken."""
        for connection in self._all:
            host, port = connection.client or ("", 0)
            yield f"{host}:{port}", connection.transport.left_bytes()

    def has_room(self) -> bool:
        """Whether there may be one more, now or once somebody makes room."""
        return len(self) < self.limits.connections or bool(self._waiting)

    def make_room(self, *, always: bool = False) -> None:
        """End those who have waited longest, while there are too many; `always` one of them."""
        while self._waiting and (always or len(self) >= self.limits.connections):
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            self._leaving.add(oldest)
            oldest.make_room()
            always = False


class Acceptor:
    """Takes new connections from `listener` while there is room for them.

    Event loops do that themselves, but as many as there are: without a descriptor left they hang
    up on all, whoever it is.
    """

    def __init__(
        self,
        listener: socket.socket,
        connections: Connections,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._connections = connections
        self._make_protocol = make_protocol
        self._beginning: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._told = False
        listener.setblocking(False)
        self._go_on()

    def close(self) -> None:
        """Take no more; the listener is whose it was."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.fileno())

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._connections.has_room():
                self._wait("as many connections as there may be are being answered")
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._connections.make_room(always=True)
                self._wait(str(error))
                return
            self._connections.make_room()
            self._begin(connection)

    def _wait(self, why: str) -> None:
        """Leave who comes to the kernel for a moment."""
        if not self._told:
            log.warning("new connections wait: %s", why)
            self._told = True
        self._loop.remove_reader(self._listener.fileno())
        self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _begin(self, connection: socket.socket) -> None:
        self._told = self._told and len(self._connections) >= self._connections.limits.connections
        connection.setblocking(False)
        begun = self._loop.connect_accepted_socket(self._make_protocol, connection)
        task = self._loop.create_task(begun)
        self._beginning.add(task)
        task.add_done_callback(self._begun)

    def _begun(self, task: asyncio.Task[object]) -> None:
        self._beginning.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.debug("a connection ended as it began: %s", error)


def raise_descriptor_limit() -> int:
    """Take as many descriptors as this process may give itself; their number, for each worker."""
    try:
        import resource
    except ImportError:  # Windows counts otherwise, and far
        return _MOST_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have a smaller bound that they do not tell.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def connection_limits(settings: Settings, descriptors: int) -> ConnectionLimits:
    """What connections may take, by the settings; stores and files need some `descriptors` too."""
    connections = settings.connections or min(descriptors * 3 // 4, _MOST_CONNECTIONS)
    return ConnectionLimits(
        connections=max(connections, 1),
        reserved_connections=min(settings.reserved_connections, connections - 1),
        head_bytes=settings.head_bytes,
        head_seconds=settings.head_seconds,
        answer_bytes_per_second=settings.answer_bytes_per_second,
        body_bytes_per_second=settings.body_bytes_per_second,
        rate_seconds=settings.rate_seconds,
    )
