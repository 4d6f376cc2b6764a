"""Descriptions: everything about a dataset that needs no reading."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from sluice.datasets import AsyncZarrBackendEntrypoint, describe


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
