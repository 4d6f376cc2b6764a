"""Indexers of xarray as plain keys within bounds, and positions of labels by binary search."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.indexes import PandasIndex
from zarr.errors import BoundsCheckError

from sluice.aliases import Array, Document, DType, Named
from sluice.datasets._xarray import data_of, variables_of

IntArray: TypeAlias = NDArray[np.int64]
ALL: Final = slice(None)
# datetime64[ns], the finest that coordinates use, ends in 2262 and begins in 1677.
_SAFE_YEARS = 290


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Positions along one dimension that go together with those of others, along the new `dim`."""

    dim: Hashable
    positions: IntArray


Key: TypeAlias = int | slice | IntArray | Points


def plain_keys(sizes: Mapping[Hashable, int], indexers: Named) -> dict[Hashable, Key | None]:
    """`indexers` as plain keys; None for those that are not plain (labelled arrays, masks, ...).

    Raises an IndexError for a position outside its dimension. xarray's lazy indexing finds that
    too late or not at all: a negative position of a dimension without an index wraps around twice.
    """
    return {
        dim: _plain_key(dim, wanted, sizes[dim]) if dim in sizes else None
        for dim, wanted in indexers.items()
    }


def plannable(ds: xr.Dataset, keys: Mapping[Hashable, Key | None]) -> dict[Hashable, Key] | None:
    """The `keys` if they can be planned without xarray: all plain, points along one new dimension.

    Beside points there may be no list: xarray would read it point by point, too. None otherwise.
    """
    plain = {dim: key for dim, key in keys.items() if key is not None}
    if len(plain) < len(keys):
        return None
    dims = {key.dim for key in plain.values() if type(key) is Points}
    if not dims:
        return plain
    taken = len(dims) > 1 or not dims.isdisjoint(ds.sizes) or not dims.isdisjoint(variables_of(ds))
    return None if taken or any(isinstance(k, np.ndarray) for k in plain.values()) else plain


def xarray_key(ds: xr.Dataset, dim: Hashable, key: Key | None, wanted: object) -> object:
    """What xarray's ``isel`` is given for a key, or for what was `wanted` if that is not plain.

    Beside arrays xarray misreads slices that run backwards: these become positions.
    """
    match key:
        case None | Points():
            return wanted
        case slice(step=int(step)) if step < 0:
            return np.arange(*key.indices(ds.sizes[dim]))
        case _:
            return key


def _plain_key(dim: Hashable, wanted: Any, size: int) -> Key | None:
    if type(wanted) is int and 0 <= wanted < size:
        return wanted
    match wanted:
        case bool() | np.bool_():
            return None
        case int() | np.integer():
            if not -size <= wanted < size:
                raise _out_of_bounds(dim, wanted, size)
            return int(wanted)
        case slice():
            parts = (wanted.start, wanted.stop, wanted.step)
            plain = all(p is None or isinstance(p, int | np.integer) for p in parts)
            return wanted if plain and wanted.step != 0 else None
        case list() | np.ndarray():
            return _plain_list(dim, np.asarray(wanted), size)
        case xr.Variable(dims=(along,)) if isinstance(data_of(wanted), np.ndarray) and along != dim:
            positions = _plain_list(dim, data_of(wanted), size)
            return None if positions is None else Points(along, positions)
        case _:
            return None


def _plain_list(dim: Hashable, positions: Array, size: int) -> IntArray | None:
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        return None
    if positions.size:
        least, most = positions.min(), positions.max()
        if least < -size or most >= size:
            raise _out_of_bounds(dim, least if least < -size else most, size)
    return positions.astype(np.int64)


def _out_of_bounds(dim: Hashable, position: object, size: int) -> BoundsCheckError:
    return BoundsCheckError(f"{dim!r} has {size} positions; {position} is not one of them")


def pointwise_indexers(
    ds: xr.Dataset, positions: Document, pointwise: Collection[str]
) -> dict[str, object]:
    """`positions` for ``isel``, with the 1-D arrays of the dimensions in `pointwise` read together.

    The new dimension is ``points``, or ``points_`` where `ds` already has that name.
    """
    dim = _free_name(ds)
    return {
        name: xr.Variable((dim,), place) if name in pointwise else place
        for name, place in positions.items()
    }


def _free_name(ds: xr.Dataset) -> str:
    taken: set[Hashable] = {*ds.variables, *ds.dims}
    name = "points"
    while name in taken:
        name += "_"
    return name


def search_label(index: xr.Index, label: object, *, nearest: bool) -> int | None:
    """The position of a scalar `label` in a sorted index of numbers or times.

    None wherever the answer is not certain (another kind of index or label, duplicates, absent):
    then xarray and pandas decide. Ties go to the larger label, as in pandas' ``get_indexer``.
    """
    if type(index) is not PandasIndex:
        return None
    # Uniqueness second: of labels that are in no order pandas makes a table, to know it.
    rises, falls = index.index.is_monotonic_increasing, index.index.is_monotonic_decreasing
    if not (rises or falls) or not index.index.is_unique:
        return None
    values = index.index.values
    value = _as_value(label, values.dtype) if values.dtype == index.coord_dtype else None
    if value is None or not len(values):
        return None
    if rises:
        return _search_ascending(values, value, nearest)
    found = _search_ascending(values[::-1], value, nearest)
    return None if found is None else len(values) - 1 - found


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


def _as_value(label: object, dtype: DType) -> Any:
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
