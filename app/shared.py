"""What the processes of one server share: files in memory that have no name in any folder.

So nobody can sweep them away, and a folder that is full or read-only does not matter. A process
that takes a dead one's place is handed them like the listening socket.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from tempfile import TemporaryFile
from typing import Any, Final

# The variable by which a process tells the application that it starts of them.
SHARED: Final = "SLUICE_SHARED"


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
    """The descriptors of the files: of news, of numbers, and of the turns of each process' loop.

    `place` is the number of this process among the others.
    """

    bulletin: int
    counts: int
    turns: int
    place: int = 0

    @classmethod
    def begin(cls) -> Shared:
        """New files for a new server; raises OSError where the system has no room for them."""
        return cls(*map(unnamed_file, ("bulletin", "counts", "turns")))

    @classmethod
    def told(cls) -> Shared | None:
        """What `tell` has told, if anybody did."""
        text = os.environ.get(SHARED)
        return cls(*map(int, text.split(","))) if text else None

    def tell(self) -> None:
        """Let the application that this process imports find them."""
        told = (self.bulletin, self.counts, self.turns, self.place)
        os.environ[SHARED] = ",".join(map(str, told))

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that is spawned keeps only those descriptors that it is handed.
        return _handed, (DupFd(self.bulletin), DupFd(self.counts), DupFd(self.turns), self.place)


def _handed(bulletin: Any, counts: Any, turns: Any, place: int) -> Shared:
    return Shared(bulletin.detach(), counts.detach(), turns.detach(), place)
