"""Ten fixed selections from a real ocean-colour cube answer as xarray does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.local import LocalFileSystem

from sluice.datasets import AsyncZarrBackendEntrypoint
from sluice.store import AsyncFSMap
from tests.equivalence.sameness import assert_same, assert_unchanged, snapshot

CUBE = Path(__file__).parents[3] / "shared" / "data" / "cube-5-100-200.zarr"
pytestmark = pytest.mark.skipif(not CUBE.exists(), reason="the sample cube is not here")

STATIONS = {
    "lat": xr.DataArray([51.2, 50.3, 52.4], dims="station", coords={"station": ["a", "b", "c"]}),
    "lon": xr.DataArray([2.9, 0.7, 4.4], dims="station"),
}
SELECTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a point, by the nearest labels": ("sel", {"lat": 51.2, "lon": 2.9, "method": "nearest"}),
    "a point, by positions": ("isel", {"time": 0, "lat": 500, "lon": -1}),
    "a series of days": ("isel", {"lat": 250, "lon": 1200}),
    "a period as text": ("sel", {"time": "2017-01", "lat": slice(51.01, 51.0)}),
    "a box on the falling axis": (
        "sel",
        {"lat": slice(51.3, 51.1), "lon": slice(2.5, 2.8), "time": slice("2017-01-20", None)},
    ),
    "a box against the falling axis": ("sel", {"lat": slice(51.1, 51.3), "lon": slice(None, 0.01)}),
    "a backwards stride": (
        "isel",
        {"time": 1, "lat": slice(800, 200, -97), "lon": slice(3, 999, 90)},
    ),
    "rows and columns by lists": ("isel", {"lat": [3, 999, 3], "lon": [0, 199, 200, 1999]}),
    "stations": ("sel", {**STATIONS, "method": "nearest", "tolerance": 0.01}),
    "a mask of days": (
        "isel",
        {"time": np.array([True, False, False, True, True]), "lat": [], "lon": 7},
    ),
}


@pytest.fixture(scope="module")
def theirs() -> Iterator[xr.Dataset]:
    """The cube as xarray opens it."""
    with xr.open_zarr(CUBE, chunks=None) as dataset:
        yield dataset


@pytest.mark.parametrize("name", SELECTIONS)
async def test_selection_is_xarrays(theirs: xr.Dataset, name: str) -> None:
    """The selection equals xarray's in values, types and encodings."""
    verb, arguments = SELECTIONS[name]
    source = AsyncFSMap(str(CUBE), AsyncFileSystemWrapper(LocalFileSystem(), asynchronous=True))
    ours = await AsyncZarrBackendEntrypoint().open_dataset(source)
    before = snapshot(ours)
    expected = getattr(theirs, verb)(**arguments).load()
    assert_same(await getattr(ours, f"_{verb}")(**arguments), expected)
    assert_unchanged(before, ours)


async def test_opening_reads_no_more_than_the_axes(theirs: xr.Dataset) -> None:
    """The open cube shows what xarray shows, with only its axes in memory."""
    source = AsyncFSMap(str(CUBE), AsyncFileSystemWrapper(LocalFileSystem(), asynchronous=True))
    ours = await AsyncZarrBackendEntrypoint().open_dataset(source)
    in_memory = {name for name, variable in ours.variables.items() if variable._in_memory}
    assert in_memory == {"time", "lat", "lon"}
    assert ours.sizes == theirs.sizes
    assert set(ours.data_vars) == set(theirs.data_vars)
