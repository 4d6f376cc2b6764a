"""What is counted of a process as such: how late its loop is, and what it keeps in memory."""

from __future__ import annotations

from typing import Final, assert_never

from sluice.events import ChunksLookedUp

from .cells import Cells
from .events import LoopLag
from .families import Family, Series

LAG: Final = Family(
    "sluice_loop_lag_seconds", "How late the event loop was for an appointment", "histogram"
)
TASKS: Final = Family("sluice_tasks", "Tasks of the event loop that have not ended", "gauge")
CHUNKS: Final = Family(
    "sluice_chunk_lookups_total",
    "Decoded chunks that requests needed, by whether they were in memory",
    "counter",
    ("outcome",),
    most=2,
)
EVICTED: Final = Family(
    "sluice_chunk_evictions_total",
    "Decoded chunks that had to make room for others",
    "counter",
)
HELD: Final = Family("sluice_chunk_cache_bytes", "Memory that kept chunks hold", "gauge")
FAMILIES: Final = (LAG, TASKS, CHUNKS, EVICTED, HELD)


class ProcessMetrics:
    """The loop and the chunks in memory, counted in `cells`."""

    def __init__(self, cells: Cells) -> None:
        self._lag, self._tasks, self._chunks, self._evicted, self._held = (
            Series(family, cells) for family in FAMILIES
        )

    def record(self, event: LoopLag | ChunksLookedUp) -> None:
        """Count one event."""
        match event:
            case LoopLag():
                self._lag.observe(event.seconds)
                self._tasks.set(event.tasks)
            case ChunksLookedUp():
                self._chunks.add(event.hits, "hit")
                self._chunks.add(event.misses, "miss")
                self._evicted.add(event.evictions)
                self._held.set(event.held_bytes)
            case _:
                assert_never(event)
