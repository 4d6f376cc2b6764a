"""Looks at a store that is served by all layers: what they cost on the wire."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from zarr.storage import MemoryStore

from app.catalog.entry import DatasetEntry
from app.catalog.opened import Opened
from app.catalog.opening import open_entry, source_of
from sluice.arrays.reader import Reader
from sluice.errors import MetadataError, StoreMissing
from sluice.instrumentation import StoreAsked
from sluice.store import Filesystems
from sluice.store.resilient import StoreGuards
from sluice.store.retry_policy import RetryPolicy
from tests.api.growing import append, hours, write
from tests.contracts.web import Web
from tests.sources import stored

RETRIES = RetryPolicy(
    concurrency=8, attempts=1, attempt_seconds=10, read_seconds=10, failures=9, open_seconds=1
)
UNGATHERED = {"consolidated_metadata": None}
OLD = "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"


async def publish(web: Web, store: MemoryStore) -> None:
    """Serve what the store holds, each value under the tag that S3 would give it."""
    web.values = {f"/bucket/a.zarr/{key}": data for key, data in (await stored(store)).items()}
    web.tags = {path: f'"{hashlib.md5(data).hexdigest()}"' for path, data in web.values.items()}
    web.answers.clear()


def entry_of(web: Web, kind: str) -> DatasetEntry:
    if kind == "http":
        return DatasetEntry(id="a", url=f"{web.address}/bucket/a.zarr")
    options = {"endpoint_url": web.address, "key": "any", "secret": "any"}
    engine: Any = "obstore" if kind == "obstore" else "s3fs"
    return DatasetEntry(id="a", url="s3://bucket/a.zarr", storage_options=options, engine=engine)


@asynccontextmanager
async def opened(web: Web, kind: str, told: list[Any]) -> AsyncIterator[Opened]:
    """The entry, opened as the service opens it: watched and guarded."""
    async with Filesystems() as filesystems:
        opening = partial(open_entry, filesystems=filesystems, store_concurrency=8)
        yield await opening(
            entry_of(web, kind),
            reader=Reader(cache_bytes=0, inline_bytes=0),
            emit=told.append,
            guards=StoreGuards(RETRIES),
        )
    gc.collect()


@pytest.mark.parametrize("kind", ["http", "s3fs", "obstore"])
async def test_requests_pass_one_gate(kind: str) -> None:
    """With guards it is that of the store's, however few the source itself would let pass."""
    async with Web({"/bucket/a.zarr/key": b"x"}, delay=0.05) as web, Filesystems() as filesystems:
        guards = StoreGuards(replace(RETRIES, concurrency=6))
        entry = entry_of(web, kind)
        source = await source_of(entry, filesystems, store_concurrency=2, guards=guards)
        assert await source.getitems(["key", *map(str, range(20))]) == {"key": b"x"}
        assert web.most_running == 6


@pytest.mark.parametrize("kind", ["http", "s3fs", "obstore"])
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_a_look_at_an_unchanged_store_brings_no_body(zarr_format: int, kind: str) -> None:
    """One answer of 304; after an append one body more, and then none again."""
    store = MemoryStore()
    told: list[StoreAsked] = []
    write(store, hours(0, 12), zarr_format=zarr_format, consolidated=True)
    async with Web({}, dates=[OLD]) as web:
        await publish(web, store)
        async with opened(web, kind, told) as first:
            web.answers.clear()
            told.clear()
            assert [await first.revalidate() for _ in range(3)] == [None] * 3
            assert web.answers == [(304, 0)] * 3
            assert [(event.received_bytes, event.error) for event in told] == [(0, None)] * 3
            append(store, 12, 15, zarr_format=zarr_format, consolidated=True)
            await publish(web, store)
            change = await first.revalidate()
            assert change is not None
            assert [status for status, _ in web.answers].count(304) == 0
            second = await change.open()
            assert second.prepared.sizes["time"] == 15
            web.answers.clear()
            assert await second.revalidate() is None
            assert web.answers == [(304, 0)]
            assert all(isinstance(event, StoreAsked) for event in told)


@pytest.mark.parametrize("kind", ["http", "s3fs", "obstore"])
async def test_a_look_at_metadata_that_is_gone_finds_it_gone(kind: str) -> None:
    """Whatever tag is in hand, and however many revalidations said before that nothing changed."""
    store = MemoryStore()
    write(store, hours(0, 12), zarr_format=2, consolidated=True)
    async with Web({}, dates=[OLD]) as web:
        await publish(web, store)
        async with opened(web, kind, []) as first:
            assert await first.revalidate() is None
            web.values.pop("/bucket/a.zarr/.zmetadata")
            with pytest.raises(StoreMissing):
                await first.revalidate()


async def test_a_look_at_the_same_in_other_words_learns_their_tag() -> None:
    """A document that was written anew and says the same is no other version, and costs once."""
    store = MemoryStore()
    write(store, hours(0, 12), zarr_format=3, consolidated=True)
    async with Web({}, dates=[OLD]) as web:
        await publish(web, store)
        async with opened(web, "s3fs", []) as first:
            path = "/bucket/a.zarr/zarr.json"
            web.values[path] = json.dumps(json.loads(web.values[path]), indent=9).encode()
            web.tags[path] = '"another"'
            assert await first.revalidate() is None
            web.answers.clear()
            assert await first.revalidate() is None
            assert web.answers == [(304, 0)]


async def test_a_first_open_amid_an_append_is_replaced_by_the_whole_version() -> None:
    """xarray takes consolidated metadata away while it appends: what opens then is not believed."""
    store = MemoryStore()
    write(store, hours(0, 12), zarr_format=3, consolidated=True)
    append(store, 12, 15, zarr_format=3, consolidated=True)
    root, long = "/bucket/a.zarr/zarr.json", "/bucket/a.zarr/v/zarr.json"
    async with Web({}, dates=[OLD]) as web:
        await publish(web, store)
        document = json.loads(web.values[root])
        whole, web.values[root] = web.values[root], json.dumps({**document, **UNGATHERED}).encode()
        web.tags = {}
        async with opened(web, "http", []) as first:
            web.values[root] = whole
            change = await first.revalidate()
            assert change is not None
            assert change.whole
            assert (await change.open()).prepared.sizes == first.prepared.sizes
        web.values[root] = json.dumps({**document, **UNGATHERED}).encode()
        grown = json.loads(web.values[long])
        web.values[long] = json.dumps({**grown, "shape": [18, 4]}).encode()
        async with opened(web, "http", []) as first:
            assert list(first.dataset.unusable) == ["v"]
            web.values[long] = json.dumps(grown).encode()
            change = await first.revalidate()
            assert change is not None
            assert not (await change.open()).dataset.unusable


async def test_a_new_version_that_loses_a_variable_to_an_append_is_refused() -> None:
    """Arrays of two lengths are a writer amid its work: what was open stays until it is done."""
    store = MemoryStore()
    write(store, hours(0, 12), zarr_format=3, consolidated=False)
    long = "/bucket/a.zarr/v/zarr.json"
    async with Web({}, dates=[OLD]) as web:
        await publish(web, store)
        async with opened(web, "http", []) as first:
            grown = json.loads(web.values[long])
            web.values[long] = json.dumps({**grown, "shape": [18, 4]}).encode()
            change = await first.revalidate()
            assert change is not None
            with pytest.raises(MetadataError, match="'v' cannot be used any more"):
                await change.open()
