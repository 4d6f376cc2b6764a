"""Plain signed GETs as a real S3 sees them: every key is signed and quoted as it wants."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.errors import StoreMissing, StoreRefused
from sluice.store import AsyncFSMap, Filesystems

from .conftest import Radosgw

BODY = bytes(range(256)) * 4
KEYS = [
    "a/c/0/0",
    "with space",
    "plus+and~tilde-._",
    "percent%41%zz",
    "ünï/cødé/雪/🌊",
    "two//slashes",
    "a=b&c,d;e:f@g$h",
    "paren(theses)*!'",
    '#hash[brackets]{braces}|"<>^`\\',
    "question?mark",
]


def counted(client: Any) -> list[str]:
    """The GETs that s3fs itself makes from now on."""
    urls: list[str] = []

    def seen(request: Any, **_: Any) -> None:
        urls.append(request.url)

    client.meta.events.register("before-send.s3.GetObject", seen)
    return urls


async def test_odd_keys_are_signed_right(radosgw: Radosgw) -> None:
    """Whatever a key is made of, one signed GET reads it, in whole and in part."""
    bucket = radosgw.make_bucket()
    for key in KEYS:
        radosgw.put(bucket, f"odd root/{key}", key.encode() + BODY)
    async with Filesystems() as filesystems:
        source = await filesystems.source(
            f"s3://{bucket}/odd root", storage_options=radosgw.options(radosgw.owner)
        )
        assert isinstance(source, AsyncFSMap)
        assert await source.get("none") is None
        by_s3fs = counted(await source.fs.set_session())
        for key in KEYS:
            value = key.encode() + BODY
            assert await source.get(key) == value, key
            assert await source.get(key, 3, 99) == value[3:99], key
            assert await source.get(key, -7) == value[-7:], key
            assert await source.get(f"{key}/none") is None, key
        # A question mark may begin a version; s3fs knows.
        assert len(by_s3fs) == 4
        assert all("question" in url for url in by_s3fs)


async def test_public_values_need_no_signature(radosgw: Radosgw) -> None:
    """Anonymous GETs read what the bucket gives to everyone, and nothing else."""
    public, private = radosgw.make_bucket(), radosgw.make_bucket()
    for bucket in (public, private):
        radosgw.put(bucket, "root/key", BODY)
    radosgw.client.put_object_acl(Bucket=public, Key="root/key", ACL="public-read")
    async with Filesystems() as filesystems:
        options = {"endpoint_url": radosgw.endpoint, "anon": True}
        source = await filesystems.source(f"s3://{public}/root", storage_options=options)
        assert isinstance(source, AsyncFSMap)
        assert await source.get("key") == BODY
        by_s3fs = counted(await source.fs.set_session())
        assert await source.get("key", 1, 5) == BODY[1:5]
        assert by_s3fs == []
        refused = await filesystems.source(f"s3://{private}/root", storage_options=options)
        for _ in range(2):
            with pytest.raises(StoreRefused):
                await refused.get("key")


async def test_later_reads_tell_what_is_missing(radosgw: Radosgw) -> None:
    """After the first read, too: keys past their end, absent keys, denied ones, absent buckets."""
    bucket = radosgw.make_bucket(reader_may=("s3:GetObject",))
    radosgw.put(bucket, "root/key", BODY)
    async with Filesystems() as filesystems:
        url = f"s3://{bucket}/root"
        owner, reader = [
            await filesystems.source(url, storage_options=radosgw.options(keys))
            for keys in (radosgw.owner, radosgw.reader)
        ]
        for source in (owner, reader):
            assert [await source.get("key") for _ in range(2)] == [BODY, BODY]
            assert await source.get("key", 5000) == b""
        assert await owner.get("none") is None
        with pytest.raises(StoreRefused, match=r"AccessDenied.*s3:ListBucket"):
            await reader.get("none")
        radosgw.remove_bucket(bucket)
        with pytest.raises(StoreMissing, match="NoSuchBucket"):
            await owner.get("none")


async def test_keys_that_turn_wrong_are_refused(radosgw: Radosgw) -> None:
    """A secret that changes under a running source is refused in S3's words, and not repeated."""
    bucket = radosgw.make_bucket()
    radosgw.put(bucket, "root/key", BODY)
    async with Filesystems() as filesystems:
        source = await filesystems.source(
            f"s3://{bucket}/root", storage_options=radosgw.options(radosgw.owner)
        )
        assert isinstance(source, AsyncFSMap)
        assert await source.get("key") == BODY
        keys = (await source.fs.set_session())._get_credentials()
        right, keys.secret_key = keys.secret_key, "wrong-by-now"
        with pytest.raises(StoreRefused, match="SignatureDoesNotMatch") as raised:
            await source.get("key")
        assert "wrong-by-now" not in str(raised.value)
        keys.secret_key = right
        assert await source.get("key") == BODY
