"""Every path of every encoder writes one text: whole, in pieces, compressed, for each dtype."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sluice.encoders.codings import compressed
from sluice.encoders.table import ENCODERS
from sluice.errors import NotAcceptable
from tests.encoders.samples import DTYPES, cells

KINDS = [*DTYPES, "c8", "c16", "g", "StringDType", "bytes", "mixed"]
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
MIXED = st.one_of(st.none(), st.text(max_size=3), st.integers(), st.floats(), st.binary(max_size=3))


@contextmanager
def small_blocks() -> Iterator[None]:
    """Pieces of four values, so that arrays of a few are long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.encoders.json_pieces._BLOCK_VALUES", 4)
        patch.setattr("sluice.encoders.to_csv._BLOCK_ROWS", 4)
        yield


def arrays(kind: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays of any dtype that an answer can have."""
    match kind:
        case "StringDType":
            return cells("U3", shape).map(lambda texts: texts.astype(np.dtypes.StringDType()))
        case "bytes":
            return npst.arrays("O", shape, elements=st.binary(max_size=4))
        case "mixed":
            return npst.arrays("O", shape, elements=MIXED)
        case _:
            return cells(kind, shape)


@given(kind=st.sampled_from(KINDS), shape=SHAPES, drawn=st.data())
@settings(deadline=None, max_examples=400, derandomize=True)
def test_all_paths_write_the_same(kind: str, shape: tuple[int, ...], drawn: st.DataObject) -> None:
    """A long answer is the text of a short one, however it is sent."""
    values = np.asarray(drawn.draw(arrays(kind, shape)))
    dataset = xr.Dataset({"v": xr.Variable([f"d{n}" for n in range(values.ndim)], values)})
    for encoder in ENCODERS.values():
        try:
            whole = encoder.encode(dataset)
        except NotAcceptable:
            assert (encoder.name, values.dtype.kind) == ("netcdf", "c")
            continue
        with small_blocks():
            assert b"".join(encoder.pieces(dataset)) == whole
            packed = b"".join(compressed("gzip", encoder.pieces(dataset)))
            assert gzip.decompress(packed) == whole
            packed = b"".join(compressed("zstd", encoder.pieces(dataset)))
            assert zstandard.decompress(packed, len(whole) + 1) == whole
        if encoder.name == "json":
            json.loads(whole)
