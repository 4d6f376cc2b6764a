"""Versions: looked at now and then, swapped in whole, and the old one serves until then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.catalog.catalog import Catalog
from app.catalog.entry import DatasetEntry
from app.catalog.opened import Change, Opened, Outcome
from app.catalog.opened_datasets import OpenedDatasets
from sluice.datasets import AsyncDataset
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import prepare
from sluice.errors import MetadataError, StoreError, StoreMissing, StoreRefused, StoreTimeout


class Store:
    """A store whose `version` a test sets, and what it does to those who look or open."""

    def __init__(self) -> None:
        self.version = "1"
        self.whole = True
        self.looks = 0
        self.opens: list[str] = []
        self.looking: Exception | None = None
        self.opening: Exception | None = None
        self.ready = asyncio.Event()
        self.ready.set()

    async def open(self, entry: DatasetEntry, *, epoch: str = "") -> Opened:
        self.opens.append(epoch)
        await self.ready.wait()
        if self.opening is not None:
            raise self.opening
        dataset = AsyncDataset(attrs={"version": self.version})
        version = self.version + epoch
        opened = Opened(entry, prepare(dataset), FragmentCache(), version, "")
        return replace(opened, revalidate=lambda: self.revalidate(opened))

    async def revalidate(self, opened: Opened) -> Change | None:
        self.looks += 1
        await self.ready.wait()
        if self.looking is not None:
            raise self.looking
        if opened.dataset.attrs["version"] == self.version:
            return None
        return Change(self.version, self.whole, lambda: self.open(opened.entry))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Served:
    """The dataset ``a`` of `store`, and what was told of it."""

    def __init__(self, store: Store, clock: Clock, **fields: Any) -> None:
        self.looks: list[tuple[Outcome, type[Exception] | None]] = []
        self.gone: list[str] = []
        self.entry = DatasetEntry(id="a", url="memory://a", **fields)
        self.datasets = OpenedDatasets(
            Catalog({"a": self.entry}),
            store.open,
            capacity=2,
            failed_open_seconds=5,
            on_revalidated=lambda _, outcome, error: self.looks.append(
                (outcome, None if error is None else type(error))
            ),
            on_gone=self.gone.append,
            clock=clock,
        )

    async def version(self) -> str:
        """What a request gets."""
        return (await self.datasets.get("a")).version


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def settled() -> None:
    """Let what goes on in the background come to its end."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_look_is_taken_once_per_time(store: Store, clock: Clock) -> None:
    """However many ask, the store is looked at once every `refresh_seconds`, and not before."""
    served = Served(store, clock, refresh_seconds=60)
    for passed, looks in ((0, 0), (59, 0), (1, 1), (30, 1), (30, 2)):
        clock.seconds += passed
        for _ in range(50):
            assert await served.version() == "1"
        await settled()
        assert store.looks == looks
    assert served.looks == [(Outcome.UNCHANGED, None)] * 2
    assert store.opens == [""]


async def test_in_the_background_nobody_waits(store: Store, clock: Clock) -> None:
    """Requests are answered from the old version until the new one is there, then from that."""
    served = Served(store, clock, refresh_seconds=60)
    before = await served.datasets.get("a")
    store.version = "2"
    clock.seconds += 60
    store.ready.clear()
    assert [await served.version() for _ in range(3)] == ["1"] * 3
    await settled()
    assert [await served.version() for _ in range(3)] == ["1"] * 3
    assert store.looks == 1
    store.ready.set()
    await settled()
    assert await served.version() == "2"
    assert before.dataset.attrs == {"version": "1"}
    assert served.looks == [(Outcome.SWAPPED, None)]


async def test_before_a_request_it_waits(store: Store, clock: Clock) -> None:
    """With `refresh: before` no request that begins when one is due gets an older version."""
    served = Served(store, clock, refresh_seconds=60, refresh="before")
    await served.version()
    store.version = "2"
    clock.seconds += 60
    store.ready.clear()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(served.version()) for _ in range(20)]
        await settled()
        assert not any(task.done() for task in waiting)
        store.ready.set()
    assert {task.result() for task in waiting} == {"2"}
    assert store.looks == 1


async def test_zero_seconds_looks_for_every_request(store: Store, clock: Clock) -> None:
    """With `before` and no seconds at all, an answer is never older than its request."""
    served = Served(store, clock, refresh_seconds=0, refresh="before")
    for number in range(5):
        store.version = str(number)
        assert await served.version() == str(number)


async def test_null_seconds_never_look(store: Store, clock: Clock) -> None:
    """A store that is said never to change is not asked again."""
    served = Served(store, clock, refresh_seconds=None)
    for _ in range(3):
        await served.version()
        clock.seconds += 1e9
    assert store.looks == 0


async def test_documents_have_to_stand_still(store: Store, clock: Clock) -> None:
    """What was read one by one is believed when a later look finds the same, and not before."""
    served = Served(store, clock, refresh_seconds=60, settle_seconds=5)
    await served.version()
    store.whole = False
    for version in "23":
        store.version = version
        clock.seconds += 60
        await served.version()
        await settled()
    assert await served.version() == "1"
    clock.seconds += 5
    await served.version()
    await settled()
    assert await served.version() == "3"
    outcomes = [outcome for outcome, _ in served.looks]
    assert outcomes == [Outcome.SETTLING, Outcome.SETTLING, Outcome.SWAPPED]


