"""One catalog entry -> one opened dataset, with its axes prepared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import xarray as xr

from app.arrays.chunk_cache import ChunkCache
from app.arrays.hierarchy import GroupDocuments, group_again, open_group
from app.arrays.workshop import Workshop
from app.catalog.catalog import DatasetEntry
from app.catalog.opened import Change, Opened
from app.datasets import AsyncZarrBackendEntrypoint, Layout
from app.datasets.entrypoint import SHARD_INDEX_BYTES
from app.encoders.table import ENCODERS
from app.encoders.written import Written
from app.errors import MetadataError, SluiceError, StoreError
from app.query.axes import Axis
from app.query.grammar import Grammar
from app.store import ByteSource, Filesystems
from app.store.guarded import GuardedSource, Retried, StoreGuards
from app.store.observed import Observe, ObservedSource
from app.telemetry.events import Emit, StoreAsked, StoreRetried


async def open_entry(
    entry: DatasetEntry,
    filesystems: Filesystems,
    *,
    store_concurrency: int,
    inline_decode_bytes: int,
    shard_index_bytes: int = SHARD_INDEX_BYTES,
    chunk_cache: ChunkCache | None = None,
    workshop: Workshop | None = None,
    emit: Emit | None = None,
    guards: StoreGuards | None = None,
    generation: str = "",
) -> Opened:
    """Open the store of `entry` and prepare an axis for each of its index coordinates.

    Every request to the store, now and later, is told to `emit`, and passes the store's one of the
    `guards`; without them it is tried once. Chunks are decoded in the `workshop` and kept in
    `chunk_cache`, where entries of one store, version and `generation` find each other's.

    Raises StoreError when the store cannot be opened, CatalogError when the options do not fit it.
    """
    source = await filesystems.source(
        entry.url,
        storage_options=entry.storage_options,
        engine=entry.engine,
        concurrency=store_concurrency,
    )
    source = _watched(source, entry, emit, guards)
    arrays = _Arrays(inline_decode_bytes, shard_index_bytes, chunk_cache, workshop)
    store = _Store(entry, source, generation, arrays)
    with _our_errors():
        documents = await open_group(source, **store.reading)
        return await store.opened(documents)


@dataclass(frozen=True, slots=True)
class _Arrays:
    """How chunks of all stores are decoded and kept."""

    inline_decode_bytes: int
    shard_index_bytes: int
    chunk_cache: ChunkCache | None
    workshop: Workshop | None


@dataclass(frozen=True, slots=True)
class _Store:
    """The store behind one opened dataset, from which its later versions are opened too."""

    entry: DatasetEntry
    source: ByteSource
    generation: str
    arrays: _Arrays

    @property
    def reading(self) -> dict[str, Any]:
        """How the entry wants metadata to be read."""
        entry = self.entry
        options = ("group", "zarr_format", "consolidated")
        return {name: getattr(entry, name) for name in options}

    async def opened(self, documents: GroupDocuments) -> Opened:
        """The dataset of these documents, ready for requests."""
        dataset = await AsyncZarrBackendEntrypoint().open_dataset(
            self.source,
            documents=documents,
            drop_variables=self.entry.drop_variables,
            inline_decode_bytes=self.arrays.inline_decode_bytes,
            shard_index_bytes=self.arrays.shard_index_bytes,
            chunk_cache=self.arrays.chunk_cache,
            workshop=self.arrays.workshop,
            store_id=_store_id(self.entry, self.generation),
        )
        opened = prepared(self.entry, dataset, documents.version + self.generation)
        return replace(opened, look=_Look(self, documents))


class _Look:
    """Looks whether the store has another version than the one of `known`."""

    def __init__(self, store: _Store, known: GroupDocuments) -> None:
        self._store = store
        self._known = known

    async def __call__(self) -> Change | None:
        store, known = self._store, self._known
        with _our_errors():
            now = await group_again(store.source, known, **store.reading)
        if now is known:
            return None
        if now.version == known.version:
            # The same in other words: the next look compares with these.
            self._known = now
            return None
        return Change(now.version, now.gathered is not None, partial(self._open, now))

    async def _open(self, documents: GroupDocuments) -> Opened:
        with _our_errors():
            return await self._store.opened(documents)


@contextmanager
def _our_errors() -> Iterator[None]:
    """Whatever goes wrong inside is one of our own errors."""
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:  # metadata can be wrong in more ways than xarray foresees
        raise MetadataError(f"xarray cannot decode the store: {error}") from error


def prepared(entry: DatasetEntry, dataset: xr.Dataset, version: str) -> Opened:
    """What every request needs of an opened `dataset`, found out once."""
    place = _store_id(entry, generation="")  # stores elsewhere may have the same metadata
    read = (version, entry.id, place, entry.group, entry.consolidated, entry.drop_variables)
    dims = MappingProxyType({str(name): size for name, size in dataset.sizes.items()})
    grammar = partial(
        Grammar,
        dims=dims,
        coords={str(name): tuple(map(str, coord.dims)) for name, coord in dataset.coords.items()},
        formats=tuple(ENCODERS),
        variables=tuple(map(str, dataset.data_vars)),
    )
    return Opened(
        entry=entry,
        dataset=dataset,
        layout=Layout.of(dataset),
        written=Written(dataset),
        version=version,
        identity=repr(read),
        axes=MappingProxyType(prepare_axes(dataset)),
        dims=dims,
        grammars={"label": grammar(by="label"), "position": grammar(by="position")},
    )


def _store_id(entry: DatasetEntry, generation: str) -> str:
    """One name for all entries that read a store alike, with the same rights; shows no secret."""
    read_by = [entry.url, entry.engine, dict(entry.storage_options), generation]
    said = json.dumps(read_by, sort_keys=True, default=repr)
    return blake2b(said.encode(), digest_size=16).hexdigest()


def _watched(
    source: ByteSource, entry: DatasetEntry, emit: Emit | None, guards: StoreGuards | None
) -> ByteSource:
    """`source` as requests read it: each request is told of, and passes the guard of its store."""
    if emit is not None:
        source = ObservedSource(source, _telling(entry.id, emit))
    if guards is not None:
        guard = guards.guard(entry.id, entry.url, entry.storage_options)
        source = GuardedSource(source, guard, _telling_retries(entry.id, emit))
    return source


def _telling(dataset_id: str, emit: Emit) -> Observe:
    def tell(operation: str, seconds: float, received: int, error: BaseException | None) -> None:
        emit(StoreAsked(dataset_id, operation, seconds, received, error))

    return tell


def _telling_retries(dataset_id: str, emit: Emit | None) -> Retried:
    def tell(operation: str, failure: StoreError) -> None:
        if emit is not None:
            emit(StoreRetried(dataset_id, operation, failure))

    return tell


def prepare_axes(dataset: xr.Dataset) -> dict[str, Axis]:
    """An `Axis` for every one-dimensional index coordinate, by name."""
    indexed = {str(name): dataset.variables[name] for name in dataset.xindexes}
    return {
        name: Axis.of(name, variable.values, variable.attrs)
        for name, variable in indexed.items()
        if variable.dims == (name,)
    }
