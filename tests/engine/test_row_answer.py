"""A table that is written while it is read has the bytes of the table made at once."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from sluice.arrays.texts import TextMeter
from sluice.datasets import open_dataset
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS
from sluice.engine import Plan, plan, prepare, rows_of
from sluice.engine.boxes import WINDOW_BYTES
from sluice.engine.slabs import Rows
from sluice.errors import LimitError, SluiceError
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
from tests.engine.selections import opened_of, selections
from tests.engine.test_slabs import globe
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]
CSV, NDJSON = ENCODERS["csv"], ENCODERS["ndjson"]
TYPED = [ENCODERS["arrow"], ENCODERS["feather"], ENCODERS["parquet"]]


async def written(
    planned: Plan, encoder: Encoder, most_bytes: int, window_bytes: int = WINDOW_BYTES
) -> tuple[bytes, int]:
    """The text of all slabs, and how many there are."""
    assert encoder.rows is not None
    answer = rows_of(planned, encoder.rows, most_bytes, window_bytes=window_bytes)
    *slabs, end = [b"".join(pieces) async for pieces in answer.pieces(encoder.rows)]
    assert len(slabs) == answer.costs.parts
    return b"".join([*slabs, end]), len(slabs)


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_a_table_in_slabs_is_the_table(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, slabs of any size, each format and its options."""
    opened = opened_of(runner, spec)
    selection = data.draw(selections(opened), label="selection")
    marked = CSV.adapt(CSV, {"header": "units", "bom": True}) if CSV.adapt else CSV
    encoder = data.draw(st.sampled_from([CSV, NDJSON, marked, *TYPED]), label="format")
    try:
        planned = plan(prepare(opened), selection)
        encoder.check(planned.schema)
        whole = encoder.encode(runner.run(planned.read()))
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    window = data.draw(st.sampled_from([1, 10, 100, WINDOW_BYTES]), label="window")
    text, slabs = runner.run(written(planned, encoder, most_bytes, window))
    event("several slabs" if slabs > 1 else "one slab")
    assert text == whole


@pytest.mark.parametrize("encoder", [CSV, NDJSON], ids=lambda encoder: encoder.name)
@pytest.mark.parametrize(
    "along",
    [
        {},
        {"lon": Interval(-30, 25)},
        {"lon": Interval("-180", "175", 3), "time": Position(3)},
        {"lon": Label(-1, Match("nearest"))},
        {"lon": Labels((-10, 0, 350)), "time": Interval(np.datetime64("2000-01-03"), None)},
        {"time": Label("2000-01")},
        {"time": PositionSlice(None, None, -1)},
        {"time": Positions((11, 0, 10, 1))},
    ],
)
async def test_labels_as_rows(encoder: Encoder, along: dict[str, Along]) -> None:
    """Labels that wrap round the globe stand in the rows as they do in the whole table."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    for names in (("t",), ("u", "t"), ("u",)):
        planned = plan(prepare(opened), Selection(along, names))
        text, slabs = await written(planned, encoder, 1)
        assert text == encoder.encode(await planned.read())
        assert slabs > 1 or along or "u" in names


async def test_places_read_together_are_rows() -> None:
    """The table of several places is cut between any two of them."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    asked: dict[str, Along] = {"lon": Labels((350.0, 0, 100, 20)), "time": Positions((0, 11, 5, 5))}
    planned = plan(prepare(opened), Selection(asked, ("t",), ("lon", "time")))
    text, slabs = await written(planned, CSV, 2)
    assert (text, slabs) == (CSV.encode(await planned.read()), 4)


def instants() -> StoreSpec:
    """Instants for each cell, of which the very last alone has fractions of a second."""
    values = np.arange(40, dtype="i8").reshape(10, 4) * 1000
    values[-1, -1] += 1
    attrs = {"units": "milliseconds since 2000-01-01"}
    return StoreSpec((ArraySpec("seen", ("time", "x"), values, attrs, chunks=(3, 4)),))


async def test_instants_have_as_many_digits_in_each_slab() -> None:
    """How they are written follows from all, so all are looked at first."""
    opened = await open_dataset(fs_map(documents_of(instants())))
    planned = plan(prepare(opened), Selection({}))
    text, slabs = await written(planned, CSV, 1)
    assert (text, slabs) == (CSV.encode(await planned.read()), 4)
    assert b"0,0,2000-01-01T00:00:00.000Z" in text


