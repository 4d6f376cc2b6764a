"""The work of ``sluice check``: from a catalog to findings for people or programs, and a status."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, TextIO, TypeAlias

from sluice.arrays.member_documents import DEFAULT_LIMITS, OpeningLimits
from sluice.arrays.reader import Reader
from sluice.concurrency import map_concurrently
from sluice.errors import StoreTimeout
from sluice.store import Filesystems
from sluice.store.resilient import StoreGuards
from sluice.store.retry_policy import RetryPolicy

from ..catalog import Catalog
from ..entry import DatasetEntry, redact, redact_error, secrets_of
from ..globs import Glob
from ..listings import LeftOut, Listed, ListingLimits, Listings
from ..opened import Opened
from ..opened_datasets import Opener
from ..opening import open_entry, source_of
from ..relisting import ListNames, list_names
from .datasets import Checked, OpenEntry, check_catalog
from .findings import Finding, Severity

# So many globs are listed, and so many datasets looked at, at once.
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
            async with asyncio.timeout(seconds) as deadline:
                names = await list_names(listed)
        except Exception as error:
            late = StoreTimeout(f"It took more than {seconds:g} seconds.")
            failures[listed.place] = late if deadline.expired() else error
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
        text = f"it cannot be listed: {redact_error(failure, listed.entry)}"
        yield Finding(Severity.ERROR, "", text)
    elif not count:
        what = "store matches it" if isinstance(listed, Glob) else "group in it holds arrays"
        yield Finding(Severity.WARNING, "", f"no {what}. Look at url.")
    secrets = secrets_of(listed.entry)
    for one in left_out:
        yield Finding(Severity.WARNING, "", f"left out: {redact(str(one), secrets)}.")


Format: TypeAlias = Literal["text", "json"]

_HEAD: Final = ("DATASET", "WHERE", "SEVERITY", "WHAT IS WRONG, AND HOW TO FIX IT")
_NARROWEST_TEXT: Final = 30


def report(checked: Sequence[Checked], form: Format, *, width: int) -> str:
    """The findings as a table of at most `width` columns with a summary, or as a JSON document."""
    match form:
        case "text":
            return "\n".join([*_table(checked, width), summary(checked), ""])
        case "json":
            text = json.dumps(_document(checked), indent=2, ensure_ascii=False) + "\n"
            # Halves of surrogate pairs, which UTF-8 does not have, become JSON's escapes.
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
        case _:
            raise AssertionError(form)


def failed(checked: Sequence[Checked], *, strict: bool) -> bool:
    """Whether there is an error; with `strict`, whether there is a warning."""
    counts = _counts(checked)
    return counts[Severity.ERROR] > 0 or (strict and counts[Severity.WARNING] > 0)


def summary(checked: Sequence[Checked]) -> str:
    """One line that counts datasets and findings."""
    counts = _counts(checked)
    told = [_number(counts[severity], severity.value) for severity in Severity if counts[severity]]
    return f"{_number(len(_datasets(checked)), 'dataset')}: {', '.join(told) or 'nothing is wrong'}"


def _datasets(checked: Sequence[Checked]) -> list[str]:
    return [one.id for one in checked if one.served]


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counts(checked: Sequence[Checked]) -> Counter[Severity]:
    return Counter(finding.severity for one in checked for finding in one.findings)


def _table(checked: Sequence[Checked], width: int) -> Iterator[str]:
    rows = [
        (one.id, _printable(found.where), found.severity.value, _printable(found.text))
        for one in checked
        for found in one.findings
    ]
    if not rows:
        return
    names = [[row[column] for row in (_HEAD, *rows)] for column in range(3)]
    widths = [min(max(map(len, column)), max(width // 5, len("SEVERITY"))) for column in names]
    room = max(width - sum(widths) - 2 * len(widths), _NARROWEST_TEXT)
    for row in (_HEAD, *rows):
        yield from _lines(row, [*widths, room])
    yield ""


def _printable(text: str) -> str:
    """`text` without what would move a terminal's cursor, or that UTF-8 does not have."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _lines(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    """One row of the table, wrapped inside its columns."""
    cells = [textwrap.wrap(cell, w) for cell, w in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = (f"{part:<{w}}" for part, w in zip(parts, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _document(checked: Sequence[Checked]) -> dict[str, object]:
    findings = [
        {
            "dataset": one.id,
            "where": found.where or None,
            "severity": found.severity.value,
            "text": found.text,
        }
        for one in checked
        for found in one.findings
    ]
    return {"datasets": _datasets(checked), "findings": findings}


# Where nothing says how wide the terminal is: a pipe, a log.
_USUAL_SIZE: Final = (100, 24)


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
    epochs: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Check the `catalog`, with what globs and hierarchies bring, and write the report to `out`.

    `epochs` has what datasets that a server refreshed are opened as. Stores are asked by
    `retry_policy`, as a server asks them. 0, or 1 where there is an error (with `strict`: or a
    warning).
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
                _of_epochs(partial(opening, filesystems=filesystems), epochs),
                partial(connecting, filesystems=filesystems),
                request_chunk_bytes=request_chunk_bytes,
                patience_seconds=patience_seconds,
                at_once=_AT_ONCE,
                has_answered=guards.has_answered,
            )

    checked = _run_quietly(check())
    out.write(report(checked, form, width=shutil.get_terminal_size(_USUAL_SIZE).columns))
    return int(failed(checked, strict=strict))


def _of_epochs(opener: Opener, epochs: Mapping[str, str]) -> OpenEntry:
    """Opens datasets as those who know of these refreshes do."""

    async def open_it(entry: DatasetEntry) -> Opened:
        return await opener(entry, epoch=epochs.get(entry.id, ""))

    return open_it


def _run_quietly(work: Coroutine[object, object, tuple[Checked, ...]]) -> tuple[Checked, ...]:
    """Run it without what libraries warn of and log, which is not in the form of the table."""
    logging.getLogger().addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return asyncio.run(work)
