"""Reads that show a tag, over HTTP, by s3fs and by obstore: what is sent, and what is not."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from sluice.errors import StoreError, StoreRefused
from sluice.store import ByteSource, Filesystems
from sluice.store.source import Tagged, TaggingSource, Unchanged

from .web import Web

BODY = b"a document" * 30
PATH = "/bucket/base/zarr.json"
KINDS = ("http", "s3fs", "obstore")
OLD = "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"


@asynccontextmanager
async def source_of(web: Web, kind: str) -> AsyncIterator[TaggingSource]:
    """A source of the kind that has read once, so that s3fs has shown how."""
    async with Filesystems() as filesystems:
        if kind == "http":
            source = await filesystems.source(f"{web.address}/bucket/base", storage_options={})
        else:
            options = {"endpoint_url": web.address, "key": "access", "secret": "hidden"}
            source = await filesystems.source(
                "s3://bucket/base",
                storage_options=options,
                engine="obstore" if kind == "obstore" else "s3fs",
            )
        assert await source.get("zarr.json") == BODY
        web.answers.clear()
        assert isinstance(source, TaggingSource)
        yield source


@pytest.fixture(params=['"one"', 'W/"one"'])
async def web(request: pytest.FixtureRequest) -> AsyncIterator[Web]:
    async with Web({PATH: BODY}, tags={PATH: request.param}, dates=[OLD]) as web:
        yield web
    gc.collect()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unchanged_value_is_not_sent(web: Web, kind: str) -> None:
    """One request and no body, by strong tags and weak ones; another value comes whole."""
    async with source_of(web, kind) as source:
        assert await source.get_tagged("zarr.json") == Tagged(BODY, web.tags[PATH])
        assert await source.get_tagged("zarr.json", web.tags[PATH]) == Unchanged()
        assert web.answers == [(200, len(BODY)), (304, 0)]
        known = web.tags[PATH]
        web.values[PATH], web.tags[PATH] = BODY[::-1], '"two"'
        assert await source.get_tagged("zarr.json", known) == Tagged(BODY[::-1], '"two"')
        assert web.answers[2:] == [(200, len(BODY))]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_gone_or_refused_is_not_unchanged(web: Web, kind: str) -> None:
    """A tag in hand makes neither a missing key nor a failure a value."""
    async with source_of(web, kind) as source:
        known = web.tags[PATH]
        body = web.values.pop(PATH)
        assert await source.get_tagged("zarr.json", known) is None
        web.values[PATH] = body
        web.status = 403
        with pytest.raises(StoreRefused):
            await source.get_tagged("zarr.json", known)
        web.status = 500
        with pytest.raises(StoreError):
            await source.get_tagged("zarr.json", known)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_value_just_written_comes_again(web: Web, kind: str) -> None:
    """Until it is old enough for its tag to be relied on."""
    async with source_of(web, kind) as source:
        web.dates = ["Last-Modified: Tue, 01 Jan 2999 00:00:00 GMT"]
        assert await source.get_tagged("zarr.json") == Tagged(BODY, None)


@pytest.mark.parametrize("kind", KINDS)
async def test_unchanged_unasked_is_a_failure(web: Web, kind: str) -> None:
    """A 304 for which no tag was shown is neither an empty value nor a missing one."""
    async with source_of(web, kind) as source:
        web.status = 304
        with pytest.raises(StoreError):
            await cast(ByteSource, source).get("zarr.json")
        with pytest.raises(StoreError):
            await source.get_tagged("zarr.json")


async def test_s3fs_tells_the_tag_of_its_own_get(web: Web) -> None:
    """The first document of a bucket, which s3fs reads, has its tag too."""
    options = {"endpoint_url": web.address, "key": "access", "secret": "hidden"}
    async with Filesystems() as filesystems:
        source = await filesystems.source("s3://bucket/base", storage_options=options)
        assert isinstance(source, TaggingSource)
        assert await source.get_tagged("zarr.json") == Tagged(BODY, web.tags[PATH])
        assert "amz-sdk-request" in web.heads[0].lower()
