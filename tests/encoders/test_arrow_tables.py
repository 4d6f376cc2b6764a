"""Arrow, Feather and Parquet have the rows of CSV, typed, and the same bytes each time."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cftime
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sluice.encoders.arrow_tables import ArrowRows
from sluice.encoders.encoder import Encoder, joined
from sluice.encoders.formats import ENCODERS, negotiate
from sluice.encoders.table_encoders import table_pieces_of
from sluice.encoders.tables import layout_of
from sluice.encoders.text_tables import TextRows
from sluice.errors import NotAcceptable, SluiceError
from tests.encoders.samples import datasets
from tests.encoders.test_csv_encoder import Plan, table

FORMATS = ["arrow", "feather", "parquet"]


def read(name: str, content: bytes) -> pa.Table:
    """The table as pyarrow reads it; texts plain."""
    if name == "parquet":
        return parquet.read_table(io.BytesIO(content))
    opened = pa.ipc.open_stream if name == "arrow" else pa.ipc.open_file
    found = opened(content).read_all()
    for number, field in enumerate(found.schema):
        if pa.types.is_dictionary(field.type):
            plain = found.column(number).cast(pa.string())
            found = found.set_column(number, field.with_type(pa.string()), plain)
    return found


def written(dataset: xr.Dataset) -> Iterator[tuple[str, pa.Table]]:
    """The dataset in each of the formats."""
    for name in FORMATS:
        yield name, read(name, ENCODERS[name].encode(dataset))


@contextmanager
def small(**sizes: int) -> Iterator[None]:
    """Batches of few rows, and few bytes of text."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            place = "arrow_columns" if name == "_KEPT_WORD_BYTES" else "arrow_tables"
            patch.setattr(f"sluice.encoders.{place}.{name}", size)
        yield


def in_batches(name: str, rows: int) -> Encoder:
    """The format in batches of so many rows."""
    encoder = ENCODERS[name]
    assert isinstance(encoder.rows, ArrowRows)
    pieces = table_pieces_of(replace(encoder.rows, batch_rows=rows))
    return replace(encoder, pieces=pieces, encode=joined(pieces))


def cube() -> xr.Dataset:
    """Each kind of column."""
    random = np.random.default_rng(0)
    values = random.normal(size=(4, 5, 6)).astype("f4")
    values[1, 2] = np.nan
    dates = [cftime.DatetimeNoLeap(2000, 2, day) for day in (1, 2, 3, 4)]
    return xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values, {"units": "K", "valid_range": [0.0, np.inf]}),
            "count": (("lon", "time", "lat"), random.integers(0, 99, (6, 4, 5)).astype("i2")),
            "half": (("time", "lat", "lon"), values.astype("f2")),
            "wave": (("lat", "time", "lon"), random.normal(size=(5, 4, 6)) + 1j),
            "is_sea": (("time", "lat", "lon"), values > 0),
        },
        {
            "time": np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(6, "h"),
            "lat": ("lat", np.linspace(90, -90, 5), {"units": "degrees_north"}),
            "name": ("lat", np.array(["a", "", 'b"', None, "é"], dtype=object)),
            "area": (("lat", "lon"), random.normal(size=(5, 6))),
            "height": 2.0,
            "run": ("time", np.array(dates), {}, {"calendar": "noleap"}),
            "lead": ("time", np.arange(4) * np.timedelta64(1, "h").astype("m8[ns]")),
        },
        {"title": "Würfel", "version": 3},
    )


def test_columns_are_typed() -> None:
    """Numbers are numbers, instants in UTC; dates of other calendars are text."""
    types = {
        "time": "timestamp[us, tz=UTC]",
        "lat": "double",
        "lon": "int64",
        "name": "string",
        "area": "double",
        "height": "double",
        "run": "string",
        "lead": "duration[ns]",
        "t": "float",
        "count": "int16",
        "half": "float",
        "wave": "struct<re: double, im: double>",
        "is_sea": "bool",
    }
    for _, found in written(cube()):
        assert {field.name: str(field.type) for field in found.schema} == types
    streamed = pa.ipc.open_stream(ENCODERS["arrow"].encode(cube())).schema
    assert str(streamed.field("name").type).startswith("dictionary<values=string, indices=int32")


def test_attributes_are_json() -> None:
    """Those of a variable stand at its field, those of the dataset at the schema."""
    for _, found in written(cube()):
        told = {f.name: json.loads((f.metadata or {}).get(b"attrs", b"{}")) for f in found.schema}
        assert told["t"] == {"units": "K", "valid_range": [0.0, None]}
        assert told["run"] == {"calendar": "noleap"}
        assert told["count"] == {}
        assert json.loads(found.schema.metadata[b"attrs"]) == {"title": "Würfel", "version": 3}
        assert json.loads(found.schema.metadata[b"dims"]) == ["time", "lat", "lon"]


