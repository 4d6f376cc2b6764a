"""Labels to positions: by binary search where that is certain, by xarray's indexes elsewhere."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from xarray.core.indexes import PandasIndex
from xarray.core.indexing import map_index_queries

from sluice.aliases import DType
from sluice.datasets.pending import DatasetPlan
from sluice.datasets.plan import plan_isel, plan_lazy

# datetime64[ns], the finest that coordinates use, ends in 2262 and begins in 1677.
_SAFE_YEARS = 290


def plan_sel(
    ds: xr.Dataset,
    indexers: Mapping[Any, Any],
    *,
    method: str | None,
    tolerance: Any,
    drop: bool,
) -> DatasetPlan:
    """What ``ds.sel(indexers, method, tolerance, drop)`` needs; raises what it raises.

    Coordinates that are asked by label must be in memory.
    """
    positions: dict[Hashable, Any] = {}
    rest = dict(indexers)
    if tolerance is None and method in (None, "nearest"):
        for name, label in indexers.items():
            index = ds._indexes.get(name)
            position = None if index is None else search(index, label, nearest=method is not None)
            if position is not None:
                positions[name] = position
                del rest[name]
    if rest:
        found = map_index_queries(ds, rest, method, tolerance)
        plain = not (found.drop_coords or found.variables or found.indexes or found.rename_dims)
        if not plain or positions.keys() & found.dim_indexers.keys():
            return plan_lazy(ds.sel(indexers, method, tolerance, drop))
        positions |= found.dim_indexers
    return plan_isel(ds, positions, drop=drop)


def search(index: xr.Index, label: Any, *, nearest: bool) -> int | None:
    """The position of a scalar `label` in a sorted index of numbers or times.

    None wherever the answer is not certain (another kind of index or label, duplicates, absent):
    then xarray and pandas decide. Ties go to the larger label, as in pandas' ``get_indexer``.
    """
    if type(index) is not PandasIndex or not index.index.is_unique:
        return None
    values = index.index.values
    value = _as_value(label, values.dtype) if values.dtype == index.coord_dtype else None
    if value is None or not len(values):
        return None
    if index.index.is_monotonic_increasing:
        return _search_ascending(values, value, nearest)
    if index.index.is_monotonic_decreasing:
        found = _search_ascending(values[::-1], value, nearest)
        return None if found is None else len(values) - 1 - found
    return None


def _search_ascending(values: Any, value: Any, nearest: bool) -> int | None:
    right = int(np.searchsorted(values, value))
    if right < len(values) and values[right] == value:
        return right
    if not nearest:
        return None
    if right == 0 or right == len(values):
        return None  # beyond the last label rounding can make pandas refuse
    below, above = values[right - 1], values[right]
    if values.dtype.kind == "i":  # Python's integers cannot overflow in the subtraction
        below, above, value = int(below), int(above), int(value)
    return right - 1 if value - below < above - value else right


def _as_value(label: Any, dtype: DType) -> Any:
    """`label` in the index's own type, or None where that would change or guess its meaning."""
    match label:
        case bool() | np.bool_():
            return None
        case int() | np.integer() if dtype.kind in "if":
            return _integer(int(label), dtype)
        case float() | np.floating() if dtype.kind == "f" and np.isfinite(label):
            # xarray too casts labels to the coordinate's precision (xarray#5727).
            with np.errstate(over="ignore"):
                return dtype.type(label)
        case np.datetime64() if dtype.kind == "M" and not np.isnat(label):
            year = int(label.astype("M8[Y]").astype(np.int64))
            value = label.astype(dtype) if abs(year) < _SAFE_YEARS else label
            return value if value.dtype == dtype and value == label else None
        case _:
            return None


def _integer(label: int, dtype: DType) -> Any:
    if dtype.kind == "f":
        return dtype.type(label) if abs(label) <= 2**53 else None
    limits = np.iinfo(dtype)
    return dtype.type(label) if limits.min <= label <= limits.max else None
