"""``sluice check``: opens every dataset as the server would, and finds what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.group_metadata import open_group
from sluice.arrays.member_documents import OpeningLimits
from sluice.concurrency import map_concurrently
from sluice.datasets.read_plan import plan_isel
from sluice.encoders.json_encoder import json_pieces
from sluice.errors import (
    CorruptChunk,
    MetadataError,
    SluiceError,
    StoreError,
    StoreMissing,
    StoreRefused,
    StoreSlow,
    StoreTimeout,
)
from sluice.store.failures import reason_of
from sluice.store.source import ByteSource

from ..catalog import Catalog
from ..entry import DatasetEntry, redact, redact_error, secrets_of
from ..opened import Opened
from .chunks import age_findings, chunk_findings, chunk_key_findings, first_part, lazy_array
from .findings import Finding, Severity, axis_findings, dimension_findings, mask_findings
from .stores import file_at, stale_findings, stores_below, variables_below

# From so many arrays on, opening a v3 group array by array is felt.
MANY_ARRAYS: Final = 8
VARIABLES_AT_ONCE: Final = 8
_DECODING: Final = " Correct the attributes that it is decoded by, or name it in drop_variables."

OpenEntry = Callable[[DatasetEntry], Coroutine[object, object, Opened]]
Sources = Callable[[DatasetEntry], Coroutine[object, object, ByteSource]]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found about one dataset, the worst first; or about a glob, which is not `served`."""

    id: str
    findings: tuple[Finding, ...]
    served: bool = True


async def check_catalog(
    catalog: Catalog,
    opener: OpenEntry,
    sources: Sources,
    *,
    request_chunk_bytes: int,
    patience_seconds: float,
    at_once: int,
    has_answered: Callable[[str], bool],
) -> tuple[Checked, ...]:
    """Every dataset of the catalog with its findings, in the catalog's order.

    `opener` opens an entry, `sources` connects to its store alone. At most `at_once` datasets are
    looked at together, each for at most `patience_seconds`; a store that has answered until then
    (`has_answered` of the dataset) is slow and not out of reach.
    """
    found: dict[str, tuple[Finding, ...]] = {}

    async def check(entry: DatasetEntry) -> None:
        findings: list[Finding] = []
        try:
            async with asyncio.timeout(patience_seconds) as deadline:
                await _look(entry, opener, sources, request_chunk_bytes, findings)
        except Exception as error:
            if deadline.expired():
                findings.append(_late(patience_seconds, entry, has_answered(entry.id)))
            else:
                findings.append(_failed("", error, entry))
        found[entry.id] = _worst_first(findings)

    await map_concurrently(catalog.entries.values(), check, workers=at_once)
    return tuple(Checked(name, found[name]) for name in catalog.entries)


async def _look(
    entry: DatasetEntry,
    opener: OpenEntry,
    sources: Sources,
    request_chunk_bytes: int,
    findings: list[Finding],
) -> None:
    """Add to `findings`, so that what was found before a failure is kept."""
    try:
        opened = await opener(entry)
    except (StoreMissing, MetadataError, StoreRefused) as error:
        text = await what_is_there(entry, sources, below=isinstance(error, StoreMissing))
        if text is None:
            raise
        findings.append(Finding(Severity.ERROR, "", text))
        return
    findings += findings_of(opened, request_chunk_bytes=request_chunk_bytes)
    for name, why in opened.unused_copies.items():
        findings.append(Finding(Severity.WARNING, f"also: {name}", f"it is not used: {why}."))
    source = await sources(entry)
    if not opened.dataset.variables and not opened.dataset.unusable:
        text = await variables_below(source, entry.group) or "it holds no variables."
        findings.append(Finding(Severity.ERROR, "", text))
    findings += await metadata_findings(entry, source)
    await _look_at_chunks(opened, source, request_chunk_bytes, findings)
    if not entry.rewritten:
        arrays = {str(n): lazy_array(v) for n, v in opened.dataset.variables.items()}
        dated = {name: array.meta for name, array in arrays.items() if array is not None}
        findings += await age_findings(source, entry.group, dated)


async def what_is_there(entry: DatasetEntry, sources: Sources, *, below: bool) -> str | None:
    """The sentence for what lies at an address that is no store, if anything is known of it.

    With `below`, it also tells of the groups and stores that lie deeper.
    """

    async def beside(url: str) -> ByteSource:
        return await sources(entry.model_copy(update={"url": url}))

    if (text := await file_at(entry.url, beside)) is not None:
        return text
    if not below:
        return None
    try:
        source = await sources(entry)
    except SluiceError:
        return None
    if entry.group:
        found = await variables_below(source, None)
        return found and f"there is no group {entry.group!r}: {found}"
    return await stores_below(source) or await variables_below(source, None)


