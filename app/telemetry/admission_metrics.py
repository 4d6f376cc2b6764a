"""The metrics of who may begin: memory in flight, the queue for it, and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from app.telemetry.events import InFlight, RequestQueued, RequestRefused

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class AdmissionMetrics:
    """Counts the events of admission in `registry`; waits fall into `buckets` of seconds."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._refused = Counter(
            "sluice_refused_total",
            "Requests that were not answered, by reason: client, overload, deadline",
            ("reason",),
            registry=registry,
        )
        self._queued = Histogram(
            "sluice_queue_seconds",
            "How long those requests waited for memory that had to",
            buckets=buckets,
            registry=registry,
        )
        self._held = Gauge(
            "sluice_inflight_bytes",
            "Memory that requests under way may take",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._waiting = Gauge(
            "sluice_queue_length",
            "Requests that wait for memory",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def record(self, event: RequestRefused | RequestQueued | InFlight) -> None:
        """Count one event."""
        match event:
            case RequestRefused():
                self._refused.labels(event.reason).inc()
            case RequestQueued():
                self._queued.observe(event.seconds)
            case InFlight():
                self._held.set(event.held_bytes)
                self._waiting.set(event.waiting)
            case _:
                assert_never(event)
