"""The work of ``sluice check``: from a catalog's path to a printed report and an exit status."""

from __future__ import annotations

import asyncio
import logging
import shutil
import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final, TextIO

from sluice.arrays.member_documents import DEFAULT_LIMITS, OpeningLimits
from sluice.arrays.reader import Reader
from sluice.store import Filesystems
from sluice.store.resilient import StoreGuards
from sluice.store.retry_policy import RetryPolicy

from ..catalog import Catalog
from ..listing import list_names
from ..listings import ListingLimits, Listings
from ..opening import open_entry, source_of
from .datasets import Checked, check_catalog
from .globs import expanded
from .report import Format, failed, report

AT_ONCE: Final = 8
# Where nothing says how wide the terminal is: a pipe, a log.
USUAL_SIZE: Final = (100, 24)


def run_check(
    catalog: Catalog,
    out: TextIO,
    *,
    listing: ListingLimits,
    form: Format,
    strict: bool,
    patience_seconds: float,
    request_chunk_bytes: int,
    store_concurrency: int,
    reader: Reader,
    connect: Callable[[], Filesystems],
    retry_policy: RetryPolicy,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> int:
    """Check the `catalog`, with what globs and hierarchies bring, and write the report to `out`.

    Stores are asked by `retry_policy`, as a server asks them. 0, or 1 where there is an error (with
    `strict`: or a warning).
    """
    guards = StoreGuards(retry_policy)
    of_stores = partial(list_names, most=listing, guards=guards, limits=limits)
    lister = partial(of_stores, store_concurrency=store_concurrency)
    connecting = partial(source_of, store_concurrency=store_concurrency, guards=guards)
    opening = partial(
        open_entry,
        guards=guards,
        store_concurrency=store_concurrency,
        reader=reader,
        limits=limits,
    )

    async def check() -> tuple[Checked, ...]:
        async with connect() as filesystems:
            whole, of_globs = await expanded(
                catalog, partial(lister, filesystems=filesystems), Listings(listing)
            )
            return of_globs + await check_catalog(
                whole,
                partial(opening, filesystems=filesystems),
                partial(connecting, filesystems=filesystems),
                request_chunk_bytes=request_chunk_bytes,
                patience_seconds=patience_seconds,
                at_once=AT_ONCE,
                has_answered=guards.has_answered,
            )

    checked = _run_quietly(check())
    out.write(report(checked, form, width=shutil.get_terminal_size(USUAL_SIZE).columns))
    return int(failed(checked, strict=strict))


def _run_quietly(work: Coroutine[object, object, tuple[Checked, ...]]) -> tuple[Checked, ...]:
    """Run it without what libraries warn of and log, which is not in the form of the table."""
    logging.getLogger().addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return asyncio.run(work)