async def test_rows_of_chunks_that_are_too_large_are_cut() -> None:
    """Memory is what is kept small: chunks are decoded as often as their rows have parts."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    planned = plan(prepare(opened), Selection({}, ("u", "t")))
    # All of u is one chunk along time; four rows of both are 1,152 bytes.
    order = Rows(("time",), ("t", "u"), window_bytes=2 * 36 * 4 * 4)
    costs = planned.slab_costs(1, order)
    slabs = [slab async for slab in planned.slabs(1, order)]
    assert [slab.cut.ranges["time"].stop for slab in slabs] == [4, 8, 12]
    assert (costs.parts, costs.variables["u"].most_times) == (3, 3)
    assert (costs.variables["t"].decoded, costs.variables["t"].most_times) == (5 * 6, 2)
    assert costs.window_bytes < planned.slab_costs(1, Rows(("time",), ("t", "u"))).window_bytes


def maps() -> StoreSpec:
    """Maps in chunks of several forms, with coordinates along some of their dimensions."""
    shape = (4, 6, 5)
    values = np.arange(math.prod(shape), dtype="f8").reshape(shape)
    times = {"units": "milliseconds since 2000-01-01"}
    valid, seen = np.arange(4) * 1000, values.astype("i8") * 1000
    valid[-1] += 1
    seen[2, 3, 4] += 5
    places = np.add.outer(np.arange(6.0), np.arange(5.0))
    coords = {"coordinates": "lat lon valid name"}
    return StoreSpec(
        (
            ArraySpec("time", ("time",), np.arange(4), {"units": "days since 2000-01-01"}),
            ArraySpec("t", ("time", "y", "x"), values, coords, chunks=(1, 3, 5)),
            ArraySpec("u", ("time", "y", "x"), values.astype("i2"), coords, chunks=(2, 4, 2)),
            ArraySpec("v", ("x", "time", "y"), values.transpose(2, 0, 1), coords, chunks=(5, 1, 2)),
            ArraySpec("seen", ("time", "y", "x"), seen, times | coords, chunks=(4, 2, 5)),
            ArraySpec("lat", ("y", "x"), places, {"units": "degrees_north"}, chunks=(4, 4)),
            ArraySpec("lon", ("x", "y"), places.T * 2, {"units": "degrees_east"}, chunks=(5, 3)),
            ArraySpec("valid", ("time",), valid, times, chunks=(3,)),
            ArraySpec("name", ("y",), np.array(list("abcdef"), dtype=object), chunks=(4,)),
        ),
        zarr_format=2,
    )


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_rows_along_several_dimensions(runner: asyncio.Runner, data: st.DataObject) -> None:
    """Whatever is cut where: the bytes of the whole table, and as many chunks read as were told."""
    source = fs_map(documents_of(maps()))
    opened = runner.run(open_dataset(source))
    selection = data.draw(selections(opened), label="selection")
    encoder = data.draw(st.sampled_from([CSV, NDJSON]), label="format")
    try:
        planned = plan(prepare(opened), selection)
        encoder.check(planned.schema)
    except SluiceError:
        assume(False)
        raise
    most_bytes = data.draw(st.sampled_from([1, 40, 1000]), label="bytes")
    window = data.draw(st.sampled_from([1, 16, 60, 200, WINDOW_BYTES]), label="window")
    assert encoder.rows is not None
    whole = encoder.encode(runner.run(planned.read()))
    files: Any = source.fs
    files.reads.clear()
    answer = rows_of(planned, encoder.rows, most_bytes, window_bytes=window)
    text, slabs = runner.run(written(planned, encoder, most_bytes, window))
    assert text == whole
    for name, cost in answer.costs.variables.items():
        assert len([one for one in files.reads if f"/{name}/" in one]) == cost.decoded, name
    event(f"cut {slabs > 1}, {answer.most_times} times")


def long_texts() -> StoreSpec:
    """Texts of which the second chunk has far more than the first."""
    values = np.array(["a"] * 5 + ["b" * 10_000] * 5, dtype=object)
    return StoreSpec((ArraySpec("words", ("x",), values, chunks=(5,)),), zarr_format=2)


async def test_texts_of_each_slab_are_counted_for_themselves() -> None:
    """A slab with more texts than memory has is an error when it comes."""
    opened = await open_dataset(fs_map(documents_of(long_texts())))
    planned = plan(prepare(opened), Selection({}))
    assert CSV.rows is not None
    pieces = rows_of(planned, CSV.rows, 1).pieces(CSV.rows, lambda: TextMeter(0, 999, 0, 10**9))
    assert b"".join(await anext(pieces)).startswith(b"x,words\r\n0,a\r\n")
    with pytest.raises(LimitError):
        await anext(pieces)


async def test_few_rows_of_much_that_is_decoded_are_several_slabs() -> None:
    """Rows come soon, however many chunks are behind all of them."""
    opened = await open_dataset(fs_map(documents_of(globe())))
    planned = plan(prepare(opened), Selection({"lon": Position(0)}, ("t",)))
    assert CSV.rows is not None
    # Three chunks of five times seven values.
    for most, parts in ((10**9, 1), (140, 3), (1, 3)):
        assert rows_of(planned, CSV.rows, decoded_bytes=most).costs.parts == parts


async def test_no_more_than_the_columns_is_read() -> None:
    """What has no column is not asked for."""
    source = fs_map(documents_of(globe()))
    planned = plan(prepare(await open_dataset(source)), Selection({"lon": Position(0)}, ("t",)))
    files: Any = source.fs
    files.reads.clear()
    await written(planned, CSV, 1)
    assert {path.split("/")[-4] for path in files.reads} == {"t"}
