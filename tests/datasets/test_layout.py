"""Selections that are planned without xarray's indexing: equal to its own, and no larger."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from sluice.arrays.plan import ArrayPlan
from sluice.datasets import AsyncZarrBackendEntrypoint, Layout, plan_isel
from tests.equivalence.sameness import assert_same
from tests.sources import DictSource, stored

LAT = xr.Variable("points", np.array([4, -1, 0, 4]))
LON = xr.Variable("points", np.array([0, 7, -8, 0]))


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    """A cube with coordinates of every kind: numbers, times, text, two-dimensional."""
    shape = (10, 6, 8)
    ds = xr.Dataset(
        {"t2m": (("time", "lat", "lon"), np.arange(480.0).reshape(shape), {"units": "K"})},
        coords={
            "time": xr.date_range("2020-01-01", periods=10, freq="h"),
            "lat": ("lat", np.linspace(75, -75, 6, dtype="f4"), {"units": "degrees_north"}),
            "lon": [f"column {n}" for n in range(8)],
            "area": (("lat", "lon"), np.arange(48).reshape(6, 8)),
            "row": ("lat", list("abcdef")),
        },
        attrs={"title": "a cube"},
    )
    store = MemoryStore()
    ds.to_zarr(store, zarr_format=2, encoding={"t2m": {"chunks": (4, 3, 4)}}, consolidated=True)
    return store


@pytest.fixture(scope="module")
def layout(store: MemoryStore) -> Layout:
    source = DictSource(asyncio.run(stored(store)))
    return Layout.of(asyncio.run(AsyncZarrBackendEntrypoint().open_dataset(source)))


SELECTIONS: list[dict[str, Any]] = [
    {"lat": LAT, "lon": LON},
    {"lat": LAT, "lon": LON, "time": 3},
    {"lat": LAT, "lon": LON, "time": slice(None, None, -2)},
    {"lon": LON, "time": xr.Variable("points", np.array([9, 0, 5, 5])), "lat": -2},
    {"lon": LON, "time": slice(2, 9, 3)},
    {"lat": LAT[:0], "lon": LON[:0]},
    {"lat": LAT, "lon": xr.Variable("others", np.array([1, 2]))},
    {"lat": LAT, "lon": LON, "time": [3, 1]},
    {"lat": [4, 4, 0], "lon": slice(None), "time": 0},
    {"lat": xr.Variable("lat", np.array([3, 1]))},
    {"lat": xr.Variable("time", np.array([3, 1])), "time": slice(2)},
]


@pytest.mark.parametrize("indexers", SELECTIONS, ids=str)
@pytest.mark.parametrize("drop", [False, True])
def test_positions_and_points_answer_as_in_xarray(
    layout: Layout, store: MemoryStore, indexers: dict[str, Any], drop: bool
) -> None:
    """Points, slices, lists and scalars together: the same variables in the same order and form."""
    expected = xr.open_zarr(store, chunks=None).isel(indexers, drop=drop).load()
    got = asyncio.run(plan_isel(layout, indexers, drop=drop).read())
    assert_same(got, expected)
    assert list(got.variables) == list(expected.variables)


@pytest.mark.parametrize("indexers", SELECTIONS, ids=str)
def test_an_outline_is_the_answers_form(layout: Layout, indexers: dict[str, Any]) -> None:
    """What is known before anything is read: dimensions, shapes, dtypes, bytes, in their order."""
    plan = plan_isel(layout, indexers)
    got, schema = asyncio.run(plan.read()), plan.schema
    assert {n: (v.dims, v.shape) for n, v in schema.variables.items()} == {
        n: (v.dims, v.shape) for n, v in got.variables.items()
    }
    assert list(schema.variables) == list(got.variables)
    assert [v.dtype for n, v in schema.variables.items() if n in plan.pending] == [
        v.dtype for n, v in got.variables.items() if n in plan.pending
    ]
    assert (dict(schema.sizes), schema.coord_names) == (dict(got.sizes), frozenset(got.coords))
    assert schema.cells == sum(got.variables[name].size for name in plan.pending)


def test_one_outline_serves_all_selections_of_one_form(layout: Layout) -> None:
    """Other positions share it; another length, another name or another point has its own."""
    one = plan_isel(layout, {"time": 1, "lat": slice(0, 2)}).schema
    assert plan_isel(layout, {"time": 7, "lat": slice(3, 5)}).schema is one
    for other in ({"time": 1, "lat": slice(0, 3)}, {"time": [1], "lat": slice(0, 2)}, {"lat": 1}):
        assert plan_isel(layout, other).schema is not one
    assert plan_isel(layout, {"time": 1, "lat": slice(0, 2)}, keep=["t2m"]).schema is not one


def test_forms_without_number_take_bounded_memory(layout: Layout) -> None:
    """Whoever asks for ever new lengths is answered, and the kept schemas are forgotten."""
    for stop in range(1, 1500):
        plan_isel(layout, {"lat": np.zeros(stop, int)})
    assert 0 < layout._schemas.held_bytes <= 4 * 2**20


def test_points_read_a_series_as_a_slice(layout: Layout) -> None:
    """The axis beside the points stays a range, however many points there are."""
    plan = plan_isel(layout, {"lat": LAT, "lon": LON})
    pending = plan.pending["t2m"]
    assert pending.dims == ("time", "points")
    assert pending.shape == (10, 4)
    assert isinstance(pending.plan, ArrayPlan)
    assert pending.plan.points is not None
    assert [axis.positions for axis in pending.plan.axes] == [range(10)]
    assert pending.plan.chunks == 3 * 3  # three chunks of time, two points in one chunk of three


def test_a_layout_is_the_dataset_that_it_was_made_of(layout: Layout) -> None:
    """Planning by a dataset and by its layout gives the same answer."""
    ds = layout.dataset
    for indexers in SELECTIONS:
        by_layout, by_dataset = (
            asyncio.run(plan_isel(x, indexers, keep=["area"]).read()) for x in (layout, ds)
        )
        assert_same(by_layout, by_dataset)


def test_what_an_answer_holds_can_be_changed(layout: Layout) -> None:
    """Scalars and points are copies of the shared labels."""
    for indexers in ({"lat": 1, "time": 2}, {"lat": LAT, "time": LAT}, {}):
        before = layout.dataset["lat"].values.copy(), layout.dataset["time"].values.copy()
        answer = asyncio.run(plan_isel(layout, indexers).read())
        for name in ("lat", "time"):
            if name not in answer.indexes:
                values = answer.variables[name].data
                values[...] = np.zeros((), values.dtype)
            answer[name].attrs["mine"] = answer[name].encoding["mine"] = 1
        answer.attrs.clear()
        for name, values in zip(("lat", "time"), before, strict=True):
            np.testing.assert_array_equal(layout.dataset[name].values, values)
            assert "mine" not in {**layout.dataset[name].attrs, **layout.dataset[name].encoding}
        assert layout.dataset.attrs == {"title": "a cube"}
