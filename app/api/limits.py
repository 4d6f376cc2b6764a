"""What one request may have, judged from its text and its plan before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.engine import Plan, ReadLimits


def memory_bytes(plan: Plan, result_bytes: int, forms: int) -> int:
    """The memory that a planned answer takes while it is made: an estimate from above.

    So often is it in memory at once: as values, packed or decoded, as text or a file, compressed.
    """
    return plan.working_bytes + forms * result_bytes


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most that one request may have: what it reads, labels in a list, bytes of a body."""

    reading: ReadLimits
    labels: int
    body_bytes: int
