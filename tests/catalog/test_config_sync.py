"""Following: all of what the operator's files say, or nothing of it, in every process."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.config_sync import ConfigSync, Difference, ask_reload, post_files
from app.catalog.configuration import Configuration, Files, FileTexts, Keys, hash_of
from app.catalog.control_log import ControlLog, NewTexts
from app.catalog.entry import DatasetEntry
from app.catalog.listings import Listed, ListingLimits, Listings
from app.catalog.opened import Opened
from app.catalog.opened_datasets import OpenedDatasets
from app.catalog.relisting import Relister
from app.server.processes import unnamed_file
from sluice.datasets import AsyncDataset
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import prepare
from sluice.errors import CatalogError

OLD = """
datasets:
  same: {url: "memory://same", storage_options: {a: {b: [1]}}}
  other: {url: "memory://other"}
  gone: {url: "memory://gone"}
"""
NEW = """
datasets:
  new: {url: "memory://new"}
  same: {url: "memory://same", storage_options: {a: {b: [1]}}}
  other: {url: "memory://other", title: Another}
"""


async def open_empty(entry: DatasetEntry, *, epoch: str) -> Opened:
    dataset = AsyncDataset()
    return Opened(entry, prepare(dataset), FragmentCache(), epoch, "")


class Process:
    """What one worker process has of a server."""

    def __init__(
        self, control_log: ControlLog, files: Files, relister: Relister | None = None
    ) -> None:
        self.control_log = control_log
        self.keys = Keys()
        self.opened = OpenedDatasets(
            Catalog({}),
            open_empty,
            capacity=9,
            failed_open_seconds=5,
            on_gone=control_log.invalidate,
        )
        self.config_sync = ConfigSync(control_log, files, self.opened, self.keys, relister)

    @property
    def ids(self) -> list[str]:
        return list(self.opened.catalog.entries)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "catalog.yaml", tmp_path / "keys")
    files.catalog.write_text(OLD)
    (tmp_path / "keys").write_text("")
    return files


@pytest.fixture
def file(files: Files) -> Iterator[int]:
    file = unnamed_file("control-log")
    ControlLog.begin(file, files.read())
    yield file
    os.close(file)


@pytest.fixture
def processes(file: int, files: Files) -> Iterator[list[Process]]:
    with ControlLog(file) as first, ControlLog(file) as second:
        yield [Process(first, files), Process(second, files)]


async def test_a_reload_reaches_every_process(processes: list[Process], files: Files) -> None:
    """Who reloads is told the difference; the other has news, and then serves the same."""
    one, other = processes
    for process in processes:
        await process.config_sync.begin()
        assert not process.config_sync.control_log.has_news
    opened = {name: await other.opened.get(name) for name in ("same", "other")}
    files.catalog.write_text(NEW)
    assert await one.config_sync.reload() == Difference(("new",), ("other",), ("gone",))
    assert one.ids == ["new", "same", "other"]
    assert other.config_sync.control_log.has_news
    await other.config_sync.catch_up()
    assert other.ids == one.ids
    assert await other.opened.get("same") is opened["same"]
    assert await other.opened.get("other") is not opened["other"]
    assert str(await one.config_sync.reload()) == "nothing changed"


async def test_a_reload_knows_the_entries_that_it_tells_of(
    processes: list[Process], files: Files
) -> None:
    """Those of both catalogs, be there a later one in use by then."""
    one, _ = processes
    await one.config_sync.begin()
    files.catalog.write_text(NEW)
    found = await one.config_sync.reload()
    assert sorted(found.entries) == ["gone", "new", "other", "same"]
    assert found.entries["other"].title == "Another"


@pytest.mark.parametrize(
    ("catalog", "keys"),
    [
        ("datasets: {a: {urll: x}}", ""),
        ("datasets: [", ""),
        (NEW, "not a key"),
        (NEW, f"ops {hash_of(b'x').hex()} datasets=gone"),
        (None, ""),
    ],
)
async def test_a_wrong_file_changes_nothing(
    processes: list[Process], files: Files, catalog: str | None, keys: str
) -> None:
    """Neither of the two files is taken over where one is wrong, or they do not fit."""
    one, other = processes
    await one.config_sync.begin()
    await other.config_sync.begin()
    files.catalog.unlink() if catalog is None else files.catalog.write_text(catalog)
    assert files.keys is not None
    files.keys.write_text(keys)
    with pytest.raises(CatalogError):
        await one.config_sync.reload()
    assert not other.config_sync.control_log.has_news
    assert one.ids == other.ids == ["same", "other", "gone"]
    assert not one.keys


async def test_keys_are_reloaded_with_the_catalog(processes: list[Process], files: Files) -> None:
    """A key that was taken out opens nothing any more, a new one does."""
    one, other = processes
    await other.config_sync.begin()
    assert files.keys is not None
    for presented in (b"first", b"second"):
        files.keys.write_text(f"ops {hash_of(presented).hex()} admin")
        await one.config_sync.reload()
        await other.config_sync.catch_up()
        found = [other.keys.find(key) is not None for key in (b"first", b"second")]
        assert found == [presented == b"first", presented == b"second"]


async def test_a_late_process_serves_what_the_others_serve(
    file: int, processes: list[Process], files: Files
) -> None:
    """A worker that takes a dead one's place reads no file, whatever that says by now."""
    (one, _), before = processes, "datasets: {wrong"
    await one.config_sync.begin()
    files.catalog.write_text(NEW)
    await one.config_sync.reload()
    one.config_sync.invalidate("same")
    files.catalog.write_text(before)
    with ControlLog(file) as control_log:
        late = Process(control_log, files)
        await late.config_sync.begin()
        assert late.ids == one.ids
        await one.config_sync.catch_up()
        versions = {(await process.opened.get("same")).version for process in (one, late)}
    assert len(versions) == 1
    assert versions != {""}


