"""Making xarray's variables out of parts that are known to fit."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import xarray as xr


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
