"""The sink that counts: Prometheus metrics of one application, or of all its worker processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, assert_never

from app.telemetry.admission_metrics import AdmissionMetrics
from app.telemetry.events import (
    ChunksLookedUp,
    DatasetOpened,
    Event,
    InFlight,
    LoopLag,
    RequestQueued,
    RequestRefused,
    RequestServed,
    StoreAsked,
)

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Where worker processes share their numbers (prometheus_client reads it when it is imported).
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts events in a registry of its own, so that two applications do not mix.

    Where `SHARED_FOLDER` is set, numbers are kept in files there and `render` adds up those of all
    processes; each would otherwise tell of itself alone, whichever answers.
    """

    def __init__(self) -> None:
        # Imported here: nothing below the service needs it.
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "sluice_request_seconds",
            "Time from a request to the last byte of its answer",
            ("route", "dataset", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._sent = Counter(
            "sluice_sent_bytes_total",
            "Bytes of answers' bodies",
            ("route", "dataset"),
            registry=self._registry,
        )
        self._opens = Histogram(
            "sluice_dataset_open_seconds",
            "Time to open a dataset",
            ("dataset", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._asked = Histogram(
            "sluice_store_request_seconds",
            "Time of one request to a store",
            ("dataset", "operation", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._received = Counter(
            "sluice_store_received_bytes_total",
            "Bytes that stores sent",
            ("dataset",),
            registry=self._registry,
        )
        self._lag = Histogram(
            "sluice_loop_lag_seconds",
            "How late the event loop was for an appointment",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._chunks, self._held = _chunk_cache(self._registry)
        self._admission = AdmissionMetrics(self._registry, _SECONDS)

        self._answers: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}

    def record(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RequestServed():
                seconds, sent = self._like(event)
                seconds.observe(event.seconds)
                sent.inc(event.sent_bytes)
            case DatasetOpened():
                outcome = _outcome(event.error)
                self._opens.labels(event.dataset, outcome).observe(event.seconds)
            case StoreAsked():
                labels = (event.dataset, event.operation, _outcome(event.error))
                self._asked.labels(*labels).observe(event.seconds)
                self._received.labels(event.dataset).inc(event.received_bytes)
            case LoopLag():
                self._lag.observe(event.seconds)
            case ChunksLookedUp():
                self._chunks.labels("hit").inc(event.hits)
                self._chunks.labels("miss").inc(event.misses)
                self._held.set(event.held_bytes)
            case RequestRefused() | RequestQueued() | InFlight():
                self._admission.record(event)
            case _:
                assert_never(event)

    def _like(self, event: RequestServed) -> tuple[Histogram, Counter]:
        """Where answers like this one are counted; finding it by labels takes longer than that."""
        kind = (event.route, event.dataset, event.status)
        found = self._answers.get(kind)
        if found is None:
            seconds = self._requests.labels(event.route, event.dataset, str(event.status))
            found = seconds, self._sent.labels(event.route, event.dataset)
            self._answers[kind] = found
        return found

    def render(self) -> bytes:
        """All metrics in Prometheus' text format, as `CONTENT_TYPE`."""
        from prometheus_client import generate_latest

        return generate_latest(_all_processes() or self._registry)


def _chunk_cache(registry: CollectorRegistry) -> tuple[Counter, Gauge]:
    from prometheus_client import Counter, Gauge

    lookups = Counter(
        "sluice_chunk_lookups_total",
        "Decoded chunks that requests needed, by whether they were in memory",
        ("outcome",),
        registry=registry,
    )
    held = Gauge(
        "sluice_chunk_cache_bytes",
        "Memory that kept chunks hold",
        multiprocess_mode="livesum",
        registry=registry,
    )
    return lookups, held


def _all_processes() -> CollectorRegistry | None:
    if not os.environ.get(SHARED_FOLDER):
        return None
    from prometheus_client import CollectorRegistry, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _outcome(error: BaseException | None) -> str:
    return "ok" if error is None else type(error).__name__
