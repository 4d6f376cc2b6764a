"""Globs, listed now and then while requests go on; what fails leaves things as they were."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from itertools import islice
from math import inf
from typing import Final

from sluice.concurrency import map_concurrently
from sluice.errors import StoreTimeout

from .bulletin import Bulletin
from .discretion import discreet, discreet_error, secrets_of
from .globs import Glob, LeftOut
from .listing import ListNames
from .listings import Listings

# So many of the stores that are left out stand in the log.
_MOST_TOLD: Final = 20
# A glob is listed no more often, whatever its `refresh_seconds`.
_LEAST_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class Relister:
    """Lists globs, each for at most `seconds`, and posts what differs from the `listings`.

    After a listing that failed the next one is due in `retry_seconds`, if not sooner.
    """

    def __init__(
        self,
        bulletin: Bulletin,
        listings: Listings,
        list_names: ListNames,
        *,
        seconds: float,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listings = listings
        self._bulletin = bulletin
        self._list_names = list_names
        self._seconds = seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._due: dict[str, float] = {}
        self._troubles: dict[str, str] = {}
        self._told: dict[tuple[str, str], tuple[str, ...]] = {}

    async def list_now(self, globs: Iterable[Glob]) -> None:
        """List these now; what fails goes to the log, and what was known of it stays."""
        await map_concurrently(tuple(globs), self._list)

    async def list_unknown(self, globs: Iterable[Glob]) -> None:
        """List those that no process has listed yet."""
        await self.list_now([glob for glob in globs if not self.listings.knows(glob)])

    async def list_due(self, globs: Iterable[Glob]) -> None:
        """List those whose time has come; of one that others have listed it begins now."""
        due = []
        for glob in globs:
            if glob.place not in self._due and self.listings.knows(glob):
                self._schedule(glob, failed=False)
            elif self._clock() >= self._due.get(glob.place, -inf):
                due.append(glob)
        await self.list_now(due)

    async def _list(self, glob: Glob) -> None:
        failure: Exception | None = None
        try:
            async with asyncio.timeout(self._seconds) as patience:
                names = await self._list_names(glob)
            change = self.listings.change(glob, names)
            if change is not None:
                self._bulletin.post(change)
        except Exception as error:
            late = StoreTimeout(f"It took more than {self._seconds:g} seconds.")
            failure = discreet_error(late if patience.expired() else error, glob.entry)
        self._schedule(glob, failed=failure is not None)
        self._tell(glob, "" if failure is None else str(failure))

    def _schedule(self, glob: Glob, *, failed: bool) -> None:
        pause = glob.entry.refresh_seconds
        pause = inf if pause is None else max(pause, _LEAST_SECONDS)
        if failed:
            pause = min(pause, max(self._retry_seconds, _LEAST_SECONDS))
        self._due[glob.place] = self._clock() + pause

    def _tell(self, glob: Glob, trouble: str) -> None:
        """Log what is new: trouble that the last listing did not have, or its end."""
        before = self._troubles.pop(glob.place, "")
        name = glob.entry.id
        if trouble:
            self._troubles[glob.place] = trouble
        if trouble and trouble != before:
            words = "cannot be listed, and what it brought before stays"
            log.warning("glob %r: %s: %s", name, words, trouble)
        elif before and not trouble:
            log.info("glob %r: it can be listed again", name)

    def tell_left_out(self, globs: Iterable[Glob], left_out: tuple[LeftOut, ...]) -> None:
        """Log which stores of each glob are not served, where that is news."""
        for glob in globs:
            name = glob.entry.id, glob.place
            mine = tuple(str(one) for one in left_out if one.glob is glob)
            if mine != self._told.get(name, ()):
                self._told[name] = mine
                _write_left_out(glob, mine)


def _write_left_out(glob: Glob, left_out: tuple[str, ...]) -> None:
    name, secrets = glob.entry.id, secrets_of(glob.entry)
    if not left_out:
        log.info("glob %r: nothing that it finds is left out any more", name)
        return
    words = "; ".join(discreet(one, secrets) for one in islice(left_out, _MOST_TOLD))
    more = len(left_out) - _MOST_TOLD
    rest = f"; and {more} more" if more > 0 else ""
    log.warning("glob %r: %d found and not served: %s%s", name, len(left_out), words, rest)
