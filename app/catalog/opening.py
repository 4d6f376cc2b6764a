"""One catalog entry -> one opened dataset, with its axes prepared."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeAlias

import xarray as xr

from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.group_metadata import open_groups, revalidate_groups
from sluice.arrays.member_documents import DEFAULT_LIMITS, OpeningLimits
from sluice.arrays.reader import Reader
from sluice.arrays.store_reader import StoreReader
from sluice.axes.roles import directions_of
from sluice.concurrency import map_concurrently
from sluice.datasets import AsyncDataset, AsyncZarrBackendEntrypoint
from sluice.datasets.entrypoint import with_inherited
from sluice.datasets.served_store import StoredGroups
from sluice.datasets.unusable import Unusable
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import prepare
from sluice.errors import MetadataError, SluiceError, plain_words
from sluice.store import ByteSource, Filesystems
from sluice.store.addresses import split_url, store_label
from sluice.store.protocols import REFERENCE
from sluice.store.resilient import GuardedStores, ResilientSource, StoreGuards

from ..telemetry.events import Emit
from .copies import Copies
from .entry import DatasetEntry, GroupEntry, fingerprint, redact, secrets_of
from .opened import Change, Opened

log = logging.getLogger(__name__)

# So many of the variables that are left out stand in the log.
_MOST_TOLD: Final = 20
# The documents of a group, and before them those of the groups that it inherits from.
Levels: TypeAlias = tuple[GroupDocuments, ...]
NOTHING: Final[Mapping[str, Unusable]] = MappingProxyType({})


# With so few variables and labels a dataset is prepared for requests in a few milliseconds.
_FEW_VARIABLES: Final = 64
_FEW_LABELS: Final = 20_000


async def open_entry(
    entry: DatasetEntry,
    filesystems: Filesystems,
    *,
    store_concurrency: int,
    reader: Reader | None = None,
    emit: Emit | None = None,
    guards: StoreGuards | None = None,
    epoch: str = "",
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> Opened:
    """Open the store of `entry` and prepare an axis for each of its index coordinates.

    Every request to the store, now and later, is told to `emit`, and passes the store's one of the
    `guards`; without them it is tried once. Chunks are decoded and kept by the `reader`, where
    entries of one store, version and `epoch` find each other's.

    Raises StoreError when the store cannot be opened, CatalogError when the options do not fit it.
    """
    connect = partial(
        source_of,
        filesystems=filesystems,
        store_concurrency=store_concurrency,
        emit=emit,
        guards=guards,
    )
    source = await connect(entry)
    copies = Copies(entry, connect, reader, limits, partial(_store_id, epoch=epoch))
    store = _Store(entry, source, epoch, reader, limits, copies)
    with _our_errors():
        return await store.opened(await store.read())


async def read_documents(
    entry: DatasetEntry, source: ByteSource, *, epoch: str, limits: OpeningLimits = DEFAULT_LIMITS
) -> tuple[GroupDocuments, str]:
    """The documents of the entry's group, and the version that the dataset has with them."""
    levels = await _documents(entry, source, limits)
    return levels[-1], _version(levels) + epoch


async def _documents(entry: DatasetEntry, source: ByteSource, limits: OpeningLimits) -> Levels:
    """The documents of the entry's group, and those of the groups it inherits from."""
    return await open_groups(
        source,
        groups=entry.levels if isinstance(entry, GroupEntry) else [entry.group or ""],
        zarr_format=entry.zarr_format,
        consolidated=entry.consolidated,
        limits=replace(limits, dropped=frozenset(entry.drop_variables)),
    )


