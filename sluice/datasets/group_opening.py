"""Open a group as a Dataset: what two rounds of requests read is decoded by xarray.

The first round reads the metadata; the second reads, at once, every index coordinate and the first
and last value of every variable with time units, since xarray looks at these while it decodes.
(`NotFetched` names what it looks at beyond them.) Decoding itself reads nothing; where xarray fails
it goes on variable by variable, and what cannot be decoded is left out with its reason
(`sluice.datasets.unusable`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
import xarray as xr

from sluice.aliases import Document, DocumentDict, ZarrObject
from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.member_documents import CoordinateRoom, OpeningLimits, too_large
from sluice.arrays.plan import ArrayPlan, plan_orthogonal, plan_pointwise
from sluice.arrays.store_reader import StoreReader
from sluice.concurrency import map_concurrently
from sluice.datasets._xarray import (
    LazilyIndexedArray,
    data_of,
    decode_cf_variables,
    variable_of,
    variables_of,
    with_stored,
    with_variables,
)
from sluice.datasets.cf_decode import (
    StoredLabels,
    check_unpacking,
    compile_decoding,
    stored_form,
)
from sluice.datasets.coders import keep_bytes, with_date_coders
from sluice.datasets.encoded_store import EncodedArray, EncodedStore, NotFetched
from sluice.datasets.lazy import LazyArray
from sluice.datasets.relabel import join_repeats
from sluice.datasets.unusable import Unusable, conflicting, with_needs
from sluice.errors import CorruptChunk, LimitError, MetadataError

P = ParamSpec("P")
T = TypeVar("T")
# More variables, or bytes of coordinates, take longer than a few milliseconds: not on the loop.
_FEW_VARIABLES: Final = 16
_FEW_BYTES: Final = 2**18
Decoded = tuple[dict[str, xr.Variable], DocumentDict, set[Hashable]]


async def open_variables(
    reader: StoreReader,
    documents: GroupDocuments,
    zarr_store: ZarrObject,
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
    store = await _run(many, EncodedStore, documents, zarr_store, dropped)
    store.lenient = lenient
    # Read once and then held by the dataset itself: not for the cache of chunks.
    opener, room = reader.without_cache(), CoordinateRoom(limits)
    await _fetch(opener, store, room, *_wanted(store, options))
    while True:
        heavy = many or store.fetched_bytes > _FEW_BYTES
        try:
            dataset = await _run(heavy, decode, store, reader, options)
        except NotFetched as look:
            if store.encoded[look.name].edges is not None:
                await _fetch(opener, store, room, [look.name], [])
            else:
                await _fetch(opener, store, room, [], [look.name])
        else:
            return dataset, with_needs(store.unusable, dataset.variables)


async def _run(in_thread: bool, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """What ``work(*given)`` returns; in a thread, where it would keep the loop."""
    return await asyncio.to_thread(work, *given, **named) if in_thread else work(*given, **named)


def _wanted(store: EncodedStore, options: Document) -> tuple[list[str], list[str]]:
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
    reader: StoreReader,
    store: EncodedStore,
    room: CoordinateRoom,
    whole: list[str],
    edges: list[str],
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
            store.leave_out(encoded.name, error)

    async def fetch(job: tuple[EncodedArray, ArrayPlan]) -> None:
        encoded, plan = job
        meter = room.meter()
        before = meter.result_bytes
        try:
            values = await reader.read(encoded.meta, plan, meter)
        except CorruptChunk as error:
            # Not a reason to leave the coordinate out: the store may be at fault for a moment.
            raise CorruptChunk(error.detail, variable=encoded.name) from error
        except LimitError as error:
            found, most = error.facts["estimate"], error.facts["limit"]
            store.leave_out(encoded.name, too_large("coordinate_bytes", "bytes", found, most))
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


def decode(store: EncodedStore, reader: StoreReader, options: Document) -> xr.Dataset:
    """The Dataset of all variables that can be decoded; the others are left out of `store`.

    Index coordinates are in memory, the rest is lazy. `options` are xarray's decoding keywords.
    """
    if store.lenient:
        options = with_date_coders(options, store.variables)
    while True:
        known = len(store.unusable)
        decoded = _decoded(store, options)
        if decoded is not None:
            store.unusable |= conflicting(decoded[0])
        if decoded is not None and len(store.unusable) == known:
            dataset = _lazily(reader, _with_indexes(_dataset(decoded), store), store)
            if len(store.unusable) == known:
                return dataset

        # Once more, without those that were found to be unusable.


def _decoded(store: EncodedStore, options: Document) -> Decoded | None:
    """xarray's decoding of all variables; None if it failed, and those to blame were left out."""
    known = len(store.unusable)
    try:
        variables, attributes = store.load()
        return _decode(variables, attributes, options, store.left_out)
    except NotFetched:
        raise
    except Exception as error:  # attributes can be wrong in more ways than xarray foresees
        _leave_out_undecodable(store, options)
        if len(store.unusable) == known:
            raise MetadataError("the variables cannot be decoded together") from error
        return None


