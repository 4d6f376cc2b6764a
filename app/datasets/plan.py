"""What a selection of a whole Dataset needs of the store, known before anything is read.

`plan_isel` goes the short way for what is common (integers, slices and lists along dimensions
with plain indexes) and xarray's own lazy `isel` for the rest; both end in the same `DatasetPlan`.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from xarray.core import indexing
from xarray.core.indexes import PandasIndex
from xarray.core.utils import drop_dims_from_indexers

from app.arrays.plan import ArrayPlan, plan_orthogonal
from app.datasets.indexers import Key, for_xarray, plain_keys
from app.datasets.lazy import LazyArray
from app.store.fan_out import spread

MissingDims = Literal["raise", "warn", "ignore"]


@dataclass(frozen=True, slots=True)
class PendingVariable:
    """A variable of the answer whose values are still to be read."""

    dims: tuple[Hashable, ...]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]
    array: LazyArray
    plan: ArrayPlan

    @property
    def shape(self) -> tuple[int, ...]:
        return self.plan.shape[: len(self.dims)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the decoded values."""
        return self.array.dtype

    async def read(self) -> xr.Variable:
        """The variable in memory."""
        values = await self.array.read(self.plan)
        return xr.Variable(self.dims, values, self.attrs, self.encoding, fastpath=True)


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """The answer to a selection, all but the values that are still in the store."""

    variables: dict[Hashable, xr.Variable | PendingVariable]
    coord_names: set[Hashable]
    indexes: dict[Hashable, xr.Index]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]

    @property
    def sizes(self) -> dict[Hashable, int]:
        """The dimensions of the answer."""
        sizes: dict[Hashable, int] = {}
        for variable in self.variables.values():
            sizes.update(zip(variable.dims, variable.shape, strict=True))
        return sizes

    @property
    def pending(self) -> dict[Hashable, PendingVariable]:
        """The variables that must be read."""
        return {n: v for n, v in self.variables.items() if isinstance(v, PendingVariable)}

    @property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return sum(v.plan.chunks for v in self.pending.values())

    @property
    def chunk_bytes(self) -> int:
        """Decoded size of the touched chunks, in bytes: what the answer costs."""
        return sum(v.plan.chunks * v.array.meta.chunk_bytes for v in self.pending.values())

    @property
    def result_bytes(self) -> int:
        """Decoded size of the answer, in bytes."""
        return sum(
            v.array.result_bytes(v.plan) if isinstance(v, PendingVariable) else v.nbytes
            for v in self.variables.values()
        )

    def keep(self, names: Iterable[Hashable]) -> DatasetPlan:
        """Only `names` and the coordinates along their dimensions, as ``ds[names]`` would."""
        kept = {name: self.variables[name] for name in names}
        needed = {dim for variable in kept.values() for dim in variable.dims}
        coords = {n for n in self.coord_names if needed.issuperset(self.variables[n].dims)}
        kept |= {n: v for n, v in self.variables.items() if n in coords}
        indexes = {n: index for n, index in self.indexes.items() if n in coords}
        return replace(self, variables=kept, coord_names=coords, indexes=indexes)

    async def read(self) -> xr.Dataset:
        """The answer as a plain Dataset in memory."""
        variables: dict[Any, Any] = dict(self.variables)

        async def read_one(item: tuple[Hashable, PendingVariable]) -> None:
            variables[item[0]] = await item[1].read()

        await spread(self.pending.items(), read_one)
        return xr.Dataset._construct_direct(
            variables,
            self.coord_names,
            self.sizes,
            self.attrs,
            self.indexes,
            self.encoding,
        )


