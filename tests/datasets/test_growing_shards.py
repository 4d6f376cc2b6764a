"""A sharded store that is written while it is read: an index never tells where other chunks lie."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from sluice.arrays.reader import Reader
from sluice.datasets import AsyncZarrBackendEntrypoint
from sluice.store import Filesystems


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
async def test_the_version_from_before_an_append_reads_its_own_values(
    tmp_path: Path, compressors: str | None
) -> None:
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


async def test_no_version_reads_the_chunks_of_another_place(tmp_path: Path) -> None:
    """All versions of a store that grows again and again, read at once while it does."""
    path = tmp_path / "a.zarr"
    encoding = {"v": {"chunks": (1, 2), "shards": (6, 8)}}
    write(path, hours(0, 1), encoding=encoding)
    reader, versions = Reader(cache_bytes=2**12), []
    async with Filesystems() as filesystems:
        source = await filesystems.source(str(path), storage_options={})

        async def whole(ds: Any) -> None:
            now = await ds._isel(time=slice(None, None, -1))
            xr.testing.assert_equal(
                now.isel(time=slice(None, None, -1)).v, hours(0, now.time.size).v
            )

        for end in (2, 3, 5, 6, 9, 11, 12):
            ds = await AsyncZarrBackendEntrypoint().open_dataset(
                source, reader=reader, store_id="a"
            )
            await ds._isel(time=-1, x=slice(0, 4))
            versions.append(ds)
            first = ds.sizes["time"]
            grown = asyncio.to_thread(write, path, hours(first, end), append_dim="time")
            async with asyncio.TaskGroup() as group:
                group.create_task(grown)
                for version in versions:
                    group.create_task(whole(version))
            for version in versions:
                await whole(version)


def noise(seed: int) -> np.ndarray[Any, Any]:
    """Rows of chunks some of which compress and some of which do not, so that they move."""
    random = np.random.default_rng(seed)
    flat = np.repeat(seed + np.arange(8.0), 64).reshape(8, 64)
    loud = np.repeat(random.random((8, 4)) < 0.5, 16, axis=1)
    return np.where(loud, seed + random.random((8, 64)) / 2, flat)


async def test_shards_rewritten_in_place_are_found_anew(tmp_path: Path) -> None:
    """Each value is the new one or the old one of its own place: never an error for long."""
    path = tmp_path / "a.zarr"
    ds = xr.Dataset({"v": (("time", "x"), noise(1))}, {"time": np.arange(8)})
    write(path, ds, encoding={"v": {"chunks": (1, 16), "shards": (4, 64)}})
    async with Filesystems() as filesystems:
        source = await filesystems.source(str(path), storage_options={})
        opened = await AsyncZarrBackendEntrypoint().open_dataset(source)
        for seed in (1, 20, 40, 60):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                zarr.open_array(path / "v", mode="r+")[...] = noise(seed)
            for time in range(8):
                for x in range(0, 64, 8):
                    value = float((await opened._isel(time=time, x=x)).v)
                    assert value == noise(seed)[time, x], (seed, time, x)
