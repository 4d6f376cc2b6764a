"""What a dataset holds, from metadata and index coordinates alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core.indexes import PandasIndex

from sluice.aliases import Array, DType
from sluice.datasets.lazy import LazyArray
from sluice.labels import format_text

# So many objects are compared in some 10 ms.
_PIECE: Final = 8192


def describe(ds: xr.Dataset) -> dict[str, Any]:
    """Attributes, dimensions, coordinates and data variables of `ds`; reads nothing.

    ``min`` and ``max`` are in the coordinate's own type (text as answers write it), None without
    an index or an order of its labels; ``step`` is None where labels are not evenly spaced;
    ``nbytes`` is the decoded size; ``unusable`` has the reason for each variable of the store that
    is left out.
    """
    return {
        "attrs": dict(ds.attrs),
        "dims": dict(ds.sizes),
        "coords": {name: _coordinate(ds, name) for name in ds.coords},
        "data_vars": {name: _data_variable(ds.variables[name]) for name in ds.data_vars},
        "unusable": {name: one.reason for name, one in ds.encoding.get("unusable", {}).items()},
    }


def _coordinate(ds: xr.Dataset, name: Any) -> dict[str, Any]:
    variable = ds.variables[name]
    least = most = step = None
    index = ds._indexes.get(name)
    if isinstance(index, PandasIndex) and len(index.index):
        least, most = _range(index.index)
        step = step_of(variable.values)
    return {
        "dims": list(variable.dims),
        "dtype": dtype_name(variable.dtype),
        "min": least,
        "max": most,
        "step": step,
        "attrs": dict(variable.attrs),
    }


def dtype_name(dtype: DType) -> str:
    """The dtype's name as the answers have it: NumPy's variable-width text is ``str``."""
    return "str" if dtype.kind == "T" else str(dtype)


def _range(labels: pd.Index[Any]) -> tuple[Any, Any]:
    """The smallest and the largest label, missing ones aside; None if they have no order."""
    try:
        if labels.dtype.kind == "O" and len(labels) > _PIECE:
            # Objects are compared without a break, in which no other thread runs.
            starts = range(0, len(labels), _PIECE)
            ends = [_range(labels[start : start + _PIECE]) for start in starts]
            labels = pd.Index([end for pair in ends for end in pair])
        return _end(labels.min()), _end(labels.max())
    except TypeError:
        return None, None


def _end(label: Any) -> Any:
    match label:
        case str():
            return format_text(label)
        case pd.Timestamp() | pd.Timedelta():
            return label.to_numpy()
        case _:
            return label


def step_of(values: Array) -> Any:
    """The one distance between neighbouring labels, or None."""
    if len(values) < 2 or values.dtype.kind not in "iufmM":
        return None
    steps = np.diff(values)
    first = steps[0]
    if values.dtype.kind == "f":
        # Labels are rounded to their own precision, so their distances differ by as much.
        slack = 4 * np.spacing(np.abs(values).max())
        return first if np.abs(steps - first).max() <= slack else None
    return first if (steps == first).all() else None


def _data_variable(variable: xr.Variable) -> dict[str, Any]:
    encoding = variable.encoding
    described = {
        "dims": list(variable.dims),
        "dtype": dtype_name(variable.dtype),
        "chunks": encoding.get("chunks"),
        "shards": encoding.get("shards"),
        "codecs": _codecs(variable),
        "nbytes": variable.size * variable.dtype.itemsize,
    }
    return described | {"attrs": dict(variable.attrs)}


def _codecs(variable: xr.Variable) -> list[str]:
    """The names of the codecs, in the order in which they encode."""
    array = getattr(variable._data, "array", None)
    if not isinstance(array, LazyArray):
        return []
    metadata = array.meta.zarr.metadata
    if metadata.zarr_format == 2:
        chain = [*(metadata.filters or ()), metadata.compressor]
        return [codec.codec_id for codec in chain if codec is not None]
    return [codec.to_dict()["name"] for codec in metadata.codecs]
