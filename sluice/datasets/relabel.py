"""Datasets in memory under other labels, and with variables that have one dimension twice.

Labels are those that were asked for: -10 where the store says 350.

A variable can have one dimension twice, such as a covariance over (band, band). The NetCDF data
model allows it, and a position or label along it holds for both. xarray keeps such a variable, but
most of its operations lose one of the two (pydata/xarray#1378). So before xarray operates on one,
the second dimension is renamed (`separate_repeats`), and afterwards named back (`join_repeats`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import xarray as xr

from sluice.aliases import Array, DType, Named
from sluice.datasets._xarray import (
    data_of,
    drop_dims_from_indexers,
    variable_of,
    variables_of,
    with_variables,
)
from sluice.errors import MetadataError
from sluice.labels import spell_name

# What packs the stored values and would change the new ones: as uint16, -90 is written as 65446.
_PACKING = (
    "dtype",
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "_Unsigned",
    "filters",
)
# Readers mask values outside of these ranges, which are those of the stored labels.
_RANGES = ("valid_min", "valid_max", "valid_range", "actual_range")
Dims = tuple[Hashable, ...]
D = TypeVar("D", bound=xr.Dataset)


def relabel(ds: xr.Dataset, labels: Mapping[str, Array]) -> xr.Dataset:
    """`ds` with new `labels` (1-D, by dimension) for index coordinates; `ds` itself is unchanged.

    Attributes stay, but for the range of the stored labels; the stored dtype and packing go. The
    coordinate's bounds move with it. Dimensions that `ds` lacks are passed over.
    """
    ds = separate_repeats(ds)
    changed: dict[Any, xr.Variable] = {}
    for name, values in labels.items():
        if name in ds.dims:
            coordinate = ds.variables[name]
            changed[name] = _rewritten(coordinate, values)
            changed |= _moved_bounds(ds, coordinate, values)
    coords = {name: v for name, v in changed.items() if name in ds.coords}
    rest = {name: v for name, v in changed.items() if name not in coords}
    return join_repeats(ds.assign_coords(coords).assign(rest) if changed else ds)


def bounds_of(coordinate: xr.Variable) -> str | None:
    """The variable that a coordinate names as its bounds (CF 7.1), whether or not it is there."""
    name = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
    return name if isinstance(name, str) else None


def _rewritten(variable: xr.Variable, values: object) -> xr.Variable:
    encoding = {key: item for key, item in variable.encoding.items() if key not in _PACKING}
    attrs = {key: item for key, item in variable.attrs.items() if key not in _RANGES}
    return xr.Variable(variable.dims, values, attrs, encoding)


def _moved_bounds(ds: xr.Dataset, coordinate: xr.Variable, values: Array) -> dict[Any, xr.Variable]:
    """The coordinate's bounds (CF 7.1), as far away from the new labels as from the old ones."""
    name = bounds_of(coordinate)
    bounds = None if name is None else ds.variables.get(name)
    if name is None or bounds is None:
        return {}
    if coordinate.dims[0] not in bounds.dims or bounds.dtype.kind not in "iuf":
        return {}
    kind = "f8" if values.dtype.kind == "f" else "i8"
    # In whole turns: so bounds are not moved by what the rounding of labels differs.
    turns = np.rint((values.astype("f8") - coordinate.values.astype("f8")) / 360)
    moved = bounds + xr.Variable(coordinate.dims, (turns * 360).astype(kind))
    moved = moved.transpose(*bounds.dims)
    moved.attrs = dict(bounds.attrs)
    moved.encoding = dict(bounds.encoding)
    return {name: _rewritten(moved, moved.values.astype(_roomy(bounds.dtype)))}


def _roomy(dtype: DType) -> DType:
    return dtype if dtype.kind == "f" else np.dtype("i8")


@dataclass(frozen=True, slots=True)
class Repeat:
    """The dimension `dim` where a variable has it once more, for the `number`-th time."""

    dim: Hashable
    number: int


def has_repeats(dims: Dims) -> bool:
    """Whether any dimension is there twice."""
    return len(set(dims)) < len(dims)


