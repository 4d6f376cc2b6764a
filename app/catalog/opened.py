"""One opened dataset, and the versions of its store: whether there is another one.

A revalidation asks for the metadata alone. What it finds becomes the dataset that the next requests
get; those that run end with the one they began with (stale-while-revalidate, RFC 5861, section 3).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from sluice.bounded_cache import BoundedCache
from sluice.concurrency import SingleFlight
from sluice.datasets import AsyncDataset
from sluice.datasets.served_store import StoredGroups
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import Learned, PreparedDataset
from sluice.engine.nearest import GridCells, LonLat
from sluice.errors import MetadataError, StoreError, StoreMissing

from .entry import DatasetEntry, redact_error

T = TypeVar("T")

_DIGESTS_BYTES: Final = 256 * 2**10


@dataclass(slots=True)
class Freshness:
    """What the last revalidation of an opened dataset said; the one part of it that changes.

    The next one is `due` at that time of the revalidator's clock. `trouble` is the class of what
    kept the last one from an answer: the dataset serves on as it was, and where the store could
    not be asked at all it is `unreachable`. `settling` is the version whose quiet period runs.
    """

    due: float = inf
    trouble: type[Exception] | None = None
    unreachable: bool = False
    settling: str | None = None


@dataclass(slots=True)
class Description:
    """The text of what the dataset holds, once somebody has asked for it and it is not long."""

    text: bytes | None = None


# Of grids that move, such as those of nested models.
_MOST_POSITIONS: Final = 4


@dataclass(slots=True)
class KnownCells:
    """The cells of grids without axes, once somebody has asked for a place in one.

    They are read once for all who ask at the same time. Where they are others for each position
    along a dimension, which is known of grids that are `changing`, those of a few are kept.
    """

    by_grid: dict[tuple[LonLat, int | None], GridCells] = field(default_factory=dict)
    changing: set[LonLat] = field(default_factory=set)
    flight: SingleFlight[tuple[LonLat, int | None], GridCells | None] = field(
        default_factory=SingleFlight
    )

    def keep(self, grid: LonLat, position: int | None, cells: GridCells) -> None:
        """Keep the cells; of several positions the last few."""
        self.by_grid[grid, position] = cells
        others = [key for key in self.by_grid if key[0] == grid and key[1] is not None]
        for key in others[:-_MOST_POSITIONS]:
            del self.by_grid[key]

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return sum([cells.nbytes for cells in self.by_grid.values()])


@dataclass(frozen=True, slots=True)
class Change:
    """Another version of a store, and how to open it.

    It is `whole` where one document holds all metadata, which is written last; documents that were
    read one by one may be of different times.
    """

    version: str
    whole: bool
    open: Callable[[], Coroutine[object, object, Opened]]


# The store's other version, or None. StoreMissing says that the metadata is gone, MetadataError
# that it cannot be used, any other StoreError that nobody knows.
Revalidate: TypeAlias = Callable[[], Coroutine[object, object, Change | None]]


async def _unchanging() -> Change | None:
    """The revalidation of a store that never changes."""
    return None


def _no_digests() -> BoundedCache[Hashable, str]:
    return BoundedCache(_DIGESTS_BYTES)


@dataclass(frozen=True, slots=True)
class Opened:
    """One opened dataset with what every request needs of it, prepared once.

    `version` is that of the store's metadata (see `GroupDocuments.version`) and of its entry's
    cache epoch, `identity` is all that its answers follow from: the version and how the entry reads
    it. `revalidate` asks the store for another version; `freshness` is what that said.
    `tag_digests` has the part of entity tags that many answers share, by what they have in common;
    `learned` is what answers have shown, for explanations. `unused_copies` says why some of the
    entry's copies are not read. What is `stored` is what it was opened from.
    """

    entry: DatasetEntry
    prepared: PreparedDataset
    fragments: FragmentCache
    version: str
    identity: str
    revalidate: Revalidate = _unchanging
    freshness: Freshness = field(default_factory=Freshness)
    description: Description = field(default_factory=Description)
    tag_digests: BoundedCache[Hashable, str] = field(default_factory=_no_digests)
    learned: Learned = field(default_factory=Learned)
    cells: KnownCells = field(default_factory=KnownCells)
    unused_copies: Mapping[str, str] = field(default_factory=dict)
    stored: StoredGroups | None = None
    of_doors: dict[Callable[[Opened], Any], Any] = field(default_factory=dict)

    @property
    def dataset(self) -> AsyncDataset:
        """The dataset itself, which nobody changes."""
        return self.prepared.dataset

    @property
    def held_bytes(self) -> int:
        """The memory that it takes, but for attributes and the like."""
        return self.prepared.layout.held_bytes + self.cells.nbytes + self.learned.nbytes

    def for_door(self, make: Callable[[Opened], T]) -> T:
        """What a way in needs of this dataset: what ``make(self)`` gave when it was first asked."""
        made: T | None = self.of_doors.get(make)
        if made is None:
            made = self.of_doors[make] = make(self)
        return made


log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What a revalidation came to."""

    UNCHANGED = "unchanged"
    # Another version, whose documents have to stand still for a while before it is believed.
    SETTLING = "settling"
    SWAPPED = "swapped"
    # There is another version, which cannot be opened.
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    GONE = "gone"


