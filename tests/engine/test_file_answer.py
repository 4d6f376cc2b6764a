"""A file in pieces, from anywhere to anywhere, has the bytes of the file made at once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_encoder import encode_netcdf
from sluice.engine import plan, prepare
from sluice.engine.file_answer import (
    FileAnswer,
    file_of,
    file_size,
    rows_excess,
    stream_memory,
)
from sluice.errors import SluiceError
from sluice.selection import Selection
from tests.engine.selections import selections
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples, as a server has one for all requests."""
    with asyncio.Runner() as running:
        yield running


async def taken(file: FileAnswer, start: int, stop: int, most_bytes: int) -> bytes:
    return b"".join([bytes(piece) async for piece in file.pieces(start, stop, most_bytes)])


@settings(deadline=None)
@given(spec=stores(), data=st.data())
def test_a_netcdf_file_in_pieces_is_the_file(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, any range of bytes, boxes of any size."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec)), reader=Reader()))
    except Exception:
        assume(False)
        raise
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


VARIANTS: list[tuple[str, tuple[tuple[str, object], ...]]] = [
    ("bin", ()),
    ("bin", (("pack", "f4"),)),
    ("bin", (("pack", "u1"), ("range", (-10.0, 40.0)))),
    ("npy", ()),
]


@settings(deadline=None)
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
    except Exception:
        assume(False)
        raise
    selection = data.draw(selections(opened), label="selection")
    try:
        planned = plan(prepare(opened), selection)
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


def test_wide_rows_of_chunks_are_read_in_parts(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No box has more than the window; where chunks would be decoded too often it is refused."""
    values = np.arange(64 * 10.0).reshape(64, 10)
    store = StoreSpec((ArraySpec("v", ("x", "y"), values, chunks=(32, 2)),))
    opened = runner.run(open_dataset(fs_map(documents_of(store)), reader=Reader()))
    planned, bin_format = plan(prepare(opened), Selection({})), ENCODERS["bin"].file
    assert bin_format is not None
    for module in ("boxes", "file_answer"):
        monkeypatch.setattr(f"sluice.engine.{module}.WINDOW_BYTES", 8 * 80)
    assert rows_excess(planned, bin_format) is None
    memory = stream_memory(planned, bin_format, 1)
    # Two boxes of eight rows, and all chunks that one of them touches.
    assert 2 * 8 * 80 <= memory <= 2 * 8 * 80 + 2 * 32 * 80
    file = runner.run(file_of(planned, bin_format, FragmentCache(opened)))
    whole = runner.run(taken(file, 0, file.size, 1))
    np.testing.assert_array_equal(load(whole)["v"], values)
    for module in ("boxes", "file_answer"):
        monkeypatch.setattr(f"sluice.engine.{module}.WINDOW_BYTES", 7 * 80)
    refused = rows_excess(planned, bin_format)
    assert refused is not None
    assert refused.facts["known"] == ["netcdf"]
    netcdf = ENCODERS["netcdf"].file
    assert netcdf is not None
    assert rows_excess(planned, netcdf) is None
