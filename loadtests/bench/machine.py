"""Processes on chosen cores, stopped while others are measured; what the kernel says of them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench.stand_in import asked_since
from loadtests.ground import free_port, running, wait_until_it_answers

_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """The core that contestants run on, and the one for everything that asks them."""
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[-1]


@contextmanager
def on_the_asking_core() -> Iterator[None]:
    """Keep this process off the contestants' core while it asks them."""
    home = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores()[1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, home)


@dataclass(frozen=True, slots=True)
class Usage:
    """A process and its children at one moment; memory in bytes, CPU in seconds."""

    rss: int
    threads: int
    switches: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """A contestant that runs: where it listens, and its process.

    One that has a supervisor must not sleep: it would take its workers for dead when it wakes.
    """

    name: str
    address: str
    pid: int
    sleeps: bool = True

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Run it for this block; outside of it a sleeping server costs the others nothing."""
        os.killpg(self.pid, signal.SIGCONT)
        try:
            yield
        finally:
            self.sleep()

    def sleep(self) -> None:
        """Stop it where it is."""
        if self.sleeps:
            os.killpg(self.pid, signal.SIGSTOP)

    def usage(self) -> Usage:
        """What it takes now."""
        return usage(self.pid)

    def peak(self) -> int:
        """The most memory that it had since `forget_peak`, in bytes, each process at its own."""
        return sum(
            _bytes(_status(Path(f"/proc/{pid}/status")), "VmHWM") for pid in family(self.pid)
        )

    def forget_peak(self) -> None:
        """From now on `peak` is told (proc(5), ``/proc/pid/clear_refs``)."""
        for pid in family(self.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


@contextmanager
def server(
    name: str,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    *,
    ready: str,
    core: int | None,
    sleeps: bool = True,
) -> Iterator[Server]:
    """`command --port N`, pinned to `core` (None: any), asleep once `ready` was answered."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    whole = [*pinned(core), *command, "--port", str(port)]
    with running(whole, log, **environment) as process:
        wait_until_it_answers(process, f"{address}{ready}", log)
        found = Server(name, address, process.pid, sleeps)
        found.sleep()
        try:
            yield found
        finally:
            # What is stopped cannot end.
            os.killpg(process.pid, signal.SIGCONT)


@contextmanager
def stand_in(root: Path, log: Path) -> Iterator[str]:
    """The endpoint of the S3 stand-in over `root`, on the asking core."""
    port = free_port()
    command = [sys.executable, "-m", "loadtests.bench.stand_in", str(root), str(port)]
    endpoint = f"http://127.0.0.1:{port}"
    with running([*pinned(cores()[1]), *command], log) as process:
        wait_until_it_answers(process, f"{endpoint}/-/asked", log)
        asked_since(endpoint)
        yield endpoint


def pinned(core: int | None) -> list[str]:
    """The words before a command that runs on `core`, or on every one of ours."""
    where = ",".join(map(str, sorted(set(cores())))) if core is None else str(core)
    return ["taskset", "-c", where]


def usage(pid: int) -> Usage:
    """What a process and its children take now, threads that have ended left out of switches."""
    found = [_usage_of(each) for each in family(pid)]
    return Usage(
        sum(one.rss for one in found),
        sum(one.threads for one in found),
        sum(one.switches for one in found),
        sum(one.cpu for one in found),
    )


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for task in _tasks(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def _usage_of(pid: int) -> Usage:
    status = _status(Path(f"/proc/{pid}/status"))
    tasks = [_status(task / "status") for task in _tasks(pid)]
    switches = [int(task.get("voluntary_ctxt_switches", 0)) for task in tasks]
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # utime and stime are fields 14 and 15 of proc(5); two of them came before the last bracket.
    cpu = (int(stat[11]) + int(stat[12])) / _TICKS
    return Usage(_bytes(status, "VmRSS"), int(status["Threads"]), sum(switches), cpu)


def _bytes(status: Mapping[str, str], name: str) -> int:
    return int(status.get(name, "0 kB").split()[0]) * 1024


def _tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def _status(path: Path) -> dict[str, str]:
    try:
        text = path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        # A thread that has just ended.
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in lines}
