"""Copies that are written: of any store, within memory, going on where one was stopped."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.group_metadata import open_group
from sluice.arrays.plan import plan_orthogonal
from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.datasets.copies import STAMP, CopiedVariable, Copy, with_copies
from sluice.datasets.copy_layout import block_shape
from sluice.datasets.layout import Layout
from sluice.datasets.lazy import LazyArray
from sluice.datasets.rechunking import RECORD, Progress, Rechunking
from sluice.errors import CatalogError, StoreError
from sluice.store.source import ByteSource
from sluice.store.zarr_store import ZarrStoreSource
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map, memory_store

MIB = 2**20


async def current() -> bool:
    return True


async def opened(spec: StoreSpec) -> tuple[ByteSource, GroupDocuments]:
    source = fs_map(documents_of(spec))
    return source, await open_group(source, group=spec.group, zarr_format=None, consolidated=None)


async def copied(spec: StoreSpec, target: MemoryStore, chunks: dict[str, int]) -> None:
    source, documents = await opened(spec)
    copy = Rechunking(source, documents, "v1", target, chunks)
    assert await copy.begin(replace=False)
    await copy.run(lambda _: None, current)


async def joined(spec: StoreSpec, target: MemoryStore) -> tuple[Layout, Any]:
    """The layout that reads from the copy, and what does not fit."""
    source, documents = await opened(spec)
    alone = Layout.of(await open_dataset(source, group=spec.group, reader=Reader()))
    its = ZarrStoreSource(target)
    group = await open_group(its, group=None, zarr_format=None, consolidated=True)
    copy = Copy.of("copy", its, group, Reader(), "copy")
    return with_copies(alone, documents, source, [copy])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(900)
@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_a_copy_of_any_store_fits_and_has_its_values(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    try:
        source, _ = runner.run(opened(spec))
        runner.run(open_dataset(source, group=spec.group))
    except Exception:
        assume(False)
        raise
    dims = {dim for one in spec.arrays for dim in one.dims}
    lengths = st.dictionaries(st.sampled_from(sorted(dims)), st.integers(1, 8)) if dims else None
    chunks = data.draw(lengths, label="chunks") if lengths else {}
    target = MemoryStore()
    runner.run(copied(spec, target, chunks))
    layout, misfits = runner.run(joined(spec, target))
    assert not misfits["copy"]
    for variable in layout.variables.values():
        if isinstance(variable, CopiedVariable):
            own = runner.run(values_of(variable.array))
            (its,) = [runner.run(values_of(one)) for one in variable.copies]
            assert own.dtype.kind == its.dtype.kind
            assert own.tolist() == its.tolist() or own.tobytes() == its.tobytes()


async def values_of(array: LazyArray) -> np.ndarray[Any, Any]:
    """All values as they are stored."""
    meta = array.meta
    whole = plan_orthogonal(meta.shape, meta.chunks, [slice(None)] * len(meta.shape))
    return await array.reader.read(meta, whole)


VALUES = np.arange(40 * 12 * 16, dtype="i2").reshape(40, 12, 16)
SPEC = StoreSpec(
    (
        ArraySpec("t", ("time", "y", "x"), VALUES, {"scale_factor": 0.5}, chunks=(1, 12, 16)),
        ArraySpec("y", ("y",), np.arange(12.0), chunks=(5,)),
    ),
    attrs={"title": "t"},
)
CHUNKS = {"time": 40, "y": 4, "x": 4}


async def test_what_is_written() -> None:
    """Chunks as asked for, coordinates in one, attributes, and the stamp."""
    target = MemoryStore()
    await copied(SPEC, target, CHUNKS)
    group = zarr.open_consolidated(target)
    t, y = group["t"], group["y"]
    assert isinstance(t, zarr.Array)
    assert isinstance(y, zarr.Array)
    assert (t.chunks, y.chunks) == ((40, 4, 4), (12,))
    assert dict(group.attrs) == {"title": "t", STAMP: "v1"}
    assert dict(t.attrs) == {"scale_factor": 0.5}
    np.testing.assert_array_equal(t[...], VALUES)
    assert not await target.exists(RECORD)


class Stopping(MemoryStore):
    """A store that takes so many chunks, and none after them."""

    def __init__(self, chunks: int = 0, **rest: Any) -> None:
        super().__init__(**rest)
        self.left = chunks
        self.written: list[str] = []

    async def set(self, key: str, value: Buffer, byte_interval: Any = None) -> None:
        if "/c/" in key:
            if self.left <= 0:
                raise OSError(28, "No space left on device")
            self.left -= 1
            self.written.append(key)
        await super().set(key, value, byte_interval)


LARGE = StoreSpec(
    (
        ArraySpec(
            "t",
            ("time", "y", "x"),
            np.arange(64 * 128 * 1024, dtype="f8").reshape(64, 128, 1024),
            chunks=(1, 128, 1024),
        ),
    )
)


def test_it_goes_on_where_it_was_stopped() -> None:
    """What is written is not written again; until the end there is no stamp."""
    target = Stopping(60)
    seen: list[Progress] = []

    async def run() -> bool:
        source, documents = await opened(LARGE)
        chunks = {"time": 64, "y": 16, "x": 64}
        copy = Rechunking(source, documents, "v1", target, chunks, 40 * MIB)
        if not await copy.begin(replace=False):
            return False
        await copy.run(seen.append, current)
        return True

    with pytest.raises(OSError, match="No space"):
        asyncio.run(run())
    assert STAMP not in zarr.open_group(target, mode="r").attrs
    first, target.written, target.left = target.written, [], 10**6
    seen.clear()
    assert asyncio.run(run())
    # Of the block that was not finished, and no others.
    again = set(first) & set(target.written)
    assert 0 < len(again) < len(first)
    assert len(target.written) == 128 - len(first) + len(again)
    assert seen[-1].written == seen[-1].total == 64 * MIB
    assert not asyncio.run(run())
    array = zarr.open_group(target, mode="r")["t"]
    assert isinstance(array, zarr.Array)
    np.testing.assert_array_equal(array[...], LARGE.arrays[0].values)


async def test_another_version_or_other_chunks_begin_anew() -> None:
    """Of a copy that was not complete; a complete one is replaced only where that is meant."""
    target = Stopping(3)
    source, documents = await opened(SPEC)
    copy = Rechunking(source, documents, "v1", target, CHUNKS)
    await copy.begin(replace=False)
    with pytest.raises(OSError, match="No space"):
        await copy.run(lambda _: None, current)
    target.left = 10**6
    copy = Rechunking(source, documents, "v2", target, CHUNKS)
    assert await copy.begin(replace=False)
    await copy.run(lambda _: None, current)
    assert zarr.open_group(target, mode="r").attrs[STAMP] == "v2"
    for version, chunks in (("v3", CHUNKS), ("v2", {"time": 20})):
        copy = Rechunking(source, documents, version, target, chunks)
        with pytest.raises(CatalogError, match="--replace"):
            await copy.begin(replace=False)
        assert zarr.open_group(target, mode="r").attrs[STAMP] == "v2"
    assert await copy.begin(replace=True)
    assert STAMP not in zarr.open_group(target, mode="r").attrs
    await copy.run(lambda _: None, current)
    assert zarr.open_group(target, mode="r").attrs[STAMP] == "v2"


async def test_a_dataset_that_changed_meanwhile_is_not_stamped() -> None:
    target = MemoryStore()
    source, documents = await opened(SPEC)
    copy = Rechunking(source, documents, "v1", target, CHUNKS)
    await copy.begin(replace=False)

    async def changed() -> bool:
        return False

    with pytest.raises(StoreError, match="another version"):
        await copy.run(lambda _: None, changed)
    assert STAMP not in zarr.open_group(target, mode="r").attrs


async def test_what_is_something_else_is_left_alone() -> None:
    target = MemoryStore()
    zarr.create_group(target, attributes={"precious": True})
    source, documents = await opened(SPEC)
    copy = Rechunking(source, documents, "v1", target, CHUNKS)
    for truth in (False, True):
        with pytest.raises(CatalogError, match="something else"):
            await copy.begin(replace=truth)
    assert zarr.open_group(target, mode="r").attrs["precious"]


async def test_what_cannot_be_is_refused() -> None:
    source, documents = await opened(SPEC)
    with pytest.raises(CatalogError, match=r"'lat' \(there are: time, x, y\)"):
        Rechunking(source, documents, "v1", MemoryStore(), {"lat": 3})
    source, documents = await opened(LARGE)
    with pytest.raises(CatalogError, match="--memory"):
        Rechunking(source, documents, "v1", MemoryStore(), {"time": 64}, 4 * MIB)


async def test_holes_are_fill_values_in_the_copy() -> None:
    spec = replace(SPEC, arrays=(replace(SPEC.arrays[0], holes=(3, 5), fill=-1),))
    target = MemoryStore()
    await copied(spec, target, CHUNKS)
    own = zarr.open_group(memory_store(documents_of(spec)), mode="r")["t"]
    its = zarr.open_group(target, mode="r")["t"]
    assert isinstance(own, zarr.Array)
    assert isinstance(its, zarr.Array)
    assert np.count_nonzero(np.equal(own[...], -1)) == 2 * 12 * 16
    np.testing.assert_array_equal(its[...], own[...])


@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    data=st.data(),
    most=st.integers(1, 4000),
)
def test_blocks_fit_and_decode_the_least(shape: list[int], data: st.DataObject, most: int) -> None:
    """Of whole chunks of the copy, within memory; no worse than one chunk at a time."""
    each = st.tuples(*[st.integers(1, n) for n in shape])
    stored, chunks = data.draw(each), data.draw(each)
    block = block_shape(tuple(shape), stored, chunks, 1, most)
    for length, size, chunk in zip(block, shape, chunks, strict=True):
        assert length == size or length % chunk == 0
    assert math.prod(block) <= max(most, math.prod(chunks))

    def decoded(lengths: tuple[int, ...]) -> int:
        total = 0
        starts = [range(0, n, length) for n, length in zip(shape, lengths, strict=True)]
        for place in itertools.product(*starts):
            ends = [min(n, p + k) for n, p, k in zip(shape, place, lengths, strict=True)]
            counts = [
                (end - 1) // own - start // own + 1
                for start, end, own in zip(place, ends, stored, strict=True)
            ]
            total += math.prod(counts)
        return total

    assert decoded(block) <= decoded(chunks)


@pytest.mark.timeout(60)
def test_blocks_of_many_dimensions_are_found() -> None:
    """Of which two ways to cut each dimension would be too many to look at."""
    shape = (2,) * 24
    block = block_shape(shape, (1,) * 24, (1,) * 24, 1, 2**20)
    assert math.prod(block) <= 2**20
    assert set(block) <= {1, 2}
