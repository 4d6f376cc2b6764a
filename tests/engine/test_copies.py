"""Answers from copies in other chunks: the same bytes, for less decoding."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from zarr.codecs import ShardingCodec

from sluice.arrays.group_metadata import open_group
from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.datasets.copies import Copy, with_copies
from sluice.encoders.formats import ENCODERS
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import Plan, PreparedDataset, file_costs, file_of, plan, prepare, rows_of
from sluice.engine.costs import Costs
from sluice.errors import SluiceError
from sluice.selection import Along, Position, PositionSlice, Selection
from tests.engine.selections import all_slabs, selections
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

NETCDF = ENCODERS["netcdf"].file


async def both(
    spec: StoreSpec, copies: Mapping[str, StoreSpec]
) -> tuple[PreparedDataset, PreparedDataset, Mapping[str, Mapping[str, str]]]:
    """The store by itself, and with these copies of it, and what of them does not fit."""
    source = fs_map(documents_of(spec))
    documents = await open_group(source, group=spec.group, zarr_format=None, consolidated=None)
    prepared = prepare(await open_dataset(source, group=spec.group, reader=Reader()))
    opened = []
    for name, copy in copies.items():
        its = fs_map(documents_of(copy))
        group = await open_group(its, group=copy.group, zarr_format=None, consolidated=None)
        opened.append(Copy.of(name, its, group, Reader(), name))
    layout, misfits = with_copies(prepared.layout, documents, source, opened)
    return prepared, replace(prepared, layout=layout), misfits


LOSSY = {"Delta", "FixedScaleOffset", "Quantize"}


def exact(array: ArraySpec) -> dict[str, Any]:
    """Without filters that lose digits, and other ones in other chunks."""
    inner = getattr(array.serializer, "codecs", ())
    changed: dict[str, Any] = {}
    if any(type(one).__name__ in LOSSY for one in array.filters or ()):
        changed["filters"] = ()
    if any(type(one).__name__ in LOSSY for one in inner):
        changed |= {"serializer": "auto", "shards": None}
    return changed


def rechunked(spec: StoreSpec, chunks: Mapping[str, tuple[int, ...]]) -> StoreSpec:
    """The same store in other chunks."""
    arrays = []
    for one in spec.arrays:
        serializer = "auto" if isinstance(one.serializer, ShardingCodec) else one.serializer
        arrays.append(replace(one, chunks=chunks[one.name], shards=None, serializer=serializer))
    return replace(spec, arrays=tuple(arrays))


async def file_bytes(planned: Plan, fragments: FragmentCache, most_bytes: int) -> bytes:
    """The whole file, as it is streamed."""
    assert NETCDF is not None
    file = await file_of(planned, NETCDF, fragments)
    return b"".join([bytes(piece) async for piece in file.pieces(0, file.size, most_bytes)])


async def answers(planned: Plan, most_bytes: int) -> dict[str, Any]:
    """What clients get in several forms, from what is read whole and in parts."""
    fragments = FragmentCache(planned.prepared.dataset)
    whole = await planned.read()
    found: dict[str, Any] = {"key": planned.key}
    for name in ("json", "csv", "netcdf"):
        found[name] = _encoded(name, whole, fragments)
    if planned.keys is not None:
        found["file"] = await file_bytes(planned, fragments, most_bytes)
        slabs = await all_slabs(planned, most_bytes, "row")
        found["slabs"] = [
            (slab.cut, {n: (v.dims, v.values.tobytes()) for n, v in slab.variables.items()})
            for slab in slabs
            if not any(v.dtype.kind in "OT" for v in slab.variables.values())
        ]
    return found


def _encoded(name: str, whole: Any, fragments: FragmentCache) -> bytes | str:
    try:
        return ENCODERS[name].encode(whole, fragments)
    except (SluiceError, ValueError, TypeError, OverflowError) as error:
        return str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(900)
@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_answers_are_the_same_with_copies_and_without(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, with up to two copies in any chunks."""
    plain = [replace(one, holes=(), **exact(one)) for one in spec.arrays]
    spec = replace(spec, arrays=tuple(plain))

    def shape(one: ArraySpec) -> st.SearchStrategy[tuple[int, ...]]:
        return st.tuples(*[st.integers(1, max(1, n)) for n in one.values.shape])

    copies = {
        name: rechunked(spec, {one.name: data.draw(shape(one)) for one in spec.arrays})
        for name in ("a", "b")[: data.draw(st.integers(1, 2), label="copies")]
    }
    try:
        alone, joined, misfits = runner.run(both(spec, copies))
        selection = data.draw(selections(alone.dataset), label="selection")
        without = plan(alone, selection)
        most_bytes = data.draw(st.sampled_from([16, 100, 10_000]), label="bytes")
        expected = runner.run(answers(without, most_bytes))
    except Exception:
        assume(False)
        raise
    assert not any(misfits.values())
    planned = plan(joined, selection)
    read = {one.array.copy for one in planned.reading.pending.values()}
    event(f"read from {sorted(map(str, read))}")
    assert runner.run(answers(planned, most_bytes)) == expected
    assert planned.chunk_bytes <= without.chunk_bytes


