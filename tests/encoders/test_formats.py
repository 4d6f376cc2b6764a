"""Which format a client gets; every path of every encoder writes one text, for each dtype."""

from __future__ import annotations

import gzip
import json
import tracemalloc
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
from numpy.typing import NDArray

from sluice.encoders.formats import ENCODERS, compress_pieces, negotiate
from sluice.errors import NotAcceptable, QueryError, SluiceError
from tests.encoders.samples import DTYPES, cells
from tests.encoders.test_csv_encoder import Plan


@pytest.mark.parametrize(
    ("f", "accept", "name"),
    [
        (None, None, "json"),
        (None, "", "json"),
        (None, "*/*", "json"),
        (None, "application/*", "json"),
        (None, "application/netcdf", "netcdf"),
        (None, "APPLICATION/NetCDF", "netcdf"),
        (None, "application/x-netcdf", "netcdf"),
        (None, "application/json;q=0.5, application/netcdf", "netcdf"),
        (None, "application/json;q=0.5, application/netcdf;q=0.4", "json"),
        (None, "application/json;q=0, */*;q=0.1", "netcdf"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        (None, "application/netcdf;profile=a;q=1.0, */*; q=0.9", "netcdf"),
        ("netcdf", "application/json", "netcdf"),
        ("json", "application/netcdf", "json"),
        ("netcdf", "text/html", "netcdf"),
        (None, "text/csv", "csv"),
        (None, "text/csv;charset=utf-8", "csv"),
        (None, "text/*", "csv"),
        (None, "text/html, text/*;q=0.1", "csv"),
        (None, "text/csv, application/json", "json"),
        (None, "application/*;q=0.5, text/csv;q=0.6", "csv"),
        ("csv", "application/json", "csv"),
        (None, "application/x-ndjson", "ndjson"),
        (None, "application/jsonl, */*;q=0.1", "ndjson"),
        (None, "image/png", "png"),
        (None, "image/avif,image/webp,image/*;q=0.8,*/*;q=0.5", "png"),
        (None, "text/html,image/avif,image/png,image/svg+xml,*/*;q=0.8", "json"),
        (None, "application/octet-stream", "bin"),
        (None, "application/vnd.sluice.tensors", "bin"),
        (None, "application/vnd.apache.arrow.stream", "arrow"),
        (None, "application/vnd.apache.arrow.file, text/csv;q=0.5", "feather"),
        (None, "application/x-parquet", "parquet"),
        (None, "application/vnd.apache.parquet;q=0.9, */*;q=0.1", "parquet"),
    ],
)
def test_negotiation(f: str | None, accept: str | None, name: str) -> None:
    """`f` wins, then the header's preference, then JSON."""
    assert negotiate(f, accept).name == name


@pytest.mark.parametrize("accept", [None, "*/*"])
def test_who_asks_for_nothing_gets_the_first_format(accept: str | None) -> None:
    """Of those that are offered, which need not have JSON among them."""
    assert negotiate(None, accept, {"csv": ENCODERS["csv"]}).name == "csv"


def test_unknown_format() -> None:
    """An unknown `f` is answered with the known ones."""
    with pytest.raises(QueryError) as caught:
        negotiate("xml", None)
    assert caught.value.facts == {"parameter": "f", "known": list(ENCODERS)}


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "x;q=maybe"])
def test_unsatisfiable_accept(accept: str) -> None:
    """When nothing is acceptable the error names what there is."""
    with pytest.raises(NotAcceptable) as caught:
        negotiate(None, accept)
    assert caught.value.facts["known"] == [encoder.essence for encoder in ENCODERS.values()]


@given(st.one_of(st.text(), st.text(alphabet="application/jsnetcdfvx*;q=.01, ")))
def test_any_header_is_negotiated_or_refused(accept: str) -> None:
    """No header breaks the negotiation."""
    try:
        encoder = negotiate(None, accept)
    except NotAcceptable:
        encoder = ENCODERS["json"]
    assert encoder.name in ENCODERS


