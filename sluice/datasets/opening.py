"""Open a group as a Dataset: xarray decodes what two waves of requests brought.

The first wave brings the metadata, the second at once every index coordinate and the first and
last chunk of every variable with time units (xarray looks at these values while it decodes). A
variable that cannot be used is left out, with its reason (`sluice.datasets.unusable`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
import xarray as xr

from sluice.aliases import Document
from sluice.arrays.hierarchy import GroupDocuments
from sluice.arrays.opening_limits import CoordinateRoom, OpeningLimits, too_large
from sluice.arrays.plan import ArrayPlan, plan_orthogonal, plan_pointwise
from sluice.arrays.reader import StoreReader
from sluice.concurrency import map_concurrently
from sluice.datasets.coding import EncodedArray, NotFetched
from sluice.datasets.decoding import decode
from sluice.datasets.known_store import KnownStore
from sluice.datasets.unusable import Unusable, with_needs
from sluice.errors import CorruptChunk, LimitError, MetadataError

P = ParamSpec("P")
T = TypeVar("T")

# So many variables are parsed, and coordinates of so many bytes decoded, in a few milliseconds.
_FEW_VARIABLES: Final = 16
_FEW_BYTES: Final = 2**18


async def open_variables(
    reader: StoreReader,
    documents: GroupDocuments,
    zarr_store: Any,
    options: Document,
    limits: OpeningLimits,
    *,
    lenient: bool,
) -> tuple[xr.Dataset, dict[str, Unusable]]:
    """The group as a Dataset whose index coordinates are in memory and whose rest is lazy.

    With it, the variables that are left out of it, in the order of their names. `options` are
    xarray's decoding keywords. With `lenient`, variables are left out as well of which
    xarray would learn only as they are read that masking and unpacking fail, and dates may be
    missing in every calendar. MetadataError where the documents contradict themselves as a whole.
    """
    many = len(documents.arrays) > _FEW_VARIABLES
    dropped = names_of(options["drop_variables"])
    store = await _beside(many, KnownStore, documents, zarr_store, dropped)
    store.lenient = lenient
    # Read once and then held by the dataset itself: not for the cache of chunks.
    opener, room = reader.keeping_nothing(), CoordinateRoom(limits)
    await _fetch(opener, store, room, *_wanted(store, options))
    while True:
        heavy = many or store.fetched_bytes > _FEW_BYTES
        try:
            dataset = await _beside(heavy, decode, store, reader, options)
        except NotFetched as look:
            if store.encoded[look.name].edges is not None:
                await _fetch(opener, store, room, [look.name], [])
            else:
                await _fetch(opener, store, room, [], [look.name])
        else:
            return dataset, with_needs(store.unusable, dataset.variables)


async def _beside(far: bool, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """What ``work(*given)`` returns; done in a thread where it takes long."""
    return await asyncio.to_thread(work, *given, **named) if far else work(*given, **named)


def _wanted(store: KnownStore, options: Document) -> tuple[list[str], list[str]]:
    """The variables to read whole, and those whose first and last element xarray will look at."""
    variables = {name: v for name, v in store.variables.items() if name not in store.unusable}
    whole = [name for name, variable in variables.items() if variable.dims == (name,)]
    edges = {name for name, variable in variables.items() if variable.dtype.kind == "O"}
    if options["decode_times"] is not False:
        for name, variable in variables.items():
            if "since" in str(variable.attrs.get("units", "")):
                edges |= {name, str(variable.attrs.get("bounds", name))}
    return whole, sorted(edges & variables.keys() - set(whole))


def names_of(names: str | Iterable[str] | None) -> set[str]:
    """The names under xarray's keyword `drop_variables`: one, or several, or none."""
    return {names} if isinstance(names, str) else set(names or ())


async def _fetch(
    reader: StoreReader, store: KnownStore, room: CoordinateRoom, whole: list[str], edges: list[str]
) -> None:
    """Put the values that the decoding will look at into the store's arrays, in one wave.

    A variable for which there is no room is left out. A store that fails, or whose chunk is not
    whole, is an error of its own.
    """
    jobs: list[tuple[EncodedArray, ArrayPlan]] = []
    named = [store.encoded[name] for name in dict.fromkeys([*whole, *edges])]
    # The small ones first: a large one is not to take their place.
    for encoded in sorted(named, key=lambda one: math.prod(one.meta.shape)):
        try:
            jobs.append((encoded, _planned(encoded, room, whole=encoded.name in whole)))
        except MetadataError as error:
            store.blame(encoded.name, error)

    async def fetch(job: tuple[EncodedArray, ArrayPlan]) -> None:
        encoded, plan = job
        meter = room.meter()
        before = meter.result_bytes
        try:
            values = await reader.read(encoded.meta, plan, meter)
        except CorruptChunk as error:
            # The store may be at fault for a moment: who asked is not to miss a coordinate for it.
            raise CorruptChunk(error.detail, variable=encoded.name) from error
        except LimitError as error:
            found, most = error.facts["estimate"], error.facts["limit"]
            store.blame(encoded.name, too_large("coordinate_bytes", "bytes", found, most))
            return
        room.take(meter.result_bytes - before)
        if plan.points is None:
            encoded.values = values
        else:
            encoded.edges = (np.asarray(values[0]), np.asarray(values[1]))

    await map_concurrently(jobs, fetch)


def _planned(encoded: EncodedArray, room: CoordinateRoom, *, whole: bool) -> ArrayPlan:
    """What to read of an array: all of it, or its first and its last value.

    MetadataError where there is no room for that.
    """
    shape, chunks = encoded.meta.shape, encoded.meta.chunks
    if whole or not shape or 0 in shape:
        each = [-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True) if chunk]
        room.enter(encoded.meta, math.prod(shape), math.prod(each))
        return plan_orthogonal(shape, chunks, [slice(None)] * len(shape))
    room.enter(encoded.meta, 2, 2)
    return plan_pointwise(shape, chunks, [np.array([0, size - 1]) for size in shape])