# Called after every one with the dataset's id, what it came to and its error, if there was one.
OnRevalidated: TypeAlias = Callable[[str, Outcome, Exception | None], None]


class Slots(Protocol):
    """Where opened datasets stand: what becomes of them is its matter."""

    def swap(self, old: Opened, new: Opened) -> None:
        """Give `new` to all requests that begin from now on, if `old` is what they got so far."""
        ...

    def drop(self, gone: Opened, error: Exception) -> None:
        """Answer `error` from now on, if `gone` is what requests got so far."""
        ...


class Revalidator:
    """Revalidates stores, each once at a time, and puts new versions into the `slots`.

    After one that failed the next one is due in `retry_seconds`, if not sooner. It owns the tasks
    of those that nobody waits for, until `aclose`.
    """

    def __init__(
        self,
        slots: Slots,
        *,
        retry_seconds: float,
        on_revalidated: OnRevalidated | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._retry_seconds = retry_seconds
        self._on_revalidated = on_revalidated
        self._clock = clock
        self._flight: SingleFlight[int, None] = SingleFlight()
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Cancel the revalidations that go on in the background."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def refresh(self, opened: Opened) -> None:
        """Revalidate now, or wait for the revalidation in flight; never raises for a store."""
        await self._flight.do(id(opened), lambda: self._revalidate(opened))

    def start(self, opened: Opened) -> None:
        """Revalidate now, in the background; until that is done no other revalidation is due."""
        opened.freshness.due = inf
        task = asyncio.create_task(self.refresh(opened))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _revalidate(self, opened: Opened) -> None:
        try:
            change = await opened.revalidate()
            outcome, failure = await self._follow(opened, change)
        except StoreMissing as error:
            outcome, failure = Outcome.GONE, error
        except StoreError as error:
            broken = isinstance(error, MetadataError)
            outcome, failure = Outcome.FAILED if broken else Outcome.UNREACHABLE, error
        except Exception as error:
            outcome, failure = Outcome.FAILED, error
        told = None if failure is None else redact_error(failure, opened.entry)
        self._note(opened, outcome, told)
        if self._on_revalidated is not None:
            self._on_revalidated(opened.entry.id, outcome, told)

    async def _follow(
        self, opened: Opened, change: Change | None
    ) -> tuple[Outcome, Exception | None]:
        """Put the new version in the old one's place, once it can be believed and opened."""
        freshness = opened.freshness
        if change is None:
            freshness.settling = None
            return Outcome.UNCHANGED, None
        settles = opened.entry.settle_seconds > 0 and not change.whole
        if settles and freshness.settling != change.version:
            freshness.settling = change.version
            return Outcome.SETTLING, None
        try:
            new = await change.open()
        except Exception as error:
            return Outcome.FAILED, error
        self._slots.swap(opened, new)
        return Outcome.SWAPPED, None

    def _note(self, opened: Opened, outcome: Outcome, error: Exception | None) -> None:
        freshness, entry = opened.freshness, opened.entry
        _write(entry.id, freshness.trouble, outcome, error)
        freshness.trouble = None if error is None else type(error)
        freshness.unreachable = outcome is Outcome.UNREACHABLE
        pause = inf if entry.refresh_seconds is None else entry.refresh_seconds
        if outcome is Outcome.SETTLING:
            pause = entry.settle_seconds
        elif error is not None:
            pause = min(pause, self._retry_seconds)
        freshness.due = self._clock() + pause
        if outcome is Outcome.GONE and error is not None:
            self._slots.drop(opened, error)


def _write(
    dataset_id: str, before: type[Exception] | None, outcome: Outcome, error: Exception | None
) -> None:
    """Log what is new: trouble that the last one did not have, its end, another version."""
    if error is not None and before is not type(error):
        kind = type(error).__name__
        log.warning("dataset %r: its revalidation: %s: %s: %s", dataset_id, outcome, kind, error)
    elif outcome is Outcome.SWAPPED:
        log.info("dataset %r: another version is served", dataset_id)
    elif error is None and before is not None:
        log.info("dataset %r: its store can be looked at again", dataset_id)
