"""Sources over a real S3: signatures, permissions, and what is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sluice.errors import StoreMissing, StoreRefused
from sluice.store.addresses import Engine
from sluice.store.filesystems import Filesystems
from sluice.store.source import ByteSource, Tagged, Unchanged, get_tagged

from .conftest import Keys, Radosgw

BODY = bytes(range(256)) * 4


@pytest.fixture
async def filesystems() -> AsyncIterator[Filesystems]:
    async with Filesystems() as filesystems:
        yield filesystems


@pytest.fixture(params=["s3fs", "obstore"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.param
    return engine


async def source_of(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine, bucket: str, keys: Keys
) -> ByteSource:
    options = radosgw.options(keys)
    return await filesystems.source(f"s3://{bucket}/root", storage_options=options, engine=engine)


async def test_right_keys_read(filesystems: Filesystems, radosgw: Radosgw, engine: Engine) -> None:
    """The owner reads, lists, and is told what is missing."""
    bucket = radosgw.make_bucket()
    radosgw.put(bucket, "root/a/key", BODY)
    radosgw.put(bucket, "root/a/empty", b"")
    source = await source_of(filesystems, radosgw, engine, bucket, radosgw.owner)
    assert await source.get("a/key") == BODY
    assert await source.get("a/key", 5, 9) == BODY[5:9]
    assert await source.get("a/key", -9) == BODY[-9:]
    assert await source.get("a/key", 1000, 9000) == BODY[1000:]
    assert await source.get("a/key", 9000, 9001) == b""
    assert await source.get("a/empty") == b""
    assert await source.get("a/empty", -9) == b""
    assert await source.get("a/none") is None
    assert await source.getitems(["a/key", "a/none"]) == {"a/key": BODY}
    assert await source.list_dir() == ["a"]
    assert sorted([key async for key in source.list()]) == ["a/empty", "a/key"]


async def test_an_unchanged_value_is_not_sent(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine
) -> None:
    """A tag is believed once its value is at rest, and asks about that value alone."""
    bucket = radosgw.make_bucket()
    radosgw.put(bucket, "root/zarr.json", BODY)
    source = await source_of(filesystems, radosgw, engine, bucket, radosgw.owner)
    first = await get_tagged(source, "zarr.json")
    while first == Tagged(BODY, None):  # it was written just now
        await asyncio.sleep(0.2)
        first = await get_tagged(source, "zarr.json")
    assert isinstance(first, Tagged)
    assert first.tag is not None
    assert await get_tagged(source, "zarr.json", first.tag) == Unchanged()
    radosgw.put(bucket, "root/zarr.json", BODY[::-1])
    second = await get_tagged(source, "zarr.json", first.tag)
    assert isinstance(second, Tagged)
    assert second.data == BODY[::-1]
    radosgw.delete(bucket, "root/zarr.json")
    assert await get_tagged(source, "zarr.json", first.tag) is None


async def test_wrong_keys_are_refused(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine
) -> None:
    """A signature that does not match reads nothing, and the secret stays out of the error."""
    bucket = radosgw.make_bucket()
    radosgw.put(bucket, "root/key", BODY)
    source = await source_of(filesystems, radosgw, engine, bucket, radosgw.nobody)
    for key in ("key", "none"):
        with pytest.raises(StoreRefused, match="SignatureDoesNotMatch") as raised:
            await source.get(key)
        assert radosgw.nobody.secret not in str(raised.value)
    with pytest.raises(StoreRefused):
        await source.list_dir()


async def test_a_reader_without_listing_is_told_what_to_grant(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine
) -> None:
    """With s3:GetObject alone, keys read; S3's 403 for a missing one names s3:ListBucket."""
    bucket = radosgw.make_bucket(reader_may=("s3:GetObject",))
    radosgw.put(bucket, "root/key", BODY)
    source = await source_of(filesystems, radosgw, engine, bucket, radosgw.reader)
    assert await source.get("key") == BODY
    with pytest.raises(StoreRefused, match=r"none.*s3:ListBucket"):
        await source.get("none")
    with pytest.raises(StoreRefused, match=r"s3:ListBucket"):
        await source.list_dir()
    with pytest.raises(StoreRefused, match=r"s3:ListBucket"):
        _ = [key async for key in source.list()]


async def test_a_reader_with_listing_learns_what_is_missing(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine
) -> None:
    """With s3:ListBucket too, a missing key is just missing."""
    bucket = radosgw.make_bucket(reader_may=("s3:GetObject", "s3:ListBucket"))
    radosgw.put(bucket, "root/key", BODY)
    source = await source_of(filesystems, radosgw, engine, bucket, radosgw.reader)
    assert await source.get("none") is None
    assert await source.list_dir() == ["key"]


async def test_a_missing_bucket_is_no_missing_key(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine
) -> None:
    """Reading, asking and listing all say that the bucket is not there."""
    source = await source_of(filesystems, radosgw, engine, "no-such-bucket", radosgw.owner)
    with pytest.raises(StoreMissing):
        await source.get("key")
    with pytest.raises(StoreMissing):
        await source.exists("key")
    with pytest.raises(StoreMissing):
        await source.list_dir()


async def test_a_bucket_removed_later_is_missing(
    filesystems: Filesystems, radosgw: Radosgw, engine: Engine
) -> None:
    """A source that has read from a bucket notices that it is gone."""
    bucket = radosgw.make_bucket()
    radosgw.put(bucket, "root/key", BODY)
    source = await source_of(filesystems, radosgw, engine, bucket, radosgw.owner)
    assert await source.get("key") == BODY
    radosgw.remove_bucket(bucket)
    with pytest.raises(StoreMissing):
        await source.get("key")
