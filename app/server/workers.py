"""uvicorn's server, and several worker processes that one parent keeps alive.

Both are uvicorn's own, but for whom the server lets in, for what it waits at its end, and for how
workers end: a process that lives may be one whose loop is stalled, so the parent asks how often
it has turned.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any, Final, NoReturn

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from sluice.errors import CatalogError

from ..errors import NotTold
from ..telemetry.families import leave, make_room
from ..telemetry.logs import JsonLines, log_what_nobody_caught, write_signalled
from .connections import Acceptor, ConnectionLimits, Connections
from .processes import HEARTBEAT_SECONDS, Heartbeat, Shared, Stall

# uvicorn's own status for a server that did not come to serve.
STARTUP_FAILED: Final = 3

# How long a stalled process may take to write its stacks.
_LAST_WORDS_SECONDS: Final = 5.0

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


def end_by_itself() -> None:
    """Let SIGTERM end this process as its last line would, with status 0.

    uvicorn stops serving at the signal, and then ends by it: what is to be cleared away at the end
    of a process would not be.
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(*signalled: object) -> NoReturn:
    sys.exit(0)


class WatchedServer(Server):
    """A server whose loop has a heartbeat while it serves.

    It ends when its parent has gone, if it has a `parent` that watches over it: it would hold the
    address of the server that is started next.
    """

    def __init__(self, config: Config, heartbeat: Heartbeat, parent: int | None = None) -> None:
        super().__init__(config)
        self._heartbeat = heartbeat
        self._parent = parent

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends it."""
        with self._heartbeat.counted():
            await super().serve(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; asked ten times a second."""
        if self._parent is not None and os.getppid() != self._parent:
            log.error("the process that watched over this one has gone: this one ends, too")
            return True
        return await super().on_tick(counter)


class Worker(Process):
    """One of the processes; it gives back what it shares with the others when it ends."""

    config: Config

    def __init__(
        self, config: Config, sockets: list[socket.socket], shared: Shared, stall_seconds: float
    ) -> None:
        super().__init__(config, sockets)
        self.place = shared.place
        self._shared = shared
        self._heartbeat = Heartbeat(shared.heartbeats, shared.place)
        self._stall = Stall(stall_seconds)
        self._parent = os.getpid()

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What the process runs."""
        end_by_itself()
        # The parent's last question to a stalled loop is answered with all stacks.
        faulthandler.enable()
        self._shared.to_environment()
        heartbeat = Heartbeat(self._shared.heartbeats, self.place)
        WatchedServer(self.config, heartbeat, self._parent).run(sockets)

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return self.process.is_alive()

    def is_stalled(self) -> bool:
        """Whether its loop has not turned for too long; to be asked again and again."""
        return self._stall.lasts(self._heartbeat.count, stopped=self._is_stopped())

    def give_up(self) -> None:
        """End it at once, with its stacks in the log if it lives."""
        if self.lives:
            log.error(
                "the event loop of worker [%s] has not turned for %g seconds; what it does:",
                self.pid,
                self._stall.limit_seconds,
            )
            self.process.kill() if os.name == "nt" else os.kill(self.pid or 0, signal.SIGABRT)
            self.process.join(_LAST_WORDS_SECONDS)
        self.kill()
        self.process.join()

    def _is_stopped(self) -> bool:
        """Whether somebody has stopped the process, who may let it go on."""
        if not hasattr(os, "waitid") or self.pid is None:
            return False
        try:
            look = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, look) is not None
        except ChildProcessError:
            return False


class Workers(Multiprocess):
    """Calls `reload` on SIGHUP, where uvicorn would start all workers anew: whether it is done.

    Workers follow the news without that, all or none of them, and keep what they have in memory.
    A worker whose loop is stalled for `stall_seconds` is replaced like one that has died.
    """

    config: Config
    processes: list[Worker]  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        reload: Callable[[], bool],
        shared: Shared,
        stall_seconds: float,
    ) -> None:
        super().__init__(config, sockets)
        self._reload = reload
        self._shared = shared
        self._stall_seconds = stall_seconds
        self.failed = False

    def init_processes(self) -> None:
        """Start all of them."""
        for place in range(self.processes_num):
            self.processes.append(self._begin(place))

    def keep_subprocess_alive(self) -> None:
        """Start another for each that has died or is stalled; end with what cannot start."""
        for index, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if worker.lives and not worker.is_stalled():
                continue
            worker.give_up()
            leave(self._shared.counts, worker.place)
            if worker.exitcode == STARTUP_FAILED:
                log.error("worker [%s] did not come to serve: the others end too", worker.pid)
                self.failed = True
                self.should_exit.set()
                return
            log.warning("worker [%s] died, and another one takes its place", worker.pid)
            self.processes[index] = self._begin(worker.place)

    def terminate_all(self) -> None:
        """Have all of them end; nobody is let in to wait for one while they do."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait until all have ended; a stalled one would never."""
        left = self.processes
        while left := [worker for worker in left if worker.lives]:
            left[0].process.join(HEARTBEAT_SECONDS)
            for worker in left:
                if worker.lives and worker.is_stalled():
                    worker.give_up()

    def handle_hup(self) -> None:
        """Reload; what is wrong with the operator's files goes to the log."""
        write_signalled("reload")
        try:
            done = self._reload()
        except (CatalogError, NotTold) as error:
            log.error("the catalog stays as it was: %s", error)
        else:
            # A worker logs the end of what is not done yet.
            log.info("the catalog was reloaded" if done else "the catalog's globs are listed anew")

    def handle_ttin(self) -> None:
        """One worker more."""
        taken = {worker.place for worker in self.processes}
        place = next(place for place in range(len(taken) + 1) if place not in taken)
        self.processes_num += 1
        self.processes.append(self._begin(place))

    def handle_ttou(self) -> None:
        """One worker less."""
        last = self.processes[-1]
        super().handle_ttou()
        if last not in self.processes:
            leave(self._shared.counts, last.place)

    def _begin(self, place: int) -> Worker:
        make_room(self._shared.counts, place + 1)
        shared = replace(self._shared, place=place)
        worker = Worker(self.config, self.sockets, shared, self._stall_seconds)
        worker.start()
        return worker
