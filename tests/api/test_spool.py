"""Answers in files: written once, read by many, gone when they are old or others need the room."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.api.spool import READ_BYTES, Make, Spool, SpooledFile
from app.errors import Overloaded
from sluice.errors import LimitError


def spool_in(
    folder: Path, *, capacity: int = 1000, kept: float = 600, patience: float = 600
) -> Spool:
    return Spool(folder, capacity=capacity, kept_seconds=kept, patience_seconds=patience)


def writes(content: bytes) -> Make:
    async def make(file: SpooledFile) -> None:
        for start in range(0, len(content), 100):
            await file.write(content[start : start + 100])

    return make


async def refuses(file: SpooledFile) -> None:
    raise AssertionError("the file is there already")


async def joined(pieces: AsyncIterator[memoryview]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_a_file_is_written_once_and_read_from_any_place(tmp_path: Path) -> None:
    spool, content = spool_in(tmp_path), bytes(range(250))
    async with spool.file("a", writes(content)) as file:
        assert file.size == 250
        assert await joined(file.pieces(0, 250)) == content
    async with spool.file("a", refuses) as file:
        assert await joined(file.pieces(90, 110)) == content[90:110]
    assert spool.held_bytes == 250
    assert os.listdir(tmp_path) == []


async def test_long_files_are_read_piece_by_piece(tmp_path: Path) -> None:
    content = os.urandom(READ_BYTES * 2 + 7)
    spool = spool_in(tmp_path, capacity=len(content))
    async with spool.file("a", writes(content)) as file:
        pieces = [piece async for piece in file.pieces(1, len(content))]
    assert b"".join(pieces) == content[1:]
    assert [len(piece) for piece in pieces] == [READ_BYTES, READ_BYTES, 6]


async def test_two_that_ask_at_once_wait_for_one_writer(tmp_path: Path) -> None:
    spool, begun = spool_in(tmp_path), 0

    async def make(file: SpooledFile) -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        await file.write(b"once")

    async def ask() -> bytes:
        async with spool.file("a", make) as file:
            return await joined(file.pieces(0, file.size))

    assert list(await asyncio.gather(ask(), ask())) == [b"once", b"once"]
    assert begun == 1


async def test_the_least_recently_used_that_nobody_reads_makes_room(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    for name in "ab":
        async with spool.file(name, writes(name.encode() * 400)):
            pass
    async with spool.file("a", refuses):
        pass
    async with spool.file("c", writes(b"c" * 400)):
        pass
    assert spool.held_bytes == 800
    for name in "ac":
        async with spool.file(name, refuses):
            assert spool.size(name) == 400
    assert spool.size("b") is None
    with pytest.raises(AssertionError):
        async with spool.file("b", refuses):
            pass


async def test_what_is_read_is_not_taken_away(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    async with spool.file("a", writes(b"a" * 600)) as file:
        with pytest.raises(Overloaded):
            async with spool.file("b", writes(b"b" * 600)):
                pass
        assert await joined(file.pieces(0, 600)) == b"a" * 600
    async with spool.file("b", writes(b"b" * 600)) as other:
        assert await joined(other.pieces(0, 600)) == b"b" * 600
    assert spool.held_bytes == 600


async def test_a_file_that_is_too_long_is_refused_and_leaves_no_bytes(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    with pytest.raises(LimitError) as refused:
        async with spool.file("a", writes(b"a" * 1001)):
            pass
    assert refused.value.facts == {"limited": "spool_bytes", "estimate": 1001, "limit": 1000}
    assert spool.held_bytes == 0


async def test_when_all_have_left_nothing_is_written_on(tmp_path: Path) -> None:
    spool, begun, ended = spool_in(tmp_path), asyncio.Event(), asyncio.Event()

    async def make(file: SpooledFile) -> None:
        try:
            await file.write(b"begun")
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def ask() -> None:
        async with spool.file("a", make):
            pass

    first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
    await begun.wait()
    first.cancel()
    await asyncio.sleep(0.01)
    assert not ended.is_set()
    second.cancel()
    await ended.wait()
    await asyncio.gather(first, second, return_exceptions=True)
    await asyncio.sleep(0)
    assert spool.held_bytes == 0
    async with spool.file("a", writes(b"anew")) as file:
        assert await joined(file.pieces(0, file.size)) == b"anew"


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)

    async def fails(file: SpooledFile) -> None:
        await file.write(b"half")
        raise Overloaded("no")

    async def ask() -> None:
        async with spool.file("a", fails):
            pass

    found = await asyncio.gather(ask(), ask(), return_exceptions=True)
    assert [type(one) for one in found] == [Overloaded, Overloaded]
    assert spool.held_bytes == 0


async def test_who_waits_too_long_is_told_to_come_back(tmp_path: Path) -> None:
    """Nobody waits for the file in between, and it is made on."""
    spool, go_on = spool_in(tmp_path, patience=0.05), asyncio.Event()

    async def make(file: SpooledFile) -> None:
        await file.write(b"begun")
        await go_on.wait()
        await file.write(b" and ended")

    with pytest.raises(Overloaded, match="5 bytes of it are written"):
        async with spool.file("a", make):
            pass
    go_on.set()
    async with spool.file("a", refuses) as file:
        assert await joined(file.pieces(0, file.size)) == b"begun and ended"


async def test_what_nobody_comes_back_for_is_not_made_on(tmp_path: Path) -> None:
    spool, ended = spool_in(tmp_path, patience=0.02), asyncio.Event()

    async def make(file: SpooledFile) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Overloaded):
        async with spool.file("a", make):
            pass
    await asyncio.wait_for(ended.wait(), 10)


async def test_what_is_not_kept_goes_with_its_reader(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    async with spool.file("a", writes(b"once"), keep=False) as file:
        assert await joined(file.pieces(0, 4)) == b"once"
    assert spool.size("a") is None
    assert spool.held_bytes == 0


async def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    spool, most = spool_in(tmp_path, capacity=10**6), resource.getrlimit(resource.RLIMIT_FSIZE)
    # As if the disk had no room for more.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most[1]))
    try:
        with pytest.raises(Overloaded, match="no room on its disk"):
            async with spool.file("a", writes(b"a" * 60_000)):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert spool.held_bytes == 0
    async with spool.file("a", writes(b"a" * 60_000)) as file:
        assert file.size == 60_000


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "nowhere")
    with pytest.raises(Overloaded, match="no room on its disk"):
        async with spool.file("a", refuses):
            pass


async def test_an_old_file_is_dropped_and_who_reads_it_reads_on(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, kept=0.01)
    async with spool.file("a", writes(b"a" * 100)) as file:
        await asyncio.sleep(0.05)
        assert await joined(file.pieces(0, 100)) == b"a" * 100
        async with spool.file("a", writes(b"b" * 100)) as other:
            assert await joined(other.pieces(0, 100)) == b"b" * 100
    spool.close()
    assert spool.held_bytes == 0
