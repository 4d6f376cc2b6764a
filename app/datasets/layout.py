"""What selections need to know of a Dataset's variables, found out once and kept with it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import xarray as xr
from xarray.core import indexing
from xarray.core.indexes import PandasIndex

from app.arrays.plan import plan_orthogonal, plan_pointwise
from app.datasets.indexers import ALL, Key, Points, remaining
from app.datasets.lazy import LazyArray
from app.datasets.pending import PendingVariable

Keys: TypeAlias = Mapping[Hashable, Key]


@dataclass(frozen=True, slots=True)
class IndexCoordinate:
    """A coordinate with an index of its own, in memory.

    `values` are its labels as NumPy has them, None where xarray must say what a label becomes.
    """

    name: Hashable
    variable: xr.Variable
    index: PandasIndex
    values: np.ndarray[Any, Any] | None

    @classmethod
    def of(cls, name: Hashable, variable: xr.Variable, index: PandasIndex) -> Self:
        """The prepared coordinate; `variable` is the one that `index` made."""
        values = index.index.values
        plain = values.dtype == index.coord_dtype and values.dtype.kind in "iufmM"
        return cls(name, variable, index, values if plain else None)

    def select(self, keys: Keys) -> tuple[xr.Variable, PandasIndex | None]:
        """Its part of an answer, and its index if it keeps one."""
        match keys.get(self.index.dim, ALL):
            case int() as position:
                return self._pick((), position), None
            case Points(dim, positions):
                return self._pick((dim,), positions), None
            case key if key is ALL:
                return self.variable.copy(deep=False), self.index
            case key:
                kept = self.index.isel({self.index.dim: key})
                assert kept is not None
                return kept.create_variables({self.name: self.variable})[self.name], kept

    def _pick(self, dims: tuple[Hashable, ...], place: Any) -> xr.Variable:
        variable = self.variable
        if self.values is None:
            picked = variable[xr.Variable(dims, place)] if dims else variable[place]
            return picked.to_base_variable().load()
        data = np.asarray(self.values[place])  # never a view: the index is everyone's
        return xr.Variable(dims, data, variable._attrs, variable._encoding, fastpath=True)


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable whose values are all in the store."""

    dims: tuple[Hashable, ...]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]
    array: LazyArray

    def select(self, keys: Keys) -> tuple[PendingVariable, None]:
        """Its part of an answer; it has no index."""
        array, dims = self.array, remaining(self.dims, keys)
        wanted = array.stored_key(tuple([keys.get(dim, ALL) for dim in self.dims]))
        points = [key for key in wanted if isinstance(key, Points)]
        if points:
            wanted = tuple([k.positions if isinstance(k, Points) else k for k in wanted])
            at = dims.index(points[0].dim)
            plan = plan_pointwise(array.meta.shape, array.meta.chunks, wanted, at=at)
        else:
            plan = plan_orthogonal(array.meta.shape, array.meta.chunks, wanted)
        return PendingVariable(dims, self.attrs, self.encoding, array, plan), None


# None stands for what only xarray's own indexing selects from.
Prepared: TypeAlias = IndexCoordinate | StoredVariable | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A Dataset and its variables as selections take them; nothing of it changes."""

    dataset: xr.Dataset
    sizes: Mapping[Hashable, int]
    variables: Mapping[Hashable, Prepared]
    dims: Mapping[Hashable, tuple[Hashable, ...]]
    coords: tuple[Hashable, ...]

    @classmethod
    def of(cls, ds: xr.Dataset) -> Self:
        """The layout of `ds`, which must not change from here on."""
        variables = {name: _prepared(ds, name, v) for name, v in ds._variables.items()}
        coords = tuple([name for name in variables if name in ds._coord_names])
        dims = {name: variable.dims for name, variable in ds._variables.items()}
        return cls(ds, ds._dims, variables, dims, coords)


def _prepared(ds: xr.Dataset, name: Hashable, variable: xr.Variable) -> Prepared:
    index = ds._indexes.get(name)
    if index is not None:
        return IndexCoordinate.of(name, variable, index) if type(index) is PandasIndex else None
    data: Any = variable._data
    if not isinstance(data, indexing.LazilyIndexedArray) or not isinstance(data.array, LazyArray):
        return None
    if any(key != slice(None) for key in data.key.tuple):
        return None
    return StoredVariable(variable.dims, variable.attrs, variable.encoding, data.array)
