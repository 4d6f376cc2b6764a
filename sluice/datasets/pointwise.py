"""Positions that go together, as xarray's pointwise indexers along one new dimension."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

import xarray as xr

from sluice.aliases import Document


def together(ds: xr.Dataset, positions: Document, pointwise: Collection[str]) -> dict[str, Any]:
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