VALUES = np.arange(48 * 6 * 8, dtype="i2").reshape(48, 6, 8)
ATTRS = {"scale_factor": 0.5, "add_offset": 10.0, "units": "K"}
MAPS = ArraySpec("t", ("time", "y", "x"), VALUES, ATTRS, chunks=(1, 6, 8), fill=-1)
SERIES = replace(MAPS, chunks=(48, 2, 2))


def of(array: ArraySpec) -> StoreSpec:
    return StoreSpec((array,))


OTHERS = {
    "dtype": (replace(SERIES, values=VALUES.astype("i4")), "its dtype is int32, not int16"),
    "scale": (replace(SERIES, attrs={**ATTRS, "scale_factor": 0.25}), "its scale_factor"),
    "offset": (replace(SERIES, attrs={"scale_factor": 0.5}), "its add_offset is another"),
    "fill": (replace(SERIES, fill=-2), "its fill value is another"),
    "marked": (replace(SERIES, attrs={**ATTRS, "_FillValue": 7}), "its _FillValue is another"),
    "shape": (replace(SERIES, values=VALUES[:47]), "its dimensions are others"),
    "order": (replace(SERIES, dims=("time", "x", "y")), "its dimensions are others"),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_what_differs_is_not_read(name: str) -> None:
    array, why = OTHERS[name]
    _, joined, misfits = await both(of(MAPS), {"series": of(array)})
    assert misfits["series"]["t"].startswith(why)
    planned = plan(joined, Selection({"y": Position(1), "x": Position(1)}))
    assert planned.reading.pending["t"].array.copy is None


async def test_the_copy_that_takes_the_least_decoding_answers() -> None:
    """A series from series, a map from maps; what takes as much from the dataset itself."""
    blocks = replace(MAPS, chunks=(12, 6, 8))
    same = replace(MAPS, chunks=(1, 6, 8))
    copies = {"series": of(SERIES), "blocks": of(blocks), "same": of(same)}
    alone, joined, misfits = await both(of(MAPS), copies)
    assert not any(misfits.values())

    def read(along: dict[str, Along]) -> tuple[str | None, int]:
        planned = plan(joined, Selection(along))
        return planned.reading.pending["t"].array.copy, planned.chunks

    assert read({"y": Position(1), "x": Position(1)}) == ("series", 1)
    assert read({"time": Position(1)}) == (None, 1)
    assert read({}) == (None, 48)
    assert plan(alone, Selection({"y": Position(1)})).chunks == 48


async def test_parts_are_cut_by_the_dataset_and_read_from_the_copy() -> None:
    """A file lies as the dataset's chunks do, whatever it is read from."""
    assert NETCDF is not None
    alone, joined, _ = await both(of(MAPS), {"series": of(SERIES)})
    selection = Selection({"y": PositionSlice(0, 2), "x": PositionSlice(0, 2)})
    without, planned = plan(alone, selection), plan(joined, selection)
    assert planned.reading.pending["t"].array.copy == "series"
    for own, other in zip(without.grid("t", 2).ends, planned.grid("t", 2).ends, strict=True):
        assert own is not None
        assert other is not None
        np.testing.assert_array_equal(own, other)
    costs = file_costs(planned, NETCDF)
    assert (costs.chunks, costs.decoded_chunks, costs.variables["t"].copy) == (1, 1, "series")
    rows = ENCODERS["csv"].rows
    assert rows is not None
    assert rows_of(planned, rows).costs.variables["t"].copy == "series"


async def test_a_copy_whose_chunks_would_be_decoded_again_and_again_is_passed_over() -> None:
    """It would have less to decode as a whole; in the parts in which it is read it has more."""
    long = replace(MAPS, values=np.zeros((480, 6, 8), "i2"), chunks=(1, 6, 8))
    series = replace(long, chunks=(480, 6, 2))
    _, joined, _ = await both(of(long), {"series": of(series)})
    planned = plan(joined, Selection({"x": PositionSlice(0, 2)}))
    assert planned.reading.pending["t"].array.copy == "series"

    def in_slabs(most_bytes: int) -> tuple[str | None, int]:
        def cost(one: Plan) -> Costs:
            return one.slab_costs(most_bytes, "row")

        found = cost(planned.reading_least(cost)).variables["t"]
        return found.copy, found.most_times

    assert in_slabs(10**6) == ("series", 1)
    assert in_slabs(2 * 240 * 12 * 8) == ("series", 2)
    assert in_slabs(200) == (None, 1)
