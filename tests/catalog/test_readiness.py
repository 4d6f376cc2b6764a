"""The status of a catalog: real stores that answer, are missing, refuse or hang; preparations.

What stores are read with is imported and connected before anybody asks, and nothing is read.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.catalog.catalog import Catalog
from app.catalog.entry import DatasetEntry
from app.catalog.opened import Opened
from app.catalog.opened_datasets import OpenedDatasets
from app.catalog.opening import open_entry
from app.catalog.readiness import (
    Address,
    DatasetState,
    Report,
    StatusProbe,
    connect_all,
    import_engines,
)
from loadtests.attack.odd_web import odd_web
from sluice.arrays.reader import Reader
from sluice.errors import CatalogError, StoreError, StoreMissing, StoreRefused, StoreTimeout
from sluice.store import Filesystems
from tests.catalog.stores import GRID, write_store
from tests.contracts.web import Web


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Openings:
    """The real opener, with a record of what it was asked."""

    def __init__(self, filesystems: Filesystems) -> None:
        self.asked: list[str] = []
        self.running = 0
        self.most_running = 0
        self._open = partial(
            open_entry,
            filesystems=filesystems,
            store_concurrency=8,
            reader=Reader(cache_bytes=0, inline_bytes=0),
        )

    async def __call__(self, entry: DatasetEntry, *, epoch: str) -> Opened:
        self.asked.append(entry.id)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._open(entry, epoch=epoch)
        finally:
            self.running -= 1


@pytest.fixture
async def openings() -> AsyncIterator[Openings]:
    """An opener over filesystems that end with the test, which must leave no task behind."""
    async with Filesystems() as filesystems:
        yield Openings(filesystems)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ready") / "grid.zarr"
    write_store(folder, GRID)
    return folder


def make(
    openings: Openings, urls: dict[str, str], *, capacity: int = 8, **options: Any
) -> StatusProbe:
    catalog = Catalog({name: DatasetEntry(id=name, url=url) for name, url in urls.items()})
    opened = OpenedDatasets(catalog, openings, capacity=capacity, failed_open_seconds=0)
    settings = {"keep_seconds": 60, "patience_seconds": 20, **options}
    return StatusProbe(opened, **settings)


async def until(comes_true: Callable[[], object]) -> None:
    for _ in range(1000):
        if comes_true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came true")


def states(report: Report) -> dict[str, type[Exception] | None]:
    return {state.id: state.failure for state in report.datasets}


async def test_each_dataset_has_its_state(openings: Openings, store: Path) -> None:
    """In the catalog's order: what opens is ready, what does not has the class of its failure."""
    async with Web({}, status=403) as refusing:
        urls = {
            "gone": str(store / "nowhere"),
            "grid": str(store),
            "refused": f"{refusing.address}/x.zarr",
            "odd": "http://127.0.0.1:1x/x.zarr",
        }
        report = await make(openings, urls).report()
    assert report.datasets == (
        DatasetState("gone", StoreMissing),
        DatasetState("grid", None),
        DatasetState("refused", StoreRefused),
        DatasetState("odd", CatalogError),
    )
    assert [state.ready for state in report.datasets] == [False, True, False, False]


@pytest.mark.parametrize(
    ("failures", "ready", "strictly"),
    [
        ((None, None), True, True),
        ((None, StoreMissing), True, False),
        ((StoreMissing, StoreTimeout), False, False),
    ],
)
def test_one_dataset_is_enough_unless_strict(
    failures: tuple[type[StoreError] | None, ...], ready: bool, strictly: bool
) -> None:
    """A service with one dataset to serve is ready; strictly, all of them have to be."""
    report = Report(tuple(DatasetState(str(n), failure) for n, failure in enumerate(failures)))
    assert (report.ready(strict=False), report.ready(strict=True)) == (ready, strictly)


async def test_a_report_is_kept_for_its_time(openings: Openings, tmp_path: Path) -> None:
    """Within its seconds a report is answered from memory, after them it is made anew."""
    clock = Clock()
    path = tmp_path / "late.zarr"
    status = make(openings, {"late": str(path)}, keep_seconds=5, clock=clock)
    assert states(await status.report()) == {"late": StoreMissing}
    write_store(path, GRID)
    clock.seconds += 4.9
    assert states(await status.report()) == {"late": StoreMissing}
    assert openings.asked == ["late"]
    clock.seconds += 0.1
    assert states(await status.report()) == {"late": None}


