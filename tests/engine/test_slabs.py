"""Slabs of a plan, put together, are what the plan reads whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from sluice.arrays.plan import ElementPlan
from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.datasets.layout import StoredVariable
from sluice.engine import Plan, plan, prepare
from sluice.engine.slabs import Order, Slab, narrowed
from sluice.errors import SluiceError
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Position,
    Positions,
    PositionSlice,
    Selection,
)
from tests.engine.selections import all_slabs, orders, selections, together
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]
ORDERS: tuple[Order, ...] = ("variable", "row")


def assert_same(ours: dict[Any, xr.Variable], whole: xr.Dataset) -> None:
    """Name by name they are equal, with their types and attributes."""
    assert ours.keys() == whole.variables.keys()
    for name, variable in whole.variables.items():
        plain, theirs = ours[name].to_base_variable(), variable.to_base_variable()
        assert plain.dtype == theirs.dtype, name
        assert plain.identical(theirs), name


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_slabs_put_together_are_the_whole(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, in parts of any size and in either order."""
    reader = Reader(cache_bytes=2**24)
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec)), reader=reader))
    except Exception:
        assume(False)
        raise
    selection = data.draw(selections(opened), label="selection")
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    try:
        planned = plan(prepare(opened), selection)
        whole = runner.run(planned.read())
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    order = data.draw(orders(planned), label="order")
    slabs = runner.run(all_slabs(planned, most_bytes, order))
    event("several slabs" if len(slabs) > len(whole.variables) else "few slabs")
    event(f"cut along {max(len(slab.cut.ranges) for slab in slabs)}")
    assert_same(together(slabs), whole)


def globe() -> StoreSpec:
    """A field over longitudes of 0 to 350, with bounds, in small chunks."""
    lon = np.arange(0, 360, 10, dtype="i4")
    bounds = np.stack([lon - 5, lon + 5], axis=1).astype("f4")
    values = np.arange(12 * 36, dtype="f4").reshape(12, 36)
    days = {"units": "days since 2000-01-01"}
    return StoreSpec(
        (
            ArraySpec("lon", ("lon",), lon, {"units": "degrees_east", "bounds": "lon_bnds"}),
            ArraySpec("lon_bnds", ("lon", "nv"), bounds, chunks=(9, 2)),
            ArraySpec("time", ("time",), np.arange(12), days),
            ArraySpec("t", ("time", "lon"), values, chunks=(5, 7)),
            ArraySpec("u", ("lon", "time"), values.T.copy(), chunks=(36, 12)),
        )
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "along",
    [
        {"lon": Interval(-30, 25)},
        {"lon": Interval("-180", "175", 3), "time": Position(3)},
        {"lon": Label(-1, Match("nearest"))},
        {"lon": Labels((-10, 0, 350)), "time": Interval(np.datetime64("2000-01-03"), None)},
        {"time": Label("2000-01")},
    ],
)
async def test_labels_as_values(along: dict[str, Along], order: Order) -> None:
    """Labels that wrap round the globe, and their bounds, are in the parts what they are whole."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    planned = plan(prepare(opened), Selection(along))
    whole = await planned.read()
    slabs = await all_slabs(planned, 2 * 7 * 4 * 5, order)
    assert_same(together(slabs), whole)


async def test_points_of_labels() -> None:
    """Places that are read together are cut between any two of them."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    asked: dict[str, Along] = {"lon": Labels((350.0, 0, 100, 20)), "time": Positions((0, 11, 5, 5))}
    planned = plan(prepare(opened), Selection(asked, ("t",), ("lon", "time")))
    slabs = await all_slabs(planned, 2, "variable")
    assert len([slab for slab in slabs if "t" in slab.variables]) == 4
    assert_same(together(slabs), await planned.read())


@pytest.mark.parametrize("order", ORDERS)
async def test_parts_end_with_chunks(order: Order) -> None:
    """Each holds whole rows of chunks, and as many of them as there is room for."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    planned = plan(prepare(opened), Selection({}, ("t",)))
    row = 36 * 4
    for most_bytes, expected in ((1, [5, 10, 12]), (2 * 11 * row, [10, 12]), (4 * 12 * row, [12])):
        slabs = await all_slabs(planned, most_bytes, order)
        ends = [slab.cut.ranges["time"].stop for slab in slabs if "t" in slab.variables]
        assert ends == expected


async def test_who_stops_asking_ends_what_is_read() -> None:
    """Nothing is read any more for a consumer that has left."""
    source = fs_map(documents_of(globe()), delay_seconds=0.05)
    planned = plan(prepare(await open_dataset(source)), Selection({}, ("t",)))
    before = asyncio.all_tasks()
    slabs = planned.slabs(1)
    for _ in range(2):
        await anext(slabs)
    assert asyncio.all_tasks() - before
    await slabs.aclose()
    assert asyncio.all_tasks() <= before


class Kept:
    """A budget that remembers what was taken of it, and what is held."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.held = 0

    @asynccontextmanager
    async def window(self, nbytes: int) -> AsyncIterator[None]:
        """Take so many bytes at once."""
        self.taken.append(nbytes)
        self.held += nbytes
        try:
            yield
        finally:
            self.held -= nbytes


