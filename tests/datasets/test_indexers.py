"""Labels found in an index, and positions that are read together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from xarray.core.indexes import PandasIndex

from sluice.datasets import pointwise_indexers
from sluice.datasets.indexers import search_label

numbers = st.sampled_from(["i1", "i4", "i8", "u2", "f4", "f8"])


def expected(index: PandasIndex, label: Any, nearest: bool) -> Any:
    method = "nearest" if nearest else None
    return index.sel({"x": label}, method=method).dim_indexers["x"]


@given(st.data(), numbers, st.booleans(), st.booleans())
def test_found_positions_are_xarrays(
    data: st.DataObject, dtype: str, nearest: bool, descending: bool
) -> None:
    """Sorted numbers, either direction, exact and nearest, ties included."""
    values = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=8))
    array = np.sort(np.array(values, dtype)) * (0.5 if dtype[0] == "f" else 1)
    array = array.astype(dtype)[:: -1 if descending else 1]
    label = data.draw(
        st.integers(-10, 70)
        | st.integers(-10, 140).map(lambda i: i / 2)
        | st.integers(0, 60).map(np.int16)
        | st.floats(width=32).map(np.float32)
    )
    index = PandasIndex(array, "x")
    found = search_label(index, label, nearest=nearest)
    if found is not None:
        assert found == expected(index, label, nearest)


@given(st.integers(-30, 90), st.sampled_from(["s", "ms", "ns"]), st.booleans(), st.booleans())
def test_found_times_are_xarrays(minutes: int, unit: str, nearest: bool, descending: bool) -> None:
    """Times of another resolution than the index are compared as instants."""
    times = pd.date_range("2020-01-01", periods=4, freq="20min")
    index = PandasIndex(times[:: -1 if descending else 1], "x")
    label = np.array("2020-01-01", f"M8[{unit}]")[()] + np.timedelta64(minutes, "m")
    found = search_label(index, label, nearest=nearest)
    if found is not None:
        assert found == expected(index, label, nearest)
    elif minutes in (0, 20, 40, 60) or (nearest and 0 < minutes < 60):
        pytest.fail("a plain label must be found by search")


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([1, 1, 2], 1),
        ([3, 1, 2], 1),
        ([1.0, 2.0], float("nan")),
        ([1.0, float("nan")], 1.0),
        ([1, 2], True),
        ([1, 2], "1"),
        ([0, 1], 2**70),
        ([], 1),
        (pd.to_datetime(["2020-01-01"]), np.datetime64("9999-01-01")),
        (pd.to_datetime(["2020-01-01"]), np.datetime64("NaT", "ns")),
        (pd.to_datetime(["2020-01-01"]), "2020"),
        (["a", "b"], "a"),
    ],
)
def test_whatever_is_not_certain_is_left_to_xarray(values: Any, label: Any) -> None:
    """Duplicates, unsorted labels, NaN, text, other types and overflow get no answer here."""
    assert search_label(PandasIndex(values, "x"), label, nearest=False) is None


@pytest.mark.parametrize(
    ("taken", "dim"), [([], "points"), (["points"], "points_"), (["points", "points_"], "points__")]
)
def test_the_new_dimension_takes_a_free_name(taken: list[str], dim: str) -> None:
    """What the dataset already calls points stays what it is."""
    ds = xr.Dataset({"v": (("x", "y"), np.arange(6).reshape(2, 3))}, dict.fromkeys(taken, 1))
    indexers = pointwise_indexers(ds, {"x": np.array([1, 0]), "y": np.array([2, 2])}, ("x", "y"))
    got = ds.isel(indexers)
    assert got.v.dims == (dim,)
    assert got.v.values.tolist() == [5, 2]


def test_other_positions_are_left_alone() -> None:
    """What is not named stays crossed with the points."""
    ds = xr.Dataset({"v": (("x", "y", "z"), np.zeros((2, 2, 2)))})
    places = {"x": np.array([0, 1]), "y": np.array([0, 0]), "z": slice(0, 1)}
    got = ds.isel(pointwise_indexers(ds, places, ("x", "y")))
    assert got.sizes == {"points": 2, "z": 1}
