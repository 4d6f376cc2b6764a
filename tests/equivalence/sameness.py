"""What "the same as xarray" means: values, types, indexes, encodings, and nothing left behind."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr


def assert_same(ours: xr.Dataset, theirs: xr.Dataset) -> None:
    """`ours` is the plain Dataset in memory that xarray's `.load()` gave as `theirs`."""
    assert type(ours) is xr.Dataset
    lazy = [name for name, variable in ours.variables.items() if not variable._in_memory]
    assert lazy == []
    xr.testing.assert_identical(ours, theirs)
    assert_same_surface(ours, theirs)
    for name, variable in theirs.variables.items():
        assert type(ours.variables[name]) is type(variable), name
        _assert_same_objects(name, ours.variables[name].values, variable.values)


def assert_same_surface(ours: xr.Dataset, theirs: xr.Dataset) -> None:
    """Everything that can be seen without reading a lazy value is the same."""
    assert set(ours.variables) == set(theirs.variables)
    assert set(ours.coords) == set(theirs.coords)
    assert dict(ours.sizes) == dict(theirs.sizes)
    assert same_value(ours.attrs, theirs.attrs), (ours.attrs, theirs.attrs)
    assert same_encoding(ours.encoding, theirs.encoding), (ours.encoding, theirs.encoding)
    for name, variable in theirs.variables.items():
        mine = ours.variables[name]
        assert (mine.dims, mine.shape) == (variable.dims, variable.shape), name
        assert same_type(mine, variable), (name, mine.dtype, variable.dtype)
        assert same_value(mine.attrs, variable.attrs), (name, mine.attrs, variable.attrs)
        assert same_encoding(mine.encoding, variable.encoding), (
            name,
            mine.encoding,
            variable.encoding,
        )
    _assert_same_indexes(ours, theirs)


def _assert_same_indexes(ours: xr.Dataset, theirs: xr.Dataset) -> None:
    assert set(ours.xindexes) == set(theirs.xindexes)
    for name, index in theirs.indexes.items():
        mine = ours.indexes[name]
        assert type(mine) is type(index), name
        assert same_type(mine, index), (name, mine.dtype, index.dtype)
        assert mine.name == index.name, name
        assert len(mine) == len(index) == 0 or same_value(np.asarray(mine), np.asarray(index)), name


def same_type(mine: Any, yours: Any) -> bool:
    """Equal dtypes.

    Only times and durations without a cell may differ (in their unit, or in being cftime
    objects): xarray's own depends on whether it decoded before it selected nothing, or after.
    """
    timed = {mine.dtype.kind, yours.dtype.kind} in ({"m"}, {"M", "O"})
    return bool(mine.dtype == yours.dtype) or (0 in yours.shape and timed)


def _assert_same_objects(name: Any, mine: np.ndarray, yours: np.ndarray) -> None:
    """Objects compare equal across types (1 and True, str and np.str_): look at the types too."""
    if mine.dtype.kind == "O":
        kinds = [type(value) for value in mine.ravel().tolist()]
        assert kinds == [type(value) for value in yours.ravel().tolist()], name


def same_encoding(mine: Mapping[Any, Any], yours: Mapping[Any, Any]) -> bool:
    """Equal but for `source`, which names the door and not the data."""
    return same_value(
        {key: value for key, value in mine.items() if key != "source"},
        {key: value for key, value in yours.items() if key != "source"},
    )


def same_value(mine: Any, yours: Any) -> bool:
    """Equality in which NaN equals NaN, and 1, 1.0 and True differ where their dtypes do."""
    if isinstance(mine, Mapping) and isinstance(yours, Mapping):
        return mine.keys() == yours.keys() and all(same_value(mine[k], yours[k]) for k in mine)
    if isinstance(mine, list | tuple) and isinstance(yours, list | tuple):
        return (
            type(mine) is type(yours)
            and len(mine) == len(yours)
            and all(same_value(a, b) for a, b in zip(mine, yours, strict=True))
        )
    if isinstance(mine, np.ndarray | np.generic) or isinstance(yours, np.ndarray | np.generic):
        return _same_array(np.asarray(mine), np.asarray(yours))
    return bool(mine == yours) or bool(_is_nan(mine) and _is_nan(yours))


def _same_array(mine: np.ndarray, yours: np.ndarray) -> bool:
    if mine.dtype != yours.dtype or mine.shape != yours.shape:
        return False
    if mine.dtype.kind == "V":
        return bool(np.all(mine == yours))
    both_missing = pd.isna(mine) & pd.isna(yours)
    return bool(np.all((mine == yours) | both_missing))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | complex) and value != value


def snapshot(dataset: xr.Dataset) -> dict[str, Any]:
    """What a request must leave as it was: which values are in memory, and all that names them."""
    return {
        "type": type(dataset),
        "names": list(dataset._variables),
        "coords": set(dataset._coord_names),
        "dims": dict(dataset._dims),
        "attrs": copy.deepcopy(dataset.attrs),
        "encoding": dict(dataset.encoding),
        "indexes": {name: id(index) for name, index in dataset._indexes.items()},
        "variables": {name: _variable(v) for name, v in dataset._variables.items()},
    }


def _variable(variable: xr.Variable) -> dict[str, Any]:
    return {
        "object": id(variable),
        "data": id(variable._data),
        "in_memory": variable._in_memory,
        "values": copy.deepcopy(variable.values) if variable._in_memory else None,
        "dims": variable.dims,
        "attrs": copy.deepcopy(variable.attrs),
        "encoding": dict(variable.encoding),
    }


def assert_unchanged(before: dict[str, Any], dataset: xr.Dataset) -> None:
    """The dataset is as `snapshot` saw it."""
    after = snapshot(dataset)
    for part, value in before.items():
        assert same_value(after[part], value), (part, value, after[part])
