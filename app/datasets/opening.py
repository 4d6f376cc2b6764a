"""Open a group as a Dataset: xarray decodes what two waves of requests brought.

The first wave brings the metadata, the second at once every index coordinate and the first and
last chunk of every variable with time units (xarray looks at these values while it decodes). A
variable that cannot be used is left out, with its reason (`app.datasets.unusable`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from app.arrays.hierarchy import GroupDocuments
from app.arrays.plan import plan_orthogonal, plan_pointwise
from app.arrays.reader import StoreReader
from app.datasets.coding import EncodedArray, NotFetched
from app.datasets.decoding import decode
from app.datasets.known_store import KnownStore
from app.datasets.unusable import Unusable, with_needs
from app.errors import CorruptChunk
from app.store.fan_out import spread


async def open_variables(
    reader: StoreReader, documents: GroupDocuments, zarr_store: Any, options: Mapping[str, Any]
) -> tuple[xr.Dataset, dict[str, Unusable]]:
    """The group as a Dataset whose index coordinates are in memory and whose rest is lazy.

    With it, the variables that are left out of it, in the order of their names. `options` are
    xarray's decoding keywords. MetadataError where the documents contradict themselves as a whole.
    """
    store = KnownStore(documents, zarr_store, _names(options["drop_variables"]))
    # Read once and then held by the dataset itself: not for the cache of chunks.
    opener = reader.keeping_nothing()
    await _fetch(opener, store, *_wanted(store, options))
    while True:
        try:
            dataset = decode(store, reader, options)
        except NotFetched as look:
            if store.encoded[look.name].edges is not None:
                await _fetch(opener, store, [look.name], [])
            else:
                await _fetch(opener, store, [], [look.name])
        else:
            return dataset, with_needs(store.unusable, dataset.variables)


def _wanted(store: KnownStore, options: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The variables to read whole, and those whose first and last element xarray will look at."""
    variables = {name: v for name, v in store.variables.items() if name not in store.unusable}
    whole = [name for name, variable in variables.items() if variable.dims == (name,)]
    edges = {name for name, variable in variables.items() if variable.dtype.kind == "O"}
    if options["decode_times"] is not False:
        for name, variable in variables.items():
            if "since" in str(variable.attrs.get("units", "")):
                edges |= {name, str(variable.attrs.get("bounds", name))}
    return whole, sorted(edges & variables.keys() - set(whole))


def _names(names: str | Iterable[str] | None) -> set[str]:
    return {names} if isinstance(names, str) else set(names or ())


async def _fetch(
    reader: StoreReader, store: KnownStore, whole: list[str], edges: list[str]
) -> None:
    """Put the values that the decoding will look at into the store's arrays, in one wave.

    A variable whose values do not decode is left out; a store that fails is an error of its own.
    """
    jobs = [store.encoded[name] for name in dict.fromkeys([*whole, *edges])]

    async def fetch(encoded: EncodedArray) -> None:
        shape, chunks = encoded.meta.shape, encoded.meta.chunks
        try:
            if encoded.name in whole or not shape or 0 in shape:
                everything = plan_orthogonal(shape, chunks, [slice(None)] * len(shape))
                encoded.values = await reader.read(encoded.meta, everything)
            else:
                ends = plan_pointwise(shape, chunks, [np.array([0, size - 1]) for size in shape])
                first, last = await reader.read(encoded.meta, ends)
                encoded.edges = (np.asarray(first), np.asarray(last))
        except CorruptChunk as error:
            store.blame(encoded.name, error)

    await spread(jobs, fetch)
