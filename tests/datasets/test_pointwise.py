"""Indexers for points."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sluice.datasets import together


@pytest.mark.parametrize(
    ("taken", "dim"), [([], "points"), (["points"], "points_"), (["points", "points_"], "points__")]
)
def test_the_new_dimension_takes_a_free_name(taken: list[str], dim: str) -> None:
    """What the dataset already calls points stays what it is."""
    ds = xr.Dataset({"v": (("x", "y"), np.arange(6).reshape(2, 3))}, dict.fromkeys(taken, 1))
    indexers = together(ds, {"x": np.array([1, 0]), "y": np.array([2, 2])}, ("x", "y"))
    got = ds.isel(indexers)
    assert got.v.dims == (dim,)
    assert got.v.values.tolist() == [5, 2]


def test_other_positions_are_left_alone() -> None:
    """What is not named stays crossed with the points."""
    ds = xr.Dataset({"v": (("x", "y", "z"), np.zeros((2, 2, 2)))})
    places = {"x": np.array([0, 1]), "y": np.array([0, 0]), "z": slice(0, 1)}
    got = ds.isel(together(ds, places, ("x", "y")))
    assert got.sizes == {"points": 2, "z": 1}
