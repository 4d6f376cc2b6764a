"""The work of ``sluice rechunk``: a dataset of the catalog, copied into other chunks."""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from sluice.aliases import Document, record
from sluice.arrays.member_documents import OpeningLimits
from sluice.datasets.rechunking import Progress, Rechunking
from sluice.errors import CatalogError, SluiceError, redacted
from sluice.store import Filesystems
from sluice.store.resilient import StoreGuards
from sluice.store.retry_policy import RetryPolicy

from .catalog import Catalog
from .entry import CopyPlace, DatasetEntry, copy_entry, redact, redact_error, secrets_of
from .opening import read_documents, source_of

FAILED: Final = 1
STOPPED: Final = 128 + 2
_CHUNKS: Final = re.compile(r"([^=,]+)=([0-9]+)")
_SIZE: Final = re.compile(r"([0-9]+) ?([KMGT]i?B?)?", re.IGNORECASE)
_UNITS: Final = ("", "K", "M", "G", "T")
# Where nobody looks on, a line says so often how far it is, or at each tenth of the way.
_LINE_SECONDS: Final = 30.0
_BAR: Final = 30


def chunks_in(text: str) -> dict[str, int]:
    """The lengths by dimension in ``time=8760,latitude=12``; raises ValueError with a sentence."""
    found: dict[str, int] = {}
    for part in text.split(","):
        match = _CHUNKS.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is not a dimension and a length, such as time=8760")
        name, length = match[1].strip(), int(match[2])
        if not length:
            raise ValueError(f"chunks have at least one position along {name}")
        if name in found:
            raise ValueError(f"the dimension {name} is given twice")
        found[name] = length
    return found


def bytes_in(text: str) -> int:
    """The bytes in ``512MiB``, ``2G`` or ``100000000``; raises ValueError with a sentence."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size, such as 512MiB")
    unit = (match[2] or "")[:1].upper()
    return int(match[1]) * int(1024 ** _UNITS.index(unit))


@record
class CopyJob:
    """Which dataset to copy, into which chunks, to which address, and the memory for values."""

    dataset_id: str
    chunks: Mapping[str, int]
    target: str
    memory_bytes: int
    replace: bool


def run_rechunk(
    catalog: Catalog,
    job: CopyJob,
    out: TextIO,
    told: TextIO,
    *,
    epochs: Mapping[str, str],
    store_concurrency: int,
    connect: Callable[[], Filesystems],
    retry_policy: RetryPolicy,
    limits: OpeningLimits,
) -> int:
    """Write the copy; `out` has a line at the end, `told` how far it is until then.

    `epochs` has what datasets that a server refreshed are opened as. 0, or 1 where a store fails.
    Raises CatalogError for what cannot be meant.
    """
    entry = _entry_of(catalog, job.dataset_id)
    place = redacted(job.target)

    async def work() -> str:
        async with connect() as filesystems:
            source = await source_of(
                entry,
                filesystems,
                store_concurrency=store_concurrency,
                guards=StoreGuards(retry_policy),
            )
            target = await filesystems.target(job.target, _options(entry, job.target))
            read = partial(
                read_documents, entry, source, epoch=epochs.get(entry.id, ""), limits=limits
            )
            documents, version = await read()
            copy = Rechunking(source, documents, version, target, job.chunks, job.memory_bytes)

            async def is_current() -> bool:
                return (await read())[1] == version

            return await _copied(job, copy, is_current, told)

    try:
        done = asyncio.run(work())
    except CatalogError as error:
        raise CatalogError(f"{place}: {error}", **error.facts) from error
    except KeyboardInterrupt:
        told.write("\nsluice: stopped; the same command goes on from here\n")
        return STOPPED
    except Exception as error:
        told.write(f"\nsluice: {place}: {_words(error, entry)}\n")
        return FAILED
    out.write(f"{place}: {done}. Name it under `also` of {entry.id!r} in the catalog.\n")
    return 0


async def _copied(
    job: CopyJob, copy: Rechunking, is_current: Callable[[], Awaitable[bool]], told: TextIO
) -> str:
    """Write the copy; what has become of it."""
    for name, why in copy.left_out.items():
        told.write(f"sluice: {name!r} is left out: {why}\n")
    if not await copy.begin(replace=job.replace):
        return "it is there already, and complete"
    bar = ProgressBar(told)
    await copy.run(bar.show, is_current)
    return f"a copy of {job.dataset_id!r}, made in {_duration(bar.seconds)}"


def _entry_of(catalog: Catalog, dataset_id: str) -> DatasetEntry:
    """The entry to copy; raises CatalogError where it stands for many, or there is none."""
    entry = catalog.entries.get(dataset_id) or catalog.expected(dataset_id)
    for glob in catalog.globs if entry is None else ():
        if glob.may_bring(dataset_id):
            raise CatalogError(
                f"{dataset_id!r} may be one that the glob {glob.entry.id!r} brings: serve it by an"
                " entry of its own to copy it"
            )
    if entry is None:
        raise CatalogError(f"the catalog has no dataset {dataset_id!r}")
    if entry.has_groups:
        raise CatalogError(
            f"{dataset_id!r} stands for many groups: copy one, such as {dataset_id}~"
        )
    if entry.rewritten:
        raise CatalogError(f"{dataset_id!r} is rewritten in place: a copy would never be used")
    return entry


def _options(entry: DatasetEntry, target: str) -> Document:
    """The options to write with: those of a copy in the entry, else the dataset's own."""
    for place in entry.also:
        if place.url == target or Path(place.url) == Path(target).absolute():
            return copy_entry(entry, place).storage_options
    # (What is wrong with an address is said by who connects to it.)
    return copy_entry(entry, CopyPlace.model_construct(url=target)).storage_options


def _words(error: Exception, entry: DatasetEntry) -> str:
    """What went wrong, for who can do something about it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "there is no room left; what is written stays, and the same command goes on"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "there is something else already, which is left as it is"
    found = redact_error(error, entry)
    words = found.detail if isinstance(found, SluiceError) else str(found)
    if not isinstance(found, SluiceError) and not words:
        words = type(found).__name__
    return f"{redact(words, secrets_of(entry))} (the same command goes on from here)"


class ProgressBar:
    """Says how far a copy is: as a bar on a terminal, in lines anywhere else."""

    def __init__(self, told: TextIO) -> None:
        self._told = told
        self._started = time.monotonic()
        self._is_bar = told.isatty()
        self._line_at = 0.0
        self._tenth = -1
        # What an earlier run has written takes no time.
        self._begun: tuple[float, int] | None = None

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self._started

    def show(self, now: Progress) -> None:
        """Write it, where there is enough that is new."""
        share = now.written / now.total if now.total else 1.0
        seconds, tenth = self.seconds, int(share * 10)
        if self._begun is None or seconds - self._begun[0] < 0.01:
            self._begun = (seconds, now.written)
        line = f"{share:4.0%}  {_size(now.written)} of {_size(now.total)}{self._left(now)}"
        if self._is_bar:
            filled = int(share * _BAR)
            end = "\n" if now.written >= now.total else ""
            self._told.write(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {line}\x1b[K{end}")
        elif tenth > self._tenth or seconds - self._line_at >= _LINE_SECONDS:
            self._told.write(f"sluice: {line}\n")
            self._line_at, self._tenth = seconds, tenth
        self._told.flush()

    def _left(self, now: Progress) -> str:
        assert self._begun is not None
        seconds, written = self.seconds - self._begun[0], now.written - self._begun[1]
        if not written or now.written >= now.total:
            return ""
        return f", {_duration(seconds / written * (now.total - now.written))} left"


def _size(nbytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02.0f} s"
