"""Positional indexers in plain form: integers, slices, lists and points within bounds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import xarray as xr
from zarr.errors import BoundsCheckError

from sluice.aliases import Array

IntArray: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
ALL: Final = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Positions along one dimension that go together with those of others, along the new `dim`."""

    dim: Hashable
    positions: IntArray


Key: TypeAlias = int | slice | IntArray | Points


def plain_keys(
    sizes: Mapping[Hashable, int], indexers: Mapping[Any, Any]
) -> dict[Hashable, Key | None]:
    """`indexers` in their plain form; None for those that have none (labelled arrays, masks, ...).

    Raises an IndexError for a position outside its dimension. xarray's lazy indexing finds that
    too late or not at all: a negative position of a dimension without an index wraps around twice.
    """
    return {
        dim: _plain_key(dim, wanted, sizes[dim]) if dim in sizes else None
        for dim, wanted in indexers.items()
    }


def go_together(ds: xr.Dataset, keys: Mapping[Hashable, Key | None]) -> dict[Hashable, Key] | None:
    """The `keys` if all are plain and can be planned in one, else None.

    Points go along one new dimension, and beside no list: lists would be read with them.
    """
    plain = {dim: key for dim, key in keys.items() if key is not None}
    if len(plain) < len(keys):
        return None
    dims = {key.dim for key in plain.values() if type(key) is Points}
    if not dims:
        return plain
    taken = len(dims) > 1 or not dims.isdisjoint(ds._dims) or not dims.isdisjoint(ds._variables)
    return None if taken or any(isinstance(k, np.ndarray) for k in plain.values()) else plain


def remaining(dims: tuple[Hashable, ...], keys: Mapping[Hashable, Key]) -> tuple[Hashable, ...]:
    """The dimensions after a selection; that of points stands where the first of theirs was.

    A dimension that is there twice is selected from, and left, in both places.
    """
    left: list[Hashable] = []
    for dim in dims:
        key = keys.get(dim)
        if isinstance(key, Points):
            if key.dim not in left:
                left.append(key.dim)
        elif not isinstance(key, int):
            left.append(dim)
    return tuple(left)


def length_of(key: Key, size: int) -> int | None:
    """How many elements `key` leaves of a dimension of `size`; None where it drops it."""
    match key:
        case int():
            return None
        case slice():
            return len(range(*key.indices(size)))
        case Points(_, positions):
            return len(positions)
        case positions:
            return len(positions)


def for_xarray(ds: xr.Dataset, dim: Hashable, key: Key | None, wanted: Any) -> Any:
    """The key of `dim` (or what was `wanted`) as xarray's indexing understands it beside arrays.

    There a slice that runs backwards is misread, so it is spelled out as positions.
    """
    match key:
        case None | Points():
            return wanted
        case slice(step=int(step)) if step < 0:
            return np.arange(*key.indices(ds._dims[dim]))
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
                raise _outside(dim, wanted, size)
            return int(wanted)
        case slice():
            parts = (wanted.start, wanted.stop, wanted.step)
            plain = all(p is None or isinstance(p, int | np.integer) for p in parts)
            return wanted if plain and wanted.step != 0 else None
        case list() | np.ndarray():
            return _plain_list(dim, np.asarray(wanted), size)
        case xr.Variable(dims=(along,)) if isinstance(wanted._data, np.ndarray) and along != dim:
            positions = _plain_list(dim, wanted._data, size)
            return None if positions is None else Points(along, positions)
        case _:
            return None


def _plain_list(dim: Hashable, positions: Array, size: int) -> IntArray | None:
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        return None
    if positions.size:
        least, most = positions.min(), positions.max()
        if least < -size or most >= size:
            raise _outside(dim, least if least < -size else most, size)
    return positions.astype(np.int64)


def _outside(dim: Hashable, position: Any, size: int) -> BoundsCheckError:
    return BoundsCheckError(f"{dim!r} has {size} positions; {position} is not one of them")