@dataclass(frozen=True, slots=True)
class _Store:
    """The store behind one opened dataset, from which its later versions are opened too."""

    entry: DatasetEntry
    source: ByteSource
    epoch: str
    reader: Reader | None
    limits: OpeningLimits
    copies: Copies

    @property
    def _limits(self) -> OpeningLimits:
        return replace(self.limits, dropped=frozenset(self.entry.drop_variables))

    async def read(self) -> Levels:
        """The documents of the entry's group, and those of the groups it inherits from."""
        return await _documents(self.entry, self.source, self.limits)

    async def read_again(self, known: Levels) -> Levels:
        """These documents as they are now, `known` itself where a tag or a digest says so."""
        return await revalidate_groups(
            self.source,
            known,
            zarr_format=self.entry.zarr_format,
            consolidated=self.entry.consolidated,
            limits=self._limits,
        )

    async def opened(self, levels: Levels, before: Mapping[str, Unusable] = NOTHING) -> Opened:
        """The dataset of these documents, ready for requests.

        `before` are the variables that an earlier opening left out, and that are no news.
        """
        datasets: dict[str, AsyncDataset] = {}

        async def open_level(documents: GroupDocuments) -> None:
            datasets[documents.path] = await self._dataset(documents)

        await map_concurrently(levels, open_level)
        dataset = with_inherited({one.path: datasets[one.path] for one in levels})
        if dataset.unusable != before:
            _write_unusable(self.entry, dataset.unusable)
        version = _version(levels) + self.epoch
        if len(dataset.variables) > _FEW_VARIABLES or _labels(dataset) > _FEW_LABELS:
            opened = await asyncio.to_thread(prepared, self.entry, dataset, version)
        else:
            opened = prepared(self.entry, dataset, version)
        if self.copies:
            await self.copies.look()
            opened = await self.copies.joined(opened, levels[-1], self.source)
        revalidate = _Revalidation(self, levels, dataset.unusable, opened)
        return replace(opened, revalidate=revalidate, stored=self._stored(levels))

    def _stored(self, levels: Levels) -> StoredGroups:
        """What these documents are of."""
        shared, store_id = self.reader or Reader(cache_bytes=0), _store_id(self.entry, self.epoch)
        readers = [StoreReader.of(self.source, shared, (store_id, one.version)) for one in levels]
        # A value of references is a part of another file, or more than the store ever had.
        plain = split_url(self.entry.url)[0] != REFERENCE
        return StoredGroups(self.source, levels, tuple(readers), plain, self.epoch)

    async def _dataset(self, documents: GroupDocuments) -> AsyncDataset:
        """One group by itself."""
        return await AsyncZarrBackendEntrypoint().open_dataset(
            self.source,
            documents=documents,
            drop_variables=self.entry.drop_variables,
            decode_times=_decoded_times(self.entry, documents),
            on_unusable="leave_out",
            reader=self.reader,
            store_id=_store_id(self.entry, self.epoch),
            limits=self.limits,
        )


class _Revalidation:
    """Looks whether the store has another version than the one of `known`."""

    def __init__(
        self, store: _Store, known: Levels, unusable: Mapping[str, Unusable], opened: Opened
    ) -> None:
        self._store = store
        self._known = known
        self._unusable = unusable
        self._full_version = opened.version
        self._copies = store.copies.usable(opened.version)

    async def __call__(self) -> Change | None:
        store, known = self._store, self._known
        with _our_errors():
            now = await store.read_again(known)
        if _version(now) == _version(known):
            # Maybe the same in other words: the next revalidation compares with these.
            self._known = now
            return await self._completed(now) or await self._with_copies(now)
        whole = all(one.consolidated is not None for one in now)
        return Change(_version(now), whole, partial(self._open, now))

    async def _completed(self, documents: Levels) -> Change | None:
        """The same version with other variables left out: chunks that were not whole may be now."""
        if not any(one.passing for one in self._unusable.values()):
            return None
        with _our_errors():
            opened = await self._store.opened(documents, self._unusable)
        if opened.dataset.unusable == self._unusable:
            return None

        async def completed() -> Opened:
            return opened

        return Change(_version(documents), True, completed)

    async def _with_copies(self, documents: Levels) -> Change | None:
        """The same version with other copies: some may be there now, or not be there any more."""
        copies = self._store.copies
        if copies:
            await copies.look()
        if copies.usable(self._full_version) == self._copies:
            return None
        again = partial(self._store.opened, documents, self._unusable)
        return Change(_version(documents), True, again)

    async def _open(self, documents: Levels) -> Opened:
        """The new version; refused while variables are missing that a writer may yet complete."""
        with _our_errors():
            opened = await self._store.opened(documents, self._unusable)
        found = opened.dataset.unusable
        lost = {n: one for n, one in found.items() if one.passing and n not in self._unusable}
        if lost:
            name, one = next(iter(lost.items()))
            raise MetadataError(f"the variable {name!r} cannot be used any more: {one.reason}")
        return opened


