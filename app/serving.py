"""uvicorn's server, but for whom it lets in, and for what it waits at its end."""

from __future__ import annotations

import logging
import socket
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn

from .connections import Acceptor, ConnectionLimits, Connections
from .telemetry.logs import JsonLines, log_what_nobody_caught

# How many connections that are cut short have a place in the line that tells of them.
_TOLD: Final = 5

log = logging.getLogger(__name__)


class Config(uvicorn.Config):
    """uvicorn's, with what a connection may take."""

    def __init__(self, app: str, *, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(app, **options)
        self.limits = limits

    def configure_logging(self) -> None:
        """Set up the log of this process; where it is JSON, for what Python itself writes, too."""
        super().configure_logging()
        config = self.log_config
        if isinstance(config, dict) and config["formatters"]["default"].get("()") is JsonLines:
            log_what_nobody_caught()

    def listener(self) -> socket.socket:
        """The socket to listen on; what connections take from it, they take at once.

        No part of an answer waits for the one before (TCP_NODELAY).
        """
        # A descriptor that was handed over does not tell uvicorn what kind of socket it is.
        listener = socket.socket(fileno=self.bind_socket().detach())
        listener.set_inheritable(True)
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener


class Server(uvicorn.Server):
    """Accepts connections itself; ends when its clients have what was sent to them."""

    config: Config

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application while those who connect wait, then let them in."""
        # Imported here: a process that only watches over workers does without.
        from .protocol import HttpProtocol

        for listener in sockets or []:
            listener.listen(self.config.backlog)
        await super().startup(sockets=[])
        mates, state = self.server_state.connections, self.lifespan.state
        self._connections = Connections.among(mates, state, self.config.limits)
        make = partial(HttpProtocol, self.config, self.server_state, state)
        self._acceptors = [Acceptor(one, self._connections, make) for one in sockets or []]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Heed a signal; from now on `/readyz` says so, if there is an application to ask."""
        drain = self.lifespan.state.get("drain") if self.started else None
        if drain is not None:
            drain.told = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in, and end; say what was not taken within the grace time."""
        for acceptor in self._acceptors:
            acceptor.close()
        await super().shutdown(sockets)
        _tell_of_cut(self._connections)


def _tell_of_cut(connections: Connections) -> None:
    left = {name: size for name, size in connections.left_bytes() if size}
    if not left:
        return
    largest = sorted(left, key=lambda name: -left[name])[:_TOLD]
    log.warning(
        "%d connections ended with %d bytes that their clients had not taken: %s",
        len(left),
        sum(left.values()),
        ", ".join(f"{name} {left[name]}" for name in largest),
    )