@pytest.mark.parametrize("rows", [1, 7, 24, 100, 10_000])
def test_rows_are_those_of_pandas(rows: int) -> None:
    """In batches of any length, in the order of xarray's own table."""
    dataset = cube()
    expected = dataset.to_dataframe(dim_order=["time", "lat", "lon"]).reset_index()
    expected["run"] = expected["run"].map(lambda date: date.isoformat())
    for name in FORMATS:
        found = read(name, in_batches(name, rows).encode(dataset))
        waves = [complex(one["re"], one["im"]) for one in found["wave"].to_pylist()]
        np.testing.assert_array_equal(waves, expected.wave)
        assert found["name"].to_pylist() == [
            text if isinstance(text, str) else None for text in expected["name"]
        ]
        as_pandas = found.to_pandas()
        assert (as_pandas.time.dt.tz_localize(None) == expected.time).all()
        for other in set(found.column_names) - {"wave", "name", "time"}:
            np.testing.assert_array_equal(as_pandas[other], expected[other], err_msg=other)
        assert found["t"].null_count == 6


@given(dataset=datasets(), rows=st.sampled_from([1, 2, 5]))
@settings(deadline=None, max_examples=80, derandomize=True)
def test_cells_are_those_of_csv(dataset: xr.Dataset, rows: int) -> None:
    """Whatever is in it: as many rows, the same columns, missing where CSV is empty."""
    try:
        header, *lines = table(dataset)
    except (SluiceError, ValueError):
        assume(False)
        raise
    for name in FORMATS:
        encoder = in_batches(name, rows)
        content = encoder.encode(dataset)
        assert encoder.encode(dataset) == content
        found = read(name, content)
        assert found.column_names == header
        assert found.num_rows == (len(lines) if header else 0)
        assert found.schema.metadata[b"attrs"]
        for number, column in enumerate(found.columns):
            told = [line[number] for line in lines]
            for value, text in zip(column.to_pylist(), told, strict=True):
                assert same(value, text), (found.schema[number], value, text)


def same(value: object, text: str) -> bool:
    """Whether a value is what CSV says."""
    match value:
        case None:
            return text == ""
        case bool():
            return text == str(value).lower()
        case int() | float():
            # What is written has as many digits as the type in the store needs.
            return bool(np.isclose(float(text), float(value), rtol=1e-3))
        case str():
            return value == text
        case pd.Timedelta():
            return text.lstrip("-").startswith("P")
        case pd.Timestamp():
            return text.startswith(str(value)[:10])
        case _:
            return text != ""


def test_instants_keep_their_digits() -> None:
    """Microseconds, unless one of them needs more; seconds become milliseconds."""
    cases = {
        ("2024-01-01T00:00:00.000001", "ns"): "us",
        ("2024-01-01T00:00:00.000000001", "ns"): "ns",
        ("2024-01-01T00:00:00", "s"): "ms",
        ("2024-01-01", "D"): "ms",
        ("2024-01-01T00:00:00.5", "ms"): "ms",
    }
    for (text, unit), expected in cases.items():
        instants = np.array([text, "NaT"], f"M8[{unit}]")
        dataset = xr.Dataset({"seen": ("x", instants)})
        for _, found in written(dataset):
            assert str(found["seen"].type) == f"timestamp[{expected}, tz=UTC]"
            back = found["seen"].to_numpy()
            np.testing.assert_array_equal(back, instants.astype(back.dtype))


def test_instants_that_no_unit_holds_are_missing() -> None:
    """The year 140 billion has no milliseconds of 64 bits."""
    instants = np.array([2**62, 5], "i8").view("M8[s]")
    variable = xr.Variable("x", np.array([0, 0], "M8[s]"), fastpath=True)
    variable._data = instants
    for _, found in written(xr.Dataset({"seen": variable})):
        assert found["seen"].null_count == 1


def test_booleans_of_which_some_are_missing() -> None:
    """What the store has as booleans is boolean, whatever this answer has of it."""
    values = np.array([True, np.nan, False], dtype=object)
    variable = xr.Variable("x", values, {}, {"dtype": np.dtype("?")})
    for _, found in written(xr.Dataset({"v": variable})):
        assert found["v"].type == pa.bool_()
        assert found["v"].to_pylist() == [True, None, False]


def words(content: bytes) -> list[list[str]]:
    """The words that each batch of a stream has."""
    reader = pa.ipc.open_stream(content)
    return [batch.column("word").dictionary.to_pylist() for batch in reader]


def test_words_are_sent_once() -> None:
    """In the order of their rows; those that are known stay where they are."""
    texts = np.array(["b", "a", "b", None, "a", "c", "c", "b", "d"], dtype=object)
    content = in_batches("arrow", 3).encode(xr.Dataset({"word": ("x", texts)}))
    assert words(content) == [["b", "a"], ["b", "a", "c"], ["b", "a", "c", "d"]]
    assert read("arrow", content)["word"].to_pylist() == texts.tolist()


