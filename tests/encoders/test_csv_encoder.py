"""CSV that pandas and the csv module read back; rows, columns and refusals before it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sluice.encoders.formats import ENCODERS
from sluice.encoders.json_encoder import encode_json
from sluice.encoders.tables import table_layout, table_weight
from sluice.errors import NotAcceptable, SelectionError
from sluice.labels import format_text
from tests.encoders.samples import DTYPES, cells, datasets
from tests.encoders.test_json_encoder import strict

CSV = ENCODERS["csv"]
encode_csv, check_csv = CSV.encode, CSV.check


@dataclass(frozen=True)
class Plan:
    """What a plan tells of its answer, from a dataset."""

    dataset: xr.Dataset

    @property
    def variables(self) -> Any:
        return self.dataset.variables

    @property
    def coord_names(self) -> set[Any]:
        return set(self.dataset.coords)

    @property
    def sizes(self) -> Any:
        return self.dataset.sizes

    @property
    def result_bytes(self) -> int:
        return self.dataset.nbytes

    @property
    def attribute_bytes(self) -> int:
        return 0


def headers(dataset: xr.Dataset) -> list[str]:
    """The names of the columns."""
    plan = Plan(dataset)
    return [c.header for c in table_layout(plan.variables, plan.coord_names, plan.sizes).columns]


def box(*shape: int, dtype: str = "f8") -> xr.Variable:
    return xr.Variable(["time", "lat", "lon"][: len(shape)], np.zeros(shape, dtype))


def test_coordinates_come_first() -> None:
    """Dimensions in their order, then other coordinates, then the variables."""
    dataset = xr.Dataset(
        {"t": box(2, 3)},
        {
            "height": 2.0,
            "area": (("time", "lat"), np.ones((2, 3))),
            "lat": [1, 2, 3],
            "time": [5, 6],
        },
    )
    assert headers(dataset) == ["time", "lat", "height", "area", "t"]


def test_positions_where_there_is_no_coordinate() -> None:
    """Each dimension says where a row is."""
    assert headers(xr.Dataset({"t": box(2, 3)})) == ["time", "lat", "t"]


def test_coordinates_along_other_dimensions_are_left_out() -> None:
    """A coordinate that would multiply the rows is no column, as in ``ds[name]``."""
    dataset = xr.Dataset({"t": box(2)}, {"edges": ("edge", [1, 2, 3])})
    assert headers(dataset) == ["time", "t"]


def test_shared_dimensions_in_any_order_are_shared() -> None:
    """Two variables over the same dimensions in another order fit in one table."""
    dataset = xr.Dataset({"a": box(2, 3), "b": (("lat", "time"), np.zeros((3, 2)))})
    assert headers(dataset) == ["time", "lat", "a", "b"]


def test_unshared_dimensions_name_their_groups() -> None:
    """The refusal says which variables go together and how to ask for them."""
    dataset = xr.Dataset({"a": box(2), "b": box(2, 3), "c": box(2), "crs": ((), 0)})
    with pytest.raises(
        SelectionError, match=r"a, c along time; .*crs along no.*variables=a"
    ) as caught:
        check_csv(Plan(dataset))
    assert caught.value.facts == {
        "groups": [
            {"dims": ["time"], "variables": ["a", "c"]},
            {"dims": ["time", "lat"], "variables": ["b"]},
            {"dims": [], "variables": ["crs"]},
        ]
    }


def test_a_refusal_stays_short() -> None:
    """However many variables there are, the sentence is one that can be read."""
    many = {f"v{n}": (f"d{n % 40}", [1.0]) for n in range(400)}
    with pytest.raises(SelectionError) as caught:
        check_csv(Plan(xr.Dataset(many)))
    assert len(caught.value.detail) < 500
    assert len(caught.value.facts["groups"]) == 40


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        (xr.Dataset({"t": box(10, 20, dtype="u1")}), 10 * 20 * 3 * 8),
        (xr.Dataset({"t": box(10)}, {f"c{n}": n for n in range(90)}), 10 * 92 * 8),
        (xr.Dataset({"t": box(10)}, {"long": "x" * 100}), 10 * (2 * 8 + 100)),
        (xr.Dataset(coords={"x": range(1000), "y": range(1000)}), 1000 * 1000 * 2 * 8),
        (xr.Dataset({"t": 1.0}, {"left_out": ("x", np.zeros(50))}), 51 * 8),
        (xr.Dataset(), 0),
    ],
)
def test_csv_counts_every_cell(dataset: xr.Dataset, size: int) -> None:
    """A value that is repeated in every row counts in every row."""
    assert table_weight(Plan(dataset)) == size


def test_json_counts_single_bytes_twice() -> None:
    """No dtype's text is longer than six times what it counts for."""
    worst: dict[str, Any] = {
        "?": False,
        "i1": -100,
        "u1": 255,
        "i2": -30000,
        "f4": -1.2345679e-38,
        "f8": -1.2345678901234567e-300,
        "i8": -(2**63),
        "f2": -6.104e-05,
        "M8[ns]": np.datetime64("2020-01-01T00:00:00.123456789"),
    }
    for dtype, value in worst.items():
        dataset = xr.Dataset({"v": ("x", np.full(1000, value, dtype))})
        assert len(ENCODERS["json"].encode(dataset)) < 6.2 * ENCODERS["json"].value_bytes(
            Plan(dataset)
        )


