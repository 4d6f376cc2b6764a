"""Of a selection that is too large, the largest part that fits."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from sluice.datasets import open_dataset
from sluice.engine import ReadLimits, fitting, plan, prepare
from sluice.selection import Along, Label, Position, Positions, PositionSlice, Selection


@pytest.mark.parametrize(
    ("along", "chunks", "expected"),
    [
        ({}, 4, ("time", 40, 100)),
        ({"time": PositionSlice(90, None, -1)}, 4, ("time", 31, 91)),
        ({"time": Positions(tuple(range(0, 100, 10)))}, 4, ("time", 4, 10)),
        ({"time": Position(3)}, 0, None),
        ({"x": Label(5)}, 4, ("time", 40, 100)),
    ],
)
async def test_what_fits(
    along: dict[str, Along], chunks: int, expected: tuple[str, int, int] | None
) -> None:
    """Whole chunks are counted: with one position more another chunk would be read."""
    store = MemoryStore()
    data = xr.Dataset({"a": (("time", "x"), np.zeros((100, 10)))}, {"x": np.arange(10)})
    data.to_zarr(store, zarr_format=2, encoding={"a": {"chunks": (10, 10)}})
    limits = ReadLimits(chunks=chunks, chunk_bytes=10**9, result_bytes=10**9)
    whole = plan(prepare(await open_dataset(store)), Selection(along))
    found = fitting(whole, lambda less: limits.excess(less, less.schema.result_bytes) is None)
    assert expected == (found and (found.dimension, found.positions, found.size))
