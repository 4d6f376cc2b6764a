"""One catalog entry -> one opened dataset, with its axes prepared."""

from __future__ import annotations

import json
from functools import partial
from hashlib import blake2b
from types import MappingProxyType

import xarray as xr

from app.arrays.chunk_cache import ChunkCache
from app.arrays.hierarchy import open_group
from app.catalog.catalog import DatasetEntry
from app.catalog.opened import Opened
from app.datasets import AsyncZarrBackendEntrypoint, Layout
from app.encoders.table import ENCODERS
from app.encoders.written import Written
from app.errors import MetadataError, SluiceError
from app.query.axes import Axis
from app.query.grammar import Grammar
from app.store import Filesystems
from app.store.observed import Observe, ObservedSource
from app.telemetry.events import Emit, StoreAsked


async def open_entry(
    entry: DatasetEntry,
    filesystems: Filesystems,
    *,
    store_concurrency: int,
    inline_decode_bytes: int,
    chunk_cache: ChunkCache | None = None,
    emit: Emit | None = None,
) -> Opened:
    """Open the store of `entry` and prepare an axis for each of its index coordinates.

    Every request to the store, now and later, is told to `emit`. Its decoded chunks are kept in
    `chunk_cache`, where entries of one store and version find each other's.

    Raises StoreError when the store cannot be opened, CatalogError when the options do not fit it.
    """
    source = await filesystems.source(
        entry.url,
        storage_options=entry.storage_options,
        engine=entry.engine,
        concurrency=store_concurrency,
    )
    if emit is not None:
        source = ObservedSource(source, _telling(entry.id, emit))
    try:
        documents = await open_group(
            source,
            group=entry.group,
            zarr_format=entry.zarr_format,
            consolidated=entry.consolidated,
        )
        dataset = await AsyncZarrBackendEntrypoint().open_dataset(
            source,
            documents=documents,
            drop_variables=entry.drop_variables,
            inline_decode_bytes=inline_decode_bytes,
            chunk_cache=chunk_cache,
            store_id=_store_id(entry),
        )
    except SluiceError:
        raise
    except Exception as error:  # metadata can be wrong in more ways than xarray foresees
        raise MetadataError(f"xarray cannot decode the store: {error}") from error
    return prepared(entry, dataset, documents.version)


def prepared(entry: DatasetEntry, dataset: xr.Dataset, version: str) -> Opened:
    """What every request needs of an opened `dataset`, found out once."""
    read = (version, entry.id, entry.group, entry.consolidated, entry.drop_variables)
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


def _store_id(entry: DatasetEntry) -> str:
    """One name for all entries that read a store alike, with the same rights; shows no secret."""
    read_by = [entry.url, entry.engine, dict(entry.storage_options)]
    said = json.dumps(read_by, sort_keys=True, default=repr)
    return blake2b(said.encode(), digest_size=16).hexdigest()


def _telling(dataset_id: str, emit: Emit) -> Observe:
    def tell(operation: str, seconds: float, received: int, error: BaseException | None) -> None:
        emit(StoreAsked(dataset_id, operation, seconds, received, error))

    return tell


def prepare_axes(dataset: xr.Dataset) -> dict[str, Axis]:
    """An `Axis` for every one-dimensional index coordinate, by name."""
    indexed = {str(name): dataset.variables[name] for name in dataset.xindexes}
    return {
        name: Axis.of(name, variable.values, variable.attrs)
        for name, variable in indexed.items()
        if variable.dims == (name,)
    }
