"""Positional indexers in plain form: integers, slices and lists of positions within bounds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from zarr.errors import BoundsCheckError

Key: TypeAlias = int | slice | np.ndarray[Any, np.dtype[np.int64]]


def plain_keys(
    ds: xr.Dataset, indexers: Mapping[Any, Any]
) -> tuple[dict[Hashable, Key], dict[Hashable, Any]]:
    """`indexers` that have a plain form, in it, and the others (labelled arrays, masks, ...).

    Raises an IndexError for a position outside its dimension. xarray's lazy indexing finds that
    too late or not at all: a negative position of a dimension without an index wraps around twice.
    """
    plain: dict[Hashable, Key] = {}
    others: dict[Hashable, Any] = {}
    for dim, wanted in indexers.items():
        size = ds._dims.get(dim)
        key = None if size is None else _plain_key(dim, wanted, size)
        if key is None:
            others[dim] = wanted
        else:
            plain[dim] = key
    return plain, others


def for_xarray(ds: xr.Dataset, keys: Mapping[Hashable, Key]) -> dict[Hashable, Key]:
    """`keys` as xarray's lazy indexing understands them beside array indexers.

    There a slice that runs backwards is misread, so it is spelled out as positions.
    """
    return {
        dim: np.arange(*key.indices(ds._dims[dim]))
        if isinstance(key, slice) and (key.step or 1) < 0
        else key
        for dim, key in keys.items()
    }


def _plain_key(dim: Hashable, wanted: Any, size: int) -> Key | None:
    match wanted:
        case bool() | np.bool_():
            return None
        case int() | np.integer():
            _check_bounds(dim, wanted, wanted, size)
            return int(wanted)
        case slice():
            parts = (wanted.start, wanted.stop, wanted.step)
            plain = all(p is None or isinstance(p, int | np.integer) for p in parts)
            return wanted if plain and wanted.step != 0 else None
        case list() | np.ndarray():
            return _plain_list(dim, np.asarray(wanted), size)
        case _:
            return None


def _plain_list(dim: Hashable, positions: np.ndarray[Any, Any], size: int) -> Key | None:
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        return None
    if positions.size:
        _check_bounds(dim, positions.min(), positions.max(), size)
    return positions.astype(np.int64)


def _check_bounds(dim: Hashable, least: Any, most: Any, size: int) -> None:
    if least < -size or most >= size:
        outside = least if least < -size else most
        raise BoundsCheckError(f"{dim!r} has {size} positions; {outside} is not one of them")
