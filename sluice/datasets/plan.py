"""What a selection of a whole Dataset needs of the store, known before anything is read.

What is common (integers, slices, lists and points along dimensions with plain indexes) goes the
short way, the rest by xarray's own lazy `isel`; both end in the same `DatasetPlan`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any, Literal, TypeAlias

import xarray as xr
from xarray.core.utils import drop_dims_from_indexers

from sluice.arrays.texts import attribute_bytes, has_texts, text_bytes
from sluice.datasets.indexers import IntArray, for_xarray, go_together, plain_keys
from sluice.datasets.layout import Keys, Layout, StoredVariable
from sluice.datasets.lazy import LazyArray
from sluice.datasets.outline import Outline, Outlined
from sluice.datasets.pending import DatasetPlan, PendingVariable

MissingDims = Literal["raise", "warn", "ignore"]
Positions: TypeAlias = Mapping[Any, int | slice | IntArray]


def plan_isel(
    ds: xr.Dataset | Layout,
    indexers: Mapping[Any, Any],
    *,
    drop: bool = False,
    missing_dims: MissingDims = "raise",
    keep: Collection[Hashable] | None = None,
) -> DatasetPlan:
    """What ``ds.isel(indexers)`` needs; then only the variables in `keep`, if given.

    Positions along dimensions, as in xarray; whoever selects often hands the `Layout` over. Raises
    what ``ds.isel`` raises; reads nothing.
    """
    layout = ds if isinstance(ds, Layout) else Layout.of(ds)
    ds = layout.dataset
    if not layout.sizes.keys() >= indexers.keys():
        indexers = drop_dims_from_indexers(indexers, ds._dims, missing_dims)
    keys = plain_keys(layout.sizes, indexers)
    plain = go_together(ds, keys)
    if plain is not None:
        outline = layout.outline(plain, keep, drop)
        if outline is not None:
            return _plan_plainly(layout, outline, plain)
    spelled = {dim: for_xarray(ds, dim, keys[dim], wanted) for dim, wanted in indexers.items()}
    return _plan_by_xarray(ds.isel(spelled, drop=drop), keep)


def plan_positions(
    layout: Layout, positions: Positions, keep: Collection[Hashable] | None
) -> DatasetPlan:
    """As `plan_isel`, of positions that are plain and within bounds already, and are no points."""
    outline = layout.outline(positions, keep, drop=False)
    if outline is not None:
        return _plan_plainly(layout, outline, positions)
    ds = layout.dataset
    spelled = {dim: for_xarray(ds, dim, key, key) for dim, key in positions.items()}
    return _plan_by_xarray(ds.isel(spelled), keep)


def plan_lazy(lazy: xr.Dataset) -> DatasetPlan:
    """What it takes to load `lazy`, a selection that xarray made without reading."""
    variables: dict[Hashable, xr.Variable] = {}
    pending: dict[Hashable, PendingVariable] = {}
    for name, variable in lazy._variables.items():
        data: Any = variable._data
        array = getattr(data, "array", None)
        if isinstance(array, LazyArray):
            plan = array.plan(data.key)
            pending[name] = PendingVariable(
                variable.dims, variable.attrs, variable.encoding, array, plan
            )
        else:
            variables[name] = variable.copy(deep=False)
    found = variables | pending
    ordered: dict[Hashable, Outlined] = {name: found[name] for name in lazy._variables}
    attrs = sum([attribute_bytes(v.attrs) for v in found.values()]) + attribute_bytes(lazy.attrs)
    outline = Outline.of(ordered, lazy._coord_names, pending, attrs)
    texts = {n: text_bytes(v.values) for n, v in variables.items() if has_texts(v.dtype)}
    return DatasetPlan(outline, variables, pending, lazy._indexes, lazy.attrs, lazy.encoding, texts)


def _plan_by_xarray(lazy: xr.Dataset, keep: Collection[Hashable] | None) -> DatasetPlan:
    return plan_lazy(lazy if keep is None else lazy[list(keep)])


def _plan_plainly(layout: Layout, outline: Outline, keys: Keys) -> DatasetPlan:
    """The short way, for the variables of `outline`."""
    variables: dict[Hashable, xr.Variable] = {}
    pending: dict[Hashable, PendingVariable] = {}
    indexes: dict[Hashable, xr.Index] = {}
    texts: dict[Hashable, int] = {}
    for name, part in outline.variables.items():
        prepared = layout.variables[name]
        if isinstance(prepared, StoredVariable):
            pending[name] = prepared.select(keys, part.dims)
        else:
            assert prepared is not None
            variables[name], index = prepared.select(keys)
            if index is not None:
                indexes[name] = index
            if prepared.lengths is not None:
                texts[name] = prepared.text_bytes(keys)
    ds = layout.dataset
    return DatasetPlan(outline, variables, pending, indexes, ds.attrs, ds.encoding, texts)
