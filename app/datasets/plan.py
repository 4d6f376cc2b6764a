"""What a selection of a whole Dataset needs of the store, known before anything is read.

`plan_isel` goes the short way for what is common (integers, slices, lists and points along
dimensions with plain indexes) and xarray's own lazy `isel` for the rest; both end in the same
`DatasetPlan`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, Literal

import xarray as xr
from xarray.core.utils import drop_dims_from_indexers

from app.datasets.indexers import Key, for_xarray, go_together, plain_keys, remaining
from app.datasets.layout import Layout
from app.datasets.lazy import LazyArray
from app.datasets.pending import DatasetPlan, PendingVariable

MissingDims = Literal["raise", "warn", "ignore"]


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
    keys = plain_keys(ds, indexers)
    plain = go_together(ds, keys)
    if plain is not None:
        names = layout.variables if keep is None else _kept(layout, plain, keep)
        if None not in [layout.variables[name] for name in names]:
            return _plan_plainly(layout, plain, names, drop=drop)
    spelled = {dim: for_xarray(ds, dim, keys[dim], wanted) for dim, wanted in indexers.items()}
    lazy = ds.isel(spelled, drop=drop)
    return plan_lazy(lazy if keep is None else lazy[list(keep)])


def plan_lazy(lazy: xr.Dataset) -> DatasetPlan:
    """What it takes to load `lazy`, a selection that xarray made without reading."""
    variables: dict[Hashable, xr.Variable | PendingVariable] = {}
    for name, variable in lazy._variables.items():
        data: Any = variable._data
        array = getattr(data, "array", None)
        if isinstance(array, LazyArray):
            plan = array.plan(data.key)
            variables[name] = PendingVariable(
                variable.dims, variable.attrs, variable.encoding, array, plan
            )
        else:
            variables[name] = variable.copy(deep=False)
    return DatasetPlan(variables, lazy._coord_names, lazy._indexes, lazy.attrs, lazy.encoding)


def _kept(
    layout: Layout, keys: Mapping[Hashable, Key], keep: Collection[Hashable]
) -> Iterable[Hashable]:
    """`keep` and the coordinates along the dimensions left to those, as in ``ds.isel()[keep]``."""
    dims = layout.dims
    left = {dim for name in keep for dim in remaining(dims[name], keys)}
    along = [name for name in layout.coords if left.issuperset(remaining(dims[name], keys))]
    return dict.fromkeys([*keep, *along])


def _plan_plainly(
    layout: Layout, keys: Mapping[Hashable, Key], names: Iterable[Hashable], *, drop: bool
) -> DatasetPlan:
    """The short way, for the variables in `names`."""
    ds = layout.dataset
    variables: dict[Hashable, xr.Variable | PendingVariable] = {}
    indexes: dict[Hashable, xr.Index] = {}
    for name in names:
        prepared, dims = layout.variables[name], layout.dims[name]
        assert prepared is not None
        if drop and name in ds._coord_names and dims and not remaining(dims, keys):
            continue
        variables[name], index = prepared.select(keys)
        if index is not None:
            indexes[name] = index
    coord_names = {name for name in layout.coords if name in variables}
    return DatasetPlan(variables, coord_names, indexes, ds.attrs, ds.encoding)
