"""The opened Dataset: what is in memory, what touching does, what requests leave behind."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from sluice.arrays.reader import Reader
from sluice.datasets import AsyncDataset, AsyncZarrBackendEntrypoint, plan_isel
from sluice.errors import MetadataError, NotLoaded
from tests.sources import DictSource, stored


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    """A packed temperature on a north-to-south grid with hourly times and their bounds."""
    time = xr.date_range("2020-01-01", periods=48, freq="h")
    ds = xr.Dataset(
        {
            "t2m": (("time", "lat", "lon"), np.random.default_rng(0).random((48, 6, 8))),
            "orography": (("lat", "lon"), np.arange(48.0).reshape(6, 8)),
            "time_bnds": (("time", "bnds"), np.stack([time, time + np.timedelta64(1, "h")], 1)),
        },
        coords={
            "time": ("time", time, {"bounds": "time_bnds"}),
            "lat": np.linspace(75, -75, 6),
            "lon": np.arange(8) * 45,
            "station": ("lat", list("abcdef")),
            "reference": np.datetime64("2019-12-31", "ns"),
        },
    )
    store = MemoryStore()
    packed = {"dtype": "i2", "scale_factor": 1e-4, "_FillValue": -1, "chunks": (24, 3, 4)}
    ds.to_zarr(store, zarr_format=2, encoding={"t2m": packed}, consolidated=True)
    return store


@pytest.fixture
def source(store: MemoryStore) -> DictSource:
    return DictSource(asyncio.run(stored(store)))


def opened(source: Any, **options: Any) -> AsyncDataset:
    return asyncio.run(AsyncZarrBackendEntrypoint().open_dataset(source, **options))


def test_opening_takes_two_waves(source: DictSource) -> None:
    """The metadata; then each index coordinate and the ends of each other time, each key once."""
    opened(source)
    assert sorted(source.keys[:2]) == [".zmetadata", "zarr.json"]
    second = ["lat/0", "lon/0", "reference/0", "time/0", "time_bnds/0.0"]
    assert sorted(source.keys[2:]) == second


def test_only_index_coordinates_are_in_memory(source: DictSource) -> None:
    """Everything else waits in the store."""
    ds = opened(source)
    in_memory = {name for name, variable in ds.variables.items() if variable._in_memory}
    assert in_memory == {"time", "lat", "lon"}


def test_touching_a_lazy_variable_says_what_to_await(source: DictSource) -> None:
    """A synchronous read is an error, never a blocking read."""
    ds = opened(source)
    with pytest.raises(NotLoaded, match=r"await ds\._sel"):
        _ = ds["t2m"].values
    with pytest.raises(NotLoaded):
        ds["t2m"].isel(time=0).load()


def test_derived_datasets_keep_the_coroutines(source: DictSource) -> None:
    """``ds[["a"]]`` and lazy selections still answer, and answers are plain Datasets."""
    ds = opened(source)[["t2m"]]
    assert isinstance(ds, AsyncDataset)
    part = asyncio.run(ds.isel(time=slice(10, 20))._isel(time=3))
    assert type(part) is xr.Dataset
    whole = asyncio.run(ds._isel(time=13))
    xr.testing.assert_identical(part, whole)


def test_xarrays_own_load_async_works(source: DictSource, store: MemoryStore) -> None:
    """The lazy variables stand behind xarray's own seam for asynchronous backends."""
    ds = opened(source).isel(time=0, lat=[1, 0])
    loaded = asyncio.run(ds.load_async())
    expected = xr.open_zarr(store, chunks=None).isel(time=0, lat=[1, 0]).load()
    assert loaded.identical(expected)


def test_answers_share_nothing_that_can_be_changed(source: DictSource) -> None:
    """Whatever a caller does to an answer, the shared dataset stays as it was."""
    ds = opened(source)
    before = {name: v._in_memory for name, v in ds.variables.items()}
    answer = asyncio.run(ds._isel(time=0))
    answer.attrs["title"] = "mine"
    for variable in answer.variables.values():
        variable.attrs["mine"] = 1
        variable.encoding["mine"] = 1
    answer["t2m"][:] = 0
    assert "title" not in ds.attrs
    for name, variable in ds.variables.items():
        assert "mine" not in variable.attrs
        assert "mine" not in variable.encoding
        assert variable._in_memory == before[name]


