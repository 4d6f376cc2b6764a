"""What goes on in the background as long as the server runs."""

from __future__ import annotations

import asyncio

import pytest

from app.api.starting import _background


async def fails() -> None:
    raise RuntimeError("out of luck")


async def test_background_work_that_ends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The server goes on, and ends as usual; its operator learns what goes on no more."""
    async with _background(fails()):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert "fails has ended" in caplog.text
        assert "out of luck" in caplog.text


async def test_background_work_ends_with_the_block(caplog: pytest.LogCaptureFixture) -> None:
    work = asyncio.Event()

    async def goes_on() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            work.set()

    async with _background(goes_on()):
        await asyncio.sleep(0)
    assert work.is_set()
    assert not caplog.records
