"""What the processes of one server share, and whether the loop of each is alive.

They share files in memory that have no name in any folder: nobody can sweep them away, and a folder
that is full or read-only does not matter. A process that takes a dead one's place is handed them
like the listening socket.

A stalled loop answers nobody, heeds no signal, and looks alive to whoever asks the
process or one of its threads. So it is asked from outside of it, by who can end its process.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import logging
import os
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from tempfile import TemporaryFile
from typing import Final, Protocol

log = logging.getLogger(__name__)

# The variable of the environment in which the application of a process finds them.
SHARED: Final = "SLUICE_SHARED"

# The status of a process that ends because its loop stood still.
STALLED: Final = 4

# How often a loop says that it turned, and how often somebody looks.
HEARTBEAT_SECONDS: Final = 0.5
# A look that comes later than this was kept from it: the time before does not count.
_LATE_SECONDS: Final = 2 * HEARTBEAT_SECONDS
# How long the stacks may take to be written, to a log that nobody may read any more.
_LAST_WORDS_SECONDS: Final = 5.0

_COUNT: Final = struct.Struct("Q")


def unnamed_file(name: str) -> int:
    """The descriptor of a new, empty file; `name` is what the system's lists show.

    Where the system has no files in memory, it is one of the temporary folder whose name is gone
    before anybody sees it. Raises OSError where neither can be made.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"sluice-{name}")
    with TemporaryFile() as file:
        return os.dup(file.fileno())


@dataclass(frozen=True, slots=True)
class Shared:
    """The descriptors of the files: the control log, the metrics' counts, the loops' heartbeats.

    `place` is the number of this process among the others.
    """

    control_log: int
    counts: int
    heartbeats: int
    place: int = 0

    @classmethod
    def begin(cls) -> Shared:
        """New files for a new server; raises OSError where the system has no room for them."""
        return cls(*map(unnamed_file, ("control-log", "counts", "heartbeats")))

    @classmethod
    def from_environment(cls) -> Shared | None:
        """What `to_environment` has written there; None where nobody has."""
        text = os.environ.get(SHARED)
        return cls(*map(int, text.split(","))) if text else None

    def to_environment(self) -> None:
        """Let the application that this process imports find them."""
        numbers = (self.control_log, self.counts, self.heartbeats, self.place)
        os.environ[SHARED] = ",".join(map(str, numbers))

    def __reduce__(self) -> tuple[object, ...]:
        # A process that is spawned keeps only those descriptors that it is handed.
        files = map(DupFd, (self.control_log, self.counts, self.heartbeats))
        return _handed, (*files, self.place)


class _Duplicate(Protocol):
    """A descriptor on its way to a process that is spawned."""

    def detach(self) -> int: ...


def _handed(
    control_log: _Duplicate, counts: _Duplicate, heartbeats: _Duplicate, place: int
) -> Shared:
    return Shared(control_log.detach(), counts.detach(), heartbeats.detach(), place)


class Heartbeat:
    """How often the loop of one process has turned, counted in a file that its parent reads, too.

    0 as long as it has not begun.
    """

    def __init__(self, file: int, place: int) -> None:
        self._file = file
        self._position = place * _COUNT.size
        os.pwrite(file, bytes(_COUNT.size), self._position)

    @property
    def count(self) -> int:
        """How often it has turned."""
        return int(_COUNT.unpack(os.pread(self._file, _COUNT.size, self._position))[0])

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Beat on the running loop until the block ends."""

        async def turn() -> None:
            count = 0
            while True:
                count += 1
                os.pwrite(self._file, _COUNT.pack(count), self._position)
                await asyncio.sleep(HEARTBEAT_SECONDS)

        task = asyncio.create_task(turn())
        try:
            yield
        finally:
            task.cancel()


class Stall:
    """For how long a loop has not turned: the time in which its process was able to run.

    Time in which the process is stopped, or the whole machine or container is, does not count.
    With a limit of 0 no loop is ever stalled.
    """

    def __init__(
        self, limit_seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit_seconds = limit_seconds
        self._clock = clock
        self._looked = clock()
        self._count = 0
        self._seconds = 0.0

    def lasts(self, count: int, *, stopped: bool = False) -> bool:
        """Whether the loop, which has turned so often, has stood still for too long by now."""
        now = self._clock()
        passed, self._looked = min(now - self._looked, _LATE_SECONDS), now
        if count != self._count:
            self._count, self._seconds = count, 0.0
        elif count and not stopped:
            self._seconds += passed
        return 0 < self.limit_seconds <= self._seconds


def watch_alone(heartbeat: Heartbeat, limit_seconds: float) -> None:
    """End this process when its loop is stalled: for one that nobody else looks at.

    A thread looks, which writes what all threads do to the log. Code that keeps even threads from
    running (it holds the interpreter's lock) is ended by the system when it has used up the time.
    """
    if limit_seconds:
        watch = threading.Thread(target=_watch, args=(heartbeat, limit_seconds), daemon=True)
        if hasattr(signal, "setitimer"):
            _exit_at(signal.SIGALRM)
            _exit_at(signal.SIGPROF)
            # Written before that, without the interpreter.
            faulthandler.register(signal.SIGPROF, chain=True)
        watch.start()


def _watch(heartbeat: Heartbeat, limit_seconds: float) -> None:
    still = Stall(limit_seconds)
    cores = os.cpu_count() or 1
    while not still.lasts(heartbeat.count):
        # All cores may use up time at once, and it is the process' time that is limited.
        _limit_time(limit_seconds * cores)
        time.sleep(HEARTBEAT_SECONDS)
    _limit_time(0)
    _end(limit_seconds)


def _end(limit_seconds: float) -> None:
    """Write what all threads do, and end at once: whoever waits for the loop would wait on."""
    if hasattr(signal, "setitimer"):
        # The log may be what everybody waits for.
        signal.setitimer(signal.ITIMER_REAL, _LAST_WORDS_SECONDS)
    log.critical(
        "the event loop has not turned for %g seconds; the process ends. What its threads do:\n%s",
        limit_seconds,
        stacks(),
    )
    os._exit(STALLED)


def stacks() -> str:
    """What each thread of this process does, the innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )


def _exit_at(signalled: signal.Signals) -> None:
    """Let the signal end this process, with its number as the status, whatever Python does.

    The default of most signals is the same, but not for process 1, which a container's is: the
    system spares that one what it does not handle (Linux, signal(7) and pid_namespaces(7)).
    """
    library = ctypes.CDLL(None)
    library.signal(int(signalled), ctypes.cast(library._exit, ctypes.c_void_p))


def _limit_time(seconds: float) -> None:
    """Let the system end this process when it has used up so much of the processors' time."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
