"""What sources promise when the store misbehaves: an error of the right kind, never wrong bytes."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import fsspec
import pytest
import s3fs
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem

from sluice.errors import (
    StoreError,
    StoreFaltered,
    StoreMissing,
    StoreRefused,
    StoreTimeout,
)
from sluice.store import AsyncFSMap, Filesystems
from sluice.store.source import ByteSource

from .conftest import S3
from .web import Web

BODY = bytes(range(256)) * 4
ENGINES = ["s3fs", "obstore", "http"]


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web({"/bucket/base/key": BODY, "/bucket/base/empty": b""}) as web:
        yield web
    gc.collect()


@pytest.fixture
async def filesystems() -> AsyncIterator[Filesystems]:
    async with Filesystems() as filesystems:
        yield filesystems


async def source_of(web: Web, filesystems: Filesystems, engine: str, **more: Any) -> ByteSource:
    """The tree of `web`, through the engine or plain HTTP; short timeouts, one try."""
    timeouts = {"connect_timeout": 1, "read_timeout": 0.3, "retries": {"max_attempts": 0}}
    options = {"endpoint_url": web.address, "anon": True, "config_kwargs": timeouts}
    if engine == "http":
        return await filesystems.source(f"{web.address}/bucket/base", storage_options={}, **more)
    return await filesystems.source(
        "s3://bucket/base",
        storage_options=options,
        engine="s3fs" if engine == "s3fs" else "obstore",
        **more,
    )


async def test_a_large_body_comes_whole_whatever_is_said_of_buffers(
    web: Web, filesystems: Filesystems
) -> None:
    """Bodies are read in one go: a connection that was told to pause would never go on."""
    large = web.values["/bucket/base/large"] = BODY * 5000
    for options in ({}, {"read_bufsize": 1024}):
        source = await filesystems.source(f"{web.address}/bucket/base", storage_options=options)
        assert await asyncio.wait_for(source.get("large"), 20) == large
    for engine in ENGINES:
        source = await source_of(web, filesystems, engine)
        for _ in range(2):  # the first may be the engine's own, the second is ours
            assert await asyncio.wait_for(source.get("large"), 20) == large


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_read_is_one_get(web: Web, filesystems: Filesystems, engine: str) -> None:
    """Whole values, ranges, suffixes and questions for existence each cost one GET, no HEAD."""
    source = await source_of(web, filesystems, engine)
    assert await source.get("key") == BODY
    assert await source.get("key", 5, 9) == BODY[5:9]
    assert await source.get("key", -9) == BODY[-9:]
    assert await source.exists("key")
    assert await source.get("none") is None
    assert web.requests == ["GET /bucket/base/key"] * 4 + ["GET /bucket/base/none"]


async def test_a_users_own_s3fs_sends_no_head_either(web: Web) -> None:
    """s3fs's defaults, which ask for the size first, do not decide how a map reads."""
    fs = s3fs.S3FileSystem(
        asynchronous=True, anon=True, endpoint_url=web.address, skip_instance_cache=True
    )
    session = await fs.set_session()
    source = AsyncFSMap("s3://bucket/base/", fs)
    assert await source.get("key") == BODY
    assert web.requests == ["GET /bucket/base/key"]
    await session.close()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_truncated_body_is_an_error(
    web: Web, filesystems: Filesystems, engine: str
) -> None:
    """A connection that ends early never passes for a shorter value."""
    web.truncate = True
    source = await source_of(web, filesystems, engine)
    for limits in [(), (0, 100), (-100,)]:
        with pytest.raises(StoreFaltered):
            await source.get("key", *limits)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_part_of_a_range_is_an_error(
    web: Web, filesystems: Filesystems, engine: str
) -> None:
    """Fewer bytes than the Content-Range says never pass for the range, for the first read too."""
    web.shorten = True
    source = await source_of(web, filesystems, engine)
    for limits in [(0, 100), (-100,), (5, 9)]:
        with pytest.raises(StoreFaltered):
            await source.get("key", *limits)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, StoreRefused),
        (403, StoreRefused),
        (400, StoreError),
        (500, StoreFaltered),
        (503, StoreFaltered),
        (504, StoreTimeout),
    ],
)
async def test_a_failed_read_is_no_missing_key(
    web: Web, filesystems: Filesystems, engine: str, status: int, kind: type[StoreError]
) -> None:
    """Whatever is no 404 raises by kind, for every way to ask, and names the key."""
    source = await source_of(web, filesystems, engine)
    web.status = status
    with pytest.raises(kind, match="key") as raised:
        await source.get("key")
    assert raised.value.__cause__ is not None
    assert type(raised.value) is kind
    with pytest.raises(kind):
        await source.getitems(["key", "none"])
    with pytest.raises(kind):
        await source.exists("key")
    with pytest.raises(kind):
        await source.list_dir()
    with pytest.raises(kind):
        _ = [key async for key in source.list()]


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
async def test_a_refusal_names_the_permissions(
    web: Web, filesystems: Filesystems, engine: str
) -> None:
    """A 403 of S3 says what to grant, because it may also stand for a key that is not there."""
    web.status = 403
    source = await source_of(web, filesystems, engine)
    with pytest.raises(StoreRefused, match=r"s3:GetObject.*s3:ListBucket"):
        await source.get("none")
    with pytest.raises(StoreRefused, match="s3:ListBucket"):
        await source.list_dir()


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
async def test_a_stalled_read_times_out(web: Web, filesystems: Filesystems, engine: str) -> None:
    """A server that does not answer ends in a StoreTimeout."""
    web.delay = 5
    source = await source_of(web, filesystems, engine)
    with pytest.raises(StoreTimeout, match="key"):
        await source.get("key")


