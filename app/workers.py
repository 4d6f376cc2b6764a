"""Several worker processes that one parent keeps alive: uvicorn's own, but for how they end."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from functools import cached_property
from socket import socket
from typing import Any, Final, NoReturn

from uvicorn import Config
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.errors import CatalogError
from app.serving import Server

# uvicorn's own status for a server that did not come to serve.
STARTUP_FAILED: Final = 3

log = logging.getLogger(__name__)


def end_by_itself() -> None:
    """Let SIGTERM end this process as its last line would, with status 0.

    uvicorn stops serving at the signal, and then ends by it: what is to be cleared away at the end
    of a process would not be.
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(*signalled: object) -> NoReturn:
    sys.exit(0)


class Worker(Process):
    """One of the processes; it gives back what it shares with the others when it ends."""

    @cached_property
    def server(self) -> Server:
        """What it runs."""
        return Server(self.config)

    def target(self, sockets: list[socket] | None = None) -> None:
        """What the process runs."""
        end_by_itself()
        super().target(sockets)


class Workers(Multiprocess):
    """Calls `reload` on SIGHUP, where uvicorn would start all workers anew.

    Workers follow the news without that, all or none of them, and keep what they have in memory.
    """

    def __init__(self, config: Config, sockets: list[socket], reload: Callable[[], Any]) -> None:
        super().__init__(config, sockets)
        self._reload = reload

    def init_processes(self) -> None:
        """Start all of them."""
        self.processes += [self._begin() for _ in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        """Start another for each that has died or does not answer; end with what cannot start."""
        for index, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if worker.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            worker.kill()
            worker.join()
            if worker.exitcode == STARTUP_FAILED:
                log.error("worker [%s] did not come to serve: the others end too", worker.pid)
                self.should_exit.set()
                return
            log.warning("worker [%s] died, and another one takes its place", worker.pid)
            self.processes[index] = self._begin()

    def terminate_all(self) -> None:
        """Have all of them end; nobody is let in to wait for one while they do."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        """Reload; what is wrong with the operator's files goes to the log."""
        try:
            self._reload()
        except CatalogError as error:
            log.error("the catalog stays as it was: %s", error)
        else:
            log.info("the catalog was reloaded")

    def handle_ttin(self) -> None:
        """One worker more."""
        self.processes_num += 1
        self.processes.append(self._begin())

    def _begin(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker
