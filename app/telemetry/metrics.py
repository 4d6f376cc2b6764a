"""The sink that counts: Prometheus metrics of one application, or of all its worker processes."""

from __future__ import annotations

from typing import Final, assert_never

from sluice.events import ChunksLookedUp, CircuitChanged, StoreAsked, StoreRetried

from . import admission_metrics, dataset_metrics, process_metrics, request_metrics, store_metrics
from .cells import Cells, read_all
from .events import (
    DatasetLookedAt,
    DatasetOpened,
    DatasetsCounted,
    Event,
    InFlight,
    LoopLag,
    RequestQueued,
    RequestRefused,
    RequestServed,
)
from .families import exposition

FAMILIES: Final = (
    *request_metrics.FAMILIES,
    *admission_metrics.FAMILIES,
    *dataset_metrics.FAMILIES,
    *store_metrics.FAMILIES,
    *process_metrics.FAMILIES,
)


class Metrics:
    """Counts events in memory of its own, so that two applications do not mix.

    With a file `counts` that several processes share, each counts in its own `place` there, and
    `render` adds up those of all; each would otherwise tell of itself alone, whichever answers.
    """

    def __init__(self, counts: int | None = None, place: int = 0) -> None:
        self._counts = counts
        gauges = {family.name for family in FAMILIES if family.kind == "gauge"}
        self._cells = Cells() if counts is None else Cells.at(counts, place, gauges)
        self._requests = request_metrics.RequestMetrics(self._cells)
        self._admission = admission_metrics.AdmissionMetrics(self._cells)
        self._datasets = dataset_metrics.DatasetMetrics(self._cells)
        self._stores = store_metrics.StoreMetrics(self._cells)
        self._process = process_metrics.ProcessMetrics(self._cells)

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
        """All metrics as `exposition.CONTENT_TYPE`; any thread may ask."""
        if self._counts is None:
            return exposition(FAMILIES, [(True, self._cells.read())])
        return exposition(FAMILIES, read_all(self._counts))
