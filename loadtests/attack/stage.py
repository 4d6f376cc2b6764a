"""What attacks stand on: a server, and what it takes while it is attacked, seen from outside."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from loadtests.ground import serving

MIB: Final = 2**20
_LOOK_SECONDS: Final = 0.02
_GIVE_UP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of one attack, and the most that it may be."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit


@dataclass(slots=True)
class Watch:
    """The longest ``/healthz`` (ms) and the growth of memory (MiB) of a server, so far."""

    longest_ms: float = 0.0
    failed: int = 0
    grown_mib: float = 0.0

    def figures(self, name: str, *, longest_ms: float, grown_mib: float) -> list[Figure]:
        """The three of them as rows, with their limits; a health check that fails is over its."""
        return [
            Figure(f"{name}: longest /healthz", self.longest_ms, longest_ms, "ms"),
            Figure(f"{name}: /healthz that failed", self.failed, 0),
            Figure(f"{name}: memory grew", self.grown_mib, grown_mib, "MiB"),
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """A running server: its process, its socket, and its log."""

    pid: int
    address: str
    log: Path

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where its socket listens."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        return host, int(port)

    def memory(self) -> int:
        """Resident bytes of the process and of its children."""
        process = psutil.Process(self.pid)
        return sum(_resident(one) for one in [process, *process.children(recursive=True)])

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Ask ``/healthz`` on ever new connections, and look at memory, until the block ends."""
        watch, over, start = Watch(), threading.Event(), self.memory()

        def look() -> None:
            while not over.wait(_LOOK_SECONDS):
                began = time.monotonic()
                if not self._is_healthy():
                    watch.failed += 1
                watch.longest_ms = max(watch.longest_ms, 1000 * (time.monotonic() - began))
                watch.grown_mib = max(watch.grown_mib, (self.memory() - start) / MIB)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield watch
        finally:
            over.set()
            thread.join()

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(*self.host_and_port, timeout=_GIVE_UP_SECONDS)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder for stores and logs, and servers over them."""

    folder: Path

    @contextmanager
    def serving(
        self, entries: Mapping[str, Path | str | Mapping[str, Any]], *options: str, **settings: str
    ) -> Iterator[Target]:
        """A server over these entries (an address alone is a whole entry) until the block ends."""
        whole = {
            name: dict(entry) if isinstance(entry, Mapping) else {"url": str(entry)}
            for name, entry in entries.items()
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        catalog, log = self.folder / "catalog.yaml", self.folder / "server.log"
        catalog.write_text(json.dumps({"datasets": whole}), encoding="utf-8")
        with serving(catalog, log, *options, **settings) as (pid, address):
            yield Target(pid, address, log)
