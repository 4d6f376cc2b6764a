"""Open a group as a Dataset: xarray decodes what two waves of requests brought.

The first wave brings the metadata, the second at once every index coordinate and the first and
last chunk of every variable with time units (xarray looks at these values while it decodes).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.backends.store import StoreBackendEntrypoint
from xarray.backends.zarr import ZarrStore
from xarray.core import indexing

from app.arrays.hierarchy import GroupDocuments
from app.arrays.metadata import ArrayMeta, parse_array
from app.arrays.plan import plan_orthogonal, plan_pointwise
from app.arrays.reader import StoreReader
from app.datasets.coding import EncodedArray, NotFetched, compile_decoding
from app.datasets.lazy import LazyArray
from app.datasets.repeated import join, told_apart
from app.datasets.variables import variable_of
from app.errors import MetadataError
from app.store.fan_out import spread


class KnownStore(ZarrStore):
    """xarray's reading of Zarr attributes and encodings, over documents that are already here."""

    def __init__(self, documents: GroupDocuments, metas: Mapping[str, ArrayMeta]) -> None:
        # Not ZarrStore's own: it asks the store for the group's members, synchronously.
        self._documents = documents
        self._arrays = {name: zarr.Array(meta.zarr) for name, meta in metas.items()}
        self._mode = "r"
        self._use_zarr_fill_value_as_mask = documents.zarr_format == 2
        self.zarr_group = zarr.Group(_group(documents))
        self.encoded: dict[str, EncodedArray] = {}
        self._metas = metas
        self._encoded_variables: dict[str, xr.Variable] = {}

    @property
    def members(self) -> dict[str, Any]:
        return dict(self._arrays)

    def close(self) -> None:
        """Nothing to close: whoever made the source closes it."""

    def load(self) -> tuple[dict[str, xr.Variable], dict[str, Any]]:
        """Copies of the encoded variables (decoding edits attributes), and the group's own."""
        if not self._encoded_variables:
            stored = {name: self._variable(name) for name in self._arrays}
            self._encoded_variables = told_apart(stored)
        variables = {name: v.copy(deep=False) for name, v in self._encoded_variables.items()}
        return variables, ZarrStore.get_attrs(self)

    def _variable(self, name: str) -> xr.Variable:
        try:
            with warnings.catch_warnings():
                # Of dimensions that it has twice: `told_apart` sees to them.
                warnings.filterwarnings("ignore", "Duplicate dimension names", UserWarning)
                variable = ZarrStore.open_store_variable(self, name)
        except (KeyError, ValueError) as error:
            raise MetadataError(f"array {name!r} cannot be a variable: {error}") from error
        self.encoded[name] = EncodedArray(name, self._metas[name], variable.dtype)
        data = indexing.LazilyIndexedArray(self.encoded[name])
        return variable_of(variable.dims, data, variable.attrs, variable.encoding)


def _group(documents: GroupDocuments) -> Any:
    from zarr.core.group import AsyncGroup, GroupMetadata
    from zarr.storage import MemoryStore, StorePath

    metadata = GroupMetadata(documents.attributes, zarr_format=documents.zarr_format)
    return AsyncGroup(metadata, StorePath(MemoryStore()))


async def open_variables(
    reader: StoreReader, documents: GroupDocuments, zarr_store: Any, options: Mapping[str, Any]
) -> xr.Dataset:
    """The group as a Dataset whose index coordinates are in memory and whose rest is lazy.

    `options` are xarray's decoding keywords. MetadataError where the documents contradict
    themselves; errors of xarray's decoding (bad units, say) pass through.
    """
    metas = {
        name: parse_array(f"{documents.path}/{name}".strip("/"), document, zarr_store)
        for name, document in documents.arrays.items()
    }
    store = KnownStore(documents, metas)
    variables, _ = store.load()
    # Read once and then held by the dataset itself: not for the cache of chunks.
    opener = reader.keeping_nothing()
    await _fetch(opener, store, *_wanted(variables, options))
    while True:
        try:
            decoded = _with_indexes(StoreBackendEntrypoint().open_dataset(store, **options))
        except NotFetched as look:
            if store.encoded[look.name].edges is not None:
                await _fetch(opener, store, [look.name], [])
            else:
                await _fetch(opener, store, [], [look.name])
        else:
            return _lazily(reader, decoded)


def _wanted(
    variables: Mapping[str, xr.Variable], options: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """The variables to read whole, and those whose first and last element xarray will look at."""
    dropped = _names(options.get("drop_variables"))
    whole = [n for n, v in variables.items() if v.dims == (n,) and n not in dropped]
    if options.get("decode_times") is False:
        return whole, []
    timed = set()
    for name, variable in variables.items():
        if "since" in str(variable.attrs.get("units", "")):
            timed |= {name, str(variable.attrs.get("bounds", name))}
    edges = timed & variables.keys() - set(whole) - dropped
    return whole, sorted(edges)


def _names(names: str | Iterable[str] | None) -> set[str]:
    return {names} if isinstance(names, str) else set(names or ())


async def _fetch(
    reader: StoreReader, store: KnownStore, whole: list[str], edges: list[str]
) -> None:
    """Put the values that the decoding will look at into the store's arrays, in one wave."""

    jobs = [store.encoded[name] for name in dict.fromkeys([*whole, *edges])]

    async def fetch(encoded: EncodedArray) -> None:
        shape, chunks = encoded.meta.shape, encoded.meta.chunks
        if encoded.name in whole or not shape or 0 in shape:
            everything = plan_orthogonal(shape, chunks, [slice(None)] * len(shape))
            encoded.values = await reader.read(encoded.meta, everything)
        else:
            ends = plan_pointwise(shape, chunks, [np.array([0, size - 1]) for size in shape])
            first, last = await reader.read(encoded.meta, ends)
            encoded.edges = (np.asarray(first), np.asarray(last))

    await spread(jobs, fetch)


def _with_indexes(decoded: xr.Dataset) -> xr.Dataset:
    """`decoded` with xarray's default index for every dimension coordinate."""
    names = [n for n, c in decoded.coords.items() if c.dims == (n,) and n not in decoded.xindexes]
    if not names:
        return decoded
    # In memory first: values can decode to a finer or coarser unit than xarray announces.
    coords = {
        name: decoded.variables[name].copy(data=decoded.variables[name].data) for name in names
    }
    return decoded.assign_coords(xr.Coordinates(coords))


def _lazily(reader: StoreReader, decoded: xr.Dataset) -> xr.Dataset:
    """`decoded` with each variable that is not in memory compiled into a `LazyArray`."""
    variables: dict[Any, xr.Variable] = {}
    for name, variable in decoded.variables.items():
        if name in decoded.xindexes:
            variables[name] = variable
            continue
        encoded, steps, stacked = compile_decoding(variable._data)
        lazy = LazyArray(reader, encoded.meta, steps, variable.dtype, stacked=stacked)
        data = indexing.LazilyIndexedArray(lazy)
        variables[name] = variable_of(variable.dims, data, variable.attrs, variable.encoding)
    return join(decoded._replace(variables))
