"""The sink that counts: Prometheus metrics of one application, or of all its worker processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, assert_never

from app.telemetry.admission_metrics import AdmissionMetrics
from app.telemetry.dataset_metrics import DatasetMetrics
from app.telemetry.events import (
    ChunksLookedUp,
    CircuitChanged,
    DatasetLookedAt,
    DatasetOpened,
    DatasetsCounted,
    Event,
    InFlight,
    LoopLag,
    RequestQueued,
    RequestRefused,
    RequestServed,
    StoreAsked,
    StoreRetried,
)
from app.telemetry.process_metrics import ProcessMetrics
from app.telemetry.request_metrics import RequestMetrics
from app.telemetry.store_metrics import StoreMetrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

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
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry()
        self._requests = RequestMetrics(self._registry, _SECONDS)
        self._admission = AdmissionMetrics(self._registry, _SECONDS)
        self._datasets = DatasetMetrics(self._registry, _SECONDS)
        self._stores = StoreMetrics(self._registry, _SECONDS)
        self._process = ProcessMetrics(self._registry, _SECONDS)

    def record(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RequestServed():
                self._requests.record(event)
            case RequestRefused() | RequestQueued() | InFlight():
                self._admission.record(event)
            case DatasetOpened() | DatasetLookedAt() | DatasetsCounted():
                self._datasets.record(event)
            case StoreAsked() | StoreRetried() | CircuitChanged():
                self._stores.record(event)
            case LoopLag() | ChunksLookedUp():
                self._process.record(event)
            case _:
                assert_never(event)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format, as `CONTENT_TYPE`."""
        from prometheus_client import generate_latest

        return generate_latest(_all_processes() or self._registry)


def _all_processes() -> CollectorRegistry | None:
    if not os.environ.get(SHARED_FOLDER):
        return None
    from prometheus_client import CollectorRegistry, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
