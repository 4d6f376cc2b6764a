"""Which datasets can be reached now: asked of the stores, and remembered for a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.catalog.catalog import Catalog
from app.catalog.opened import OpenedDatasets
from app.errors import StoreTimeout
from app.store.fan_out import spread
from app.store.single_flight import SingleFlight


@dataclass(frozen=True, slots=True)
class DatasetState:
    """Whether one dataset can be read: `failure` is the class of what keeps it from that.

    The class alone: an error's words may name keys, buckets and paths.
    """

    id: str
    failure: type[Exception] | None

    @property
    def ready(self) -> bool:
        """Whether the dataset is open or could be opened."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class Report:
    """The state of every dataset, in the catalog's order."""

    datasets: tuple[DatasetState, ...]

    def ready(self, strict: bool) -> bool:
        """Whether at least one dataset is ready; with `strict`, whether all are."""
        states = (state.ready for state in self.datasets)
        return all(states) if strict else any(states)


class Readiness:
    """Probes every dataset of a catalog, at most `at_once` at a time, each for `patience_seconds`.

    A report is kept for `keep_seconds`, and those who ask while one is being made share it. It
    starts no task that outlives its callers. It belongs to one event loop.
    """

    def __init__(
        self,
        catalog: Catalog,
        opened: OpenedDatasets,
        *,
        keep_seconds: float,
        patience_seconds: float,
        at_once: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._opened = opened
        self._keep_seconds = keep_seconds
        self._patience_seconds = patience_seconds
        self._at_once = at_once
        self._clock = clock
        self._kept: Report | None = None
        self._until = 0.0
        self._flight: SingleFlight[None, Report] = SingleFlight()

    async def report(self) -> Report:
        """The state of every dataset, at most `keep_seconds` old; never raises for a store."""
        if self._kept is not None and self._clock() < self._until:
            return self._kept
        return await self._flight.do(None, self._probe_all)

    async def _probe_all(self) -> Report:
        failures: dict[str, type[Exception] | None] = {}

        async def probe(dataset_id: str) -> None:
            failures[dataset_id] = await self._failure(dataset_id)

        ids = list(self._catalog.entries)
        await spread(ids, probe, workers=self._at_once)
        report = Report(tuple(DatasetState(name, failures[name]) for name in ids))
        self._kept, self._until = report, self._clock() + self._keep_seconds
        return report

    async def _failure(self, dataset_id: str) -> type[Exception] | None:
        try:
            # A request that waits for the same open keeps it going after the patience is over.
            async with asyncio.timeout(self._patience_seconds) as patience:
                await self._opened.probe(dataset_id)
        except Exception as error:
            return StoreTimeout if patience.expired() else type(error)
        return None
