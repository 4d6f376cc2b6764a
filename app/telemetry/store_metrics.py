"""What is counted of stores that misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from app.telemetry.events import CircuitChanged, StoreRetried

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_STATES: Final = {"closed": 0, "half-open": 1, "open": 2}


class StoreMetrics:
    """Tries again, and whether stores are asked at all; counted in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge

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

    def record(self, event: StoreRetried | CircuitChanged) -> None:
        """Count one event."""
        match event:
            case StoreRetried():
                error = type(event.error).__name__
                self._retries.labels(event.dataset, event.operation, error).inc()
            case CircuitChanged():
                for dataset in event.datasets:
                    self._circuits.labels(dataset).set(_STATES[event.state])
            case _:
                assert_never(event)
