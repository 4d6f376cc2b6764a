"""A NetCDF file in pieces, from anywhere to anywhere, has the bytes of the file made at once."""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter
from collections.abc import Hashable

import numpy as np
import pytest
import zarr
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load
from zarr.storage import MemoryStore

from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.datasets.layout import Keys, StoredVariable
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_encoder import encode_netcdf
from sluice.engine import Plan, file_costs, plan, prepare
from sluice.engine.boxes import Box, box_stops, chunk_boxes, row_boxes
from sluice.engine.costs import MOST_TIMES, Parts
from sluice.engine.estimates import times_excess
from sluice.engine.file_answer import FileAnswer, file_of, file_size
from sluice.engine.file_costs import BOX_CHUNK_BYTES
from sluice.engine.slabs import narrowed
from sluice.errors import SluiceError
from sluice.selection import Along, Position, Selection
from tests.engine.selections import opened_of, selections
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


def decodes(planned: Plan, name: Hashable, boxes: list[Box]) -> Counter[tuple[int, ...]]:
    """How often each chunk of a variable is read for these boxes, by the plan of each."""
    layout, keys, found = planned.prepared.layout, planned.keys, Counter[tuple[int, ...]]()
    variable, dims = layout.variables[name], planned.schema.variables[name].dims
    assert keys is not None
    assert isinstance(variable, StoredVariable)
    for box in boxes:
        part: Keys = keys
        for dim, start, stop in zip(dims, box.starts, box.stops, strict=True):
            part = narrowed(part, layout.sizes, {dim: range(start, stop)})
        found.update(read.coords for read in variable.select(part, dims).plan.reads())
    return found


