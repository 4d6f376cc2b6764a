"""A sharded store that grows while it is read: an old index never tells where new chunks lie."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from app.datasets import AsyncZarrBackendEntrypoint
from app.store import Filesystems


def hours(first: int, end: int) -> xr.Dataset:
    numbers = np.arange(first, end)
    values = (numbers[:, None] * 1000 + np.arange(8)).astype("f4")
    return xr.Dataset({"v": (("time", "x"), values)}, {"time": numbers})


def write(path: Path, ds: xr.Dataset, **options: Any) -> None:
    with warnings.catch_warnings():
        # zarr warns that consolidated metadata is not in the v3 specification.
        warnings.simplefilter("ignore")
        ds.to_zarr(path, zarr_format=3, consolidated=True, **options)


@pytest.mark.parametrize("compressors", [None, "auto"])
async def test_the_version_from_before_an_append_reads_its_own_values(tmp_path, compressors):
    """The last shard is written anew, chunks in another order: what was open finds its own."""
    path = tmp_path / "a.zarr"
    encoding = {"v": {"chunks": (1, 2), "shards": (4, 8), "compressors": compressors}}
    write(path, hours(0, 1), encoding=encoding)
    async with Filesystems() as filesystems:
        source = await filesystems.source(str(path), storage_options={})
        ds = await AsyncZarrBackendEntrypoint().open_dataset(source)
        assert float((await ds._isel(time=0, x=0)).v) == 0
        for end in (3, 4):
            write(path, hours(end - 2 if end == 3 else 3, end), append_dim="time")
            for x in range(8):
                assert float((await ds._isel(time=0, x=x)).v) == x