LONG = 70_000
INSTANTS = np.datetime64("2020-01-01", "ms") + np.arange(LONG)
RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(size=LONG).astype("f4"),
        RANDOM.normal(size=(2, 5, 7000)).astype(">f8"),
        RANDOM.normal(size=(7000, 2, 5)).astype("f2"),
        np.where(RANDOM.random((3, LONG)) < 0.5, np.nan, np.inf),
        RANDOM.integers(-5, 5, (1, LONG), "i8"),
        RANDOM.random((LONG, 1)) < 0.5,
        RANDOM.normal(size=(LONG, 2)).astype("c8")[:, ::2],
        INSTANTS.astype("M8[s]").astype("M8[ns]"),
        INSTANTS,
        INSTANTS - INSTANTS[0],
        np.where(np.arange(LONG) % 7, INSTANTS.astype("M8[h]"), np.datetime64("NaT", "h")),
        INSTANTS.astype("M8[D]").reshape(2, -1),
        np.array(["a", "\ud800", "", "b,c"] * (LONG // 4), "O").reshape(-1, 4),
        np.zeros((0, LONG)),
        np.array(1.5),
    ],
    ids=lambda values: f"{values.dtype}-{values.shape}",
)
def test_pieces_are_the_whole(values: NDArray[Any]) -> None:
    """Whatever the dtype and shape: written in pieces, an answer is byte for byte the same."""
    dims = tuple("abc"[: values.ndim])
    dataset = xr.Dataset({"v": (dims, values), "one": ((), 1)}, {"where": ((), "here")}, {"x": 1})
    for name, encoder in ENCODERS.items():
        answer = dataset if name in ("json", "netcdf", "bin") else dataset[["v"]]
        try:
            encoder.check(Plan(answer))
        except SluiceError:
            assert name in ("npy", "png", "netcdf3") or values.dtype.kind == "c"
            continue
        pieces = list(encoder.pieces(answer))
        assert b"".join(pieces) == encoder.encode(answer)
        assert max(map(len, pieces)) < 4 * 2**20


@pytest.mark.parametrize("name", ["json", "netcdf", "csv", "ndjson", "columns", "bin", "npy"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "?"])
def test_an_answer_takes_no_more_memory_than_is_planned_for_it(name: str, dtype: str) -> None:
    """Values and pieces together, at their most, are within `forms` of what the answer counts."""
    # So many that a block of rows or values is a small part of them.
    values = RANDOM.normal(size=(20 if name in ("json", "netcdf") else 4, 250, 250)) * 10 + 280
    dataset = xr.Dataset({"v": (("a", "b", "c"), values.astype(dtype))})
    encoder = ENCODERS[name]
    encoder.encode(dataset.isel(a=0))  # what is made once, such as imports
    planned = encoder.forms * encoder.value_bytes(Plan(dataset))
    tracemalloc.start()
    try:
        pieces = list(encoder.pieces(dataset))
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(map(len, pieces)) > 0
    assert planned / 8 < taken + dataset.nbytes < planned


KINDS = [*DTYPES, "c8", "c16", "g", "StringDType", "bytes", "mixed"]
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
MIXED = st.one_of(st.none(), st.text(max_size=3), st.integers(), st.floats(), st.binary(max_size=3))


@contextmanager
def small_blocks() -> Iterator[None]:
    """Pieces of four values, so that arrays of a few are long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.encoders.json_encoder._BLOCK_VALUES", 4)
        patch.setattr("sluice.encoders.text_tables._BLOCK_ROWS", 4)
        patch.setattr("sluice.encoders.table_encoders._BLOCK_ROWS", 4)
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


def _is_too_wide(values: np.ndarray[Any, Any]) -> bool:
    """Whether these are integers of which some have no float64."""
    return values.dtype.kind in "iu" and any(int(float(n)) != n for n in map(int, values.flat))


@given(kind=st.sampled_from(KINDS), shape=SHAPES, drawn=st.data())
@settings(deadline=None, max_examples=400, derandomize=True)
def test_all_paths_write_the_same(kind: str, shape: tuple[int, ...], drawn: st.DataObject) -> None:
    """A long answer is the text of a short one, however it is sent."""
    values = np.asarray(drawn.draw(arrays(kind, shape)))
    dataset = xr.Dataset({"v": xr.Variable([f"d{n}" for n in range(values.ndim)], values)})
    for encoder in ENCODERS.values():
        try:
            whole = encoder.encode(dataset)
        except SluiceError:
            told = encoder.name, values.dtype.kind
            assert (
                told[0] in ("npy", "png")
                or told in (("netcdf", "c"), ("netcdf3", "c"))
                or (told[0] == "netcdf3" and (0 in values.shape or _is_too_wide(values)))
            )
            continue
        with small_blocks():
            assert b"".join(encoder.pieces(dataset)) == whole
            if encoder.coded:
                packed = b"".join(compress_pieces("gzip", encoder.pieces(dataset)))
                assert gzip.decompress(packed) == whole
                packed = b"".join(compress_pieces("zstd", encoder.pieces(dataset)))
                assert zstandard.decompress(packed, len(whole) + 1) == whole
        if encoder.name == "json":
            json.loads(whole)