def test_netcdf_counts_what_is_in_memory() -> None:
    """NetCDF is no larger than the answer itself."""
    assert ENCODERS["netcdf"].value_bytes(Plan(xr.Dataset({"t": box(3, dtype="i2")}))) == 6


@pytest.mark.parametrize("values", [np.ones(3, "c8"), np.complex128(1)])
def test_netcdf_refuses_complex_numbers_unread(values: Any) -> None:
    """Complex variables and coordinates are refused by their dtype, naming formats that can."""
    variable = xr.Variable(["x"][: values.ndim], values)
    for dataset in (xr.Dataset({"z": variable}), xr.Dataset(coords={"z": variable})):
        with pytest.raises(NotAcceptable) as caught:
            ENCODERS["netcdf"].check(Plan(dataset))
        known = ["json", "csv", "ndjson", "columns", "bin", "npy"]
        assert caught.value.facts == {"variable": "z", "known": known}


@pytest.mark.parametrize("name", ["json", "csv", "ndjson", "columns", "bin", "npy"])
def test_other_formats_take_complex_numbers(name: str) -> None:
    """The formats that a refusal names do hold what was refused."""
    ENCODERS[name].check(Plan(xr.Dataset({"z": ((), 1j)})))


@pytest.mark.parametrize(
    ("dataset", "fault"),
    [
        (xr.Dataset({"a": box(2), "b": box(2, 3)}), SelectionError),
        (xr.Dataset({"a": box(2), "b": box(2)}), None),
    ],
)
@pytest.mark.parametrize("act", [check_csv, lambda plan: ENCODERS["csv"].encode(plan.dataset)])
def test_encoding_refuses_what_the_check_refuses(
    act: Callable[[Plan], Any], dataset: xr.Dataset, fault: type[Exception] | None
) -> None:
    """Whoever encodes without asking first gets the same refusal."""
    if fault is None:
        act(Plan(dataset))
    else:
        with pytest.raises(fault):
            act(Plan(dataset))


NUMBERS = [d for d in DTYPES if np.dtype("O" if d == "cftime" else d).kind in "iuf"]
wordings = st.text(st.sampled_from('a,"\r\n \té=+-@\0;\ud800'), max_size=6)
modestly = settings(deadline=None, max_examples=150, derandomize=True)


def table(dataset: xr.Dataset) -> list[list[str]]:
    """Header and rows as the csv module reads them, which takes nothing but RFC 4180 here."""
    text = encode_csv(dataset).decode()
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def column(values: Any, dtype: Any = None) -> list[str]:
    """The fields of one variable beside a column of positions."""
    array = np.asarray(values, dtype)
    return [row[-1] for row in table(xr.Dataset({"v": ("x", array)}))[1:]]


def frame(dataset: xr.Dataset, **options: Any) -> pd.DataFrame:
    """What pandas makes of it."""
    found: pd.DataFrame = pd.read_csv(io.BytesIO(encode_csv(dataset)), **options)
    return found


def test_bytes_of_a_small_table() -> None:
    """Header, CRLF, coordinates first, one row per cell, the last dimension fastest."""
    dataset = xr.Dataset(
        {"t": (("time", "lat"), np.array([[1.5, np.nan], [0.1, -2]], "f4"))},
        {
            "time": np.array(["2020-01-01", "2020-01-01T00:30"], "M8[ns]"),
            "station": ("lat", ["a,b", ""]),
            "lat": [10, 20],
            "height": 2.0,
        },
    )
    assert encode_csv(dataset).decode() == (
        "time,lat,station,height,t\r\n"
        '2020-01-01T00:00:00Z,10,"a,b",2.0,1.5\r\n'
        '2020-01-01T00:00:00Z,20,"",2.0,\r\n'
        '2020-01-01T00:30:00Z,10,"a,b",2.0,0.1\r\n'
        '2020-01-01T00:30:00Z,20,"",2.0,-2.0\r\n'
    )


