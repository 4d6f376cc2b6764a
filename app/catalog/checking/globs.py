"""What the globs and hierarchies of a catalog bring, and what is wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from sluice.concurrency import map_concurrently
from sluice.errors import StoreTimeout

from ..catalog import Catalog
from ..discretion import discreet, discreet_error, secrets_of
from ..globs import Glob
from ..listing import ListNames
from ..listings import LeftOut, Listed, Listings
from .datasets import Checked
from .findings import Finding, Severity

_AT_ONCE: Final = 8


async def expanded(
    catalog: Catalog, list_names: ListNames, listings: Listings
) -> tuple[Catalog, tuple[Checked, ...]]:
    """The `catalog` with what globs and hierarchies bring; a row of findings for each with any.

    Those that could not be enumerated are not in it.
    """
    failures, seconds = dict[str, Exception](), listings.limits.seconds

    async def look(listed: Listed) -> None:
        try:
            async with asyncio.timeout(seconds) as patience:
                names = await list_names(listed)
        except Exception as error:
            late = StoreTimeout(f"It took more than {seconds:g} seconds.")
            failures[listed.place] = late if patience.expired() else error
        else:
            if (change := listings.change(listed, names)) is not None:
                listings.apply(change)

    await map_concurrently(catalog.globs, look, workers=_AT_ONCE)
    trees = listings.expanded(catalog).catalog.trees.values()
    await map_concurrently(trees, look, workers=_AT_ONCE)
    found = listings.expanded(catalog)
    every: list[Listed] = [*catalog.globs, *trees]
    rows = tuple(_rows(every, failures, listings, found.left_out))
    entries = {n: entry for n, entry in found.catalog.entries.items() if not entry.has_groups}
    return Catalog(entries, catalog.globs), rows


def _rows(
    every: Iterable[Listed],
    failures: dict[str, Exception],
    listings: Listings,
    left_out: Iterable[LeftOut],
) -> Iterator[Checked]:
    for listed in every:
        mine = tuple(one for one in left_out if one.listed is listed)
        failure = failures.get(listed.place)
        findings = tuple(_findings(listed, failure, listings.count(listed), mine))
        if findings:
            yield Checked(listed.entry.id, findings, served=False)


def _findings(
    listed: Listed, failure: Exception | None, count: int, left_out: tuple[LeftOut, ...]
) -> Iterator[Finding]:
    if failure is not None:
        text = f"it cannot be listed: {discreet_error(failure, listed.entry)}"
        yield Finding(Severity.ERROR, "", text)
    elif not count:
        what = "store matches it" if isinstance(listed, Glob) else "group in it holds arrays"
        yield Finding(Severity.WARNING, "", f"no {what}. Look at url.")
    secrets = secrets_of(listed.entry)
    for one in left_out:
        yield Finding(Severity.WARNING, "", f"left out: {discreet(str(one), secrets)}.")