def distinct_dims(dims: Dims) -> Dims:
    """The dimensions with a `Repeat` for each that is there already."""
    seen: Counter[Hashable] = Counter()
    found: list[Hashable] = []
    for dim in dims:
        found.append(Repeat(dim, seen[dim]) if seen[dim] else dim)
        seen[dim] += 1
    return tuple(found)


def with_distinct_dims(name: str, variable: xr.Variable, taken: Container[Hashable]) -> xr.Variable:
    """An encoded variable with distinct dimensions, as xarray's decoding needs it.

    Dimensions that the store does not name are each one of its own, called after the variable; its
    name is none of those `taken`. Raises `MetadataError` for one that it has in two sizes.
    """
    dims = _named(name, variable.dims, taken)
    _check_sizes(dims, variable.shape)
    chunks = variable.encoding.get("chunks", ())
    encoding = {**variable.encoding, "preferred_chunks": dict(zip(dims, chunks, strict=False))}
    return variable_of(distinct_dims(dims), data_of(variable), variable.attrs, encoding)


def _named(name: str, dims: Dims, taken: Container[Hashable]) -> Dims:
    named: list[Hashable] = []
    for place, dim in enumerate(dims):
        free = f"{name}_dim_{place}"
        while dim is None and free in taken:
            free += "_"
        named.append(free if dim is None else dim)
    return tuple(named)


def _check_sizes(dims: Dims, shape: tuple[int, ...]) -> None:
    sizes: dict[Hashable, int] = {}
    for dim, size in zip(dims, shape, strict=True):
        if sizes.setdefault(dim, size) != size:
            raise MetadataError(
                f"its dimension {spell_name(dim)} has the lengths {sizes[dim]} and {size}"
            )


def separate_repeats(ds: D) -> D:
    """`ds` with distinct dimensions in each variable; itself where they are distinct."""
    renamed = {
        n: _with_dims(v, distinct_dims(v.dims))
        for n, v in variables_of(ds).items()
        if has_repeats(v.dims)
    }
    if not renamed:
        return ds
    sizes = dict(ds.sizes)
    for variable in renamed.values():
        sizes.update(zip(variable.dims, variable.shape, strict=True))
    return with_variables(ds, {**variables_of(ds), **renamed}, sizes)


def join_repeats(ds: D) -> D:
    """`ds` with the dimensions that each `Repeat` stands for."""
    if not any(isinstance(dim, Repeat) for dim in ds.sizes):
        return ds
    variables = {
        name: _with_dims(variable, tuple([_own_dim(dim) for dim in variable.dims]))
        if any(isinstance(dim, Repeat) for dim in variable.dims)
        else variable
        for name, variable in variables_of(ds).items()
    }
    sizes = {dim: size for dim, size in ds.sizes.items() if not isinstance(dim, Repeat)}
    return with_variables(ds, variables, sizes)


def isel_along_all(
    ds: D,
    indexers: Named,
    drop: bool,
    missing_dims: Literal["raise", "warn", "ignore"],
) -> D:
    """``ds.isel(indexers)``, along each place of a dimension that a variable has twice."""
    apart = separate_repeats(ds)
    if apart is not ds:
        indexers = drop_dims_from_indexers(indexers, ds.sizes, missing_dims)
        again = [dim for dim in apart.sizes if isinstance(dim, Repeat) and dim.dim in indexers]
        indexers = {**indexers, **{dim: _for_repeat(dim, indexers[dim.dim]) for dim in again}}
    return join_repeats(xr.Dataset.isel(apart, indexers, drop, missing_dims))


def _own_dim(dim: Hashable) -> Hashable:
    return dim.dim if isinstance(dim, Repeat) else dim


def _with_dims(variable: xr.Variable, dims: Dims) -> xr.Variable:
    return variable_of(dims, data_of(variable), variable.attrs, variable.encoding)


def _for_repeat(repeat: Repeat, indexer: object) -> object:
    """`indexer` for the dimension's other place; positions that are labelled by it, by that."""
    if isinstance(indexer, xr.DataArray):
        indexer = indexer.variable
    elif isinstance(indexer, tuple):
        indexer = xr.as_variable(indexer)
    if not isinstance(indexer, xr.Variable):
        return indexer
    dims = tuple([repeat if dim == repeat.dim else dim for dim in indexer.dims])
    return xr.Variable(dims, data_of(indexer))