@pytest.mark.parametrize(
    ("values", "dtype", "fields"),
    [
        ([0.1, np.nan, np.inf, -np.inf], "f8", ["0.1", "", "inf", "-inf"]),
        ([0.1, np.nan, 1e22], "f4", ["0.1", "", "1e+22"]),
        ([0.1, np.inf], "f2", ["0.1", "inf"]),
        ([0.5, np.nan], np.longdouble, ["0.5", ""]),
        ([2**64 - 1], "u8", [str(2**64 - 1)]),
        ([True, False], "?", ["true", "false"]),
        ([1.5 - 2j, 1j, complex(np.nan, 1), complex(1, -np.inf)], "c16",
         ["1.5-2.0i", "0.0+1.0i", "", "1.0-infi"]),
        (["2020-01-01", "NaT"], "M8[ns]", ["2020-01-01T00:00:00Z", ""]),
        (["2020-01-01", "2020-01-01T00:00:00.5"], "M8[ns]",
         ["2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00.500Z"]),
        ([36, "NaT", 0], "m8[h]", ["P1DT12H", "", "PT0S"]),
        ([b"ab", b"\xff\xfe"], "S2", ["ab", "base64url:__4="]),
        (["=1+1", "-a", "@b", " c "], "U5", ["=1+1", "-a", "@b", " c "]),
        (["a", None, np.nan, 3, 0.5, np.inf, True, [1, None], {"k": 1}, 2**70, 1j], "O",
         ["a", "", "", "3", "0.5", "inf", "true", "[1,null]", '{"k":1}', str(2**70), "0.0+1.0i"]),
        ([pd.NA, pd.NaT, np.datetime64("NaT", "s")], "O", ["", "", ""]),
        ([(1, 2.5)], "i4,f8", ["[1,2.5]"]),
    ],
)  # fmt: skip
def test_fields(values: Any, dtype: Any, fields: list[str]) -> None:
    """Each dtype is written as JSON writes it; what is missing is empty."""
    assert column(values, dtype) == fields


def test_an_empty_string_is_not_a_missing_one() -> None:
    """A missing string is an empty field, an empty string a pair of quotes."""
    assert encode_csv(xr.Dataset({"v": ("x", np.array(["", None], "O"))})) == (
        b'x,v\r\n0,""\r\n1,\r\n'
    )


def test_calendar_dates() -> None:
    """cftime dates are ISO 8601 without a zone."""
    dates = [cftime.Datetime360Day(2020, 2, 30), cftime.Datetime360Day(2020, 3, 1, 6)]
    assert column(np.array(dates)) == ["2020-02-30T00:00:00", "2020-03-01T06:00:00"]


def test_text_in_any_width() -> None:
    """NumPy's variable-width strings are text like any other."""
    assert column(np.array(["a", "b,c"], np.dtypes.StringDType())) == ["a", "b,c"]


def test_names_are_quoted_like_fields() -> None:
    """A name with a comma, a quote or nothing in it is still one column."""
    dataset = xr.Dataset({'a,"b"': ("x y", [1]), "": ("x y", [2])})
    assert table(dataset) == [["x y", 'a,"b"', ""], ["0", "1", "2"]]


@pytest.mark.parametrize(
    ("dataset", "rows"),
    [
        (xr.Dataset({"a": 1, "b": "x"}, {"c": 2.5}), [["c", "a", "b"], ["2.5", "1", "x"]]),
        (xr.Dataset(coords={"c": 2.5}), [["c"], ["2.5"]]),
        (xr.Dataset(coords={"x": [1, 2]}), [["x"], ["1"], ["2"]]),
        (
            xr.Dataset(coords={"x": [1, 2], "y": [3, 4]}),
            [["x", "y"], ["1", "3"], ["1", "4"], ["2", "3"], ["2", "4"]],
        ),
        (xr.Dataset({"a": np.nan}), [["a"], [""]]),
        (xr.Dataset({"a": ("x", [])}, {"x": np.empty(0, "M8[ns]")}), [["x", "a"]]),
        (xr.Dataset({"a": (("x", "y"), np.empty((3, 0)))}), [["x", "y", "a"]]),
        (xr.Dataset(), [[]]),
    ],
)
def test_odd_datasets(dataset: xr.Dataset, rows: list[list[str]]) -> None:
    """Scalars are one row, coordinates alone are rows, no positions are no rows."""
    assert table(dataset) == rows


def test_other_orders_of_dimensions() -> None:
    """A variable and coordinates over the dimensions in another order stand in the right rows."""
    values = np.arange(24).reshape(2, 3, 4)
    dims = ("x", "y", "z")
    dataset = xr.Dataset(
        {"a": (dims, values), "b": (("z", "x", "y"), values.transpose(2, 0, 1))},
        {"c": (("z", "y"), values[1].T), "d": ("y", [7, 8, 9])},
    )
    found = frame(dataset)
    assert found.a.tolist() == found.b.tolist() == list(range(24))
    assert (found.c == values[1][found.y, found.z]).all()
    assert (found.d == found.y + 7).all()