@pytest.mark.parametrize("engine", ENGINES)
async def test_nobody_listening_is_an_error(filesystems: Filesystems, engine: str) -> None:
    """A refused connection is the store's failure, not a missing key."""
    async with Web({}) as gone:
        pass
    source = await source_of(gone, filesystems, engine)
    with pytest.raises(StoreFaltered, match="key"):
        await source.get("key")


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_gate_bounds_requests(web: Web, filesystems: Filesystems, engine: str) -> None:
    """However many reads wait, no more than `concurrency` run, and all of those do."""
    web.delay = 0.02
    source = await source_of(web, filesystems, engine, concurrency=3)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(source.get("key"))
            group.create_task(source.exists("none"))
        group.create_task(source.getitems(["key", "empty", "none"]))
    assert web.most_running == 3
    assert len(web.requests) == 23


async def test_the_gate_bounds_blocking_calls() -> None:
    """Reads of a wrapped filesystem stand behind the same gate."""
    running: list[int] = []
    most = 0
    lock = threading.Lock()

    class Slow(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
        def cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
            nonlocal most
            with lock:
                running.append(1)
                most = max(most, len(running))
            time.sleep(0.02)
            running.pop()
            return b"value"

    source = AsyncFSMap("/base", AsyncFileSystemWrapper(Slow(), asynchronous=True), concurrency=2)
    assert len(await source.getitems(map(str, range(8)))) == 8
    assert most == 2


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_cancelled_read_is_cancelled(
    web: Web, filesystems: Filesystems, engine: str
) -> None:
    """Cancellation passes through as itself and gives its place at the gate back."""
    source = await source_of(web, filesystems, engine, concurrency=1)
    web.delay = 0.2
    read = asyncio.create_task(source.get("key"))
    await asyncio.sleep(0.1)
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    web.delay = 0
    assert await source.get("key") == BODY


async def test_secrets_in_an_address_stay_secret(filesystems: Filesystems) -> None:
    """Neither a password nor a signature in a URL reaches the sentence or the facts."""
    async with Web({"/r/key": BODY}, listing=False) as web:
        address = web.address.replace("http://", "http://me:hidden1@") + "/r?signature=hidden2"
        source = await filesystems.source(address, storage_options={})
        assert await source.get("key") == BODY
        web.status = 403
        with pytest.raises(StoreRefused) as refused:
            await source.get("key")
        web.status = None
        with pytest.raises(StoreError) as unlisted:
            await source.list_dir()
        for raised in (refused.value, unlisted.value):
            assert "127.0.0.1" in raised.detail
            assert "hidden" not in f"{raised.detail} {raised.facts}"


async def test_http_without_index_pages_cannot_be_listed(filesystems: Filesystems) -> None:
    """A listing that cannot be had is an error, never an empty store; 410 is a missing key."""
    async with Web({"/r/a/key": BODY}, listing=False) as web:
        source = await filesystems.source(f"{web.address}/r", storage_options={})
        for prefix in ("", "a"):
            with pytest.raises(StoreError, match="cannot be listed"):
                await source.list_dir(prefix)
            with pytest.raises(StoreError, match="cannot be listed"):
                _ = [key async for key in source.list(prefix)]
        web.status = 410
        assert await source.get("a/key") is None


async def test_http_keys_are_quoted(filesystems: Filesystems) -> None:
    """A key may hold what a URL gives a meaning."""
    key = "a b/50%?#ü"
    async with Web({f"/r/{key}": BODY}) as web:
        source = await filesystems.source(f"{web.address}/r", storage_options={})
        assert await source.get(key) == BODY
        assert [found async for found in source.list()] == [key]


async def test_a_bucket_that_vanishes_is_missing(s3: S3, filesystems: Filesystems) -> None:
    """What was a missing key becomes a missing store when the bucket is removed."""
    bucket = s3.bucket({}, root="r")
    sources = [
        await filesystems.source(f"s3://{bucket}/r", storage_options=s3.options(), engine=engine)
        for engine in ("s3fs", "obstore")
    ]
    assert [await source.get("none") for source in sources] == [None, None]
    assert isinstance(sources[0], AsyncFSMap)
    client = await sources[0].fs.set_session()
    await client.delete_bucket(Bucket=bucket)
    for source in sources:
        with pytest.raises(StoreMissing, match="NoSuchBucket"):
            await source.get("none")


async def test_a_new_key_is_seen_after_a_listing(s3: S3, filesystems: Filesystems) -> None:
    """Listings are not remembered, so what was written since is found."""
    bucket = s3.bucket({"a/key": BODY}, root="r")
    source = await filesystems.source(f"s3://{bucket}/r", storage_options=s3.options())
    assert await source.list_dir("a") == ["key"]
    s3.put(f"{bucket}/r/a/new", b"1")
    assert await source.list_dir("a") == ["key", "new"]
    assert await source.exists("a/new")


def test_blocking_filesystems_are_refused() -> None:
    """A filesystem without asynchronous calls says how to be wrapped."""
    with pytest.raises(TypeError, match="AsyncFileSystemWrapper"):
        AsyncFSMap("/base", fsspec.filesystem("memory"))


def test_filesystems_of_another_loop_are_refused() -> None:
    """An s3fs that lives on fsspec's own loop says how to be made."""
    fs = s3fs.S3FileSystem(anon=True, skip_instance_cache=True)
    with pytest.raises(TypeError, match="asynchronous=True"):
        AsyncFSMap("bucket/base", fs)
