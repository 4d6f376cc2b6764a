"""The metrics of who may begin: memory in flight, the queue for it, and refusals."""

from __future__ import annotations

from typing import Final, assert_never

from .cells import Cells
from .events import InFlight, RequestQueued, RequestRefused
from .families import Family, Series

REFUSED: Final = Family(
    "sluice_refused_total",
    "Requests that were not answered, by reason: client, overload, deadline",
    "counter",
    ("reason",),
    most=20,
)
QUEUED: Final = Family(
    "sluice_queue_seconds",
    "How long those requests waited for memory that had to",
    "histogram",
)
HELD: Final = Family("sluice_inflight_bytes", "Memory that requests under way may take", "gauge")
WAITING: Final = Family("sluice_queue_length", "Requests that wait for memory", "gauge")
FAMILIES: Final = (REFUSED, QUEUED, HELD, WAITING)


class AdmissionMetrics:
    """Counts the events of admission in `cells`."""

    def __init__(self, cells: Cells) -> None:
        self._refused, self._queued, self._held, self._waiting = (
            Series(family, cells) for family in FAMILIES
        )

    def record(self, event: RequestRefused | RequestQueued | InFlight) -> None:
        """Count one event."""
        match event:
            case RequestRefused():
                self._refused.add(1, event.reason)
            case RequestQueued():
                self._queued.observe(event.seconds)
            case InFlight():
                self._held.set(event.held_bytes)
                self._waiting.set(event.waiting)
            case _:
                assert_never(event)
