"""The processes of a service, seen from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PATIENCE_SECONDS = 90.0


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes of the server with this process id, those that end left out."""
    children = psutil.Process(pid).children()
    return [child for child in children if _is_worker(child)]


def _is_worker(child: psutil.Process) -> bool:
    try:
        return any("spawn_main" in word for word in child.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def until(it: Callable[[], bool], what: str) -> None:
    """Return when it is so; fails when it does not become so."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not it():
        assert time.monotonic() < ends, f"it did not come to {what}"
        time.sleep(0.05)


def says(log: Path, words: str, times: int = 1) -> Callable[[], bool]:
    """Whether the log has these words so many times by now."""
    return lambda: log.read_text(encoding="utf-8", errors="replace").count(words) >= times


def status_of(pid: int) -> int:
    """How the process ends, a child of this one that nobody has waited for: its status or signal.

    The status stays for whoever waits later.
    """
    ended: os.waitid_result | None = None

    def has_ended() -> bool:
        nonlocal ended
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        return ended is not None

    until(has_ended, "an end")
    assert ended is not None
    return ended.si_status


def is_there(process: psutil.Process) -> bool:
    """Whether the process has not ended yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
