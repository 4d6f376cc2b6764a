"""The list of collections: a page of those that a request asks for.

(OGC API - EDR 1.1, OGC 19-086r6, section 8.1; OGC API - Common, part 2.) A box and a time choose
those whose extents they meet. What extent a dataset has, and whether it is a collection, is known
once its store is open: so a page is full, unless that takes too many stores or too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Self, TypeAlias

from sluice.aliases import record
from sluice.encoders.coverage_parts import TURN
from sluice.errors import SluiceError

from ...api.state import Service
from ...catalog.entry import DatasetEntry
from ...catalog.opened import Opened
from .collection import Collection, bbox_of
from .geometry import Box, read_box, system_of
from .parameters import Pairs, Period, read_period, single

# Longitudes and latitudes by their names.
Places: TypeAlias = Mapping[str, tuple[float, float]]

# A page of collections.
PAGE: Final = 50
MOST_PAGE: Final = 500
# What chooses collections: links to other pages keep it.
CHOICES: Final = ("bbox", "crs", "datetime")
# A request opens so many stores more than it shows collections, so many at once, for so long.
_MORE_OPENED: Final = 50
_AT_ONCE: Final = 8
_OPENING_SECONDS: Final = 20.0


@record
class Choice:
    """A box and a time, either of which may not be given."""

    box: Box | None
    period: Period | None

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """What these parameters choose; raises `QueryError` for texts that mean nothing."""
        crs = system_of(single(pairs, "crs"))
        box, period = ((single(pairs, name) or "").strip() for name in ("bbox", "datetime"))
        return cls(read_box(box, crs) if box else None, read_period(period) if period else None)

    def has(self, collection: Collection) -> bool:
        """Whether the extent of a collection meets both.

        One that has no levels, or no times, lies at each.
        """
        times = collection.axis("t")
        if self.period is not None and times is not None and not self.period.meets(times):
            return False
        if self.box is None:
            return True
        levels = collection.axis("z")
        if self.box.levels is not None and levels is not None:
            low, high = sorted(self.box.levels)
            if low > levels.keys[-1] or high < levels.keys[0]:
                return False
        return _meets(self.box, *bbox_of(collection))

    def places(self, collection: Collection, places: Places) -> Places:
        """Those places with names that lie in the box; none where there is no such time."""
        if not replace(self, box=None).has(collection):
            return {}
        if self.box is None:
            return places
        return {n: (x, y) for n, (x, y) in places.items() if _meets(self.box, x, y, x, y)}


def _meets(box: Box, west: float, south: float, east: float, north: float) -> bool:
    """Whether a box on the globe, and another one, have a place in common."""
    if box.south > north or box.north < south:
        return False
    # Each way round the globe: one of them begins in the other.
    inside, around = (round(one, 9) % TURN for one in (box.west - west, west - box.west))
    return inside <= _width(west, east) or around <= _width(box.west, box.east)


def _width(west: float, east: float) -> float:
    return east - west if east >= west else east - west + TURN


@record
class CollectionsPage:
    """Collections in the order of the catalog, and how many datasets were looked at for them."""

    found: list[tuple[Opened, Collection]]
    looked_at: int


async def page_of(
    serving: Service, entries: Sequence[DatasetEntry], choice: Choice, limit: int
) -> CollectionsPage:
    """The first `limit` collections that are chosen among the datasets of these `entries`.

    There are fewer where so many stores had to be opened, or it took so long, that the others are
    left to the next page. What cannot be opened is left out.
    """
    found: list[tuple[Opened, Collection]] = []
    looked_at, left = 0, limit + _MORE_OPENED
    now = asyncio.get_running_loop().time
    end = now() + _OPENING_SECONDS
    while looked_at < len(entries) and len(found) < limit and left > 0 and now() < end:
        most = max(limit - len(found), _AT_ONCE) if looked_at else limit
        some = entries[looked_at : looked_at + min(most, left)]
        left -= sum(serving.opened.peek(entry.id) is None for entry in some)
        opened = await _opened(serving, some, end - now())
        chosen = await asyncio.to_thread(_chosen, opened, choice)
        for entry in some:
            looked_at += 1
            if entry.id in chosen:
                found.append(chosen[entry.id])
            if len(found) == limit:
                break
    return CollectionsPage(found, looked_at)


def _chosen(opened: Iterable[Opened], choice: Choice) -> dict[str, tuple[Opened, Collection]]:
    """Those of the datasets that are collections, and are chosen, by their ids."""
    found: dict[str, tuple[Opened, Collection]] = {}
    for one in opened:
        collection = one.for_door(Collection.of)
        if collection is not None:
            collection = with_known_cells(one, collection)
            if choice.has(collection):
                found[one.entry.id] = one, collection
    return found


def with_known_cells(opened: Opened, collection: Collection) -> Collection:
    """The collection, with cells of its grid if somebody has read some."""
    # (Others may read some meanwhile.)
    read = tuple(opened.cells.by_grid.items())
    known = [one for (grid, _), one in read if grid == collection.grid]
    return replace(collection, cells=known[0]) if known else collection


async def _opened(
    serving: Service, entries: Sequence[DatasetEntry], seconds: float
) -> list[Opened]:
    """Those of the datasets that can be opened in a while."""
    found: list[Opened] = []
    waiting = iter(entries)

    async def open_some() -> None:
        for entry in waiting:
            try:
                found.append(await serving.opened.get(entry.id))
            except SluiceError:
                # A collection that cannot be opened is no reason to tell of none.
                continue

    tasks = [asyncio.create_task(open_some()) for _ in range(min(_AT_ONCE, len(entries)))]
    try:
        await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
    return found
