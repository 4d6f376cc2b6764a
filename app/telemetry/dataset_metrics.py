"""What is counted of datasets: how they open, and whether their stores have another version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from app.telemetry.events import DatasetLookedAt, DatasetOpened, DatasetsCounted

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class DatasetMetrics:
    """Opens and looks at stores, counted in `registry`; times fall into `buckets` of seconds."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._opens = Histogram(
            "sluice_dataset_open_seconds",
            "Time to open a dataset",
            ("dataset", "outcome"),
            buckets=buckets,
            registry=registry,
        )
        self._looks = Counter(
            "sluice_dataset_refreshes_total",
            "Looks at a dataset's store for another version, by what they came to",
            ("dataset", "outcome"),
            registry=registry,
        )
        self._since = Gauge(
            "sluice_dataset_version_timestamp_seconds",
            "When the version that a dataset serves was opened, in Unix time",
            ("dataset",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )

        self._open = Gauge(
            "sluice_open_datasets",
            "Datasets that are open, each worker's own counted",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def record(self, event: DatasetOpened | DatasetLookedAt | DatasetsCounted) -> None:
        """Count one event."""
        match event:
            case DatasetOpened(dataset, seconds, error):
                outcome = "ok" if error is None else type(error).__name__
                self._opens.labels(dataset, outcome).observe(seconds)
                if error is None:
                    self._since.labels(dataset).set_to_current_time()
            case DatasetLookedAt(dataset, outcome):
                self._looks.labels(dataset, outcome).inc()
                if outcome == "swapped":
                    self._since.labels(dataset).set_to_current_time()
            case DatasetsCounted():
                self._open.set(event.open)
            case _:
                assert_never(event)