def decodes(planned: Plan, slabs: list[Slab]) -> dict[Any, Counter[tuple[int, ...]]]:
    """How often each chunk of each variable is read for these slabs, by the plan of each."""
    layout, keys = planned.prepared.layout, planned.keys
    found: dict[Any, Counter[tuple[int, ...]]] = {
        name: Counter() for name in planned.reading.pending
    }
    for slab in slabs:
        for name in planned.reading.pending.keys() & slab.variables.keys():
            if keys is None:
                reading = planned.reading.pending[name].plan
            else:
                variable = layout.variables[name]
                assert isinstance(variable, StoredVariable)
                ranges = {} if name in slab.cut.whole else slab.cut.ranges
                part = narrowed(keys, layout.sizes, ranges)
                reading = variable.select(part, planned.schema.variables[name].dims).plan
            parts = [reading] if isinstance(reading, ElementPlan) else reading.reads()
            found[name].update(read.coords for read in parts)
    return found


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_costs_tell_how_often_chunks_are_decoded(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """For any selection, size and order: each chunk that each part reads, counted."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec))))
    except Exception:
        assume(False)
        raise
    selection = data.draw(selections(opened), label="selection")
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    try:
        planned = plan(prepare(opened), selection)
        order = data.draw(orders(planned), label="order")
        slabs = runner.run(all_slabs(planned, most_bytes, order))
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    costs = planned.slab_costs(most_bytes, order)
    assert costs.parts == len(slabs)
    assert (costs.chunks, costs.chunk_bytes) == (planned.chunks, planned.chunk_bytes)
    for name, counted in decodes(planned, slabs).items():
        cost = costs.variables[name]
        told = (cost.chunks, cost.decoded, cost.most_times)
        assert told == (len(counted), counted.total(), max(counted.values(), default=0)), name
    event("some decoded again" if costs.decoded_chunks > costs.chunks else "each decoded once")
    numbers = [
        [v.nbytes for v in slab.variables.values() if v.dtype.kind not in "OT"] for slab in slabs
    ]
    assert costs.window_bytes >= max(map(sum, numbers), default=0)


@pytest.mark.parametrize(
    ("order", "along", "expected"),
    [
        ("variable", {}, (19, 19, 1)),
        ("row", {}, (19, 19, 1)),
        ("variable", {"time": Positions((0, 11, 1, 10))}, (13, 25, 2)),
        ("variable", {"time": PositionSlice(None, None, -1)}, (19, 19, 1)),
    ],
)
async def test_what_is_decoded_is_what_was_told(
    order: Order, along: dict[str, Along], expected: tuple[int, int, int]
) -> None:
    """A chunk is fetched as often as the costs say, where none is kept."""
    source = fs_map(documents_of(globe()))
    planned = plan(prepare(await open_dataset(source)), Selection(along, ("t", "u")))
    costs = planned.slab_costs(1, order)
    assert (costs.chunks, costs.decoded_chunks, costs.most_times) == expected
    assert costs.decoded_bytes == sum(c.decoded * c.chunk_bytes for c in costs.variables.values())
    files: Any = source.fs
    files.reads.clear()
    await all_slabs(planned, 1, order)
    assert len([path for path in files.reads if "/lon_bnds/" not in path]) == expected[1]


async def test_a_window_is_taken_once_and_given_back() -> None:
    """Before anything is read, for all parts; whoever stops early gives it back, too."""
    source = fs_map(documents_of(globe()))
    planned = plan(prepare(await open_dataset(source)), Selection({}, ("t",)))
    budget = Kept()
    slabs = planned.slabs(1, budget=budget)
    await anext(slabs)
    assert budget.taken == [planned.slab_costs(1).window_bytes] == [budget.held]
    await slabs.aclose()
    assert (len(budget.taken), budget.held) == (1, 0)
    assert [slab async for slab in planned.slabs(1, budget=budget)]
    assert (len(budget.taken), budget.held) == (2, 0)


async def test_nothing_is_read_before_there_is_a_window() -> None:
    """A budget that refuses is the end of it."""
    source = fs_map(documents_of(globe()))
    planned = plan(prepare(await open_dataset(source)), Selection({}, ("t",)))
    files: Any = source.fs
    files.reads.clear()

    class Full:
        def window(self, nbytes: int) -> AbstractAsyncContextManager[None]:
            raise MemoryError(nbytes)

    with pytest.raises(MemoryError):
        await anext(planned.slabs(1, budget=Full()))
    assert files.reads == []


async def test_two_parts_are_in_memory() -> None:
    """The next part is begun when the last was handed over, and no other beside it."""
    source = fs_map(documents_of(globe()))
    planned = plan(prepare(await open_dataset(source)), Selection({}, ("t",)))
    files: Any = source.fs
    begun = []
    async for slab in planned.slabs(1):
        for _ in range(50):
            await asyncio.sleep(0)
        if "t" in slab.variables:
            places = [path.split("/t/c/")[1] for path in files.reads if "/t/c/" in path]
            begun.append(sorted({place.split("/")[0] for place in places}))
    assert begun == [["0", "1"], ["0", "1", "2"], ["0", "1", "2"]]
