"""The sink that takes what stays for good out of the garbage collector's sight."""

from __future__ import annotations

import gc

from .events import DatasetOpened, Event


class GcFreeze:
    """Takes all objects that there are out of the collector's sight, whenever more of them last.

    A full collection looks at each object once: 100,000 of them, which is what the libraries and
    a client of S3 bring, stop the loop for 50 ms. What is taken out is freed like everything else
    once nothing refers to it; only rings of objects that refer to each other would stay, so this
    happens but once for each dataset of the catalog. For processes that only serve.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def record(self, event: Event) -> None:
        """Spare what the first open of a dataset has brought."""
        if type(event) is DatasetOpened and event.error is None and event.dataset not in self._seen:
            self._seen.add(event.dataset)
            freeze_objects()


def freeze_objects() -> None:
    """Spare all objects; what nothing refers to is collected before."""
    gc.collect()
    gc.freeze()
