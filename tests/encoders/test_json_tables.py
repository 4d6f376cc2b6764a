"""NDJSON and lists by column say what CSV and JSON say."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings

from sluice.encoders.formats import ENCODERS
from sluice.encoders.tables import table_layout
from sluice.errors import NotAcceptable, SelectionError
from tests.encoders.samples import datasets
from tests.encoders.test_csv_encoder import Plan
from tests.encoders.test_json_encoder import strict

CSV, NDJSON, COLUMNS = (ENCODERS[name] for name in ("csv", "ndjson", "columns"))


def sample() -> xr.Dataset:
    return xr.Dataset(
        {"t": (("time", "lat"), np.array([[1.5, np.nan], [0.1, -2]], "f4"), {"units": "K"})},
        {
            "time": np.array(["2020-01-01", "2020-01-01T00:30"], "M8[ns]"),
            "station": ("lat", ['a,"b', ""]),
            "lat": ("lat", [10, 20], {"units": "degrees_north"}),
        },
    )


def test_bytes_of_a_few_lines() -> None:
    """An object per row with the columns of CSV; null where nothing is."""
    assert NDJSON.encode(sample()).decode() == (
        '{"time":"2020-01-01T00:00:00Z","lat":10,"station":"a,\\"b","t":1.5}\n'
        '{"time":"2020-01-01T00:00:00Z","lat":20,"station":"","t":null}\n'
        '{"time":"2020-01-01T00:30:00Z","lat":10,"station":"a,\\"b","t":0.1}\n'
        '{"time":"2020-01-01T00:30:00Z","lat":20,"station":"","t":-2.0}\n'
    )


def test_lists_by_column_and_their_units() -> None:
    """All of a column are together; what has units says them."""
    assert json.loads(COLUMNS.encode(sample())) == {
        "columns": {
            "time": ["2020-01-01T00:00:00Z"] * 2 + ["2020-01-01T00:30:00Z"] * 2,
            "lat": [10, 20, 10, 20],
            "station": ['a,"b', ""] * 2,
            "t": [1.5, None, 0.1, -2],
        },
        "units": {"lat": "degrees_north", "t": "K"},
    }


def test_pandas_reads_both() -> None:
    """As lines, and as a table of columns."""
    lines = pd.read_json(io.BytesIO(NDJSON.encode(sample())), lines=True)
    lists = pd.DataFrame(json.loads(COLUMNS.encode(sample()))["columns"])
    assert lines.t.tolist()[2:] == lists.t.tolist()[2:] == [0.1, -2]
    assert lines.columns.tolist() == lists.columns.tolist() == ["time", "lat", "station", "t"]


@pytest.mark.parametrize(
    ("dataset", "lines", "columns"),
    [
        (xr.Dataset(), [], {}),
        (xr.Dataset({"a": ("x", np.empty(0))}), [], {"x": [], "a": []}),
        (xr.Dataset({"a": np.nan}), [{"a": None}], {"a": [None]}),
        (xr.Dataset({"a": 1j}), [{"a": [0, 1]}], {"a": [[0, 1]]}),
        (xr.Dataset({'"\0': ("x", [2**63])}), [{"x": 0, '"\0': 2**63}], {"x": [0], '"\0': [2**63]}),
    ],
)
def test_odd_datasets(dataset: xr.Dataset, lines: list[Any], columns: dict[str, Any]) -> None:
    """Nothing is no row, numbers of two parts are pairs, and any name is a key."""
    assert [json.loads(line) for line in NDJSON.encode(dataset).splitlines()] == lines
    assert json.loads(COLUMNS.encode(dataset)) == {"columns": columns, "units": {}}


@given(datasets())
@settings(deadline=None, max_examples=150, derandomize=True)
def test_any_dataset_has_the_values_of_json(dataset: xr.Dataset) -> None:
    """Whatever the dtypes: each value is that of the JSON format, in the row where it belongs."""
    try:
        layout = table_layout(dataset.variables, set(dataset.coords), dataset.sizes)
    except SelectionError:
        for encoder in (NDJSON, COLUMNS):
            with pytest.raises(SelectionError):
                encoder.encode(dataset)
        return
    rows = [strict(line + b"\n") for line in NDJSON.encode(dataset).split(b"\n") if line]
    lists = strict(COLUMNS.encode(dataset))["columns"]
    document = strict(ENCODERS["json"].encode(dataset))
    values = document["coords"] | document["data_vars"]
    assert len(rows) == layout.count
    for number, cell in enumerate(np.ndindex(layout.shape) if layout.columns else ()):
        assert list(rows[number]) == list(lists) == [column.header for column in layout.columns]
        where = dict(zip(layout.dims, cell, strict=True))
        for column in layout.columns:
            found: Any = where[column.dims[0]] if column.variable is None else None
            if column.variable is not None:
                found = values[str(column.variable)]["data"]
                for dim in column.dims:
                    found = found[where[dim]]
            assert rows[number][column.header] == lists[column.header][number] == found


def headers(options: dict[str, object], dataset: xr.Dataset) -> list[str]:
    assert CSV.adapt is not None
    text = CSV.adapt(CSV, options).encode(dataset).decode()
    return next(csv.reader(io.StringIO(text, newline="")))


def test_units_stand_behind_the_names_of_csv() -> None:
    """Those that are text, and not empty."""
    dataset = sample().assign(u=sample().t * 2, v=sample().t * 3)
    dataset.u.attrs["units"] = 1
    dataset.v.attrs["units"] = 'say "m", s-1'
    assert headers({"header": "units"}, dataset) == [
        "time", "lat (degrees_north)", "station", "t (K)", "u", 'v (say "m", s-1)'
    ]  # fmt: skip
    assert headers({"header": "names"}, dataset) == ["time", "lat", "station", "t", "u", "v"]


def test_a_byte_order_mark_is_there_on_request_alone() -> None:
    """Excel takes the text for UTF-8 then; what follows is the same."""
    assert CSV.adapt is not None
    marked = CSV.adapt(CSV, {"bom": True}).encode(sample())
    assert marked == b"\xef\xbb\xbf" + CSV.encode(sample())
    assert CSV.adapt(CSV, {"bom": False}).encode(sample()) == CSV.encode(sample())


@pytest.mark.filterwarnings("ignore:Duplicate dimension")
@pytest.mark.parametrize(
    ("encoder", "name"), [(CSV, "CSV"), (NDJSON, "NDJSON"), (COLUMNS, "JSON by column")]
)
def test_refusals_name_the_format(encoder: Any, name: str) -> None:
    """Whoever asked for one reads of that one."""
    apart = xr.Dataset({"a": ("x", [1.0]), "b": ("y", [1.0])})
    with pytest.raises(SelectionError, match=f"^{name} has one row per cell"):
        encoder.check(Plan(apart))
    with pytest.raises(NotAcceptable, match=f"which {name} cannot say"):
        encoder.check(Plan(xr.Dataset({"a": (("x", "x"), np.ones((2, 2)))})))
