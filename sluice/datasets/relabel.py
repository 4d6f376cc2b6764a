"""A selection under the labels that were asked for: -10 where the store says 350."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from sluice.aliases import Array, DType
from sluice.datasets.repeated import join, separate

# What described the stored values and would bend the new ones: a uint16 axis writes -90 as 65446.
_PACKING = (
    "dtype",
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "_Unsigned",
    "filters",
)
# Attributes that readers use to blank what lies outside; they spoke of the stored labels.
_RANGES = ("valid_min", "valid_max", "valid_range", "actual_range")


def relabel(ds: xr.Dataset, labels: Mapping[str, Array]) -> xr.Dataset:
    """`ds` with new `labels` (1-D, by dimension) for index coordinates; `ds` itself is unchanged.

    Attributes stay, but for the range of the stored labels; the stored dtype and packing go. The
    coordinate's bounds move with it. Dimensions that `ds` lacks are passed over.
    """
    ds = separate(ds)
    changed: dict[Any, xr.Variable] = {}
    for name, values in labels.items():
        if name in ds.dims:
            coordinate = ds.variables[name]
            changed[name] = _rewritten(coordinate, values)
            changed |= _moved_bounds(ds, coordinate, values)
    coords = {name: v for name, v in changed.items() if name in ds.coords}
    rest = {name: v for name, v in changed.items() if name not in coords}
    return join(ds.assign_coords(coords).assign(rest) if changed else ds)


def bounds_of(coordinate: xr.Variable) -> str | None:
    """The variable that a coordinate names as its bounds (CF 7.1), whether or not it is there."""
    name = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
    return name if isinstance(name, str) else None


def _rewritten(variable: xr.Variable, values: Any) -> xr.Variable:
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
    # Whole turns: the difference of two roundings is none.
    turns = np.rint((values.astype("f8") - coordinate.values.astype("f8")) / 360)
    moved = bounds + xr.Variable(coordinate.dims, (turns * 360).astype(kind))
    moved = moved.transpose(*bounds.dims)
    moved.attrs = dict(bounds.attrs)
    moved.encoding = dict(bounds.encoding)
    return {name: _rewritten(moved, moved.values.astype(_roomy(bounds.dtype)))}


def _roomy(dtype: DType) -> DType:
    return dtype if dtype.kind == "f" else np.dtype("i8")
