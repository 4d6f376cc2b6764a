"""The opened datasets: opened once, kept by use, failures remembered for a while."""

from __future__ import annotations

import asyncio

import pytest

from app.catalog.catalog import Catalog
from app.catalog.entry import DatasetEntry
from app.catalog.opened import Opened
from app.catalog.opened_datasets import OpenedDatasets
from app.errors import UnknownDataset
from sluice.datasets import AsyncDataset
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import prepare
from sluice.errors import StoreTimeout

CATALOG = Catalog({name: DatasetEntry(id=name, url=f"memory://{name}") for name in "abc"})


class Openings:
    """An opener that counts, waits for `ready` and fails while `failing` is set."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.ready = asyncio.Event()
        self.failing: Exception | None = None

    async def __call__(self, entry: DatasetEntry, *, epoch: str) -> Opened:
        self.count[entry.id] = self.count.get(entry.id, 0) + 1
        await self.ready.wait()
        if self.failing is not None:
            raise self.failing
        dataset = AsyncDataset(attrs={"id": entry.id})
        return Opened(entry, prepare(dataset), FragmentCache(), "1", "1")


@pytest.fixture
def openings() -> Openings:
    opener = Openings()
    opener.ready.set()
    return opener


def make(openings: Openings, *, capacity: int = 2, seconds: float = 60) -> OpenedDatasets:
    return OpenedDatasets(CATALOG, openings, capacity=capacity, failed_open_seconds=seconds)


async def test_a_hundred_first_requests_open_once(openings: Openings) -> None:
    """However many ask for a dataset while it is being opened, it is opened once."""
    openings.ready.clear()
    opened = make(openings)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(opened.get("a")) for _ in range(100)]
        await asyncio.sleep(0)
        openings.ready.set()
    assert openings.count == {"a": 1}
    assert len({id(task.result()) for task in waiting}) == 1


async def test_different_datasets_open_side_by_side(openings: Openings) -> None:
    """A dataset that is slow to open does not keep another one waiting."""
    openings.ready.clear()
    opened = make(openings)
    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(opened.get(name))
        await asyncio.sleep(0.01)
        assert openings.count == {"a": 1, "b": 1}
        openings.ready.set()


async def test_a_caller_that_leaves_does_not_spoil_the_open(openings: Openings) -> None:
    """Cancelling one of two waiting requests leaves the other its dataset."""
    openings.ready.clear()
    opened = make(openings)
    leaving, staying = (asyncio.create_task(opened.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    openings.ready.set()
    assert (await staying).entry.id == "a"


async def test_the_least_recently_used_goes_first(openings: Openings) -> None:
    """Beyond the capacity, the dataset goes that nobody asked for the longest."""
    opened = make(openings, capacity=2)
    for name in ("a", "b", "a", "c", "a"):
        await opened.get(name)
    assert openings.count == {"a": 1, "b": 1, "c": 1}
    await opened.get("b")
    assert openings.count["b"] == 2


async def test_an_evicted_dataset_stays_usable(openings: Openings) -> None:
    """Whoever holds a dataset keeps it; eviction only makes the next request open it anew."""
    opened = make(openings, capacity=1)
    held = await opened.get("a")
    await opened.get("b")
    assert held.dataset.attrs == {"id": "a"}
    assert await opened.get("a") is not held


async def test_a_failed_open_is_remembered(openings: Openings) -> None:
    """The same words again, without asking the store, and its traceback does not grow."""
    openings.failing = StoreTimeout("too slow")
    opened = make(openings)
    depths = []
    for _ in range(5):
        with pytest.raises(StoreTimeout) as caught:
            await opened.get("a")
        assert (type(caught.value), caught.value.detail) == (StoreTimeout, "too slow")
        depths.append(len(caught.traceback))
    assert openings.count == {"a": 1}
    assert depths[1] == depths[-1]


async def test_a_failed_open_is_tried_again_after_its_time(openings: Openings) -> None:
    """Once the stated time is over the store is asked anew, and may have recovered."""
    openings.failing = StoreTimeout("too slow")
    opened = make(openings, seconds=0.05)
    with pytest.raises(StoreTimeout):
        await opened.get("a")
    openings.failing = None
    with pytest.raises(StoreTimeout):
        await opened.get("a")
    await asyncio.sleep(0.06)
    assert (await opened.get("a")).entry.id == "a"
    assert openings.count == {"a": 2}


async def test_a_failure_of_one_is_none_of_the_others(openings: Openings) -> None:
    """A remembered failure concerns its own dataset alone."""
    openings.failing = StoreTimeout("too slow")
    opened = make(openings)
    with pytest.raises(StoreTimeout):
        await opened.get("a")
    openings.failing = None
    assert (await opened.get("b")).entry.id == "b"


async def test_an_unknown_dataset_opens_nothing(openings: Openings) -> None:
    """An id outside the catalog raises UnknownDataset and reaches no store."""
    with pytest.raises(UnknownDataset):
        await make(openings).get("nobody")
    assert openings.count == {}


async def test_a_probe_takes_nobodys_place(openings: Openings) -> None:
    """Probing a full cache opens the dataset, keeps what was there, and leaves its order alone."""
    opened = make(openings, capacity=2)
    held = [await opened.get(name) for name in "ab"]
    await opened.probe("c")
    await opened.probe("a")
    assert openings.count == {"a": 1, "b": 1, "c": 1}
    assert [await opened.get(name) for name in "ab"] == held
    await opened.get("c")
    assert openings.count["c"] == 2
    assert await opened.get("b") is held[1]
    await opened.get("a")
    assert openings.count["a"] == 2


async def test_a_probe_fills_room_and_goes_first(openings: Openings) -> None:
    """What a probe opened is kept while there is room, and makes way before what was asked for."""
    opened = make(openings, capacity=2)
    await opened.get("a")
    await opened.probe("b")
    await opened.get("b")
    assert openings.count == {"a": 1, "b": 1}
    opened = make(openings, capacity=2)
    await opened.get("a")
    await opened.probe("b")
    await opened.get("c")
    await opened.get("a")
    assert openings.count == {"a": 2, "b": 2, "c": 1}


async def test_a_probe_and_a_request_share_one_open(openings: Openings) -> None:
    """A request that joins a probe's open gets the dataset, and it is kept for the next."""
    openings.ready.clear()
    opened = make(openings, capacity=1)
    async with asyncio.TaskGroup() as group:
        probe = group.create_task(opened.probe("a"))
        await asyncio.sleep(0)
        request = group.create_task(opened.get("a"))
        await asyncio.sleep(0)
        probe.cancel()
        openings.ready.set()
    assert await opened.get("a") is request.result()
    assert openings.count == {"a": 1}


async def test_a_probe_raises_what_a_request_would(openings: Openings) -> None:
    """A probe of a store that failed a moment ago answers from memory, as requests do."""
    openings.failing = StoreTimeout("too slow")
    opened = make(openings)
    for ask in (opened.probe, opened.get, opened.probe):
        with pytest.raises(StoreTimeout):
            await ask("a")
    assert openings.count == {"a": 1}


async def test_each_real_open_is_told_once(openings: Openings) -> None:
    """The hook hears of every open with its seconds and outcome, and of no answer from memory."""
    told: list[tuple[str, float, Exception | None]] = []
    opened = OpenedDatasets(
        CATALOG,
        openings,
        capacity=2,
        failed_open_seconds=60,
        on_open=lambda *outcome: told.append(outcome),
    )
    openings.ready.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(opened.get("a"))
        await asyncio.sleep(0.1)
        openings.ready.set()
    await opened.get("a")
    openings.failing = StoreTimeout("too slow")
    for _ in range(2):
        with pytest.raises(StoreTimeout):
            await opened.get("b")
    assert [(name, error) for name, _, error in told] == [("a", None), ("b", openings.failing)]
    assert 0.05 < told[0][1] < 60