def plan_isel(
    ds: xr.Dataset,
    indexers: Mapping[Any, Any],
    *,
    drop: bool = False,
    missing_dims: MissingDims = "raise",
    keep: Collection[Hashable] | None = None,
) -> DatasetPlan:
    """What ``ds.isel(indexers)`` needs; then only the variables in `keep`, if given.

    Positions along dimensions, as in xarray. Raises what ``ds.isel`` raises; reads nothing.
    """
    indexers = drop_dims_from_indexers(indexers, ds._dims, missing_dims)
    keys, others = plain_keys(ds, indexers)
    names = ds._variables.keys() if keep is None else ds._coord_names.union(keep)
    plan = None if others else _plan_plainly(ds, keys, names, drop=drop)
    if plan is None:
        known = for_xarray(ds, keys)
        spelled = {dim: known.get(dim, wanted) for dim, wanted in indexers.items()}
        plan = plan_lazy(ds.isel(spelled, drop=drop))
    return plan if keep is None else plan.keep(keep)


def plan_lazy(lazy: xr.Dataset) -> DatasetPlan:
    """What it takes to load `lazy`, a selection that xarray made without reading."""
    variables: dict[Hashable, xr.Variable | PendingVariable] = {}
    for name, variable in lazy._variables.items():
        data: Any = variable._data
        array = getattr(data, "array", None)
        if isinstance(array, LazyArray):
            plan = array.plan(data.key)
            variables[name] = PendingVariable(
                variable.dims, dict(variable.attrs), dict(variable.encoding), array, plan
            )
        else:
            variables[name] = variable.copy(deep=False)
    return DatasetPlan(
        variables,
        set(lazy._coord_names),
        dict(lazy._indexes),
        dict(lazy.attrs),
        dict(lazy.encoding),
    )


def _plan_plainly(
    ds: xr.Dataset, keys: dict[Hashable, Key], names: Container[Hashable], *, drop: bool
) -> DatasetPlan | None:
    """The short way, for the variables in `names`; None where a variable needs xarray's."""
    variables: dict[Hashable, xr.Variable | PendingVariable] = {}
    indexes: dict[Hashable, xr.Index] = {}
    coord_names = set(ds._coord_names)
    for name, variable in ds._variables.items():
        if name not in names:
            continue
        index = ds._indexes.get(name)
        selected: xr.Variable | PendingVariable | None
        if index is not None:
            selected, kept = _select_index(name, variable, index, keys)
            if kept is not None:
                indexes[name] = kept
        else:
            selected = _select_lazy(variable, keys)
        if selected is None:
            return None
        scalar = drop and not selected.dims and variable.dims and name in coord_names
        if scalar:
            coord_names.remove(name)
        else:
            variables[name] = selected
    return DatasetPlan(variables, coord_names, indexes, dict(ds.attrs), dict(ds.encoding))


def _select_index(
    name: Hashable, variable: xr.Variable, index: xr.Index, keys: Mapping[Hashable, Key]
) -> tuple[xr.Variable | None, xr.Index | None]:
    """An index coordinate's part of the answer and its index, if it keeps one."""
    if type(index) is not PandasIndex:
        return None, None
    key = keys.get(index.dim, slice(None))
    if isinstance(key, int):
        return _scalar(variable, index, key), None
    kept = index.isel({index.dim: key})
    assert kept is not None
    return kept.create_variables({name: variable})[name], kept


def _scalar(variable: xr.Variable, index: PandasIndex, position: int) -> xr.Variable:
    values = index.index.values
    if values.dtype == index.coord_dtype and values.dtype.kind in "iufmM":
        data = np.array(values[position])
        return xr.Variable((), data, dict(variable.attrs), dict(variable.encoding), fastpath=True)
    return variable[position]


def _select_lazy(
    variable: xr.Variable, keys: Mapping[Hashable, Key]
) -> PendingVariable | xr.Variable | None:
    data = variable._data
    if not isinstance(data, indexing.LazilyIndexedArray):
        return None
    array = data.array
    if not isinstance(array, LazyArray) or any(k != slice(None) for k in data.key.tuple):
        return None
    wanted = tuple(keys.get(dim, slice(None)) for dim in variable.dims)
    dims = tuple(d for d, k in zip(variable.dims, wanted, strict=True) if not isinstance(k, int))
    plan = plan_orthogonal(array.meta.shape, array.meta.chunks, array.stored_key(wanted))
    return PendingVariable(dims, dict(variable.attrs), dict(variable.encoding), array, plan)
