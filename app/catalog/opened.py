"""One opened dataset, what is known of its store's versions, and how to ask for another one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, TypeAlias, TypeVar

from sluice.bounded_cache import BoundedCache
from sluice.datasets import AsyncDataset
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import PreparedDataset

from .entry import DatasetEntry

T = TypeVar("T")

# Of the parts of tags that answers share.
_TOLD_BYTES: Final = 256 * 2**10


@dataclass(slots=True)
class Freshness:
    """What the last look at the store of an opened dataset said; the one part of it that changes.

    The next look is `due` at that time of the refresher's clock. `trouble` is the class of what
    kept the last one from an answer: the dataset serves on as it was, and where the store could
    not be asked at all it is `unreachable`. `settling` is the version that is being waited for.
    """

    due: float = inf
    trouble: type[Exception] | None = None
    unreachable: bool = False
    settling: str | None = None


@dataclass(slots=True)
class Description:
    """The text of what the dataset holds, once somebody has asked for it and it is not long."""

    text: bytes | None = None


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
Look: TypeAlias = Callable[[], Coroutine[object, object, Change | None]]


async def _unchanging() -> Change | None:
    """The look at a store that never changes."""
    return None


def _few() -> BoundedCache[Hashable, str]:
    return BoundedCache(_TOLD_BYTES)


@dataclass(frozen=True, slots=True)
class Opened:
    """One opened dataset with what every request needs of it, prepared once.

    `version` is that of the store's metadata (see `GroupDocuments.version`) and of its entry's
    generation, `identity` is all that its answers follow from: the version and how the entry reads
    it. `look` asks the store for another version; `freshness` is what that said. `told` keeps, of
    the tags of answers, the part that many of them share.
    """

    entry: DatasetEntry
    prepared: PreparedDataset
    fragments: FragmentCache
    version: str
    identity: str
    look: Look = _unchanging
    freshness: Freshness = field(default_factory=Freshness)
    description: Description = field(default_factory=Description)
    told: BoundedCache[Hashable, str] = field(default_factory=_few)
    _of_doors: dict[Callable[[Opened], Any], Any] = field(default_factory=dict)

    @property
    def dataset(self) -> AsyncDataset:
        """The dataset itself, which nobody changes."""
        return self.prepared.dataset

    def for_door(self, make: Callable[[Opened], T]) -> T:
        """What a way in needs of this dataset: what ``make(self)`` gave when it was first asked."""
        made: T | None = self._of_doors.get(make)
        if made is None:
            made = self._of_doors[make] = make(self)
        return made
