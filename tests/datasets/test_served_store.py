"""Any dataset as a Zarr store of either format is, for who opens that, the store it came from."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from sluice.arrays.group_metadata import open_groups
from sluice.arrays.reader import Reader
from sluice.arrays.served_documents import ZarrFormat
from sluice.arrays.store_reader import StoreReader
from sluice.datasets import AsyncDataset, AsyncZarrBackendEntrypoint
from sluice.datasets.served_store import ServedArray, ServedStore, StoredGroups
from sluice.store.source import ByteSource, part_source
from tests.equivalence.strategies import stores
from tests.stores import StoreSpec, documents_of, fs_map, memory_store

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(60)]
FORMATS: tuple[ZarrFormat, ...] = (2, 3)
Documents = dict[str, bytes]


async def opened(
    documents: Mapping[str, bytes], group: str | None, *, plain: bool, drop: Iterable[str] = ()
) -> tuple[AsyncDataset, StoredGroups]:
    source, reader = fs_map(documents), Reader()
    levels = await open_groups(source, groups=[group or ""], zarr_format=None, consolidated=None)
    readers = tuple(StoreReader.of(source, reader, ("store", one.version)) for one in levels)
    dataset = await AsyncZarrBackendEntrypoint().open_dataset(
        source, documents=levels[0], reader=reader, store_id="store", drop_variables=tuple(drop)
    )
    return dataset, StoredGroups(source, levels, readers, plain, "")


def keys_of(array: ServedArray) -> Iterator[tuple[str, tuple[int, ...]]]:
    """All keys of an array's chunks, and their places."""
    sign, led = array.keys.separator, "c" if array.keys.led else "0"
    counts = [-(-size // most) for size, most in zip(array.meta.shape, array.grid, strict=True)]
    for place in itertools.product(*map(range, counts)):
        numbers = sign.join(map(str, place))
        key = led if not place else f"c{sign}{numbers}" if array.keys.led else numbers
        yield key, place


async def value_of(source: ByteSource, array: ServedArray, place: tuple[int, ...]) -> bytes | None:
    if not array.handed:
        return await array.block(place).encoded(None)
    key = array.stored_key(place)
    whole = await source.get(key)
    for limits in (slice(0, 3), slice(2, None), slice(-5, None)):
        part = await part_source(source).get_part(key, limits.start, limits.stop)
        assert (part is None) == (whole is None)
        if part is not None and whole is not None and part.size is not None:
            assert (part.data, part.size) == (whole[limits], len(whole))
    return whole


async def served(
    documents: Mapping[str, bytes],
    zarr_format: ZarrFormat,
    *,
    group: str | None = None,
    plain: bool = True,
    drop: Iterable[str] = (),
) -> tuple[ServedStore, Documents]:
    """A store as it is served, and all of its keys with their values."""
    dataset, stored = await opened(documents, group, plain=plain, drop=drop)
    view = ServedStore.of(dataset, stored, zarr_format)
    assert not view.left_out
    members = ("zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata")
    names = [f"{name}/" for name in view.arrays]
    keys = [f"{name}{member}" for name in ("", *names) for member in members]
    found = {key: json.dumps(one).encode() for key in keys if (one := view.document(key))}
    for name, array in view.arrays.items():
        for key, place in keys_of(array):
            assert (array.place(key), array.has(place)) == (place, True)
            data = await value_of(stored.source, array, place)
            if data is not None:
                found[f"{name}/{key}"] = data
    return view, found


def without_own_marks(expected: xr.Dataset) -> xr.Dataset:
    """Format 3 has no place for marks of missing times that are the types' own."""
    for variable in expected.variables.values():
        mark = variable.attrs.get("_FillValue")
        if variable.dtype.kind in "mM" and mark is not None and np.isnat(mark):
            del variable.attrs["_FillValue"]
    return expected


def some_part(random: np.random.Generator, sizes: Mapping[Any, int]) -> dict[Any, slice]:
    """A range with steps along each dimension."""
    found = {}
    for dim, size in sizes.items():
        # Of no times at all xarray cannot tell the type.
        first, last = sorted(random.integers(0, max(1, size), 2).tolist())
        found[dim] = slice(first, last + 1, int(random.integers(1, 4)))
    return found


def read(documents: Documents, zarr_format: int, **options: Any) -> xr.Dataset:
    opened: xr.Dataset = xr.open_zarr(
        memory_store(documents), zarr_format=zarr_format, chunks=None, **options
    )
    return opened


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spec=stores(), zarr_format=st.sampled_from(FORMATS), plain=st.booleans(), seed=st.integers(0)
)
def test_what_is_served_is_what_is_stored(
    spec: StoreSpec, zarr_format: ZarrFormat, plain: bool, seed: int
) -> None:
    """Opened by xarray, whole and in part: chunks handed on, and such as are made of values."""
    # xarray reads no mark of missing bytes in format 3.
    assume(zarr_format == 2 or not any(one.values.dtype.kind == "S" for one in spec.arrays))
    documents = documents_of(spec)
    try:
        expected = read(documents, spec.zarr_format, group=spec.group, consolidated=False).load()
    except Exception as error:
        event(f"xarray raises {type(error).__name__}")
        return
    view, found = asyncio.run(served(documents, zarr_format, group=spec.group, plain=plain))
    if spec.zarr_format != zarr_format:
        expected = without_own_marks(expected)
    part = some_part(np.random.default_rng(seed), expected.sizes)
    xr.testing.assert_identical(read(found, zarr_format).isel(part).load(), expected.isel(part))
    xr.testing.assert_identical(read(found, zarr_format).load(), expected)
    handed = any(array.handed for array in view.arrays.values())
    event("handed on" if handed else "made")
    assert handed == (plain and spec.zarr_format == zarr_format and bool(view.arrays))
