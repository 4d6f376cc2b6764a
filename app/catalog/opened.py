"""The datasets that are open now: each opened once however many ask, least recently used out."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import xarray as xr

from app.catalog.catalog import Catalog, DatasetEntry
from app.catalog.discretion import discreet_error
from app.datasets import Layout
from app.encoders.written import Written
from app.query.axes import Axis
from app.query.grammar import Grammar
from app.query.names import By
from app.store.single_flight import SingleFlight


@dataclass(frozen=True, slots=True)
class Opened:
    """One opened dataset with what every request needs of it, prepared once.

    `version` is that of the store's metadata (see `GroupDocuments.version`), `identity` is all that
    its answers follow from: the version and how the entry reads it. `grammars` are what requests
    can ask for, by what bare names mean.
    """

    entry: DatasetEntry
    dataset: xr.Dataset
    layout: Layout
    written: Written
    version: str
    identity: str
    axes: Mapping[str, Axis]
    dims: Mapping[str, int]
    grammars: Mapping[By, Grammar]


# Called once for every real open with the dataset's id, its seconds and its error, if it failed.
OnOpen: TypeAlias = Callable[[str, float, Exception | None], None]


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception
    until: float


class OpenedDatasets:
    """Opens datasets on first use and keeps the `capacity` most recently used ones.

    An evicted dataset stays usable for whoever holds it: stores belong to the filesystems, which
    live until shutdown. A failed open is answered with the same error for `failed_open_seconds`,
    so that a broken store is not asked again by every request, and then tried anew.
    """

    def __init__(
        self,
        catalog: Catalog,
        opener: Callable[[DatasetEntry], Coroutine[Any, Any, Opened]],
        *,
        capacity: int,
        failed_open_seconds: float,
        on_open: OnOpen | None = None,
    ) -> None:
        self._catalog = catalog
        self._opener = opener
        self._capacity = capacity
        self._failed_open_seconds = failed_open_seconds
        self._on_open = on_open
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._failures: dict[str, _Failure] = {}
        self._flight: SingleFlight[str, Opened] = SingleFlight()

    async def get(self, dataset_id: str) -> Opened:
        """The opened dataset of this id.

        Raises UnknownDataset for an id that the catalog lacks, and whatever its open raised.
        """
        opened = self._opened.get(dataset_id)
        if opened is not None:
            self._opened.move_to_end(dataset_id)
            return opened
        opened = await self._open_once(dataset_id)
        self._opened[dataset_id] = opened
        self._opened.move_to_end(dataset_id)
        while len(self._opened) > self._capacity:
            self._opened.popitem(last=False)
        return opened

    async def probe(self, dataset_id: str) -> None:
        """Return if this dataset is open or can be opened now; raises what `get` would raise.

        What it opens is kept only where there is room: nobody's dataset has to go for a probe, and
        the probed one is the first to go.
        """
        if dataset_id in self._opened:
            return
        opened = await self._open_once(dataset_id)
        if dataset_id not in self._opened and len(self._opened) < self._capacity:
            self._opened[dataset_id] = opened
            self._opened.move_to_end(dataset_id, last=False)

    async def _open_once(self, dataset_id: str) -> Opened:
        """What the one running open of this dataset brings, unless it failed a moment ago."""
        entry = self._catalog.entry(dataset_id)
        self._raise_remembered(dataset_id)
        return await self._flight.do(dataset_id, lambda: self._open(entry))

    def _raise_remembered(self, dataset_id: str) -> None:
        failure = self._failures.get(dataset_id)
        if failure is None:
            return
        if time.monotonic() >= failure.until:
            del self._failures[dataset_id]
            return
        # Without this, each raise would add its frames to the one traceback that we keep.
        raise failure.error.with_traceback(None)

    async def _open(self, entry: DatasetEntry) -> Opened:
        started = time.monotonic()
        try:
            opened = await self._opener(entry)
        except Exception as failure:
            error = discreet_error(failure, entry)
            ended = time.monotonic()
            self._failures[entry.id] = _Failure(error, ended + self._failed_open_seconds)
            self._tell(entry.id, ended - started, error)
            if error is failure:
                raise
            raise error from None
        self._tell(entry.id, time.monotonic() - started, None)
        return opened

    def _tell(self, dataset_id: str, seconds: float, error: Exception | None) -> None:
        if self._on_open is not None:
            self._on_open(dataset_id, seconds, error)
