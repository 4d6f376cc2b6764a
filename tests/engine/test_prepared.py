"""Descriptions tell what a dataset holds, and what its axes stand for."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from sluice.datasets import AsyncZarrBackendEntrypoint, open_dataset
from sluice.datasets.layout import IndexCoordinate
from sluice.engine import describe, describe_prepared, plan, prepare
from sluice.selection import Label, Selection
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

COUNT = 400_000


async def test_coordinates_tell_their_axes() -> None:
    """Role, direction, seam, calendar, and the labels where there are few."""
    store = MemoryStore()
    xr.Dataset(
        {"t": (("time", "lat", "lon"), np.zeros((2, 3, 4)))},
        {
            "time": xr.date_range("2020-01-01", periods=2),
            "lat": [60.0, 0.0, -60.0],
            "lon": ("lon", [0, 90, 180, 270], {"units": "degrees_east"}),
            "long": ("many", np.arange(1001)),
            "many": np.arange(1001),
            "area": (("lat", "lon"), np.ones((3, 4))),
        },
    ).to_zarr(store, zarr_format=2)
    coords = describe_prepared(prepare(await open_dataset(store)))["coords"]
    names = ("role", "ascending", "wraps", "calendar")
    told = {name: tuple(coords[name][key] for key in names) for name in coords}
    assert told == {
        "time": ("T", True, False, "proleptic_gregorian"),
        "lat": ("Y", False, False, None),
        "lon": ("X", True, True, None),
        "many": (None, True, False, None),
        "long": (None, None, None, None),
        "area": (None, None, None, None),
    }
    assert coords["lon"]["values"].tolist() == [0, 90, 180, 270]
    assert coords["many"]["values"] is None
    assert coords["area"]["values"] is None


def described(ds: xr.Dataset, **options: Any) -> dict[str, Any]:
    store = MemoryStore()
    ds.to_zarr(store, zarr_format=2, **options)
    return describe(asyncio.run(AsyncZarrBackendEntrypoint().open_dataset(store)))


def test_variables_tell_their_storage() -> None:
    """Chunks, codecs, and the decoded size."""
    ds = xr.Dataset({"a": (("x", "y"), np.zeros((4, 6)), {"units": "K"})})
    packed = {"chunks": (2, 3), "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    body = described(ds, encoding={"a": packed})
    assert body["dims"] == {"x": 4, "y": 6}
    assert body["data_vars"]["a"] == {
        "dims": ["x", "y"], "dtype": "float64", "chunks": (2, 3), "shards": None,
        "codecs": ["blosc"], "nbytes": 192, "attrs": {"units": "K"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "least", "most", "step"),
    [
        (np.linspace(90, -90, 5), -90, 90, -45),
        (np.array([0.1, 0.2, 0.3]).astype("f4"), np.float32(0.1), np.float32(0.3), 0.1),
        ([1, 2, 4], 1, 4, None),
        ([2.0, np.nan, 1.0], 1.0, 2.0, None),
        (["b", "a"], "a", "b", None),
        ([7], 7, 7, None),
    ],
)
def test_coordinates_tell_their_range(labels: Any, least: Any, most: Any, step: Any) -> None:
    """Least and greatest label, and the step where labels are evenly spaced."""
    found = described(xr.Dataset(coords={"x": labels}))["coords"]["x"]
    assert (found["min"], found["max"]) == (least, most)
    assert found["step"] == pytest.approx(step) if step is not None else found["step"] is None


def test_times_tell_instants() -> None:
    """Times are datetime64, their step a timedelta64."""
    time = xr.date_range("2020-01-01", periods=3, freq="6h")
    found = described(xr.Dataset(coords={"time": time}))["coords"]["time"]
    assert found["max"] == np.datetime64("2020-01-01T12:00")
    assert found["step"] == np.timedelta64(6, "h")


def test_lazy_coordinates_have_no_range() -> None:
    """What is not in memory is not read for a description."""
    found = described(xr.Dataset(coords={"lat": (("y", "x"), np.ones((2, 2)))}))["coords"]["lat"]
    assert (found["min"], found["max"], found["step"]) == (None, None, None)


@pytest.mark.parametrize(
    ("values", "attrs", "label"),
    [
        (np.arange(COUNT) * 3, {}, 9000),
        (np.arange(COUNT)[::-1] * 0.25, {}, 2.5),
        (np.arange(COUNT, dtype="i4"), {"units": "minutes since 1970-01-01"}, "1970-01-02T00:00"),
        (np.arange(COUNT) * 2, {"units": "hours since 1850-01-01"}, "1850-01-05T00:00"),
    ],
)
async def test_a_long_regular_axis_costs_nothing(
    values: Any, attrs: dict[str, Any], label: Any
) -> None:
    """Beside xarray's own index there are its first label, its step and how many there are."""
    arrays = (
        ArraySpec("x", ("x",), values, attrs, fill=None, chunks=(COUNT // 4,)),
        ArraySpec("v", ("x",), np.zeros(COUNT, "i1"), chunks=(COUNT // 4,)),
    )
    opened = await open_dataset(fs_map(documents_of(StoreSpec(arrays, zarr_format=2))))
    labels = opened.variables["x"].values.nbytes
    prepare(opened)  # what is made once by whoever asks first
    gc.collect()
    tracemalloc.start()
    try:
        prepared = prepare(opened)
        chosen = plan(prepared, Selection({"x": Label(label)}, ("v",)))
        told = describe_prepared(prepared)["coords"]["x"]
        gc.collect()
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert chosen.schema.sizes == {}
    assert held < labels / 20
    assert most < labels
    x = opened["x"].values
    assert (told["min"], told["max"], told["step"]) == (x.min(), x.max(), x[1] - x[0])
    kept = prepared.layout.variables["x"]
    assert isinstance(kept, IndexCoordinate)
    assert kept.stored is None or isinstance(kept.stored.values, range)
    assert (kept.stored is not None) == bool(attrs)