def test_cost_is_known_before_anything_is_read(source: DictSource) -> None:
    """A plan counts chunks, their decoded bytes and the answer's bytes without a request."""
    ds = opened(source)
    source.requests.clear()
    plan = plan_isel(ds, {"time": slice(20, 30), "lat": 0, "lon": [0, 7]}, keep=["t2m"])
    scalars = {"station": 1, "reference": 1}
    assert plan.chunks == 2 * 2 + len(scalars)
    assert plan.schema.sizes == {"time": 10, "lon": 2}
    assert plan.pending["t2m"].plan.chunks * plan.pending["t2m"].array.meta.chunk_bytes == (
        4 * 24 * 3 * 4 * 2
    )
    assert plan.schema.result_bytes > 10 * 2 * 8
    assert source.requests == []
    answer = asyncio.run(plan.read())
    assert list(answer.data_vars) == ["t2m"]
    assert answer.sizes == plan.schema.sizes


def test_keep_is_what_selecting_names_gives(source: DictSource, store: MemoryStore) -> None:
    """The selection applies to the whole dataset, then the names are kept, scalars included."""
    expected = xr.open_zarr(store, chunks=None).isel(lat=2, lon=slice(1, 3))
    ds = opened(source)
    for names in (["t2m"], ["orography"], ["station", "orography"], ["time"]):
        plan = plan_isel(ds, {"lat": 2, "lon": slice(1, 3)}, keep=names)
        xr.testing.assert_identical(asyncio.run(plan.read()), expected[names].load())


def test_labels_on_a_coordinate_without_an_index(source: DictSource, store: MemoryStore) -> None:
    """That coordinate is read first; the shared dataset stays lazy."""
    ds = opened(source)
    expected = xr.open_zarr(store, chunks=None).sel(station="c").load()
    xr.testing.assert_identical(asyncio.run(ds._sel(station="c")), expected)
    assert not ds.variables["station"]._in_memory


def test_missing_chunks_are_fill_values_and_nothing_else_is(source: DictSource) -> None:
    """A key that is not there is the fill value; a chunk that does not decode is an error."""
    ds = opened(source)
    del source.values["t2m/0.0.0"]
    assert np.isnan(asyncio.run(ds._isel(time=0, lat=0, lon=0))["t2m"])


def test_what_is_no_store_is_said_to_be_none() -> None:
    """A path, a dictionary and nothing are told apart from stores before anything is awaited."""
    stores: list[Any] = ["x.zarr", {}, None]
    for store in stores:
        with pytest.raises(TypeError, match="AsyncFSMap"):
            opened(store)


def test_variable_without_dimensions_is_a_metadata_error() -> None:
    """An array that xarray cannot name the dimensions of is named in the error."""
    values = {
        "zarr.json": b'{"zarr_format": 3, "node_type": "group"}',
        "x/zarr.json": (
            b'{"zarr_format": 3, "node_type": "array", "shape": [1], "data_type": "int8",'
            b'"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}},'
            b'"chunk_key_encoding": {"name": "default"}, "fill_value": 0,'
            b'"codecs": [{"name": "bytes"}]}'
        ),
    }
    with pytest.raises(MetadataError, match="'x'"):
        opened(DictSource(values))


def test_a_shared_cache_serves_whoever_names_the_same_store(source: DictSource) -> None:
    """Under one `store_id` an opening finds the chunks of another; without one it is on its own."""

    async def keys(reader: Reader, store_id: str | None) -> set[str]:
        source.requests.clear()
        entrypoint = AsyncZarrBackendEntrypoint()
        ds = await entrypoint.open_dataset(source, reader=reader, store_id=store_id)
        await ds[["t2m"]]._isel(time=0, lat=0, lon=0)
        return set(source.keys)

    async def scenario() -> list[bool]:
        reader = Reader(cache_bytes=10**7)
        asked = [await keys(reader, name) for name in ("a", "a", "b", None, None)]
        return ["t2m/0.0.0" in each for each in asked]

    assert asyncio.run(scenario()) == [True, False, True, True, True]


def test_coordinates_take_no_room_among_the_chunks(source: DictSource) -> None:
    """What opening reads is held by the dataset, not by the cache of chunks."""
    reader = Reader(cache_bytes=10**7)
    opened(source, reader=reader)
    assert reader.cache.held_bytes == 0
