"""What is counted of a process as such: how late its loop is, and what it keeps in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from app.telemetry.events import ChunksLookedUp, LoopLag

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class ProcessMetrics:
    """The loop and the chunks in memory, in `registry`; times fall into `buckets` of seconds."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._lag = Histogram(
            "sluice_loop_lag_seconds",
            "How late the event loop was for an appointment",
            buckets=buckets,
            registry=registry,
        )
        self._tasks = Gauge(
            "sluice_tasks",
            "Tasks of the event loop that have not ended",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._chunks = Counter(
            "sluice_chunk_lookups_total",
            "Decoded chunks that requests needed, by whether they were in memory",
            ("outcome",),
            registry=registry,
        )
        self._evicted = Counter(
            "sluice_chunk_evictions_total",
            "Decoded chunks that had to make room for others",
            registry=registry,
        )
        self._held = Gauge(
            "sluice_chunk_cache_bytes",
            "Memory that kept chunks hold",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def record(self, event: LoopLag | ChunksLookedUp) -> None:
        """Count one event."""
        match event:
            case LoopLag():
                self._lag.observe(event.seconds)
                self._tasks.set(event.tasks)
            case ChunksLookedUp():
                self._chunks.labels("hit").inc(event.hits)
                self._chunks.labels("miss").inc(event.misses)
                self._evicted.inc(event.evictions)
                self._held.set(event.held_bytes)
            case _:
                assert_never(event)
