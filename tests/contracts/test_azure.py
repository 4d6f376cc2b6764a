"""What a source over adlfs promises: ranges that Azure lacks, and tries that its SDK adds."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sluice.errors import StoreError, StoreFaltered, StoreRefused, StoreTimeout
from sluice.store import Filesystems
from sluice.store.source import ByteSource

from .web import Web

BODY = b"0123456789"
PATH = "/account/box/cube/key"

pytest.importorskip("adlfs")


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web({PATH: BODY, "/account/box": b""}) as web:
        yield web
    gc.collect()


@asynccontextmanager
async def source_of(web: Web) -> AsyncIterator[ByteSource]:
    words = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": "account",
        "AccountKey": "a2V5",
        "BlobEndpoint": f"{web.address}/account",
    }
    options = {"connection_string": ";".join(f"{name}={word}" for name, word in words.items())}
    async with Filesystems() as filesystems:
        yield await filesystems.source("az://box/cube", storage_options=options)


async def test_values_and_ranges_are_read(web: Web) -> None:
    """By one GET; a suffix, which Azure does not know, costs a question for the size."""
    async with source_of(web) as source:
        assert await source.get("key") == BODY
        assert await source.get("key", 2, 5) == BODY[2:5]
        assert await source.get("key", 20) == b""
        assert web.requests == [f"GET {PATH}"] * 3
        assert await source.get("key", -3) == BODY[-3:]
        assert await source.get("key", -30) == BODY
        assert web.requests[3:] == [f"HEAD {PATH}", f"GET {PATH}"] * 2
        assert await source.get("none") is None
        assert await source.get("none", -3) is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, StoreRefused),
        (408, StoreTimeout),
        (429, StoreFaltered),
        (500, StoreFaltered),
        (503, StoreFaltered),
    ],
)
async def test_a_failure_is_tried_once(web: Web, status: int, error: type[StoreError]) -> None:
    """The SDK's own tries do not multiply ours, and what may pass is told from what stays."""
    async with source_of(web) as source:
        web.status = status
        for limits in [(), (2, 5)]:
            with pytest.raises(error):
                await source.get("key", *limits)
        assert web.requests == [f"GET {PATH}"] * 2
