"""What the globs of a catalog bring, and what is wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from sluice.concurrency import map_concurrently
from sluice.errors import StoreTimeout

from ..catalog import Catalog
from ..discretion import discreet, discreet_error, secrets_of
from ..globs import Glob, LeftOut
from ..listing import ListNames
from ..listings import Listings
from .datasets import Checked
from .findings import Finding, Severity

_AT_ONCE: Final = 8


async def expanded(
    catalog: Catalog, list_names: ListNames, most: int, seconds: float
) -> tuple[Catalog, tuple[Checked, ...]]:
    """The `catalog` with what its globs bring, and a row of findings for each that has any."""
    listings, failures = Listings(most), dict[str, Exception]()

    async def look(glob: Glob) -> None:
        try:
            async with asyncio.timeout(seconds) as patience:
                names = await list_names(glob)
        except Exception as error:
            late = StoreTimeout(f"It took more than {seconds:g} seconds.")
            failures[glob.place] = late if patience.expired() else error
        else:
            if (change := listings.change(glob, names)) is not None:
                listings.apply(change)

    await map_concurrently(catalog.globs, look, workers=_AT_ONCE)
    found = listings.expanded(catalog)
    rows = []
    for glob in catalog.globs:
        left_out = tuple(one for one in found.left_out if one.glob is glob)
        failure = failures.get(glob.place)
        findings = tuple(_findings(glob, failure, listings.count(glob), left_out))
        if findings:
            rows.append(Checked(glob.entry.id, findings, served=False))
    return found.catalog, tuple(rows)


def _findings(
    glob: Glob, failure: Exception | None, count: int, left_out: tuple[LeftOut, ...]
) -> Iterator[Finding]:
    if failure is not None:
        text = f"it cannot be listed: {discreet_error(failure, glob.entry)}"
        yield Finding(Severity.ERROR, "", text)
    elif not count:
        yield Finding(Severity.WARNING, "", "no store matches it. Look at url.")
    secrets = secrets_of(glob.entry)
    for one in left_out:
        yield Finding(Severity.WARNING, "", f"left out: {discreet(str(one), secrets)}.")