def findings_of(opened: Opened, *, request_chunk_bytes: int) -> list[Finding]:
    """What the metadata and the axes of an opened dataset show; reads nothing."""
    return [
        *_unusable(opened),
        *axis_findings(opened.dataset, opened.prepared.axes),
        *dimension_findings(opened.dataset),
        *mask_findings(opened.dataset),
        *chunk_findings(opened.dataset, request_chunk_bytes=request_chunk_bytes),
    ]


def _unusable(opened: Opened) -> Iterator[Finding]:
    """The variables that are left out, each with the reason and what to do about it."""
    secrets = secrets_of(opened.entry)
    for name, one in opened.dataset.unusable.items():
        text = f"it is left out: {one.reason}. {one.advice}"
        yield Finding(Severity.ERROR, name, redact(text, secrets))


def _worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    ranks = list(Severity)
    return tuple(sorted(findings, key=lambda finding: ranks.index(finding.severity)))


async def metadata_findings(entry: DatasetEntry, source: ByteSource) -> list[Finding]:
    """What is wrong with how the store's metadata is kept; an entry may have chosen so.

    Consolidated metadata that is stale, or what it costs that there is none.
    """
    if entry.consolidated is not None:
        return []
    limits = OpeningLimits(dropped=frozenset(entry.drop_variables))
    ask = partial(
        open_group, source, group=entry.group, zarr_format=entry.zarr_format, limits=limits
    )
    try:
        known = await ask(consolidated=True)
    except MetadataError:
        return _unconsolidated(await ask(consolidated=False))
    try:
        return stale_findings(known, await ask(consolidated=False))
    except SluiceError:
        return []  # not listed, or without documents of their own: there is nothing beside it


def _unconsolidated(documents: GroupDocuments) -> list[Finding]:
    arrays = len(documents.arrays)
    if documents.zarr_format == 3 and arrays < MANY_ARRAYS:
        return []
    reads = arrays if documents.zarr_format == 3 else 2 * arrays
    text = (
        f"its metadata is not consolidated: opening it lists the group and reads {reads} small "
        "documents, one wave after the other. Run zarr.consolidate_metadata on it."
    )
    return [Finding(Severity.WARNING, "", text)]


async def _look_at_chunks(
    opened: Opened, source: ByteSource, request_chunk_bytes: int, findings: list[Finding]
) -> None:
    """Whether chunks of each variable are there, and the first is answered as JSON."""
    dataset = opened.dataset

    async def look(name: Hashable) -> None:
        variable = dataset.variables[name]
        array = lazy_array(variable)
        if array is None or not variable.size or array.meta.chunk_bytes > request_chunk_bytes:
            return
        try:
            found = await chunk_key_findings(source, str(name), array.meta)
            findings.extend(found)
            if not found:
                part = await plan_isel(dataset, first_part(variable), keep=[name]).read()
                for _ in json_pieces(part):
                    pass
        except Exception as error:
            findings.append(_failed(str(name), error, opened.entry))

    await map_concurrently(list(dataset.variables), look, workers=VARIABLES_AT_ONCE)


def _failed(where: str, failure: Exception, entry: DatasetEntry) -> Finding:
    error = redact_error(_telling(failure), entry)
    if not isinstance(error, SluiceError):
        error = StoreError(reason_of(error))
    text = error.detail if error.detail.endswith((".", "'", ")")) else f"{error.detail}."
    if isinstance(error, StoreSlow):
        doing = "its first chunk was not read in time" if where else "it was not opened in time"
        return Finding(Severity.WARNING, where, f"{doing}: {text}{_advice(error)}")
    doing, advice = "it cannot be opened", _advice(error)
    if where and isinstance(failure, SluiceError):
        doing = "its first chunk cannot be read"
    elif where:
        doing, advice = "values of its first chunk cannot be decoded", _DECODING
    return Finding(Severity.ERROR, where, f"{doing}: {text}{advice}")


def _late(patience_seconds: float, entry: DatasetEntry, has_answered: bool) -> Finding:
    """What is said of a dataset whose time has ended."""
    if not has_answered:
        late = StoreTimeout(f"It took more than {patience_seconds:g} seconds.")
        return _failed("", late, entry)
    text = (
        f"its store answers, and so slowly that {patience_seconds:g} seconds were not enough to "
        f"look at all of it.{_advice(StoreSlow(''))}"
    )
    return Finding(Severity.WARNING, "", text)


def _telling(error: Exception) -> Exception:
    """The innermost refusal, which has the store's own words and its advice; else `error`."""
    link: BaseException | None = error
    while isinstance(link, StoreRefused):
        error, link = link, link.__cause__
    return error


def _advice(error: SluiceError) -> str:
    """What may fix it, where the error's own words do not say."""
    match error:
        case StoreRefused() if "s3:" not in error.detail:
            return " The credentials in storage_options need the right to read it and to list it."
        case StoreTimeout():
            return " Look whether its endpoint can be reached from here."
        case StoreSlow():
            return " It is there and slow just now: check again, with more --patience."
        case StoreMissing():
            return " Look at url and group."
        case CorruptChunk():
            return " Write this variable again."
        case _:
            return ""
