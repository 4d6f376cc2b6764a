"""The datasets that are open now: each opened once however many ask, least recently used out."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sluice.concurrency import SingleFlight

from ..telemetry.events import DatasetsCounted
from .catalog import Catalog
from .entry import DatasetEntry, bare_error, redact_error
from .opened import Freshness, OnRevalidated, Opened, Revalidator


class Opener(Protocol):
    """Opens an entry; the chunks of another `epoch` are none of this one's."""

    async def __call__(self, entry: DatasetEntry, *, epoch: str) -> Opened: ...


# Called once for every real open with the dataset's id, its seconds and its error, if it failed.
OnOpen: TypeAlias = Callable[[str, float, Exception | None], None]
# Enumerates the groups that the dataset's id may be one of; the catalog is another one then.
FindGroups: TypeAlias = Callable[[str], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception
    until: float


class OpenedDatasets:
    """Opens the datasets of a catalog on first use and keeps the `capacity` last used ones.

    Fewer are kept where they would take more than `capacity_bytes` (None: any number), but one.

    An evicted dataset stays usable for whoever holds it: stores belong to the filesystems, which
    live until shutdown. A failed open is answered with the same error for `failed_open_seconds`,
    so that a broken store is not asked again by every request, and then tried anew.

    Every `refresh_seconds` of its entry, a dataset that is asked for has its store looked at (see
    `Revalidator`). `on_gone` is called with the id of one whose metadata was found to be gone,
    `find_groups` with one of which the catalog knows nothing before a hierarchy is enumerated.
    """

    def __init__(
        self,
        catalog: Catalog,
        opener: Opener,
        *,
        capacity: int,
        failed_open_seconds: float,
        capacity_bytes: int | None = None,
        on_open: OnOpen | None = None,
        on_revalidated: OnRevalidated | None = None,
        on_gone: Callable[[str], None] | None = None,
        find_groups: FindGroups | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalog = catalog
        self._opener = opener
        self._capacity = capacity
        self._capacity_bytes = math.inf if capacity_bytes is None else capacity_bytes
        self._failed_open_seconds = failed_open_seconds
        self._on_open = on_open
        self._on_gone = on_gone
        self._find_groups = find_groups
        self._clock = clock
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._failures: dict[str, _Failure] = {}
        # How often all that was known of a dataset was dropped, and what it is opened as since.
        self._drops: dict[str, int] = {}
        self._epochs: dict[str, str] = {}
        self._flight: SingleFlight[tuple[str, int], Opened] = SingleFlight()
        self._revalidator = Revalidator(
            self, retry_seconds=failed_open_seconds, on_revalidated=on_revalidated, clock=clock
        )

    def count(self) -> DatasetsCounted:
        """How many datasets are open now."""
        return DatasetsCounted(len(self._opened))

    async def aclose(self) -> None:
        """End what goes on in the background."""
        await self._revalidator.aclose()

    async def get(self, dataset_id: str) -> Opened:
        """The opened dataset of this id.

        Raises UnknownDataset for an id that the catalog lacks, and whatever its open raised.
        """
        opened = self.current(dataset_id)
        if opened is not None:
            return opened
        if (known := self._opened.get(dataset_id)) is not None:
            await self._revalidator.refresh(known)
        return self._opened.get(dataset_id) or await self._open_and_keep(dataset_id)

    def current(self, dataset_id: str) -> Opened | None:
        """The opened dataset of this id, unless it has to be waited for: see `get`."""
        opened = self._opened.get(dataset_id)
        if opened is None:
            return None
        self._opened.move_to_end(dataset_id)
        if self._clock() >= opened.freshness.due:
            if opened.entry.refresh != "background":
                return None
            self._revalidator.start(opened)
        return opened

    def peek(self, dataset_id: str) -> Opened | None:
        """The dataset if it is open, however fresh it is; that it was looked at changes nothing."""
        return self._opened.get(dataset_id)

    async def probe(self, dataset_id: str) -> Freshness:
        """How fresh this dataset is, which is open or can be opened; raises what `get` would raise.

        What it opens is kept only where there is room: nobody's dataset has to go for a probe, and
        the probed one is the first to go.
        """
        opened = self._opened.get(dataset_id)
        if opened is not None and self._clock() >= opened.freshness.due:
            await self._revalidator.refresh(opened)
            opened = self._opened.get(dataset_id)
        if opened is None:
            await self.find(dataset_id)
            opened = await self._open_once(dataset_id, self._keep_if_there_is_room)
        return opened.freshness

    def replace_catalog(self, catalog: Catalog) -> None:
        """Serve `catalog` from now on; what is open of entries that stay as they are stays open."""
        before, self.catalog = self.catalog, catalog
        for dataset_id, entry in before.entries.items():
            after = catalog.entries.get(dataset_id)
            if after is not entry and after != entry:
                self._drop(dataset_id)

    def invalidate(self, dataset_id: str, epoch: str) -> None:
        """Open the dataset anew for the next request; no chunk that was read before is used."""
        self._epochs[dataset_id] = epoch
        self._drop(dataset_id)

    def swap(self, old: Opened, new: Opened) -> None:
        """Give `new` to all requests that begin from now on, if `old` is what they got so far."""
        dataset_id = old.entry.id
        if self._opened.get(dataset_id) is old:
            self._opened[dataset_id] = new
            self._schedule(new, self._clock())

    def drop(self, gone: Opened, error: Exception) -> None:
        """Answer `error` from now on, if `gone` is what requests got so far."""
        dataset_id = gone.entry.id
        if self._opened.get(dataset_id) is not gone:
            return
        self._drop(dataset_id)
        self._remember(dataset_id, error)
        if self._on_gone is not None:
            self._on_gone(dataset_id)

    def _drop(self, dataset_id: str) -> None:
        """Forget what is open, what failed, and what is being opened just now."""
        self._opened.pop(dataset_id, None)
        self._failures.pop(dataset_id, None)
        self._drops[dataset_id] = self._drops.get(dataset_id, 0) + 1

    async def find(self, dataset_id: str) -> None:
        """Have the catalog know of this id, if it is that of a group or of a hierarchy."""
        if self._find_groups is not None and self.catalog.is_pending(dataset_id):
            await self._find_groups(dataset_id)

    async def _open_and_keep(self, dataset_id: str) -> Opened:
        await self.find(dataset_id)
        drops = self._drops.get(dataset_id)
        opened = await self._open_once(dataset_id, self._keep)
        # Where a probe was the first to ask, it may not have been kept.
        if self._drops.get(dataset_id) == drops and dataset_id not in self._opened:
            self._keep(opened)
        return opened

    def _keep(self, opened: Opened) -> None:
        """Keep it as the last to go; those that were not asked for the longest go for it."""
        self._opened[opened.entry.id] = opened
        self._opened.move_to_end(opened.entry.id)
        while len(self._opened) > 1 and self._is_full():
            self._opened.popitem(last=False)

    def _keep_if_there_is_room(self, opened: Opened) -> None:
        """Keep it as the first to go, if nothing has to go for it."""
        self._opened[opened.entry.id] = opened
        self._opened.move_to_end(opened.entry.id, last=False)
        if self._is_full():
            del self._opened[opened.entry.id]

    def _is_full(self) -> bool:
        """Whether more is open than may be."""
        if len(self._opened) > self._capacity:
            return True
        held = sum([opened.held_bytes for opened in self._opened.values()])
        return held > self._capacity_bytes

    async def _open_once(self, dataset_id: str, keep: Callable[[Opened], None]) -> Opened:
        """What the one running open of this dataset brings, unless it failed a moment ago.

        The open itself has it kept: who asks between its end and the next turn of those that wait
        for it would open once more.
        """
        entry = self.catalog.entry(dataset_id)
        self._raise_remembered(dataset_id)
        drops = self._drops.get(dataset_id, 0)
        return await self._flight.do((dataset_id, drops), lambda: self._open(entry, drops, keep))

    def _remember(self, dataset_id: str, error: Exception) -> None:
        until = self._clock() + self._failed_open_seconds
        self._failures[dataset_id] = _Failure(bare_error(error), until)

    def _raise_remembered(self, dataset_id: str) -> None:
        failure = self._failures.get(dataset_id)
        if failure is None:
            return
        if self._clock() >= failure.until:
            del self._failures[dataset_id]
            return
        # Without this, each raise would add its frames to the one traceback that we keep.
        raise failure.error.with_traceback(None)

    async def _open(
        self, entry: DatasetEntry, drops: int, keep: Callable[[Opened], None]
    ) -> Opened:
        started = self._clock()
        try:
            opened = await self._opener(entry, epoch=self._epochs.get(entry.id, ""))
        except Exception as failure:
            error = redact_error(failure, entry)
            if self._drops.get(entry.id, 0) == drops:
                self._remember(entry.id, error)
            self._tell(entry.id, self._clock() - started, error)
            if error is failure:
                raise
            raise error from None
        self._schedule(opened, started)
        if self._drops.get(entry.id, 0) == drops:
            keep(opened)
        self._tell(entry.id, self._clock() - started, None)
        return opened

    def _schedule(self, opened: Opened, seen: float) -> None:
        """Have the store looked at again some time after it was `seen`."""
        if opened.entry.refresh_seconds is not None:
            opened.freshness.due = seen + opened.entry.refresh_seconds

    def _tell(self, dataset_id: str, seconds: float, error: Exception | None) -> None:
        if self._on_open is not None:
            self._on_open(dataset_id, seconds, error)
