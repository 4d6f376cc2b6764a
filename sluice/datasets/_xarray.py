"""The one place that knows xarray's private names, and makes its objects of parts that fit."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import xarray as xr
from xarray.core.indexing import PandasIndexingAdapter


def variable_of(
    dims: tuple[Hashable, ...],
    data: Any,
    attrs: dict[Any, Any] | None,
    encoding: dict[Any, Any] | None,
) -> xr.Variable:
    """``xr.Variable(dims, data, attrs, encoding)`` of an array, or of xarray's lazy form of one.

    It has as many axes as `dims`. Without the checks and conversions of the constructor, which
    takes four times as long; an answer has several variables. `attrs` and `encoding` are copied.
    """
    variable = object.__new__(xr.Variable)
    variable._dims = dims
    variable._data = data
    variable._attrs = dict(attrs) if attrs else None
    variable._encoding = dict(encoding) if encoding else None
    return variable


class LabelsAsStored(PandasIndexingAdapter):
    """An index coordinate's data that also knows what the store has in its place, as `stored`.

    What xarray derives from it forgets that, and is decoded like all else.
    """

    __slots__ = ("stored",)

    stored: object


def with_stored(coordinate: xr.Variable, stored: object) -> xr.Variable:
    """The same index coordinate, which knows what is `stored` in the place of its labels."""
    known: Any = coordinate.copy(deep=False)
    data: object = known._data
    if isinstance(data, PandasIndexingAdapter):
        labels = LabelsAsStored(data.array, data.dtype)
        labels.stored = stored
        known._data = labels
    return known  # type: ignore[no-any-return]


def stored_of(coordinate: xr.Variable) -> object:
    """What `with_stored` was told; None where it was told nothing."""
    data: object = coordinate._data
    return getattr(data, "stored", None) if isinstance(data, LabelsAsStored) else None
