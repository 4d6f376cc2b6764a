"""Threads for blocking calls: what they bring is handed over, and no more is done with it."""

from __future__ import annotations

import asyncio

from sluice.store.blocking import BlockingThreads


class Read(bytes):
    """What a call brings: megabytes, of which a text costs more than reading them."""

    told = 0

    def __repr__(self) -> str:
        Read.told += 1
        return "read"


async def test_nobody_writes_what_was_read_as_text() -> None:
    """Neither when a call is over, nor when a caller leaves before its call began."""
    threads = BlockingThreads(per_store=1, total=1)
    store = threads.of("store")
    try:
        assert await store.run("a", lambda: Read(b"1")) == b"1"
        asked = [asyncio.ensure_future(store.run("a", lambda: Read(b"2"))) for _ in range(3)]
        await asyncio.sleep(0)
        asked[1].cancel()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in found] == [Read, asyncio.CancelledError, Read]
    finally:
        threads.close()
    assert not store.waiting
    assert Read.told == 0
