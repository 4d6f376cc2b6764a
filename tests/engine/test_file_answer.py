"""A NetCDF file in pieces, from anywhere to anywhere, has the bytes of the file made at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.encoders.formats import ENCODERS
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_encoder import encode_netcdf
from sluice.engine import plan, prepare
from sluice.engine.file_answer import FileAnswer, file_of
from sluice.errors import SluiceError
from tests.engine.selections import selections
from tests.equivalence.strategies import stores
from tests.stores import StoreSpec, documents_of, fs_map

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
def test_a_file_in_pieces_is_the_file(
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
