"""Sources as zarr stores and zarr stores as sources, read by zarr-python itself."""

from __future__ import annotations

from typing import Literal

import fsspec
import numpy as np
import obstore
import pytest
import zarr
import zarr.api.asynchronous
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore, ZipStore

from sluice.errors import StoreError, StoreMissing
from sluice.store import AsyncFSMap, ObstoreMap, SourceStore, ZarrStoreSource

VALUES = np.arange(60, dtype="int32").reshape(6, 10)
PROTOTYPE = default_buffer_prototype()


async def filled(zarr_format: Literal[2, 3]) -> dict[str, bytes]:
    """The keys of a small group with one array `x` in a subgroup, its last chunk left out."""
    store = MemoryStore()
    root = await zarr.api.asynchronous.group(store=store, zarr_format=zarr_format)
    group = await root.create_group("sub")
    array = await group.create_array("x", shape=VALUES.shape, dtype="int32", chunks=(3, 5))
    await array.setitem((slice(0, 3), slice(None)), VALUES[:3])
    return {key: value.to_bytes() for key, value in store._store_dict.items()}


@pytest.fixture(params=[2, 3])
async def values(request: pytest.FixtureRequest) -> dict[str, bytes]:
    return await filled(request.param)


async def stores(values: dict[str, bytes]) -> list[SourceStore]:
    files = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    bucket = obstore.store.MemoryStore()
    for key, value in values.items():
        files.pipe_file(f"/base/{key}", value)
        await obstore.put_async(bucket, f"root/{key}", value)
    wrapped = AsyncFileSystemWrapper(files, asynchronous=True)
    return [
        AsyncFSMap("/base", wrapped).as_zarr_store(),
        ObstoreMap(bucket, "root").as_zarr_store(),
    ]


async def test_zarr_reads_through_a_source(values: dict[str, bytes]) -> None:
    """A group opens on the running loop, lists its members and reads, missing chunks as fill."""
    for store in await stores(values):
        group = await zarr.api.asynchronous.open_group(store=store, mode="r")
        assert [name async for name, _ in group.members(max_depth=None)] == ["sub", "sub/x"]
        array = await group.getitem("sub/x")
        assert isinstance(array, zarr.AsyncArray)
        expected = np.where(np.arange(6)[:, None] < 3, VALUES, 0)
        np.testing.assert_array_equal(await array.getitem(slice(None)), expected)


async def test_byte_requests_become_ranges() -> None:
    """Each of zarr's three requests gives the bytes that zarr's own memory store gives."""
    theirs = MemoryStore({"key": PROTOTYPE.buffer.from_bytes(b"0123456789")})
    requests = [None, RangeByteRequest(2, 5), OffsetByteRequest(7), SuffixByteRequest(4)]
    requests += [SuffixByteRequest(0), RangeByteRequest(4, 4)]
    for store in await stores({"key": b"0123456789"}):
        wanted = [("key", request) for request in requests] + [("none", None)]
        parts = await store.get_partial_values(PROTOTYPE, wanted)
        for (key, request), part in zip(wanted, parts, strict=True):
            expected = await theirs.get(key, PROTOTYPE, request)
            assert (part and part.to_bytes()) == (expected and expected.to_bytes())


async def test_listings_follow_zarr(values: dict[str, bytes]) -> None:
    """`list`, `list_prefix` (of any text) and `list_dir` answer as zarr's memory store does."""
    theirs = MemoryStore({key: PROTOTYPE.buffer.from_bytes(value) for key, value in values.items()})
    for store in await stores(values):
        assert {key async for key in store.list()} == set(values)
        for prefix in ("", "sub/", "sub/x/", "su", "nothing/"):
            ours = {key async for key in store.list_prefix(prefix)}
            assert ours == {key async for key in theirs.list_prefix(prefix)}
        for prefix in ("", "sub", "sub/x", "nothing"):
            names = {name async for name in store.list_dir(prefix)}
            assert names == {name async for name in theirs.list_dir(prefix)}
        assert [await store.exists(key) for key in [next(iter(values)), "sub"]] == [True, False]


async def test_a_source_store_is_read_only() -> None:
    """It says so, and refuses to write, to delete and to become writable."""
    store = (await stores({"key": b"value"}))[0]
    assert (store.read_only, store.supports_writes, store.supports_deletes) == (True, False, False)
    assert store.with_read_only(True) == store
    with pytest.raises(ValueError, match="writ"):
        store.with_read_only(False)
    with pytest.raises(ValueError, match="read-only"):
        await store.set("key", PROTOTYPE.buffer.from_bytes(b""))
    with pytest.raises(ValueError, match="read-only"):
        await store.delete("key")


async def test_a_missing_root_does_not_read_as_fill() -> None:
    """What a source reports as the store's failure stays one inside zarr."""
    files = AsyncFileSystemWrapper(fsspec.filesystem("memory"), asynchronous=True)
    store = AsyncFSMap("/not-there", files).as_zarr_store()
    with pytest.raises(StoreError, match="no store") as raised:
        await store.get("zarr.json", PROTOTYPE)
    assert not isinstance(raised.value, FileNotFoundError)
    assert isinstance(raised.value.__cause__, StoreMissing)
    with pytest.raises(StoreError, match="no store"):
        await zarr.api.asynchronous.open_group(store=store, mode="r")
    with pytest.raises(StoreError, match="no store"):
        _ = [key async for key in store.list()]


async def test_a_shard_of_a_vanished_store_is_no_fill() -> None:
    """zarr fills in for shards whose read says FileNotFoundError; ours never says so."""

    class Vanishing(ZarrStoreSource):
        async def get(
            self, key: str, *limits: int | None, most_bytes: int | None = None
        ) -> bytes | None:
            if key.startswith("c/") and (limits[0] or 0) >= 0:  # after the index, a suffix
                raise StoreMissing("The bucket is not there.")
            return await super().get(key, *limits)

    inner = MemoryStore()
    array = await zarr.api.asynchronous.create_array(
        inner, shape=(8,), dtype="int32", chunks=(2,), shards=(8,)
    )
    await array.setitem(slice(None), np.arange(8, dtype="int32"))
    store = SourceStore(Vanishing(inner))
    reading = await zarr.api.asynchronous.open_array(store=store, mode="r")
    with pytest.raises((StoreError, ExceptionGroup)) as raised:
        await reading.getitem(slice(1, 3))
    failure: BaseException = raised.value
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    assert isinstance(failure, StoreError)


async def test_a_zip_is_a_source(tmp_path: object) -> None:
    """A zarr-python store of any kind reads as a source, ranges included."""
    path = f"{tmp_path}/store.zip"
    with ZipStore(path, mode="w") as writing:
        await writing.set("a/key", PROTOTYPE.buffer.from_bytes(b"0123456789"))
    with ZipStore(path, mode="r") as store:
        await store._ensure_open()
        source = ZarrStoreSource(store)
        assert await source.get("a/key", 2, 5) == b"234"
        assert await source.get("a/key", -3) == b"789"
        assert await source.get("none") is None
        assert await source.getitems(["a/key", "none"]) == {"a/key": b"0123456789"}
        assert [key async for key in source.list()] == ["a/key"]
        assert await source.list_dir("a") == ["key"]
        assert source.as_zarr_store() is store


async def test_a_failing_store_fails_as_a_store() -> None:
    """An exception of a zarr-python store is a StoreError, never a missing key."""

    class Broken(MemoryStore):
        async def get(self, *_: object, **__: object) -> None:
            raise OSError("disk on fire")

    with pytest.raises(StoreError, match=r"key.*disk on fire"):
        await ZarrStoreSource(Broken()).get("key")