async def taken(file: FileAnswer, start: int, stop: int, most_bytes: int) -> bytes:
    return b"".join([bytes(piece) async for piece in file.pieces(start, stop, most_bytes)])


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_a_file_in_pieces_is_the_file(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, any range of bytes, boxes of any size."""
    opened = opened_of(runner, spec)
    selection = data.draw(selections(opened), label="selection")
    fragments = FragmentCache(opened)
    try:
        planned = plan(prepare(opened), selection)
        whole = encode_netcdf(runner.run(planned.as_stored().read()), fragments)
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    netcdf = ENCODERS["netcdf"].file
    assert netcdf is not None
    file = runner.run(file_of(planned, netcdf, fragments))
    assert file.size == len(whole)
    start = data.draw(st.integers(0, len(whole)), label="start")
    stop = data.draw(st.integers(start, len(whole)), label="stop")
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    assert runner.run(taken(file, 0, len(whole), most_bytes)) == whole
    assert runner.run(taken(file, start, stop, most_bytes)) == whole[start:stop]


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_costs_tell_how_often_chunks_are_decoded_for_a_file(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """For any selection, boxes of any size, in rows or in chunks: the chunks of each, counted."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec)), reader=Reader()))
        planned = plan(prepare(opened), data.draw(selections(opened), label="selection"))
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    assume(planned.keys is not None)
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    for name, variable in planned.reading.pending.items():
        if len(set(variable.dims)) < len(variable.dims):
            continue
        grid = planned.grid(name, variable.dtype.itemsize)
        lengths = data.draw(st.none() | st.tuples(*[st.integers(1, max(1, n)) for n in grid.shape]))
        size = math.prod(grid.shape) * grid.itemsize
        if lengths:
            size = math.prod(-(-n // own) * own for n, own in zip(grid.shape, lengths, strict=True))
            boxes = list(chunk_boxes(grid, lengths, 0, size * grid.itemsize, most_bytes))
        else:
            lengths, boxes = None, list(row_boxes(grid, 0, size, most_bytes))
        found = box_stops(grid, lengths, most_bytes)
        stops = {d: e for d, e in zip(variable.dims, found, strict=True) if e is not None}
        costs = planned.costs(Parts(len(boxes), 0, {name: stops}, together=False))
        counted, cost = decodes(planned, name, boxes), costs.variables[name]
        event("some decoded again" if cost.decoded > cost.chunks else "each decoded once")
        if size:
            assert cost.decoded == counted.total()
            assert cost.most_times == max(counted.values())
            each = [decodes(planned, name, [box]).total() for box in boxes]
            assert cost.at_once == max(each)


async def test_a_window_is_bounded_however_little_is_taken_of_each_chunk() -> None:
    """A series across maps is read in boxes that touch a few of them, and says how far it is."""
    store = MemoryStore()
    root = zarr.create_group(store, zarr_format=2)
    maps = root.create_array("t", shape=(2000, 721, 1440), chunks=(1, 721, 1440), dtype="f4")
    maps.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
    along: dict[str, Along] = {"y": Position(3), "x": Position(5)}
    planned = plan(prepare(await open_dataset(store)), Selection(along))
    netcdf = ENCODERS["netcdf"].file
    assert netcdf is not None
    costs = file_costs(planned, netcdf)
    assert (costs.chunks, costs.decoded_chunks, costs.most_times) == (2000, 2000, 1)
    each = BOX_CHUNK_BYTES // (721 * 1440 * 4)
    assert costs.parts == -(-2000 // each)
    assert costs.window_bytes < BOX_CHUNK_BYTES
    file = await file_of(planned, netcdf, FragmentCache())
    first = file.place_of(0, 2**16) - file.content.extents["t"].start
    assert first == each * 4


VARIANTS: list[tuple[str, tuple[tuple[str, object], ...]]] = [
    ("bin", ()),
    ("bin", (("pack", "f4"),)),
    ("bin", (("pack", "u1"), ("range", (-10.0, 40.0)))),
    ("npy", ()),
]


@settings(deadline=None, max_examples=60)
@given(spec=stores(), variant=st.sampled_from(VARIANTS), data=st.data())
def test_plain_arrays_in_pieces_are_the_values(
    runner: asyncio.Runner,
    spec: StoreSpec,
    variant: tuple[str, tuple[tuple[str, object], ...]],
    data: st.DataObject,
) -> None:
    """Any selection from any store, any range of bytes; other readers find what xarray has."""
    name, options = variant
    encoder = adapted(ENCODERS[name], options)
    assert encoder.file is not None
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec)), reader=Reader()))
        planned = plan(prepare(opened), data.draw(selections(opened), label="selection"))
        encoder.check(planned.schema)
        answer = runner.run(planned.read())
        whole = encoder.encode(answer)
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    file = runner.run(file_of(planned, encoder.file, FragmentCache(opened)))
    assert file.size == len(whole)
    told = runner.run(file_size(planned, encoder.file, FragmentCache(opened)))
    assert told in (None, len(whole))
    start = data.draw(st.integers(0, len(whole)), label="start")
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    assert runner.run(taken(file, 0, len(whole), most_bytes)) == whole
    assert runner.run(taken(file, start, len(whole), most_bytes)) == whole[start:]
    if options:
        return
    if name == "npy":
        held = [*answer.data_vars] or [*answer.variables]
        np.testing.assert_array_equal(np.load(io.BytesIO(whole)), answer[held[0]].values)
    else:
        for found, values in load(whole).items():
            if answer[found].dtype.kind in "biuf":
                np.testing.assert_array_equal(values, answer[found].values)


async def test_wide_rows_of_chunks_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No box has more than the window; where chunks would be decoded too often it is refused."""
    values = np.arange(64 * 10.0).reshape(64, 10)
    store = StoreSpec((ArraySpec("v", ("x", "y"), values, chunks=(32, 2)),))
    planned = plan(prepare(await open_dataset(fs_map(documents_of(store)))), Selection({}))
    tensors = ENCODERS["bin"].file
    assert tensors is not None
    for rows, times in ((8, 4), (7, 5)):
        for module in ("boxes", "file_answer"):
            monkeypatch.setattr(f"sluice.engine.{module}.WINDOW_BYTES", rows * 80)
        costs = file_costs(planned, tensors)
        assert costs.most_times == times
        assert (times_excess(costs) is None) == (times <= MOST_TIMES)
        whole = await file_of(planned, tensors, FragmentCache())
        content = await taken(whole, 0, whole.size, 1)
        np.testing.assert_array_equal(load(content)["v"], values)
