"""Which datasets can be reached now: asked of the stores, and remembered for a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from sluice.errors import StoreTimeout
from sluice.store.fan_out import spread
from sluice.store.single_flight import SingleFlight

from .catalog import Catalog
from .opened_datasets import OpenedDatasets


@dataclass(frozen=True, slots=True)
class DatasetState:
    """Whether one dataset can be read: `failure` is the class of what keeps it from that.

    The class alone: an error's words may name keys, buckets and paths. A `stale` one serves the
    version that it had: its store could not be looked at, or has another that cannot be opened.
    """

    id: str
    failure: type[Exception] | None
    stale: bool = False

    @property
    def ready(self) -> bool:
        """Whether the dataset is open or could be opened."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class Report:
    """The state of every dataset, in the catalog's order."""

    datasets: tuple[DatasetState, ...]

    def ready(self, strict: bool) -> bool:
        """Whether at least one dataset is ready; with `strict`, whether all are, and none stale."""
        if strict:
            return all(state.ready and not state.stale for state in self.datasets)
        return any(state.ready for state in self.datasets)


class Readiness:
    """Probes all datasets of the catalog, `at_once` at a time, each for `patience_seconds` at most.

    A report is kept for `keep_seconds`, and those who ask while one is being made share it. It
    starts no task that outlives its callers. It belongs to one event loop.
    """

    def __init__(
        self,
        opened: OpenedDatasets,
        *,
        keep_seconds: float,
        patience_seconds: float,
        at_once: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opened = opened
        self._keep_seconds = keep_seconds
        self._patience_seconds = patience_seconds
        self._at_once = at_once
        self._clock = clock
        self._kept: Report | None = None
        self._kept_of: Catalog | None = None
        self._until = 0.0
        self._flight: SingleFlight[int, Report] = SingleFlight()

    async def report(self) -> Report:
        """The state of every dataset, at most `keep_seconds` old; never raises for a store."""
        catalog = self._opened.catalog
        if self._kept is not None and self._kept_of is catalog and self._clock() < self._until:
            return self._kept
        return await self._flight.do(id(catalog), lambda: self._probe_all(catalog))

    async def _probe_all(self, catalog: Catalog) -> Report:
        states: dict[str, DatasetState] = {}

        async def probe(dataset_id: str) -> None:
            states[dataset_id] = await self._state(dataset_id)

        await spread(catalog.entries, probe, workers=self._at_once)
        report = Report(tuple(states[name] for name in catalog.entries))
        self._kept, self._kept_of = report, catalog
        self._until = self._clock() + self._keep_seconds
        return report

    async def _state(self, dataset_id: str) -> DatasetState:
        try:
            # A request that waits for the same open keeps it going after the patience is over.
            async with asyncio.timeout(self._patience_seconds) as patience:
                freshness = await self._opened.probe(dataset_id)
        except Exception as error:
            return DatasetState(dataset_id, StoreTimeout if patience.expired() else type(error))
        return DatasetState(dataset_id, None, stale=freshness.trouble is not None)
