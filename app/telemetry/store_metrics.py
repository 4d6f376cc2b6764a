"""What is counted of stores: requests to them, tries again, and whether they are asked at all.

A store is a bucket or a host, however many datasets it holds.
"""

from __future__ import annotations

from typing import Final, assert_never

from sluice.events import CircuitChanged, StoreAsked, StoreRetried

from .cells import Cells
from .dataset_metrics import outcome_of
from .families import Family, Series, observe

_STATES: Final = {"closed": 0, "half-open": 1, "open": 2}

ASKED: Final = Family(
    "sluice_store_request_seconds",
    "Time of one request to a store",
    "histogram",
    ("store", "operation", "outcome"),
    most=60,
)
RECEIVED: Final = Family(
    "sluice_store_received_bytes_total", "Bytes that stores sent", "counter", ("store",), most=100
)
RETRIES: Final = Family(
    "sluice_store_retries_total",
    "Requests to a store that were tried again, by what had failed",
    "counter",
    ("store", "operation", "error"),
    most=100,
)
# Of several workers the one that is worst off: each judges for itself.
CIRCUITS: Final = Family(
    "sluice_store_circuit_state",
    "Whether a store is asked: 0 yes, 1 by one request as a trial, 2 no",
    "gauge",
    ("store",),
    most=100,
    worst=True,
)
FAMILIES: Final = (ASKED, RECEIVED, RETRIES, CIRCUITS)


class StoreMetrics:
    """Requests to stores, counted in `cells`."""

    def __init__(self, cells: Cells) -> None:
        self._asked, self._received, self._retries, self._circuits = (
            Series(family, cells) for family in FAMILIES
        )
        # One bucket, read in two ways, or a disk has several circuits: the worst is told. Each is
        # known by its first dataset, and forgotten when it is well.
        self._ill: dict[str, dict[str, int]] = {}

    def record(self, event: StoreAsked | StoreRetried | CircuitChanged) -> None:
        """Count one event."""
        match event:
            case StoreAsked():
                outcome = outcome_of(event.error)
                observe(self._asked.at(event.store, event.operation, outcome), event.seconds)
                self._received.add(event.received_bytes, event.store)
            case StoreRetried():
                self._retries.add(1, event.store, event.operation, type(event.error).__name__)
            case CircuitChanged():
                self._circuits.set(self._worst(event), event.store)
            case _:
                assert_never(event)

    def _worst(self, event: CircuitChanged) -> int:
        """The state of the store's worst circuit, after this change."""
        ill = self._ill.setdefault(event.store, {})
        if event.state == "closed":
            ill.pop(event.datasets[0], None)
        else:
            ill[event.datasets[0]] = _STATES[event.state]
        return max(ill.values(), default=0)
