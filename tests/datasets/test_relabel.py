"""Datasets under other labels, and with one dimension twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from sluice.datasets import AsyncZarrBackendEntrypoint, relabel
from sluice.datasets.entrypoint import AsyncDataset
from sluice.errors import MetadataError
from sluice.store import Filesystems

VALUES = np.arange(1.0, 33.0).reshape(4, 2, 4)
MASK = np.array([True, False, True, False])


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


def opened(
    path: Path, shape: tuple[int, ...], dims: list[str | None], drop: str | None = None
) -> AsyncDataset:
    """The dataset of a store with one variable of these dimensions, and labels for ``n``."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array("v", shape=shape, dtype="f8", dimension_names=dims)
    array[...] = VALUES.reshape(-1)[: array.size].reshape(shape)
    labels = group.create_array("n", shape=(4,), dtype="i8", dimension_names=["n"])
    labels[...] = [10, 20, 30, 40]

    async def open_it() -> AsyncDataset:
        async with Filesystems() as filesystems:
            source = await filesystems.source(str(path), storage_options={})
            return await AsyncZarrBackendEntrypoint().open_dataset(source, drop_variables=drop)

    return asyncio.run(open_it())


@pytest.mark.parametrize(
    ("indexer", "dims", "wanted"),
    [
        (1, ("m",), VALUES[1, :, 1]),
        (slice(1, 3), ("n", "m", "n"), VALUES[1:3][:, :, 1:3]),
        (slice(None, None, -1), ("n", "m", "n"), VALUES[::-1, :, ::-1]),
        ([3, 0], ("n", "m", "n"), VALUES[[3, 0]][:, :, [3, 0]]),
        (MASK, ("n", "m", "n"), VALUES[MASK][:, :, MASK]),
        (("n", [3, 0]), ("n", "m", "n"), VALUES[[3, 0]][:, :, [3, 0]]),
        (xr.DataArray([3, 0], dims="n"), ("n", "m", "n"), VALUES[[3, 0]][:, :, [3, 0]]),
        (xr.Variable("p", [3, 0]), ("p", "m"), VALUES[[3, 0], :, [3, 0]]),
        (xr.DataArray([3, 0], {"p": [7, 8]}), ("p", "m"), VALUES[[3, 0], :, [3, 0]]),
    ],
    ids=repr,
)
def test_positions_are_along_both(
    tmp_path: Path, indexer: Any, dims: tuple[str, ...], wanted: Any
) -> None:
    """Of every kind, and xarray's own `isel` agrees: each axis of the data has its dimension."""
    ds = opened(tmp_path / "store", VALUES.shape, ["n", "m", "n"])
    found = asyncio.run(ds._isel(n=indexer)).variables["v"]
    assert found.dims == dims
    np.testing.assert_array_equal(found.values, wanted)
    assert ds.isel(n=indexer).variables["v"].dims == dims


@pytest.mark.parametrize("label", [[40, 10], xr.DataArray([40, 10], dims="n")])
def test_labels_are_along_both(tmp_path: Path, label: Any) -> None:
    """So are labels."""
    ds = opened(tmp_path / "store", VALUES.shape, ["n", "m", "n"])
    found = asyncio.run(ds._sel(n=label)).variables["v"]
    assert found.dims == ("n", "m", "n")
    np.testing.assert_array_equal(found.values, VALUES[[3, 0]][:, :, [3, 0]])


def test_dimensions_without_a_name_are_distinct(tmp_path: Path) -> None:
    """Of one size or several; under names that nothing else in the group has."""
    assert opened(tmp_path / "a", (4, 3), [None, None]).v.sizes == {"v_dim_0": 4, "v_dim_1": 3}
    ds = opened(tmp_path / "b", (4, 2), ["v_dim_1", None])
    assert ds.v.sizes == {"v_dim_1": 4, "v_dim_1_": 2}


def test_two_sizes_of_one_dimension_are_no_variable(tmp_path: Path) -> None:
    """The store contradicts itself, which the error says of the array."""
    with pytest.raises(MetadataError, match=r"v.*its dimension n has the lengths 4 and 2"):
        opened(tmp_path / "store", (4, 2), ["n", "n"])
    assert list(opened(tmp_path / "store", (4, 2), ["n", "n"], drop="v").variables) == ["n"]
