"""What is counted of stores: requests to them, tries again, and whether they are asked at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, assert_never

from app.telemetry.events import CircuitChanged, StoreAsked, StoreRetried

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

_STATES: Final = {"closed": 0, "half-open": 1, "open": 2}


class StoreMetrics:
    """Requests to stores, counted in `registry`; times fall into `buckets` of seconds."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._asked = Histogram(
            "sluice_store_request_seconds",
            "Time of one request to a store",
            ("dataset", "operation", "outcome"),
            buckets=buckets,
            registry=registry,
        )
        self._received = Counter(
            "sluice_store_received_bytes_total",
            "Bytes that stores sent",
            ("dataset",),
            registry=registry,
        )
        self._retries = Counter(
            "sluice_store_retries_total",
            "Requests to a store that were tried again, by what had failed",
            ("dataset", "operation", "error"),
            registry=registry,
        )
        # Of several workers the one that is worst off: each judges for itself.
        self._circuits = Gauge(
            "sluice_store_circuit_state",
            "Whether a dataset's store is asked: 0 yes, 1 by one request as a trial, 2 no",
            ("dataset",),
            multiprocess_mode="livemax",
            registry=registry,
        )

        self._alike: dict[tuple[str, str, str], tuple[Histogram, Counter]] = {}

    def record(self, event: StoreAsked | StoreRetried | CircuitChanged) -> None:
        """Count one event."""
        match event:
            case StoreAsked():
                seconds, received = self._like(event)
                seconds.observe(event.seconds)
                received.inc(event.received_bytes)
            case StoreRetried():
                error = type(event.error).__name__
                self._retries.labels(event.dataset, event.operation, error).inc()
            case CircuitChanged():
                for dataset in event.datasets:
                    self._circuits.labels(dataset).set(_STATES[event.state])
            case _:
                assert_never(event)

    def _like(self, event: StoreAsked) -> tuple[Histogram, Counter]:
        """Where requests like this one are counted; finding it by labels takes longer than that."""
        outcome = "ok" if event.error is None else type(event.error).__name__
        kind = (event.dataset, event.operation, outcome)
        found = self._alike.get(kind)
        if found is None:
            found = self._asked.labels(*kind), self._received.labels(event.dataset)
            self._alike[kind] = found
        return found
