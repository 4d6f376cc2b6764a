"""What is counted of answers."""

from __future__ import annotations

from typing import Final

from .cells import Cells, Numbers
from .events import RequestServed
from .families import Family, Series, observe

TIMES: Final = Family(
    "sluice_request_seconds",
    "Time from a request to the last byte of its answer",
    "histogram",
    ("route", "status"),
    most=50,
)
OF_DATASETS: Final = Family(
    "sluice_dataset_request_seconds",
    "The same of one dataset, whatever the answer",
    "summary",
    ("dataset",),
    most=1000,
)
FAILED: Final = Family(
    "sluice_dataset_failures_total",
    "Answers of one dataset with a status of 500 or more",
    "counter",
    ("dataset", "status"),
    most=200,
)
SENT: Final = Family(
    "sluice_sent_bytes_total", "Bytes of answers' bodies", "counter", ("dataset",), most=1000
)
FAMILIES: Final = (TIMES, OF_DATASETS, FAILED, SENT)


class RequestMetrics:
    """Times and sizes of answers, counted in `cells`."""

    def __init__(self, cells: Cells) -> None:
        self._times, self._of_datasets, self._failed, self._sent = (
            Series(family, cells) for family in FAMILIES
        )
        # By the number, which is at hand: to write it for each answer would take longer.
        self._alike: dict[tuple[str, int], Numbers] = {}

    def record(self, event: RequestServed) -> None:
        """Count one answer."""
        kind = (event.route, event.status)
        times = self._alike.get(kind)
        if times is None:
            times = self._alike[kind] = self._times.at(event.route, str(event.status))
        observe(times, event.seconds)
        self._sent.at(event.dataset)[0] += event.sent_bytes
        if event.dataset:
            observe(self._of_datasets.at(event.dataset), event.seconds)
            if event.status >= 500:
                self._failed.add(1, event.dataset, str(event.status))