def _version(levels: Levels) -> str:
    """One name for what these documents say."""
    if len(levels) == 1:
        return levels[0].version
    said = "".join(one.version for one in levels)
    return blake2b(said.encode(), digest_size=16).hexdigest()


@contextmanager
def _our_errors() -> Iterator[None]:
    """Whatever goes wrong inside is one of our own errors."""
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:  # metadata can be wrong in more ways than xarray foresees
        raise MetadataError(f"xarray cannot decode the store: {plain_words(str(error))}") from error


def _labels(dataset: xr.Dataset) -> int:
    """How many labels all index coordinates have."""
    return sum([dataset.variables[name].size for name in dataset.xindexes])


def prepared(entry: DatasetEntry, dataset: AsyncDataset, version: str) -> Opened:
    """What every request needs of an opened `dataset`, found out once."""
    place = _store_id(entry, epoch="")  # stores elsewhere may have the same metadata
    reasons = {name: one.reason for name, one in dataset.unusable.items()}
    times = (
        entry.decode_times
        if isinstance(entry.decode_times, bool)
        else (sorted(entry.decode_times.items()))
    )
    read = (
        version,
        entry.id,
        place,
        entry.group,
        entry.consolidated,
        entry.drop_variables,
        times,
        sorted(reasons),
    )
    ready = prepare(dataset)
    fragments = FragmentCache(dataset, entry.id, directions_of(ready.axes))
    return Opened(entry, ready, fragments, version, repr(read))


def _decoded_times(entry: DatasetEntry, documents: GroupDocuments) -> bool | dict[str, bool]:
    """What the entry says of times; the bounds of a coordinate follow it (CF 7.1)."""
    if isinstance(entry.decode_times, bool):
        return entry.decode_times
    told = dict(entry.decode_times)
    for name, truth in entry.decode_times.items():
        attributes = documents.arrays.get(name, {}).get("attributes")
        bounds = attributes.get("bounds") if isinstance(attributes, dict) else None
        if isinstance(bounds, str):
            told.setdefault(bounds, truth)
    return told


def _write_unusable(entry: DatasetEntry, unusable: Mapping[str, Unusable]) -> None:
    """Log which variables are left out, once for each time that the dataset is opened."""
    if not unusable:
        return
    told = [f"{name!r} ({one.reason})" for name, one in islice(unusable.items(), _MOST_TOLD)]
    more = f" and {len(unusable) - len(told)} more" if len(unusable) > len(told) else ""
    words = redact("; ".join(told), secrets_of(entry))
    log.warning("dataset %r: %d variables are left out: %s%s", entry.id, len(unusable), words, more)


def _store_id(entry: DatasetEntry, epoch: str) -> str:
    """One name for all entries that read a store alike, with the same rights; shows no secret."""
    return fingerprint(entry.url, entry.engine, entry.storage_options, entry.reference_roots, epoch)


async def source_of(
    entry: DatasetEntry,
    filesystems: Filesystems,
    *,
    store_concurrency: int,
    emit: Emit | None = None,
    guards: StoreGuards | None = None,
) -> ByteSource:
    """The store of `entry`, connected and not opened, as requests read it.

    Each request is told to `emit`, and passes the gate of its store's one of the `guards`, or else
    that of the source.
    """
    source = await filesystems.source(
        entry.url,
        storage_options=entry.storage_options,
        engine=entry.engine,
        concurrency=store_concurrency if guards is None else None,
        reference_roots=entry.reference_roots,
        guarded=None if guards is None else GuardedStores(guards, entry.id, emit),
    )
    if guards is None and emit is None:
        return source
    guard = None if guards is None else guards.guard(entry.id, entry.url, entry.storage_options)
    return ResilientSource(source, store_label(entry.url), guard=guard, emit=emit)