def _decode(
    variables: Mapping[str, xr.Variable],
    attributes: Document,
    options: Document,
    left_out: Iterable[str],
) -> Decoded:
    spelled = {**options, "drop_variables": list(left_out)}
    decoded: Any = decode_cf_variables(dict(variables), dict(attributes), **spelled)
    found: Decoded = decoded
    for variable in found[0].values():
        keep_bytes(variable)
    return found


def _leave_out_undecodable(store: EncodedStore, options: Document) -> None:
    """Decode each variable alone, and leave out those that fail."""
    variables, _ = store.load()
    owners = {
        str(variable.attrs["bounds"]): name
        for name, variable in variables.items()
        if isinstance(variable.attrs.get("bounds"), str)
        and isinstance(variable.attrs.get("units"), str)
    }
    for name in variables.keys() - store.left_out:
        alone = {name: variables[name].copy(deep=False)}
        if (owner := owners.get(name)) is not None and owner != name:
            alone[owner] = variables[owner].copy(deep=False)
        with _left_out_on_error(store, name):
            _decode(alone, {}, options, alone.keys() - {name})


def _dataset(decoded: Decoded) -> xr.Dataset:
    """The variables as xarray's own backends put them together, without indexes."""
    variables, attributes, names = decoded
    coords = {n: v for n, v in variables.items() if n in names or v.dims == (n,)}
    data = {name: variable for name, variable in variables.items() if name not in coords}
    dataset = xr.Dataset(data, xr.Coordinates(coords, indexes={}), attributes)
    dataset.encoding = {}
    return dataset


def _with_indexes(dataset: xr.Dataset, store: EncodedStore) -> xr.Dataset:
    """`dataset` with xarray's default index for every dimension coordinate."""
    names = [n for n, c in dataset.coords.items() if c.dims == (n,) and n not in dataset.xindexes]
    coords: dict[Any, xr.Variable] = {}
    stored: dict[Hashable, StoredLabels | None] = {}
    for name in names:
        # In memory first: values can decode to a finer or coarser unit than xarray announces.
        with _left_out_on_error(store, name):
            variable = dataset.variables[name]
            coords[name] = variable.copy(data=variable.data)
            coords[name].to_index()
            stored[name] = _as_stored(variable)
    if not coords:
        return dataset
    indexed = dataset.assign_coords(xr.Coordinates(coords))
    known = {n: with_stored(indexed.variables[n], s) for n, s in stored.items() if s is not None}
    return with_variables(indexed, {**variables_of(indexed), **known}) if known else indexed


def _as_stored(coordinate: xr.Variable) -> StoredLabels | None:
    """What the store has in the place of a coordinate's labels, if that differs from them."""
    encoded, steps, stacked = compile_decoding(data_of(coordinate))
    # Of times in memory the values decide the unit, which is the longest.
    decided = stacked or encoded.meta.dtype.kind in "Mm"
    form = None if decided else stored_form(encoded.meta, steps, coordinate.encoding)
    if form is None or not form.decoding or encoded.values is None:
        return None
    return StoredLabels.of(encoded.values, form)


def _lazily(reader: StoreReader, dataset: xr.Dataset, store: EncodedStore) -> xr.Dataset:
    """`dataset` with each variable that is not in memory compiled into a `LazyArray`."""
    variables: dict[Any, xr.Variable] = {}
    for name, variable in dataset.variables.items():
        if name in dataset.xindexes:
            variables[name] = variable
            continue
        with _left_out_on_error(store, name):
            variables[name] = _compiled(reader, variable, tries=store.lenient)
    return join_repeats(with_variables(dataset, variables))


def _compiled(reader: StoreReader, variable: xr.Variable, *, tries: bool) -> xr.Variable:
    encoded, steps, stacked = compile_decoding(data_of(variable))
    if tries:
        check_unpacking(steps, encoded.dtype)
    lazy = LazyArray(reader, encoded.meta, steps, variable.dtype, stacked=stacked)
    data = LazilyIndexedArray(lazy)
    return variable_of(variable.dims, data, variable.attrs, variable.encoding)


@contextmanager
def _left_out_on_error(store: EncodedStore, name: Hashable) -> Iterator[None]:
    """The variable is left out if anything in the block raises."""
    try:
        yield
    except NotFetched:
        raise
    except Exception as error:  # metadata can be wrong in more ways than xarray foresees
        store.leave_out(str(name), error)
