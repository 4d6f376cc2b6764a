"""Integers of 64 bits in classic files: each is the one in the store, or the answer is refused."""

from __future__ import annotations

import asyncio
from tempfile import NamedTemporaryFile
from typing import Any

import netCDF4
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sluice.datasets import open_dataset
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine import plan, prepare
from sluice.engine.file_answer import file_of
from sluice.errors import NotAcceptable
from sluice.selection import PositionSlice, Selection
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map

CLASSIC = ENCODERS["netcdf3"]
# About the ends of what 32 bits, floats and 64 bits hold.
EDGES = [0, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64]


def numbers(dtype: str) -> st.SearchStrategy[int]:
    """Any of the type, most of them next to an edge."""
    limits = np.iinfo(dtype)
    near = [sign * edge + off for edge in EDGES for sign in (1, -1) for off in (-1025, -1, 0, 1)]
    edges = [number for number in near if limits.min <= number <= limits.max]
    few = st.integers(max(int(limits.min), -9), 9)
    return st.one_of(st.sampled_from(edges), few, st.integers(int(limits.min), int(limits.max)))


async def stored(spec: StoreSpec, options: tuple[tuple[str, object], ...], most: int) -> bytes:
    """The file as it is streamed of the first `most` values."""
    encoder = adapted(CLASSIC, options)
    opened = await open_dataset(fs_map(documents_of(spec)))
    planned = plan(prepare(opened), Selection({"x": PositionSlice(0, most)}))
    assert encoder.file is not None
    encoder.check(planned.schema)
    file = await file_of(planned, encoder.file, FragmentCache(opened))
    return b"".join([bytes(piece) async for piece in file.pieces(0, file.size)])


def as_meant(values: np.ndarray[Any, Any], attrs: dict[str, Any]) -> list[int]:
    """The numbers of a variable of the file, whatever type it has them in."""
    if attrs.get("_Unsigned") == "true":
        values = values.view(values.dtype.str.replace("i", "u"))
    assert values.dtype.kind in "iu" or not np.isnan(values).any()
    return [int(value) for value in values.tolist()]


def read(content: bytes) -> tuple[list[int], dict[str, Any]]:
    """The numbers of the one variable, and its attributes, by the C library: it wants a file."""
    with NamedTemporaryFile() as named:
        named.write(content)
        named.flush()
        with netCDF4.Dataset(named.name) as file:
            variable = file.variables["v"]
            variable.set_auto_maskandscale(False)
            told = {name: variable.getncattr(name) for name in variable.ncattrs()}
            return as_meant(np.asarray(variable[...]), told), told


@pytest.mark.parametrize("cdf5", [False, True])
@pytest.mark.parametrize("dtype", ["i8", "u8"])
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_every_integer_is_that_of_the_store(
    runner: asyncio.Runner, dtype: str, cdf5: bool, data: st.DataObject
) -> None:
    """With and without a fill value, which decodes as much as it did."""
    values = np.array(data.draw(st.lists(numbers(dtype), min_size=1, max_size=5)), dtype)
    fill = data.draw(st.one_of(st.none(), numbers(dtype), st.sampled_from(values.tolist())))
    attrs = {} if fill is None else {"_FillValue": fill}
    spec = StoreSpec((ArraySpec("v", ("x",), values, attrs),), zarr_format=3)
    most = data.draw(st.integers(1, len(values)))
    options = (("cdf5", True),) if cdf5 else ()
    try:
        content = runner.run(stored(spec, options, most))
    except NotAcceptable:
        event("refused")
        assert not cdf5
        return
    found, told = read(content)
    event("written")
    assert found == values[:most].tolist()
    if fill is not None:
        assert as_meant(np.asarray(told["_FillValue"]).reshape(1), told) == [fill]
    if cdf5:
        return
    # Never refused where an integer of 32 bits or a float holds all.
    assert all(-(2**31) <= n < 2**31 for n in found) or all(int(float(n)) == n for n in found)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_what_a_float_holds_is_not_refused(runner: asyncio.Runner, dtype: str) -> None:
    for values in ([1, 2**31 - 1], [0, 2**53], [2**62, 3], [2**32, 7]):
        spec = StoreSpec((ArraySpec("v", ("x",), np.array(values, dtype)),))
        content = runner.run(stored(spec, (), 2))
        assert read(content)[0] == values


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("i8", 2**53 + 1), ("i8", -(2**53) - 1), ("i8", 2**63 - 1), ("u8", 2**64 - 1)],
)
def test_what_no_type_of_cdf2_holds_is_refused(
    runner: asyncio.Runner, dtype: str, number: int
) -> None:
    """By name, and with where it can be had."""
    spec = StoreSpec((ArraySpec("v", ("x",), np.array([number, 1], dtype)),))
    with pytest.raises(NotAcceptable, match=r"v is .*cdf5=true"):
        runner.run(stored(spec, (), 2))
