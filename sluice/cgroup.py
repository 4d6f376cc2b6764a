"""What the control groups of this process allow it: CPU time and memory (Linux).

The limits of version 2 are in ``cpu.max`` and ``memory.max`` (kernel documentation, "Control Group
v2"), those of version 1 in ``cpu.cfs_quota_us`` and ``memory.limit_in_bytes``. A group is bound by
those above it, too: the least limit counts.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
# Which groups this process is in: lines of ``hierarchy:controllers:path`` (cgroups(7)).
MEMBERSHIP: Final = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest number of whole pages.
_NO_LIMIT_BYTES: Final = 2**60


@dataclass(frozen=True, slots=True)
class Allowance:
    """The CPU time per second, in cores, and the bytes of memory; None where there is no limit."""

    cores: float | None = None
    memory_bytes: int | None = None


def allowance(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Allowance:
    """What the groups below `root`, where the kernel shows them, allow this process."""
    groups = _groups(membership)
    cores = [found for folder in _folders(root, "cpu", groups) if (found := _cores(folder))]
    memory = [found for folder in _folders(root, "memory", groups) if (found := _memory(folder))]
    return Allowance(min(cores, default=None), min(memory, default=None))


def available_cores(root: Path = ROOT) -> int:
    """The cores that this process may keep busy; of a part of one, the whole."""
    there = os.cpu_count() or 1
    if sys.platform == "linux":
        there = len(os.sched_getaffinity(0))
    allowed = allowance(root).cores
    return there if allowed is None else max(1, min(there, math.ceil(allowed)))


def _groups(membership: Path) -> dict[str, str]:
    """The path of this process's group by controller; that of version 2 by the name ``""``."""
    groups: dict[str, str] = {}
    for line in (_text(membership) or "").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _folders(root: Path, controller: str, groups: dict[str, str]) -> Iterator[Path]:
    """The folders of the group and of those above it, in both versions' hierarchies.

    In a container the path may be the host's, which is not there: then the root is the group's own.
    """
    mounts = [(root, ""), (root / "unified", ""), (root / controller, controller)]
    mounts.append((root / "cpu,cpuacct", controller))
    for mount, name in mounts:
        path = Path(groups.get(name, "/").lstrip("/"))
        if ".." not in path.parts:
            yield from (mount / above for above in (path, *path.parents) if above != Path())
        yield mount


def _cores(folder: Path) -> float | None:
    words = (_text(folder / "cpu.max") or "").split()
    if len(words) == 2:
        return _ratio(*words)
    return _ratio(*(_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")))


def _ratio(quota: str | None, period: str | None) -> float | None:
    """The quota's part of the period; ``max`` (version 2) and -1 (version 1) are no limit."""
    allowed, of = _number(quota), _number(period)
    return allowed / of if allowed and of else None


def _memory(folder: Path) -> int | None:
    found = [_number(_text(folder / f"memory.{name}")) for name in ("max", "limit_in_bytes")]
    return next((limit for limit in found if limit and limit < _NO_LIMIT_BYTES), None)


def _number(text: str | None) -> int | None:
    """The number, where the text is one above zero."""
    digits = (text or "").strip()
    return int(digits) or None if digits.isascii() and digits.isdecimal() else None


def _text(file: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text()
    return None