async def test_requests_wait_for_the_news_that_is_acted_on(
    processes: list[Process], files: Files
) -> None:
    """Of many requests that find news at once, none goes on before it is true."""
    one, other = processes
    await one.config_sync.begin()
    await other.config_sync.begin()
    files.catalog.write_text(NEW)
    await one.config_sync.reload()

    async def request() -> list[str]:
        if other.config_sync.control_log.has_news:
            await other.config_sync.catch_up()
        return other.ids

    async with asyncio.TaskGroup() as group:
        requests = [group.create_task(request()) for _ in range(20)]
    assert {tuple(task.result()) for task in requests} == {("new", "same", "other")}


def test_a_reload_that_another_one_overtakes_is_made_again(
    processes: list[Process], files: Files
) -> None:
    """Who has read an older state of the files, and posts it last, looks again."""
    one, other = processes

    class Overtaken(Files):
        def parse(self, texts: FileTexts) -> Configuration:
            if texts.catalog == OLD:
                files.catalog.write_text(NEW)
                post_files(other.control_log, files)
            return super().parse(texts)

    post_files(one.control_log, Overtaken(files.catalog, files.keys))
    assert one.control_log.latest_texts() == files.read() == FileTexts(NEW)


async def test_news_upon_news_never_holds_the_loop(
    processes: list[Process], files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """News that is posted while older news is acted on is caught up with, and the loop turns: a
    request that comes as the first is done with joins nothing that has ended."""
    one, other = processes
    await one.config_sync.begin()
    await other.config_sync.begin()
    follow, turns = other.config_sync._follow, 0

    async def follow_and_hear_more() -> None:
        await follow()
        # The last thing that the run does: there is news again, and a request that finds it.
        if turns < 3:
            one.config_sync.invalidate("same")
            late.append(asyncio.create_task(other.config_sync.catch_up()))

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    late: list[asyncio.Task[None]] = []
    monkeypatch.setattr(other.config_sync, "_follow", follow_and_hear_more)
    one.config_sync.invalidate("same")
    turning = asyncio.create_task(turn())
    await other.config_sync.catch_up()
    for request in late:
        await request
    turning.cancel()
    assert late
    assert not other.config_sync.control_log.has_news


async def test_news_that_a_process_cannot_use_is_logged(
    processes: list[Process], caplog: pytest.LogCaptureFixture
) -> None:
    """A process whose environment differs stays as it was, and goes on reading."""
    one, other = processes
    await one.config_sync.begin()
    await other.config_sync.begin()
    one.control_log.post(NewTexts(FileTexts("datasets: {a: {url: '${NOT_SET_HERE}'}}")))
    with caplog.at_level(logging.ERROR, "app"):
        await other.config_sync.catch_up()
    assert "NOT_SET_HERE" in caplog.text
    assert other.ids == ["same", "other", "gone"]
    one.control_log.post(NewTexts(FileTexts(NEW)))
    await other.config_sync.catch_up()
    assert other.ids == ["new", "same", "other"]


async def test_a_wrong_first_catalog_is_an_error(files: Files) -> None:
    """A process does not start with nothing to serve."""
    file = unnamed_file("control-log")
    ControlLog.begin(file, FileTexts("datasets: {}"))
    with ControlLog(file) as control_log:
        process = Process(control_log, files)
        with pytest.raises(CatalogError, match="at least one dataset"):
            await process.config_sync.begin()
    os.close(file)


async def test_a_reload_of_the_same_files_is_no_news(
    processes: list[Process], files: Files
) -> None:
    """However often it is asked for, nothing is posted, which would stay for ever."""
    one, other = processes
    await one.config_sync.begin()
    await other.config_sync.begin()
    for _ in range(3):
        assert str(await one.config_sync.reload()) == "nothing changed"
    assert not other.config_sync.control_log.has_news
    files.catalog.write_text(NEW)
    await one.config_sync.reload()
    await other.config_sync.catch_up()
    files.catalog.write_text(OLD)
    assert (await other.config_sync.reload()).added == ("gone",)
    await one.config_sync.catch_up()
    assert one.ids == other.ids == ["same", "other", "gone"]


async def test_a_reload_nobody_waits_for_logs_its_failure(
    processes: list[Process], files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal has nobody to answer: what is wrong stands in the log."""
    (one, _) = processes
    await one.config_sync.begin()
    files.catalog.write_text("datasets: {a: {}}")
    with caplog.at_level(logging.ERROR, "app"):
        one.config_sync.reload_soon()
        for _ in range(1000):
            if caplog.text:
                break
            await asyncio.sleep(0.01)
    assert "dataset 'a': url: this field is required" in caplog.text
    await one.config_sync.aclose()


GLOBS = """
datasets:
  own: {url: "memory://own"}
  "{stem}": {url: "memory://many/*"}
"""


async def test_globs_are_listed_before_a_reload_is_served(file: int, files: Files) -> None:
    """All processes serve what one has listed, with the answer that the reload has."""
    names = ("a.zarr", "b.zarr")

    async def list_names(glob: Listed) -> tuple[str, ...]:
        return names

    async with AsyncExitStack() as stack:
        processes = []
        for _ in range(2):
            control_log = stack.enter_context(ControlLog(file))
            relister = Relister(
                control_log, Listings(ListingLimits(9, 9, 9)), list_names, retry_seconds=9
            )
            processes.append(Process(control_log, files, relister))
        one, other = processes
        for process in processes:
            await process.config_sync.begin()
        files.catalog.write_text(GLOBS)
        found = await one.config_sync.reload()
        assert (found.added, found.removed) == (("own", "a", "b"), ("same", "other", "gone"))
        await other.config_sync.catch_up()
        assert one.ids == other.ids == ["own", "a", "b"]
        names = ("b.zarr", "c.zarr")
        assert not ask_reload(one.control_log, files)
        await one.config_sync.catch_up()
        assert one.ids == ["own", "a", "b"]
        keeping = asyncio.create_task(other.config_sync.keep_listed(0.001))
        while "c" not in one.ids:
            await asyncio.sleep(0.001)
            await one.config_sync.catch_up()
        keeping.cancel()
        await other.config_sync.catch_up()
        assert one.ids == other.ids == ["own", "b", "c"]


def test_without_globs_a_reload_is_done_at_once(file: int, files: Files) -> None:
    """By whoever is asked."""
    files.catalog.write_text(NEW)
    with ControlLog(file) as control_log:
        assert ask_reload(control_log, files)
        assert control_log.latest_texts() == files.read()