def test_a_multi_index_is_columns() -> None:
    """The levels of a stacked dimension are columns beside it."""
    levels = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["p", "q"])
    coords = xr.Coordinates.from_pandas_multiindex(levels, "z")
    rows = table(xr.Dataset({"v": ("z", [0.5, 1])}).assign_coords(coords))
    assert rows == [
        ["z", "p", "q", "v"],
        ['["a",1]', "a", "1", "0.5"],
        ['["b",2]', "b", "2", "1.0"],
    ]


def test_blocks_are_seamless() -> None:
    """A table of many blocks is that of one: every row there once, times in one form throughout."""
    count = 30_000
    times = np.arange(count).astype("M8[s]").astype("M8[ms]")
    times[-1] += np.timedelta64(5, "ms")
    times[7] = "NaT"
    values = np.random.default_rng(0).random((3, count))
    dataset = xr.Dataset({"v": (("k", "time"), values)}, {"stamp": ("time", times)})
    found = frame(dataset)
    assert (found.v.to_numpy() == values.ravel()).all()
    assert (found.k.to_numpy() == np.repeat([0, 1, 2], count)).all()
    assert found.stamp.dropna().str.len().unique().tolist() == [len("1970-01-01T00:00:00.000Z")]
    read = pd.to_datetime(found.stamp).dt.tz_localize(None).to_numpy()
    np.testing.assert_array_equal(read, np.tile(times, 3))


def test_what_pandas_makes_of_the_columns() -> None:
    """Numbers, booleans, infinities and times have the dtypes that one expects."""
    dataset = xr.Dataset(
        {"f": ("time", [1.5, np.inf]), "b": ("time", [True, False]), "i": ("time", [1, 2])},
        {"time": np.array(["2020-01-01", "2021-01-01"], "M8[ns]")},
    )
    found = frame(dataset, parse_dates=["time"])
    assert [found[n].dtype.kind for n in ("time", "f", "b", "i")] == ["M", "f", "b", "i"]
    assert found.f.tolist() == [1.5, np.inf]


@given(st.sampled_from(NUMBERS), st.data())
@modestly
def test_numbers_come_back(dtype: str, data: st.DataObject) -> None:
    """Parsed in its own dtype, a column of numbers equals the data, infinities included."""
    values = data.draw(npst.arrays(dtype, st.integers(1, 20)))
    read = np.array([field or "nan" for field in column(values)]).astype(values.dtype)
    np.testing.assert_array_equal(read, values)
    as_pandas = frame(xr.Dataset({"v": ("x", values)})).v
    np.testing.assert_array_equal(as_pandas.to_numpy().astype(values.dtype), values)


@given(st.lists(st.one_of(st.none(), wordings), min_size=1, max_size=6))
@modestly
def test_text_comes_back(items: list[str | None]) -> None:
    """Any text is one field with that text, or marked where UTF-8 lacks its surrogates."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    expected = [format_text(item or "") for item in items]
    assert column(array) == expected
    dataset = xr.Dataset({"v": ("x", array)})
    read = frame(dataset, keep_default_na=False, dtype=str, lineterminator=None).v
    assert read.tolist() == expected


@given(st.sampled_from(["M8[s]", "M8[ms]", "M8[us]", "M8[ns]"]), st.data())
@modestly
def test_instants_come_back(dtype: str, data: st.DataObject) -> None:
    """Instants are those of the data, NaT is empty."""
    values = data.draw(cells(dtype, (5,)))
    fields = [field.rstrip("Z") or "NaT" for field in column(values)]
    np.testing.assert_array_equal(np.array(fields, dtype), values)


@given(datasets())
@modestly
def test_any_dataset_is_a_table_with_the_fields_of_json(dataset: xr.Dataset) -> None:
    """Whatever the dtypes and values: as many rows as cells, and each field is JSON's value."""
    try:
        layout = table_layout(dataset.variables, set(dataset.coords), dataset.sizes)
    except SelectionError:
        with pytest.raises(SelectionError):
            encode_csv(dataset)
        return
    header, *rows = table(dataset)
    assert len(rows) == layout.count
    document = strict(encode_json(dataset))
    written = document["coords"] | document["data_vars"]
    cells = list(np.ndindex(layout.shape))
    for number, name in enumerate(column.variable for column in layout.columns):
        if name is None:
            continue
        assert header[number] == name
        for cell, row in zip(cells, rows, strict=True):
            where = dict(zip(layout.dims, cell, strict=True))
            item = written[name]["data"]
            for dim in written[name]["dims"]:
                item = item[where[dim]]
            assert_same(row[number], item)


def assert_same(field: str, item: Any) -> None:
    """A field against what JSON has in its place."""
    match item:
        case None:
            assert field in ("", "inf", "-inf")
        case bool():
            assert field == ("true" if item else "false")
        case int():
            assert int(field) == item
        case float():
            assert float(field) == item
        case _:
            assert field == item
