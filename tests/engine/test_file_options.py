"""Files under options, and classic files: any part of the whole, and what a reader has of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import netCDF4
import pytest
import xarray as xr
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_encoder import encode_netcdf
from sluice.engine import plan, prepare
from sluice.engine.file_answer import FileAnswer, file_of
from sluice.errors import NotAcceptable, SluiceError
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


def read(content: bytes) -> tuple[xr.Dataset, set[str]]:
    """What xarray has of a file, by the C library, and the dimensions that can grow."""
    # On a disk: the library fails on short classic files in memory.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.nc"
        path.write_bytes(content)
        with netCDF4.Dataset(path) as file:
            grows = {name for name, dim in file.dimensions.items() if dim.isunlimited()}
            return xr.open_dataset(xr.backends.NetCDF4DataStore(file)).load(), grows


def form(data: st.DataObject, dims: list[str]) -> Encoder:
    """A format with some of its options."""
    name = data.draw(st.sampled_from(["netcdf", "netcdf3"]), label="format")
    most = 1 if name == "netcdf3" else 2
    unlimited = (
        data.draw(st.lists(st.sampled_from(dims), max_size=most, unique=True), label="unlimited")
        if dims
        else []
    )
    asked: list[tuple[str, object]] = [("unlimited", tuple(unlimited)), ("history", True)]
    if name == "netcdf3":
        asked.append(("cdf5", data.draw(st.booleans(), label="cdf5")))
    return adapted(ENCODERS[name], tuple(asked))


@settings(deadline=None, phases=[Phase.explicit, Phase.generate])
@given(spec=stores(), data=st.data())
def test_any_part_of_a_file_with_options_and_what_it_holds(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, any range of bytes, boxes of any size."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec)), reader=Reader()))
    except Exception:
        assume(False)
        raise
    selection = data.draw(selections(opened), label="selection")
    fragments = FragmentCache(opened, "sample")
    try:
        planned = plan(prepare(opened), selection)
        plain = encode_netcdf(runner.run(planned.as_stored().read()), fragments)
        theirs, _ = read(plain)
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    encoder = form(data, [str(dim) for dim in planned.schema.sizes])
    assert encoder.file is not None
    try:
        encoder.check(planned.schema)
        file = runner.run(file_of(planned, encoder.file, fragments))
    except NotAcceptable as refused:
        # Only what the classic formats lack: by name, and with what else there is.
        assert encoder.name == "netcdf3"
        assert refused.facts["known"] == ["netcdf"]
        return
    whole = runner.run(taken(file, 0, file.size, 10_000))
    assert len(whole) == file.size
    start = data.draw(st.integers(0, len(whole)), label="start")
    stop = data.draw(st.integers(start, len(whole)), label="stop")
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    assert runner.run(taken(file, start, stop, most_bytes)) == whole[start:stop]
    (ours, grows) = read(whole)
    history = ours.attrs.pop("history").splitlines()
    assert history[-1].startswith("sluice ")
    theirs.attrs.pop("history", None)
    if encoder.name == "netcdf":
        xr.testing.assert_identical(ours, theirs)
    else:
        xr.testing.assert_equal(ours, theirs)
    asked = dict(encoder.variant)["unlimited"]
    assert isinstance(asked, tuple)
    names = fragments.names(planned.schema.variables, planned.schema.coord_names).stored
    assert grows >= {names[dim] for dim in asked}