async def test_those_who_ask_together_share_a_report(openings: Openings, store: Path) -> None:
    """However many ask at once, each store is asked once."""
    status = make(openings, {"grid": str(store), "gone": str(store / "x")})
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(status.report()) for _ in range(20)]
    assert len({id(task.result()) for task in waiting}) == 1
    assert sorted(openings.asked) == ["gone", "grid"]


async def test_a_store_that_hangs_is_timed_out(openings: Openings, store: Path) -> None:
    """A hanging store costs its patience and no more, and what hangs is let go."""
    async with Web({}, delay=60) as hanging:
        urls = {"slow": f"{hanging.address}/x.zarr", "grid": str(store)}
        catalog = Catalog({name: DatasetEntry(id=name, url=url) for name, url in urls.items()})
        opened = OpenedDatasets(catalog, openings, capacity=2, failed_open_seconds=0)
        await opened.get("grid")
        async with asyncio.timeout(30):
            report = await StatusProbe(opened, keep_seconds=60, patience_seconds=3).report()
        assert states(report) == {"slow": StoreTimeout, "grid": None}
        assert hanging.requests
        await until(lambda: openings.running == 0)


async def test_a_report_that_nobody_waits_for_ends(openings: Openings) -> None:
    """At shutdown the callers are cancelled, and their probes with them."""
    async with Web({}, delay=60) as hanging:
        status = make(openings, {name: f"{hanging.address}/{name}" for name in "abc"})
        asking = asyncio.create_task(status.report())
        await until(lambda: hanging.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: openings.running == 0)


async def test_so_many_are_probed_at_a_time(openings: Openings, tmp_path: Path) -> None:
    """However many datasets there are, only so many are opened at once."""
    urls = {f"d{n}": str(tmp_path / f"{n}.zarr") for n in range(20)}
    await make(openings, urls, at_once=3).report()
    assert len(openings.asked) == 20
    assert openings.most_running == 3


async def test_what_is_open_is_not_read_again(openings: Openings, store: Path) -> None:
    """An open dataset is ready without its store being asked, whatever became of the store."""
    catalog = Catalog({"grid": DatasetEntry(id="grid", url=str(store))})
    opened = OpenedDatasets(catalog, openings, capacity=1, failed_open_seconds=0)
    status = StatusProbe(opened, keep_seconds=0, patience_seconds=20)
    await opened.get("grid")
    for _ in range(3):
        assert (await status.report()).ready(strict=True)
    assert openings.asked == ["grid"]


async def test_a_large_catalog_keeps_its_hot_datasets(openings: Openings, store: Path) -> None:
    """Probing more datasets than may stay open evicts none that requests have opened."""
    catalog = Catalog({name: DatasetEntry(id=name, url=str(store)) for name in "abcd"})
    opened = OpenedDatasets(catalog, openings, capacity=2, failed_open_seconds=0)
    status = StatusProbe(opened, keep_seconds=0, patience_seconds=20)
    hot = [await opened.get(name) for name in "cd"]
    assert (await status.report()).ready(strict=True)
    assert [await opened.get(name) for name in "cd"] == hot
    assert sorted(openings.asked) == ["a", "b", "c", "d"]


async def test_a_report_is_not_waited_for_without_end(openings: Openings, store: Path) -> None:
    """However many stores hang, it comes after two patiences; the next one goes on from there."""
    async with Web({}, delay=60) as hanging:
        urls = {f"slow{n}": f"{hanging.address}/{n}.zarr" for n in range(6)}
        status = make(openings, {**urls, "grid": str(store)}, patience_seconds=0.5, at_once=2)
        async with asyncio.timeout(30):
            first = await status.report()
            found = [await status.report() for _ in range(3)][-1]
    pending = [state.id for state in first.datasets if state.pending]
    assert 1 <= len(pending) < 7
    assert not first.ready(strict=True)
    assert states(found) == {**dict.fromkeys(urls, StoreTimeout), "grid": None}
    assert found.ready(strict=False)


# The service starts in a child for each of the catalogs.
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from app.api import create_app
from app.settings import Settings

