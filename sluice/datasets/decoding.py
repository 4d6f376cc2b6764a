"""Encoded variables to a Dataset by xarray's own decoding, variable by variable where that fails.

Needs no loop and reads nothing: NotFetched tells which values have to be here first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import xarray as xr
from xarray import conventions
from xarray.core import indexing

from sluice.aliases import Document
from sluice.arrays.store_reader import StoreReader
from sluice.datasets.coding import NotFetched, check_unpacking, compile_decoding
from sluice.datasets.dates import with_date_coders
from sluice.datasets.encoded_text import keep_bytes
from sluice.datasets.known_store import KnownStore
from sluice.datasets.lazy import LazyArray
from sluice.datasets.repeated import join
from sluice.datasets.unusable import conflicting
from sluice.datasets.variables import variable_of
from sluice.errors import MetadataError

Decoded = tuple[dict[str, xr.Variable], dict[str, Any], set[Any]]


def decode(store: KnownStore, reader: StoreReader, options: Document) -> xr.Dataset:
    """The Dataset of all variables that can be decoded; `store` is told which ones cannot.

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


def _decoded(store: KnownStore, options: Document) -> Decoded | None:
    """xarray's decoding of all variables; None if some of them are to blame that it fails."""
    known = len(store.unusable)
    try:
        variables, attributes = store.load()
        return _decode(variables, attributes, options, store.left_out)
    except NotFetched:
        raise
    except Exception as error:  # attributes can be wrong in more ways than xarray foresees
        _blame(store, options)
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
    decoded: Any = conventions.decode_cf_variables(dict(variables), dict(attributes), **spelled)
    found: Decoded = decoded
    for variable in found[0].values():
        keep_bytes(variable)
    return found


def _blame(store: KnownStore, options: Document) -> None:
    """Decode each variable on its own, and leave out those that fail."""
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
        with _blamed(store, name):
            _decode(alone, {}, options, alone.keys() - {name})


def _dataset(decoded: Decoded) -> xr.Dataset:
    """The variables as xarray's own backends put them together, without indexes."""
    variables, attributes, names = decoded
    coords = {n: v for n, v in variables.items() if n in names or v.dims == (n,)}
    data = {name: variable for name, variable in variables.items() if name not in coords}
    dataset = xr.Dataset(data, xr.Coordinates(coords, indexes={}), attributes)
    dataset.encoding = {}
    return dataset


def _with_indexes(dataset: xr.Dataset, store: KnownStore) -> xr.Dataset:
    """`dataset` with xarray's default index for every dimension coordinate."""
    names = [n for n, c in dataset.coords.items() if c.dims == (n,) and n not in dataset.xindexes]
    coords: dict[Any, xr.Variable] = {}
    for name in names:
        # In memory first: values can decode to a finer or coarser unit than xarray announces.
        with _blamed(store, name):
            variable = dataset.variables[name]
            coords[name] = variable.copy(data=variable.data)
            coords[name].to_index()
    return dataset.assign_coords(xr.Coordinates(coords)) if coords else dataset


def _lazily(reader: StoreReader, dataset: xr.Dataset, store: KnownStore) -> xr.Dataset:
    """`dataset` with each variable that is not in memory compiled into a `LazyArray`."""
    variables: dict[Any, xr.Variable] = {}
    for name, variable in dataset.variables.items():
        if name in dataset.xindexes:
            variables[name] = variable
            continue
        with _blamed(store, name):
            variables[name] = _compiled(reader, variable, tries=store.lenient)
    return join(dataset._replace(variables))


def _compiled(reader: StoreReader, variable: xr.Variable, *, tries: bool) -> xr.Variable:
    encoded, steps, stacked = compile_decoding(variable._data)
    if tries:
        check_unpacking(steps, encoded.dtype)
    lazy = LazyArray(reader, encoded.meta, steps, variable.dtype, stacked=stacked)
    data = indexing.LazilyIndexedArray(lazy)
    return variable_of(variable.dims, data, variable.attrs, variable.encoding)


@contextmanager
def _blamed(store: KnownStore, name: Any) -> Iterator[None]:
    """Whatever goes wrong inside is this variable's fault; it is left out."""
    try:
        yield
    except NotFetched:
        raise
    except Exception as error:  # metadata can be wrong in more ways than xarray foresees
        store.blame(str(name), error)
