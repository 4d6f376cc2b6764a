"""What is counted of datasets: how they open, and whether their stores have another version."""

from __future__ import annotations

from time import time
from typing import Final, assert_never

from .cells import Cells
from .events import DatasetLookedAt, DatasetOpened, DatasetsCounted
from .families import Family, Series

OPENS: Final = Family(
    "sluice_dataset_open_seconds",
    "Time to open a dataset",
    "summary",
    ("dataset", "outcome"),
    most=1000,
)
LOOKS: Final = Family(
    "sluice_dataset_refreshes_total",
    "Looks at a dataset's store for another version, by what they came to",
    "counter",
    ("dataset", "outcome"),
    most=1100,
)
# Of several workers the one that opened it last.
SINCE: Final = Family(
    "sluice_dataset_version_timestamp_seconds",
    "When the version that a dataset serves was opened, in Unix time",
    "gauge",
    ("dataset",),
    most=1000,
    worst=True,
)
OPEN: Final = Family(
    "sluice_open_datasets", "Datasets that are open, each worker's own counted", "gauge"
)
FAMILIES: Final = (OPENS, LOOKS, SINCE, OPEN)


class DatasetMetrics:
    """Opens and looks at stores, counted in `cells`."""

    def __init__(self, cells: Cells) -> None:
        self._opens, self._looks, self._since, self._open = (
            Series(family, cells) for family in FAMILIES
        )

    def record(self, event: DatasetOpened | DatasetLookedAt | DatasetsCounted) -> None:
        """Count one event."""
        match event:
            case DatasetOpened(dataset, seconds, error):
                self._opens.observe(seconds, dataset, outcome_of(error))
                if error is None:
                    self._since.set(time(), dataset)
            case DatasetLookedAt(dataset, outcome):
                self._looks.add(1, dataset, outcome)
                if outcome == "swapped":
                    self._since.set(time(), dataset)
            case DatasetsCounted():
                self._open.set(event.open)
            case _:
                assert_never(event)


def outcome_of(error: BaseException | None) -> str:
    """How something ended: well, or with an error of this class."""
    return "ok" if error is None else type(error).__name__
