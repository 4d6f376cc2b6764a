"""A dataset prepared for selections: its axes and layout; and descriptions of it and of plans.

Nothing here reads from the store.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex

from sluice.aliases import Array, DocumentDict
from sluice.arrays.texts import text_bytes
from sluice.axes.axis import Axis
from sluice.axes.roles import Role, roles_of
from sluice.axes.scales import Clock, step_of
from sluice.datasets import AsyncDataset, Layout
from sluice.datasets._xarray import data_of
from sluice.datasets.lazy import LazyArray
from sluice.datasets.read_plan import DatasetReadPlan
from sluice.encoders.jsonable import dtype_name
from sluice.labels import JsonScalar, format_label, format_text

_UNKNOWN: Final = {
    "role": None,
    "ascending": None,
    "wraps": None,
    "calendar": None,
    "values": None,
}
# Of more labels than this, or longer ones, only the first and the last are shown.
MOST_LABELS: Final = 1000
MOST_LABEL_BYTES: Final = 2**16
# A first or last label that is a longer text is cut.
_MOST_LETTERS: Final = 1000
# So many objects are compared in some 10 ms.
_PIECE: Final = 8192


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDataset:
    """An opened dataset with its `layout`, the axes of its index coordinates, their roles, and its
    sizes.

    It never changes: requests share it.
    """

    dataset: AsyncDataset
    layout: Layout
    axes: Mapping[str, Axis]
    roles: Mapping[str, Role]
    sizes: Mapping[str, int]


def prepare(dataset: AsyncDataset) -> PreparedDataset:
    """`dataset`, which must not change from here on; costs a pass over its labels."""
    sizes = {str(name): size for name, size in dataset.sizes.items()}
    axes = prepare_axes(dataset)
    return PreparedDataset(
        dataset,
        Layout.of(dataset),
        MappingProxyType(axes),
        MappingProxyType(roles_of(axes)),
        MappingProxyType(sizes),
    )


def prepare_axes(dataset: xr.Dataset) -> dict[str, Axis]:
    """An `Axis` for every one-dimensional index coordinate, by name."""
    indexed = {str(name): dataset.variables[name] for name in dataset.xindexes}
    return {
        name: Axis.of(name, variable.values, variable.attrs)
        for name, variable in indexed.items()
        if variable.dims == (name,)
    }


def describe_prepared(prepared: PreparedDataset) -> DocumentDict:
    """As `describe`, and for each coordinate the facts of its axis.

    ``role`` is X, Y, Z or T; ``ascending`` None where labels neither rise nor fall; ``wraps`` says
    that the last and the first label are neighbours; ``values`` are all labels, if there are at
    most `MOST_LABELS`. All of them are None for a coordinate without an index.
    """
    told = _described(prepared.dataset, prepared.axes)
    for name, coordinate in told["coords"].items():
        axis = prepared.axes.get(str(name))
        role = prepared.roles.get(str(name))
        coordinate.update(_UNKNOWN if axis is None else _facts(axis, role))
    return told


def _facts(axis: Axis, role: Role | None) -> DocumentDict:
    directions = {"ascending": True, "descending": False, "unsorted": None}
    return {
        "role": role,
        "ascending": directions[axis.direction],
        "wraps": axis.periodic,
        "calendar": calendar_of_axis(axis),
        "values": _few_values(axis.values),
    }


def calendar_of_axis(axis: Axis) -> str | None:
    """The calendar of an axis of times, as CF names it; None for another axis."""
    if not isinstance(axis.scale, Clock):
        return None
    if axis.values.dtype.kind == "M":
        return "proleptic_gregorian"
    dated = (value for value in axis.values if value is not None)
    return str(getattr(next(dated, None), "calendar", "")) or None


def _few_values(values: Array) -> Array | None:
    if values.size > MOST_LABELS:
        return None
    texts = np.asarray(values, dtype=object) if values.dtype.kind in "US" else values
    return values if text_bytes(texts) <= MOST_LABEL_BYTES else None


def explain(plan: DatasetReadPlan, labels: Mapping[str, Array]) -> DocumentDict:
    """Dimensions, costs and selected coordinates of `plan`; `labels` as for `relabel`.

    ``result_bytes`` is the answer in memory, ``chunks`` and ``chunk_bytes`` what must be decoded
    for it. A coordinate of more than `MOST_LABELS` labels, or of texts of more than
    `MOST_LABEL_BYTES`, has ``size``, ``first``, ``last`` (cut where they are long) and ``step`` in
    place of ``data``; one whose values are still in the store has neither.
    """
    schema = plan.schema
    described: dict[Hashable, DocumentDict] = {}
    for name, form in schema.variables.items():
        if name not in schema.coord_names:
            continue
        described[name] = {"dims": form.dims, "dtype": dtype_name(form.dtype)}
        if name in plan.variables:
            data = labels[str(name)] if name in labels else plan.variables[name].values
            described[name] |= {"dtype": dtype_name(data.dtype), **_labels(data)}
    return {
        "dims": schema.sizes,
        "result_bytes": schema.result_bytes,
        "chunks": plan.chunks,
        "chunk_bytes": plan.chunk_bytes,
        "coords": described,
    }


def _labels(data: Array) -> DocumentDict:
    if data.size <= MOST_LABELS and text_bytes(_texts(data)) <= MOST_LABEL_BYTES:
        return {"data": data}
    ends = data.ravel()[[0, -1]]
    first, last = (_shortened(format_label(end)) for end in ends)
    step = step_of(data) if data.ndim == 1 else None
    return {"size": data.size, "first": first, "last": last, "step": step}


def _texts(data: Array) -> Array:
    """Labels that are texts of a fixed width as objects, which are as long as the texts are."""
    return data.astype(object) if data.dtype.kind in "US" else data


def _shortened(label: JsonScalar) -> JsonScalar:
    if isinstance(label, str) and len(label) > _MOST_LETTERS:
        return f"{label[:_MOST_LETTERS]}..."
    return label


def describe(ds: xr.Dataset) -> DocumentDict:
    """Attributes, dimensions, coordinates and data variables of `ds`; reads nothing.

    ``min`` and ``max`` are in the coordinate's own type (text as answers write it), None without
    an index or an order of its labels; ``step`` is None where labels are not evenly spaced;
    ``nbytes`` is the decoded size; ``unusable`` has the reason for each variable of the store that
    is left out.
    """
    return _described(ds, {})


def _described(ds: xr.Dataset, axes: Mapping[str, Axis]) -> DocumentDict:
    return {
        "attrs": dict(ds.attrs),
        "dims": dict(ds.sizes),
        "coords": {name: _coordinate(ds, name, axes.get(str(name))) for name in ds.coords},
        "data_vars": {name: _data_variable(ds.variables[name]) for name in ds.data_vars},
        "unusable": {name: one.reason for name, one in ds.encoding.get("unusable", {}).items()},
    }


def _coordinate(ds: xr.Dataset, name: Hashable, axis: Axis | None) -> DocumentDict:
    """The description of a coordinate; quick for a long one if its `axis` is given."""
    variable = ds.variables[name]
    least = most = step = None
    index = ds.xindexes.get(name)
    if isinstance(index, PandasIndex) and len(index.index):
        if axis is not None and _is_counted(axis, index):
            least, most = (axis.values[axis.places[end]] for end in (0, len(axis.keys) - 1))
        else:
            least, most = _range(index.index)
        step = step_of(variable.values) if axis is None else axis.step
    return {
        "dims": list(variable.dims),
        "dtype": dtype_name(variable.dtype),
        "min": least,
        "max": most,
        "step": step,
        "attrs": dict(variable.attrs),
    }


def _is_counted(axis: Axis, index: PandasIndex) -> bool:
    """Whether the ends of the axis are the smallest and the largest label in the index' type."""
    dtype = axis.values.dtype
    return len(axis.keys) > 0 and dtype.kind in "iufmM" and dtype == index.index.dtype


def _range(labels: pd.Index) -> tuple[object, object]:
    """The smallest and the largest label, missing ones aside; None if they have no order."""
    try:
        if labels.dtype.kind == "O" and len(labels) > _PIECE:
            # In pieces: while objects are compared, no other thread runs.
            starts = range(0, len(labels), _PIECE)
            ends = [_range(labels[start : start + _PIECE]) for start in starts]
            labels = pd.Index([end for pair in ends for end in pair])
        return _end(labels.min()), _end(labels.max())
    except TypeError:
        return None, None


def _end(label: object) -> object:
    match label:
        case str():
            return format_text(label)
        case pd.Timestamp() | pd.Timedelta():
            return label.to_numpy()
        case _:
            return label


def _data_variable(variable: xr.Variable) -> DocumentDict:
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
    array = getattr(data_of(variable), "array", None)
    if not isinstance(array, LazyArray):
        return []
    metadata = array.meta.zarr.metadata
    if metadata.zarr_format == 2:
        chain = [*(metadata.filters or ()), metadata.compressor]
        return [codec.codec_id for codec in chain if codec is not None]
    return [codec.to_dict()["name"] for codec in metadata.codecs]
