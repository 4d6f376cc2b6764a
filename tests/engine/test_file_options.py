"""Files under options, and classic files: any part of the whole, and what a reader has of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sluice.arrays.reader import Reader
from sluice.datasets import open_dataset
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_encoder import encode_netcdf
from sluice.engine import Plan, cells_excess, file_costs, plan, prepare, write_deflated
from sluice.engine.file_answer import FileAnswer, file_of
from sluice.errors import NotAcceptable, SluiceError
from sluice.scheduler import Threads
from sluice.selection import Selection
from tests.engine.selections import selections
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


async def taken(file: FileAnswer, start: int, stop: int, most_bytes: int) -> bytes:
    return b"".join([bytes(piece) async for piece in file.pieces(start, stop, most_bytes)])


class Buffer:
    """A file in memory."""

    def __init__(self) -> None:
        self.content = bytearray()

    @property
    def size(self) -> int:
        return len(self.content)

    async def write(self, content: bytes | memoryview) -> None:
        self.content += content

    async def put(self, content: bytes, place: int) -> None:
        self.content[place : place + len(content)] = content


async def deflated(file: FileAnswer) -> bytes:
    buffer = Buffer()
    await write_deflated(file, buffer, Threads(2, None))
    return bytes(buffer.content)


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
    some = st.lists(st.sampled_from(dims), max_size=2, unique=True) if dims else st.just([])
    unlimited = data.draw(some, label="unlimited")
    asked: list[tuple[str, object]] = [("unlimited", tuple(unlimited)), ("history", True)]
    if name == "netcdf" and data.draw(st.booleans(), label="compression"):
        asked.append(("compression", "zlib"))
    if name == "netcdf3":
        asked.append(("cdf5", data.draw(st.booleans(), label="cdf5")))
    return adapted(ENCODERS[name], tuple(asked))


def file_in(
    runner: asyncio.Runner, planned: Plan, encoder: Encoder, fragments: FragmentCache
) -> FileAnswer | None:
    """The file in this format; None for what classic ones lack, which they say by name."""
    assert encoder.file is not None
    try:
        encoder.check(planned.schema)
        return runner.run(file_of(planned, encoder.file, fragments))
    except NotAcceptable as refused:
        if encoder.name == "netcdf3" and refused.facts["known"] == ["netcdf"]:
            return None
        raise


def checked(runner: asyncio.Runner, file: FileAnswer, data: st.DataObject) -> bytes:
    """The whole file, of which any part is a part, or which is the same each time it is made."""
    if file.content.settled is not None:
        whole = runner.run(deflated(file))
        assert runner.run(deflated(file)) == whole
        return whole
    whole = runner.run(taken(file, 0, file.size, 10_000))
    assert len(whole) == file.size
    start = data.draw(st.integers(0, len(whole)), label="start")
    stop = data.draw(st.integers(start, len(whole)), label="stop")
    most_bytes = data.draw(st.sampled_from([1, 16, 100, 10_000]), label="bytes")
    assert runner.run(taken(file, start, stop, most_bytes)) == whole[start:stop]
    return whole


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_any_part_of_a_file_with_options_and_what_it_holds(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selection from any store, any range of bytes, boxes of any size."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec)), reader=Reader()))
        planned = plan(prepare(opened), data.draw(selections(opened), label="selection"))
        fragments = FragmentCache(opened, "sample")
        plain = encode_netcdf(runner.run(planned.as_stored().read()), fragments)
        theirs, _ = read(plain)
    except (SluiceError, ValueError, TypeError, OverflowError):
        assume(False)
        raise
    encoder = form(data, [str(dim) for dim in planned.schema.sizes])
    file = file_in(runner, planned, encoder, fragments)
    if file is None:
        return
    whole = checked(runner, file, data)
    ours, grows = read(whole)
    assert ours.attrs.pop("history").splitlines()[-1].startswith("sluice ")
    theirs.attrs.pop("history", None)
    if encoder.name == "netcdf":
        xr.testing.assert_identical(ours, theirs)
    else:
        xr.testing.assert_equal(ours, theirs)
    schema = planned.schema
    dims = [dim for variable in schema.variables.values() for dim in variable.dims]
    names = fragments.names.covering([*schema.variables, *dims], schema.coord_names).stored
    assert grows.issuperset([names[dim] for dim in asked_of(encoder)])


def asked_of(encoder: Encoder) -> tuple[str, ...]:
    """The dimensions that are to grow."""
    asked = dict(encoder.variant)["unlimited"]
    assert isinstance(asked, tuple)
    return asked


EMPTY = StoreSpec(
    (
        ArraySpec("time", ("time",), np.zeros(0, "i4")),
        ArraySpec("x", ("x",), np.arange(5, dtype="i4")),
        ArraySpec("t", ("time", "x"), np.zeros((0, 5), "f4")),
    )
)


@pytest.mark.parametrize(
    "asked",
    [
        (("compression", "zlib"),),
        (("unlimited", ("time",)),),
        (("compression", "zlib"), ("unlimited", ("time",))),
    ],
)
def test_a_dimension_without_positions_is_written_in_chunks(
    runner: asyncio.Runner, asked: tuple[tuple[str, object], ...]
) -> None:
    """A store that nobody has filled yet is a file that can be filled, whatever its options."""
    opened = runner.run(open_dataset(fs_map(documents_of(EMPTY)), reader=Reader()))
    planned, encoder = plan(prepare(opened), Selection()), adapted(ENCODERS["netcdf"], asked)
    assert encoder.file is not None
    assert cells_excess(planned, encoder.file) is None
    assert file_costs(planned, encoder.file).chunks == 0
    file = runner.run(file_of(planned, encoder.file, FragmentCache(opened, "sample")))
    whole = deflated(file) if file.content.settled is not None else taken(file, 0, file.size, 100)
    ours, grows = read(runner.run(whole))
    assert (ours["t"].shape, ours["t"].dtype, grows) == ((0, 5), np.dtype("f4"), {"time"})