async def start(catalog):
    app = create_app(Settings(catalog=Path(catalog)))
    async with app.router.lifespan_context(app):
        found = [name for name in ("s3fs", "obstore", "aiohttp") if name in sys.modules]
        print(*found, flush=True)

for catalog in sys.argv[1:]:
    if os.fork() == 0:
        asyncio.run(start(catalog))
        os._exit(0)
    os.wait()
"""
S3: dict[str, object] = {
    "url": "s3://bucket/x.zarr",
    "storage_options": {"key": "a", "secret": "b"},
}
STARTS: list[tuple[list[dict[str, object]], str]] = [
    ([{"url": "x.zarr"}], ""),
    ([{"url": "x.zarr"}, S3], "s3fs aiohttp"),
    ([{**S3, "engine": "obstore"}], "obstore"),
    # Options that do not suit are told by the first open.
    ([{**S3, "storage_options": {"odd": 1}}], "s3fs aiohttp"),
]


def test_engines_are_imported_when_the_service_has_started(tmp_path: Path) -> None:
    """In processes of their own, before any request; those of no entry are not."""
    catalogs = []
    for number, (entries, _) in enumerate(STARTS):
        catalogs.append(tmp_path / f"catalog-{number}.yaml")
        datasets = {f"d{n}": one for n, one in enumerate(entries)}
        catalogs[-1].write_text(json.dumps({"datasets": datasets}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, catalogs)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines() == [expected for _, expected in STARTS], done.stderr


# A child of a process in which nothing of it was imported, for each of the cases.
IMPORTING = """
import json, os, sys
from app.catalog.readiness import Address, import_engines
names, cases = json.loads(sys.argv[1])
for url, options, engine in cases:
    if os.fork() == 0:
        import_engines([Address(url, options, engine)])
        print(json.dumps([name for name in names if name in sys.modules]), flush=True)
        os._exit(0)
    os.wait()
"""
ENGINES = ["s3fs", "aiobotocore.session", "aiohttp", "obstore", "gcsfs"]
REFERENCES = {"fo": "http://host/refs.json", "remote_protocol": "s3"}
CASES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("/data/x.zarr", {}, "s3fs", []),
    ("s3://bucket/x.zarr", {}, "s3fs", ENGINES[:3]),
    ("s3://bucket/x.zarr", {}, "obstore", ["obstore"]),
    ("https://host/x.zarr", {}, "s3fs", ["aiohttp"]),
    ("reference://", REFERENCES, "s3fs", ENGINES[:3]),
]


def test_what_the_stores_need_is_imported_and_no_more() -> None:
    """In processes that have imported nothing before."""
    words = json.dumps([ENGINES, [case[:3] for case in CASES]])
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, words],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [case[3] for case in CASES]


async def test_filesystems_are_connected_once_and_read_nothing(tmp_path: Path) -> None:
    """Stores of one set of options share one; a wrong entry shows when it is opened."""
    with odd_web(tmp_path) as web:
        s3 = {"endpoint_url": web.address, "key": "a", "secret": "b"}
        addresses = [
            Address("s3://one/x.zarr", s3),
            Address("s3://two/y.zarr", s3),
            Address(f"{web.address}/x.zarr", {}),
            Address("s3://bucket/z.zarr", {"nonsense": 1}),
            Address("s3://bucket/z.zarr", s3, "obstore"),
            Address("reference://", {"fo": f"{web.address}/refs.json"}),
        ]
        import_engines(addresses)
        async with Filesystems() as filesystems:
            await connect_all(filesystems, addresses, seconds=60)
            connected = dict(filesystems._made)
            await filesystems.source("s3://one/x.zarr", storage_options=s3)
            await filesystems.source(f"{web.address}/x.zarr", storage_options={})
            assert filesystems._made == connected
            assert len(connected) == 2
        assert not web.asked


async def test_a_catalog_of_many_options_connects_some() -> None:
    """A client takes memory: those beyond a number are made when they are asked for."""
    addresses = [
        Address("http://127.0.0.1:1/x", {"client_kwargs": {"headers": {"n": str(n)}}})
        for n in range(100)
    ]
    async with Filesystems() as filesystems:
        await connect_all(filesystems, addresses, seconds=60)
        assert len(filesystems._made) == 16
