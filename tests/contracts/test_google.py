"""What a source over gcsfs promises: its errors carry no codes like S3's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sluice.errors import StoreFaltered, StoreMissing, StoreRefused
from sluice.store import AsyncFSMap, Filesystems

from .web import Web

BODY = b"0123456789"
LISTING = b'{"items": [{"name": "root/key", "bucket": "bucket", "size": "10"}]}'
OBJECTS = "/download/storage/v1/b/bucket/o/root"


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    api = {"/storage/v1/b/bucket": b"{}", "/storage/v1/b/bucket/o": LISTING}
    async with Web({f"{OBJECTS}/key": BODY, **api}) as web:
        yield web


@pytest.fixture
async def fs(web: Web) -> AsyncIterator[Any]:
    core = pytest.importorskip("gcsfs.core")
    fs = core.GCSFileSystem(
        asynchronous=True, token="anon", endpoint_url=web.address, skip_instance_cache=True
    )
    session = await fs._set_session()
    yield fs
    await session.close()


async def test_values_and_ranges_are_one_get(web: Web, fs: Any) -> None:
    """Whole values, ranges and suffixes come with one request each."""
    source = AsyncFSMap("gs://bucket/root", fs)
    assert await source.get("key") == BODY
    assert await source.get("key", 2, 5) == BODY[2:5]
    assert await source.get("key", -3) == BODY[-3:]
    assert await source.get("key", 20) == b""
    assert web.requests == [f"GET {OBJECTS}/key"] * 4
    assert await source.list_dir() == ["key"]
    assert [key async for key in source.list()] == ["key"]


async def test_a_missing_key_is_believed_of_a_bucket_that_is_there(web: Web, fs: Any) -> None:
    """The bucket is asked after once, not for each hole; an absent one is an error."""
    source = AsyncFSMap("gs://bucket/root", fs)
    assert await source.getitems(["a"]) == {}
    assert await source.getitems(["b", "c"]) == {}
    assert web.requests.count("GET /storage/v1/b/bucket") == 1
    with pytest.raises(StoreMissing, match="nowhere"):
        await AsyncFSMap("gs://nowhere/root", fs).get("a")


async def test_a_refusal_is_one(web: Web, fs: Any) -> None:
    """A 403, of which gcsfs keeps only the word, is no failure of another kind."""
    web.status = 403
    with pytest.raises(StoreRefused, match="key"):
        await AsyncFSMap("gs://bucket/root", fs).get("key")


async def test_a_failure_is_tried_once(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """gcsfs's own tries do not multiply ours, and what may pass is told from what stays."""
    core = pytest.importorskip("gcsfs.core")
    # The one that gcsfs offers asks Google itself, by gRPC, what kind of bucket it is.
    monkeypatch.setattr("gcsfs.GCSFileSystem", core.GCSFileSystem)
    async with Filesystems() as filesystems:
        options = {"token": "anon", "endpoint_url": web.address}
        source = await filesystems.source("gs://bucket/root", storage_options=options)
        assert await source.get("key") == BODY
        for status in (500, 502, 503):
            web.requests.clear()
            web.status = status
            with pytest.raises(StoreFaltered):
                await source.get("key")
            assert web.requests == [f"GET {OBJECTS}/key"]