def test_many_words_are_not_kept() -> None:
    """So no stream needs memory for all words of its rows."""
    texts = np.array([f"word {number}" for number in range(9)], dtype=object)
    with small(_KEPT_WORD_BYTES=11):
        content = in_batches("arrow", 2).encode(xr.Dataset({"word": ("x", texts)}))
    assert [len(known) for known in words(content)] == [2, 2, 2, 2, 1]
    assert read("arrow", content)["word"].to_pylist() == texts.tolist()


@pytest.mark.parametrize("name", FORMATS)
def test_long_texts_make_short_batches(name: str) -> None:
    """However often a long text stands in the rows, one batch has few of them."""
    dataset = xr.Dataset(
        {"v": ("x", range(10))}, {"long": "x" * 100, "tag": ("x", list("abcdefghij"))}
    )
    with small(_BATCH_TEXT_BYTES=250):
        content = ENCODERS[name].encode(dataset)
    assert read(name, content)["long"].to_pylist() == ["x" * 100] * 10
    if name == "parquet":
        groups = parquet.read_metadata(io.BytesIO(content))
        counts = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    elif name == "feather":
        file = pa.ipc.open_file(content)
        counts = [file.get_batch(number).num_rows for number in range(file.num_record_batches)]
    else:
        counts = [batch.num_rows for batch in pa.ipc.open_stream(content)]
    assert counts == [3, 3, 3, 1]


def test_parquet_has_statistics() -> None:
    """By which readers pass over row groups."""
    content = in_batches("parquet", 40).encode(cube()[["t"]].drop_vars("name"))
    groups = parquet.read_metadata(io.BytesIO(content))
    assert groups.num_row_groups == 3
    index = [field.name for field in groups.schema].index("t")
    found = groups.row_group(0).column(index).statistics
    assert found.has_min_max
    assert found.null_count == groups.row_group(0).column(index).statistics.null_count


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("dataset", "shape"),
    [
        (xr.Dataset(), (0, 0)),
        (xr.Dataset({"t": ((), 1.5)}, {"where": "here"}), (1, 2)),
        (xr.Dataset({"t": (("x", "y"), np.zeros((0, 3)))}), (0, 3)),
        (xr.Dataset(coords={"x": [1, 2], "y": [3, 4, 5]}), (6, 2)),
    ],
)
def test_odd_shapes(name: str, dataset: xr.Dataset, shape: tuple[int, int]) -> None:
    """Nothing at all, one value, no rows, and coordinates alone."""
    found = read(name, ENCODERS[name].encode(dataset))
    assert (found.num_rows, found.num_columns) == shape


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_table_is_refused(name: str) -> None:
    """As CSV refuses it, with its own name."""
    apart = xr.Dataset({"a": ("x", [1.0]), "b": ("y", [1.0])})
    with pytest.raises(SluiceError, match=f"^{name.capitalize()} has one row per cell"):
        ENCODERS[name].check(Plan(apart))
    layout = layout_of(Plan(cube()), name)
    assert layout.count == 120
    assert not isinstance(ENCODERS[name].rows, TextRows)


def without_pyarrow(code: str) -> str:
    """What a Python prints that has no PyArrow."""
    hidden = (
        "import sys, importlib.metadata as m\n"
        "sys.modules['pyarrow'] = None\n"
        "found = m.version\n"
        "def version(name):\n"
        "    if name == 'pyarrow': raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.version = version\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_without_the_package_the_formats_say_so() -> None:
    """They are known; asked for by name they are refused in words, by media type passed over."""
    told = without_pyarrow(
        "from sluice.encoders.formats import ENCODERS, negotiate\n"
        "from sluice.encoders.encoder import with_package\n"
        "from sluice.errors import NotAcceptable\n"
        "print(negotiate(None, 'application/vnd.apache.parquet, text/csv;q=0.1').name)\n"
        "try: with_package(negotiate('parquet', None))\n"
        "except NotAcceptable as error: print(error.detail, error.facts)\n"
        "try: negotiate(None, 'application/vnd.apache.parquet')\n"
        "except NotAcceptable as error: print('parquet' in error.detail)\n"
    )
    first, second, third = told.splitlines()
    assert first == "csv"
    assert "f=parquet needs pyarrow" in second
    assert "'known': ['csv', 'ndjson']" in second
    assert third == "False"


def test_what_is_not_asked_for_is_not_loaded() -> None:
    """PyArrow takes a moment; pandas may load it by itself."""
    names = ["sluice.encoders.arrow_tables", "sluice.encoders.arrow_columns"]
    for name in names:
        with open(sys.modules[name].__file__ or "", encoding="utf-8") as file:
            lines = file.read().split("if TYPE_CHECKING:")[0].splitlines()
        assert not [line for line in lines if "pyarrow" in line and "import" in line]


def test_negotiation_names_them() -> None:
    """Each by its own media type."""
    for name in FORMATS:
        assert negotiate(None, ENCODERS[name].media_type).name == name
    facts: Mapping[str, Any] = {}
    try:
        negotiate(None, "text/html")
    except NotAcceptable as error:
        facts = error.facts
    assert {ENCODERS[name].essence for name in FORMATS} <= set(facts["known"])