async def test_a_version_that_does_not_open_leaves_the_old_one(store: Store, clock: Clock) -> None:
    """It serves on and says that it is stale; the new one is tried again soon."""
    served = Served(store, clock, refresh_seconds=60)
    await served.version()
    store.version, store.opening = "2", StoreMissing("a chunk's bucket")
    clock.seconds += 60
    await served.version()
    await settled()
    assert await served.version() == "1"
    assert (await served.datasets.probe("a")).trouble is StoreMissing
    store.opening = None
    clock.seconds += 5
    await served.version()
    await settled()
    assert await served.version() == "2"
    assert (await served.datasets.probe("a")).trouble is None
    assert served.looks == [(Outcome.FAILED, StoreMissing), (Outcome.SWAPPED, None)]


@pytest.mark.parametrize(
    ("error", "outcome", "unreachable"),
    [
        (StoreTimeout("slow"), Outcome.UNREACHABLE, True),
        (StoreError("reset"), Outcome.UNREACHABLE, True),
        (StoreRefused("expired"), Outcome.UNREACHABLE, True),
        (MetadataError("half a document"), Outcome.FAILED, False),
        (ZeroDivisionError("who knows"), Outcome.FAILED, False),
    ],
)
async def test_a_store_that_cannot_be_looked_at_serves_on(
    store: Store, clock: Clock, error: Exception, outcome: Outcome, unreachable: bool
) -> None:
    """The dataset stays as it is, says so, and is looked at again soon."""
    served = Served(store, clock, refresh_seconds=60)
    opened = await served.datasets.get("a")
    store.looking = error
    clock.seconds += 60
    await served.version()
    await settled()
    assert await served.datasets.get("a") is opened
    assert (opened.freshness.trouble, opened.freshness.unreachable) == (type(error), unreachable)
    store.looking = None
    clock.seconds += 5
    await served.version()
    await settled()
    assert (opened.freshness.trouble, opened.freshness.unreachable) == (None, False)
    assert served.looks == [(outcome, type(error)), (Outcome.UNCHANGED, None)]


@pytest.mark.parametrize("refresh", ["background", "before"])
async def test_metadata_that_is_gone_is_an_error_until_it_is_back(
    store: Store, clock: Clock, refresh: str
) -> None:
    """What was open is not used any more; it is told to whom it may concern, once."""
    served = Served(store, clock, refresh_seconds=60, refresh=refresh)
    await served.version()
    store.looking = store.opening = StoreMissing("gone")
    clock.seconds += 60
    if refresh == "background":
        await served.version()
        await settled()
    for _ in range(3):
        with pytest.raises(StoreMissing):
            await served.version()
        clock.seconds += 5
    assert served.gone == ["a"]
    store.looking = store.opening = None
    assert await served.version() == "1"


async def test_a_probe_looks_when_it_is_due(store: Store, clock: Clock) -> None:
    """Readiness asks the store of a dataset that is open, too, and finds what is gone."""
    served = Served(store, clock, refresh_seconds=60)
    await served.version()
    await served.datasets.probe("a")
    assert store.looks == 0
    store.looking = StoreMissing("gone")
    clock.seconds += 60
    with pytest.raises(StoreMissing):
        await served.datasets.probe("a")


async def test_a_generation_opens_anew(store: Store, clock: Clock) -> None:
    """Whatever was open or failed is forgotten; the version is another one for good."""
    served = Served(store, clock)
    store.opening = StoreTimeout("slow")
    with pytest.raises(StoreTimeout):
        await served.version()
    store.opening = None
    served.datasets.invalidate("a", "x")
    assert [await served.version(), await served.version()] == ["1x", "1x"]
    served.datasets.invalidate("a", "y")
    assert await served.version() == "1y"
    assert store.opens == ["", "x", "y"]


async def test_what_is_on_its_way_does_not_undo_a_generation(store: Store, clock: Clock) -> None:
    """Neither an open nor a revalidation that began before takes the place of what came after."""
    served = Served(store, clock, refresh_seconds=60)
    store.ready.clear()
    first = asyncio.create_task(served.version())
    await settled()
    served.datasets.invalidate("a", "x")
    second = asyncio.create_task(served.version())
    await settled()
    store.ready.set()
    assert [await first, await second, await served.version()] == ["1", "1x", "1x"]
    store.version = "2"
    store.ready.clear()
    clock.seconds += 60
    await served.version()
    await settled()
    served.datasets.invalidate("a", "y")
    store.ready.set()
    await settled()
    assert await served.version() == "2y"


def another(entry: DatasetEntry, **changes: Any) -> Catalog:
    return Catalog({entry.id: entry.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda entry: another(entry), True),
        (lambda entry: another(entry, title="A"), False),
        (lambda entry: another(entry, url="memory://b"), False),
    ],
)
async def test_a_catalog_takes_the_others_place(
    store: Store, clock: Clock, change: Callable[[DatasetEntry], Catalog], kept: bool
) -> None:
    """What stays as it was stays open, what is otherwise is opened anew."""
    served = Served(store, clock)
    opened = await served.datasets.get("a")
    served.datasets.replace_catalog(change(served.entry))
    assert (await served.datasets.get("a") is opened) == kept


async def test_the_background_ends_with_the_service(store: Store, clock: Clock) -> None:
    """A revalidation that nobody waits for is not left behind."""
    served = Served(store, clock, refresh_seconds=60)
    await served.version()
    clock.seconds += 60
    store.ready.clear()
    await served.version()
    await settled()
    await served.datasets.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
