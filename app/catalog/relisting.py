"""Globs and hierarchies, listed now and then while requests go on; what fails changes nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from math import inf
from typing import Final, TypeAlias

from sluice.arrays.group_documents import groups_with_arrays
from sluice.arrays.member_documents import DEFAULT_LIMITS, OpeningLimits
from sluice.concurrency import SingleFlight, map_concurrently
from sluice.errors import StoreMissing, StoreTimeout, StoreTooLarge, redacted
from sluice.store import ByteSource, Filesystems
from sluice.store.addresses import split_url
from sluice.store.protocols import LOCAL
from sluice.store.resilient import StoreGuards

from ..telemetry.events import Emit
from .control_log import ControlLog
from .entry import bare_error, redact, redact_error, secrets_of
from .globs import Glob
from .listings import LeftOut, Listed, ListingLimits, Listings
from .opening import source_of

_AT_ONCE: Final = 8

ListNames: TypeAlias = Callable[[Listed], Coroutine[object, object, tuple[str, ...]]]


async def list_names(
    listed: Listed,
    *,
    filesystems: Filesystems,
    store_concurrency: int,
    most: ListingLimits,
    emit: Emit | None = None,
    guards: StoreGuards | None = None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> tuple[str, ...]:
    """The names below the root of a glob that match it, or the paths of a tree's groups, sorted.

    One more than there may be at most, so that it shows when there are more. Raises StoreError
    where a folder or the hierarchy cannot be listed, CatalogError where the options do not fit.
    """
    url = listed.root if isinstance(listed, Glob) else listed.entry.url
    entry = listed.entry.model_copy(update={"url": url})
    source = await source_of(
        entry, filesystems, store_concurrency=store_concurrency, emit=emit, guards=guards
    )
    if isinstance(listed, Glob):
        return await _stores(listed, source, most.datasets)
    return await groups_with_arrays(
        source,
        zarr_format=entry.zarr_format,
        consolidated=entry.consolidated,
        most=most.groups,
        limits=limits,
    )


async def _stores(glob: Glob, source: ByteSource, most: int) -> tuple[str, ...]:
    try:
        return await _matching(glob, source, most)
    except StoreMissing as error:
        if split_url(glob.root)[0] in LOCAL:
            raise StoreMissing(f"There is no folder {redacted(glob.root)}.") from error
        raise


async def _matching(glob: Glob, source: ByteSource, most: int) -> tuple[str, ...]:
    folders = [""]
    for level in range(len(glob.levels)):
        if len(folders) > most:
            raise StoreTooLarge(f"More than {most} folders match {glob.levels[level - 1]!r}.")
        found: list[str] = []

        async def look(folder: str, level: int = level, found: list[str] = found) -> None:
            names = await source.list_dir(folder)
            prefix = f"{folder}/" if folder else ""
            found += [prefix + name for name in names if glob.matches(level, name)]

        await map_concurrently(folders, look, workers=_AT_ONCE)
        folders = sorted(found)
    return tuple(folders[: most + 1])


# So many of the stores that are left out stand in the log.
_MOST_TOLD: Final = 20
# Nothing is listed more often, whatever its `refresh_seconds`.
_LEAST_SECONDS: Final = 1.0
# And between two listings there are so many times as many seconds as one takes: a walk over
# thousands of groups takes a while.
_REST: Final = 9
# So many hierarchies are listed at once in the background, each with a walk of many requests.
_TREES_AT_ONCE: Final = 4

log = logging.getLogger(__name__)


class Relister:
    """Lists globs and trees, as the limits of `listings` allow, and posts what differs from these.

    After a listing that failed the next one is due in `retry_seconds`, if not sooner.
    """

    def __init__(
        self,
        control_log: ControlLog,
        listings: Listings,
        list_names: ListNames,
        *,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listings = listings
        self._control_log = control_log
        self._list_names = list_names
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._due: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._failures: dict[str, Exception] = {}
        self._told: dict[tuple[str, str], tuple[str, ...]] = {}
        self._flight: SingleFlight[str, None] = SingleFlight()

    async def list_now(self, listed: Iterable[Listed], *, at_once: int | None = None) -> None:
        """List these now; what fails goes to the log, and what was known of it stays."""
        await map_concurrently(tuple(listed), self._list_once, workers=at_once)

    async def list_unknown(self, listed: Iterable[Listed]) -> None:
        """List those that no process has listed yet."""
        await self.list_now([one for one in listed if not self.listings.knows(one)])

    async def list_due(self, listed: Iterable[Listed], *, at_once: int | None = None) -> None:
        """List those whose time has come; of one that others have listed it begins now."""
        due = []
        for one in listed:
            if one.place not in self._due and self.listings.knows(one):
                self._schedule(one, failed=False)
            elif self._clock() >= self._due.get(one.place, -inf):
                due.append(one)
        await self.list_now(due, at_once=at_once)

    async def list_due_trees(self, trees: Iterable[Listed]) -> None:
        """As `list_due`, a few at once."""
        await self.list_due(trees, at_once=_TREES_AT_ONCE)

    def make_due(self, listed: Iterable[Listed]) -> None:
        """Have these listed the next time that anything is."""
        self._due.update({one.place: -inf for one in listed})

    async def find(self, listed: Listed) -> None:
        """List it, for somebody who waits; raises why that fails, or failed a moment ago."""
        failure = self._failures.get(listed.place)
        if failure is None or self._clock() >= self._due.get(listed.place, -inf):
            await self._list_once(listed)
            failure = self._failures.get(listed.place)
        if failure is not None:
            # Without this, each raise would add its frames to the one traceback that we keep.
            raise failure.with_traceback(None)

    async def list_anew(self, listed: Listed) -> None:
        """List it by a listing that begins after this was called; raises why that fails."""
        called = self._clock()
        while self._began.get(listed.place, -inf) < called:
            await self._list_once(listed)
        if (failure := self._failures.get(listed.place)) is not None:
            raise failure.with_traceback(None)

    async def _list_once(self, listed: Listed) -> None:
        await self._flight.do(listed.place, lambda: self._list(listed))

    async def _list(self, listed: Listed) -> None:
        failure: Exception | None = None
        began = self._began[listed.place] = self._clock()
        try:
            async with asyncio.timeout(self.listings.limits.seconds) as deadline:
                names = await self._list_names(listed)
            change = self.listings.change(listed, names)
            if change is not None:
                self._control_log.post(change)
        except Exception as error:
            late = StoreTimeout(f"It took more than {self.listings.limits.seconds:g} seconds.")
            failure = redact_error(late if deadline.expired() else error, listed.entry)
        self._schedule(listed, failed=failure is not None, took=self._clock() - began)
        self._note(listed, failure)

    def _schedule(self, listed: Listed, *, failed: bool, took: float = 0.0) -> None:
        pause = listed.entry.refresh_seconds
        pause = inf if pause is None else max(pause, _LEAST_SECONDS, took * _REST)
        if failed:
            pause = min(pause, max(self._retry_seconds, _LEAST_SECONDS, took))
        self._due[listed.place] = self._clock() + pause

    def _note(self, listed: Listed, failure: Exception | None) -> None:
        """Keep the failure, and log what is new: another than that of the last listing, or none."""
        before = self._failures.pop(listed.place, None)
        if failure is not None:
            self._failures[listed.place] = bare_error(failure)
            if before is None or str(before) != str(failure):
                words = "cannot be listed, and what it brought before stays"
                log.warning("%s: %s: %s", listed.label, words, failure)
        elif before is not None:
            log.info("%s: it can be listed again", listed.label)

    def tell_left_out(self, listed: Iterable[Listed], left_out: Iterable[LeftOut]) -> None:
        """Log what each of these found that is not served, where that is news."""
        by: dict[tuple[str, str], list[str]] = {}
        for left in left_out:
            by.setdefault((left.listed.entry.id, left.listed.place), []).append(str(left))
        for one in listed:
            name = one.entry.id, one.place
            mine = tuple(by.get(name, ()))
            if mine != self._told.get(name, ()):
                self._told[name] = mine
                _write_left_out(one, mine)


def _write_left_out(listed: Listed, left_out: tuple[str, ...]) -> None:
    name, secrets = listed.label, secrets_of(listed.entry)
    if not left_out:
        log.info("%s: nothing that was found is left out any more", name)
        return
    words = "; ".join(redact(one, secrets) for one in islice(left_out, _MOST_TOLD))
    more = len(left_out) - _MOST_TOLD
    rest = f"; and {more} more" if more > 0 else ""
    log.warning("%s: %d found and not served: %s%s", name, len(left_out), words, rest)
