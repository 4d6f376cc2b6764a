"""New labels for a selection."""

from __future__ import annotations

import numpy as np
import xarray as xr

from sluice.datasets import relabel


def test_labels_attributes_and_encoding() -> None:
    """Labels change, attributes stay but for the old range, packing goes, the input stays whole."""
    ds = xr.Dataset({"v": ("lon", [1, 2])}, {"lon": ("lon", [350, 0], {"units": "degrees_east"})})
    ds.lon.attrs["valid_max"] = 360
    ds.lon.encoding.update(dtype=np.dtype("u2"), scale_factor=0.5, chunks=(2,))
    before = ds.copy(deep=True)
    got = relabel(ds, {"lon": np.array([-10, 0])})
    assert got.indexes["lon"].tolist() == [-10, 0]
    assert got.lon.attrs == {"units": "degrees_east"}
    assert got.lon.encoding == {"chunks": (2,)}
    assert list(got.variables) == list(ds.variables)
    xr.testing.assert_identical(ds, before)
    assert "scale_factor" in ds.lon.encoding


def test_unsigned_bounds_find_room() -> None:
    """Bounds that could not be negative become wide enough, in whichever order they are stored."""
    edges = np.array([[345, 355], [355, 365]], "u2")
    for dims, data in ((("lon", "nv"), edges), (("nv", "lon"), edges.T)):
        ds = xr.Dataset({"b": (dims, data)}, {"lon": ("lon", [350, 360], {"bounds": "b"})})
        got = relabel(ds, {"lon": np.array([-10, 0])})
        assert got.b.transpose("lon", "nv").values.tolist() == [[-15, -5], [-5, 5]]
        assert got.b.dims == dims


def test_nothing_to_relabel() -> None:
    """Without labels, or without their dimension, the dataset is handed back as it is."""
    ds = xr.Dataset({"v": ("time", [1])})
    assert relabel(ds, {}) is ds
    assert relabel(ds, {"lon": np.array([1])}) is ds
