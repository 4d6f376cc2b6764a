"""Selections along axes become positions."""

from __future__ import annotations

import json
from typing import Any

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar
from sluice.axes.axis import Axis
from sluice.axes.resolve import Resolved, resolve
from sluice.encoders.jsonable import array_to_jsonable
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Interval, Label, Selection

DAYS = np.arange("2020-01-01", "2020-03-01", dtype="M8[D]").astype("M8[ns]")


def pick(values: Any, text: str, *, method: str | None = None, dtype: str | None = None) -> Any:
    """Positions that ``x=text`` selects along an axis of these values."""
    axis = Axis.of("x", np.asarray(values, dtype=dtype), {"units": "m"})
    pairs = [("x", text)] + ([("method", method)] if method else [])
    query = Grammar(dims={"x": axis.size}, coords={"x": ("x",)}, by="label", formats={}).parse(
        pairs
    )
    return resolve(query.selection, {"x": axis}, {"x": axis.size}).positions["x"]


def taken(values: Any, text: str, **options: Any) -> list[Any]:
    """The labels that were selected, however the positions are written."""
    values = np.asarray(values)
    found: list[Any] = np.atleast_1d(values[pick(values, text, **options)]).tolist()
    return found


def facts(values: Any, text: str, **options: Any) -> dict[str, Any]:
    """The facts of the refusal, which are plain enough for JSON."""
    with pytest.raises(SelectionError) as caught:
        pick(values, text, **options)
    json.dumps(caught.value.facts, allow_nan=False)
    return caught.value.facts


def test_kinds_of_answers() -> None:
    """Scalars are ints, intervals slices, lists int64 arrays in the asked order."""
    assert pick([10, 20, 30], "20") == 1
    assert pick([10, 20, 30], "10/20") == slice(0, 2, 1)
    listed = pick([10, 20, 30], "30,10")
    assert listed.dtype == np.int64
    assert listed.tolist() == [2, 0]


@pytest.mark.parametrize("text", ["-10/10", "10/-10"])
def test_intervals_run_in_store_order(text: str) -> None:
    """Whichever end is named first, the rows come as they are stored."""
    assert taken([-20, -10, 0, 10, 20], text) == [-10, 0, 10]
    assert taken([20, 10, 0, -10, -20], text) == [10, 0, -10]
    assert taken([0, 20, -10, 10, -20], text) == [0, -10, 10]
    assert isinstance(pick([20, 10, 0, -10, -20], text), slice)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("10/..", [30, 20, 10]),
        ("../10", [10, 0]),
        ("../..", [30, 20, 10, 0]),
        ("../../3", [30, 0]),
        ("5/100", [30, 20, 10]),
        ("20/20", [20]),
        ("29.9999/10", [20, 10]),
        ("29.9999999/10.0000001", [30, 20, 10]),
    ],
)
def test_open_and_partial_intervals(text: str, labels: list[int]) -> None:
    """Open ends reach the axis' ends, and an interval partly outside answers with the overlap."""
    assert taken([30, 20, 10, 0], text) == labels


def test_interval_ends_survive_rounding() -> None:
    """A box keeps its end rows although 0.1 * 3 is not 0.3."""
    assert taken([0.1, 0.2, 0.3], f"0.1/{0.1 * 3 - 1e-9!r}") == [0.1, 0.2, 0.3]
    assert pick(np.array([0.1, 0.2, 0.3], "f4"), "0.1/0.3") == slice(0, 3, 1)


def test_an_empty_interval_is_refused() -> None:
    """An interval that selects nothing is refused with the axis' range."""
    assert facts([10, 20], "11/19")["range"] == [10, 20]
    assert facts([10, 20], "30/..")["range"] == [10, 20]
    assert facts([], "../..")["range"] == []


@pytest.mark.parametrize("calendar", ["proleptic_gregorian", "360_day", "noleap"])
def test_years_of_any_length_are_read_as_they_are_printed(calendar: str) -> None:
    """Deep time and far futures: as JSON and CSV tell the labels of an axis."""
    years = [-20000, -500, 7, 1999, 10000, 123456]
    dates = [cftime.datetime(year, 3, 4, 5, calendar=calendar) for year in years]
    axis = Axis.of("time", np.array(dates, object), {})
    printed = array_to_jsonable(axis.values)
    assert isinstance(printed, list)
    for number, label in enumerate(printed):
        for text in (label, f"{label}Z"):
            found = resolve(Selection({"time": Label(text)}), {"time": axis}, {"time": len(years)})
            assert found.positions["time"] == number


def test_absent_label_names_its_neighbours() -> None:
    """An exact label that is not there is answered with the nearest ones."""
    found = facts([52.75, 52.5, 52.25], "52.51")
    assert found["nearest"] == [52.5, 52.75]
    assert found["dimension"] == "x"
    assert found["range"] == [52.25, 52.75]
    assert facts([1, 2], "9")["nearest"] == [2]


@pytest.mark.parametrize("method", ["nearest", "pad", "backfill"])
@pytest.mark.parametrize("text", ["500", "-500", "40.01", "7.99"])
def test_far_labels_are_refused(method: str, text: str) -> None:
    """An inexact match lies at most one step beyond the axis; the refusal gives its range."""
    assert facts([30, 20, 10, 9], text, method=method)["range"] == [9, 30]


def test_one_step_beyond_is_near() -> None:
    """The step is the spacing at that end of the axis, not an average."""
    assert taken([0, 1, 11], "nearest::21") == [11]
    assert taken([0, 1, 11], "nearest::-1") == [0]
    assert taken([0, 1, 11], "pad::21") == [11]
    assert facts([0, 1, 11], "nearest::21.1")["label"] == "21.1"
    assert facts([0, 1, 11], "nearest::-1.1")["range"] == [0, 11]
    assert facts([0, 1, 11], "pad::-0.5")["range"] == [0, 11]
    assert facts([5], "nearest::5.1")["range"] == [5] * 2
    assert taken([5], "nearest::5") == [5]


def test_a_label_that_is_there_is_taken_under_any_method() -> None:
    """On axes without distances or order too, of one method or the default; all that equal it."""
    axes: list[list[Any]] = [[1, 3, 2], [1, 1, 2], ["b", "a"], [True, False]]
    for values in axes:
        label = values[0]
        text = {str: "b", bool: "true"}.get(type(label), "1")
        count = values.count(label)
        assert taken(values, text, method="nearest") == [label] * count
        assert taken(values, f"pad::{text}") == [label] * count
        assert taken(values, f"nearest::{text},{text}") == [label] * count * 2


def test_methods_need_sorted_unique_axes() -> None:
    """Unsorted, repeated, string and boolean labels have none near one that is not there."""
    absent = ((["a", "c"], "b"), ([2, 4, 3], "1"), ([2, 2, 3], "1"), ([False, False], "true"))
    for values, text in absent:
        for options in ({"method": "nearest"}, {"method": "pad"}):
            found = facts(values, text, **options)
            assert (found["dimension"], found["label"]) == ("x", text)
            assert found["nearest"]
        assert facts(values, f"bfill::{text},{text}")["label"] == text


def test_default_method_spares_intervals() -> None:
    """The default method applies to scalars and lists, never to intervals."""
    assert taken([10, 20, 30], "12,29", method="nearest") == [10, 30]
    assert taken([10, 20, 30], "12/29", method="nearest") == [20]
    assert taken([10, 20, 30], "pad::29", method="nearest") == [20]


def test_repeated_labels_give_all_positions() -> None:
    """A label that occurs twice answers with both, and keeps the dimension."""
    assert pick([1, 2, 2, 3], "2") == slice(1, 3, 1)
    assert pick([2, 1, 2], "2").tolist() == [0, 2]
    assert pick([2, 1, 2], "1") == 1
    assert pick([2, 1, 2], "1,2").tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("text", "first", "size"),
    [
        ("2020-01", 0, 31),
        ("2020-02-03", 33, 1),
        ("2020", 0, 60),
        ("2020-01-30/2020-02", 29, 31),
        ("2020-02/2020-01-30", 29, 31),
        ("2020-02-28/..", 58, 2),
        ("../2020-01-02T00:00Z", 0, 2),
    ],
)
def test_periods_keep_the_dimension(text: str, first: int, size: int) -> None:
    """A year, month or day covers all its labels, alone and as an interval's end."""
    for unit in ("s", "ns"):
        assert pick(DAYS.astype(f"M8[{unit}]"), text) == slice(first, first + size, 1)
    reverse = pick(DAYS[::-1], text)
    assert DAYS[::-1][reverse].tolist() == DAYS[first : first + size][::-1].tolist()


def test_instants_drop_the_dimension() -> None:
    """A label with a time of day is one position; in a list or after a method a day is one too."""
    assert pick(DAYS, "2020-01-03T00:00:00Z") == 2
    assert pick(DAYS, "2020-01-03,2020-02").tolist() == [2, 31]
    assert pick(DAYS, "nearest::2020-02") == 31
    assert pick(DAYS, "2020-01-03T11:00Z", method="nearest") == 2


def test_instants_compare_in_the_finer_unit() -> None:
    """Half a second is not on an axis of whole seconds, and lies between its labels."""
    seconds = np.arange(5).astype("M8[s]")
    assert facts(seconds, "1970-01-01T00:00:01.5Z")["nearest"] == [
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:02Z",
    ]
    assert pick(seconds, "nearest::1970-01-01T00:00:01.6Z") == 2
    assert pick(seconds, "1970-01-01T00:00:01.5Z/..") == slice(2, 5, 1)
    assert pick(seconds, "../1970-01-01T00:00:01.5Z") == slice(0, 2, 1)


@pytest.mark.parametrize("year", ["0000", "1500", "2500", "9999"])
def test_dates_beyond_nanoseconds_do_not_wrap(year: str) -> None:
    """A date that datetime64[ns] cannot hold is outside the axis, not somewhere on it."""
    assert facts(DAYS, f"{year}-06-01T00:00Z")["range"] == [
        "2020-01-01T00:00:00Z",
        "2020-02-29T00:00:00Z",
    ]
    assert facts(DAYS, f"nearest::{year}")["dimension"] == "x"


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "standard", "julian"])
def test_calendars(calendar: str) -> None:
    """Periods and instants work on every calendar, and dates that it lacks are refused."""
    dates = xr.date_range("2020-01-01", periods=100, calendar=calendar, use_cftime=True)
    values = np.asarray(dates)
    assert taken(values, "2020-02-01T00:00Z") == [values[31 if calendar != "360_day" else 30]]
    february = [date for date in values if date.month == 2]
    assert taken(values, "2020-02") == february
    assert taken(values, "2020-02-03T02:00:00+02:00") == [february[2]]
    assert taken(values, "nearest::2020-02-03T02:00:00") == [february[2]]
    if calendar == "360_day":
        assert taken(values, "2020-02-30") == [february[-1]]
    else:
        with pytest.raises(QueryError):
            pick(values, "2020-02-30")
    assert facts(values, "2020-02-01T01:00Z")["nearest"][0] == "2020-02-01T00:00:00"


def test_cftime_objects_of_the_base_class() -> None:
    """The base class of cftime, whose calendar is a field, is searched like its subclasses."""
    values = np.array([cftime.datetime(1, month, 30, calendar="360_day") for month in (1, 2, 3)])
    assert pick(values, "0001-02-30T00:00Z") == 1


def test_durations() -> None:
    """Labels of timedelta axes, and their intervals, are durations."""
    leads = (np.arange(5) * 6).astype("m8[h]").astype("m8[ns]")
    assert pick(leads, "PT6H") == 1
    assert pick(leads, "PT0H/PT12H") == slice(0, 3, 1)
    assert pick(leads, "nearest::PT7H") == 1
    assert facts(leads, "PT7H")["nearest"] == ["PT6H", "PT12H"]
    with pytest.raises(QueryError, match="PT6H"):
        pick(leads, "6h")


def test_text_and_truth() -> None:
    """String and boolean labels are found exactly, in any order."""
    for dtype in ("U5", "O"):
        assert pick(["oslo", "a,b", "rome"], '"a,b",oslo', dtype=dtype).tolist() == [1, 0]
        assert facts(["oslo", "rome"], "paris", dtype=dtype)["nearest"] == ["oslo", "rome"]
        assert taken(["c", "a", "b"], "a/b", dtype=dtype) == ["a", "b"]
    assert pick([False, True], "true") == 1


def test_null_labels_are_never_chosen() -> None:
    """NaN and NaT among the labels are neither found nor inside an interval."""
    assert taken([np.nan, 2.0, 1.0], "../..") == [2.0, 1.0]
    assert pick(np.array(["NaT", "2020-01-01"], "M8[ns]"), "2020").tolist() == [1]


def positions(text: str, size: int = 10) -> Any:
    query = Grammar(dims={"x": size}, coords={}, by="position", formats={}).parse([("x", text)])
    return resolve(query.selection, {}, {"x": size}).positions["x"]


@given(
    st.one_of(st.none(), st.integers(-12, 12)),
    st.one_of(st.none(), st.integers(-12, 12)),
    st.integers(-4, 4).filter(bool),
)
def test_slices_are_pythons(start: int | None, stop: int | None, step: int) -> None:
    """Slices of positions select what Python selects, or are refused when that is nothing."""
    text = ":".join("" if part is None else str(part) for part in (start, stop, step))
    expected = list(range(10))[start:stop:step]
    if expected:
        assert list(range(10))[positions(text)] == expected
    else:
        with pytest.raises(SelectionError):
            positions(text)


def test_positions_within_range() -> None:
    """Positions count from either end; beyond it the refusal names the size."""
    assert positions("-1") == 9
    assert positions("3,-10").tolist() == [3, 0]
    for text in ("10", "-11", "0,10"):
        with pytest.raises(SelectionError) as caught:
            positions(text)
        assert caught.value.facts == {"dimension": "x", "size": 10}


numbers = st.one_of(
    st.lists(st.integers(-50, 50), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(-400, 400).map(lambda n: n / 8), min_size=1, max_size=12, unique=True),
)


@given(
    numbers,
    st.sampled_from(["f8", "f4"]),
    st.booleans(),
    st.integers(-500, 500),
    st.sampled_from(["nearest", "pad", "ffill", "backfill", "bfill"]),
)
@settings(deadline=None)
def test_methods_agree_with_pandas(
    values: list[float], dtype: str, descending: bool, sixteenths: int, method: str
) -> None:
    """Wherever the domain allows a match, it is the one that pandas makes, ties included."""
    labels = np.array(sorted(values, reverse=descending), dtype=dtype)
    asked = sixteenths / 16
    expected = pd.Index(labels).get_indexer(np.array([asked], dtype), method=method)[0]
    try:
        found = pick(labels, f"{method}::{asked}")
    except SelectionError:
        beyond = asked > labels.max() or asked < labels.min()
        assert expected == -1 or beyond
    else:
        assert found == expected


@given(st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=9, unique=True), st.data())
@settings(deadline=None)
def test_close_ties_agree_with_pandas(values: list[float], data: st.DataObject) -> None:
    """Distances are taken in the axis' own precision, as pandas takes them."""
    labels = np.sort(np.array(values, dtype="f4"))
    asked = data.draw(st.floats(float(labels[0]), float(labels[-1]), width=32))
    around = pd.Index(labels).get_indexer(np.array([asked], "f4"), method="nearest")[0]
    gaps = np.diff(labels)
    assume(gaps.min() > 1e-3)
    assert pick(labels, f"nearest::{asked!r}") == around


@given(numbers, st.integers(-60, 60), st.integers(-60, 60), st.booleans())
@settings(deadline=None)
def test_intervals_agree_with_xarray(
    values: list[float], one: int, other: int, descending: bool
) -> None:
    """On sorted axes an interval is what xarray's slice is, with its ends in the axis' order."""
    labels = np.array(sorted(values, reverse=descending))
    low, high = sorted((one, other))
    ends = slice(high, low) if descending and labels.size > 1 else slice(low, high)
    expected = xr.Dataset(coords={"x": labels}).sel(x=ends).x.values
    if expected.size:
        assert taken(labels, f"{one}/{other}") == expected.tolist()
    else:
        assert facts(labels, f"{one}/{other}")["dimension"] == "x"


AXES = {
    "f": np.linspace(0, 1, 5),
    "i": np.array([3, 1, 2], "i2"),
    "t": DAYS,
    "c": np.asarray(xr.date_range("2000-01-01", periods=3, calendar="360_day", use_cftime=True)),
    "d": np.arange(3).astype("m8[s]"),
    "s": np.array(["a", "b"], dtype=object),
    "b": np.array([False, True]),
    "h": np.array([0.5, 2], "f2"),
    "n": np.asarray(xr.date_range("2000-02-27", periods=3, calendar="noleap", use_cftime=True)),
    "g": np.array([cftime.datetime(1, 1, 1, calendar="standard")]),
    "j": np.asarray(xr.date_range("1500-02-28", periods=3, calendar="julian", use_cftime=True)),
    "nat": np.array(["NaT", "2020-01-01"], "M8[s]"),
    "u": np.array([0, 2**64 - 1], "u8"),
    "bytes": np.array([b"a", b"\xff"]),
    "T": np.array(["a", "é"], np.dtypes.StringDType()),
    "down": np.arange(5.0)[::-1],
    "twice": np.array([1, 1, 2]),
    "nan": np.array([np.nan, 2.0, 1.0]),
    "one": np.array([5.0]),
    "pairs": np.array([1j, 2]),
    "mixed": np.array([1, "a"], object),
    "ps": np.array([1, 2], "M8[ps]"),
    "months": np.array([1, 2], "m8[M]"),
    "z": np.array([], "f8"),
    "lon": np.arange(0, 360, 45).astype("u2"),
    "longitude": np.arange(20.0, -20.0, -2.5),
}

texts = st.one_of(
    st.text(),
    st.text(alphabet='0123456789-+.:TZ/, "eEPDHMS', max_size=24),
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z", fullmatch=True
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)


PREPARED = {name: Axis.of(name, values, {}) for name, values in AXES.items()}
SIZES = {name: axis.size for name, axis in PREPARED.items()} | {"positions": 3}
COORDS = {name: (name,) for name in AXES} | {"curved": ("f", "i"), "scalar": ()}


def check(pairs: list[tuple[str, str]]) -> None:
    """Each path answers with what lies on the axes, or with an error whose facts are JSON."""
    for by in ("label", "position"):
        try:
            grammar = Grammar(
                dims=SIZES, coords=COORDS, by=by, formats={"json": ()}, variables=("v",)
            )
            query = grammar.parse(pairs, most_labels=3)
            found = resolve(query.selection, PREPARED, SIZES)
        except (QueryError, SelectionError, LimitError) as error:
            json.dumps(error.facts, allow_nan=False)
        else:
            for name, positions in found.positions.items():
                assert np.asarray(np.arange(SIZES[name])[positions]).size > 0


syntax = st.lists(
    st.one_of(
        st.sampled_from(["nearest::", "pad::", ",", "/", '"', "..", ":", "-", ".", "e9", "T", "Z"]),
        st.sampled_from(["2000-02-30", "2000-02-28T00:00Z", "0000", "9999-12-31", "PT1S", "-P1D"]),
        st.sampled_from(["1", "0", "5", "-180", "360", "1e400", "true", "a", "9" * 25]),
        st.text(max_size=3),
    ),
    max_size=8,
).map("".join)


@given(st.sampled_from(sorted(AXES)), st.one_of(texts, syntax), st.sampled_from(["", "pad::"]))
@settings(deadline=None, max_examples=400)
def test_any_text_is_resolved_or_refused(name: str, text: str, prefix: str) -> None:
    """Whatever the text, an axis answers with positions or one of three errors."""
    check([(name, prefix + text)])


raw = st.tuples(
    st.one_of(
        st.text(),
        st.sampled_from(["variables", "f", "method", "tolerance", "pointwise", "explain"]),
        st.sampled_from(["positions", "curved", "scalar", "sel[curved]", "sel[", "isel[i]"]),
        st.sampled_from(sorted(AXES)),
        st.text().map("sel[{}]".format),
        st.sampled_from(sorted(AXES)).map("sel[{}]".format),
    ),
    st.one_of(
        texts,
        syntax,
        st.sampled_from(["nearest", "json", "true", "v", "i,f", "f:1", "t:PT1H", "0", "1,2"]),
    ),
)


@given(st.lists(raw, max_size=4))
@settings(deadline=None, max_examples=400)
def test_any_request_is_resolved_or_refused(pairs: list[tuple[str, str]]) -> None:
    """No names and values whatsoever raise anything but the errors of the contract."""
    check(pairs)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2020/2020-03", "2020-01", "2020-03"),
        ("2020-03/2020", "2020-03", "2020-12"),
        ("2020-05/2020-03", "2020-03", "2020-05"),
        ("2020-04/2020-04", "2020-04", "2020-04"),
        ("2020-04/..", "2020-04", "2021-12"),
    ],
)
def test_a_period_is_whole_where_it_is_an_end(text: str, first: str, last: str) -> None:
    """An interval goes from its first period's beginning to its last one's end, as in xarray."""
    months = np.arange("2019-01", "2022-01", dtype="M8[M]")
    chosen = months[pick(months.astype("M8[ns]"), text)]
    assert (str(chosen[0]), str(chosen[-1])) == (first, last)


@pytest.mark.parametrize("text", ["9007199254740993", "9007199254740993.0", "9007199254740993.00"])
def test_whole_numbers_are_exact_however_they_are_written(text: str) -> None:
    """A label beyond what float64 counts one by one is not taken for its neighbour."""
    assert pick([9007199254740992, 9007199254740993, 9007199254740994], text) == 1


@pytest.mark.parametrize("name", ["x", "lon"])
@pytest.mark.parametrize("step", [0, -1])
def test_an_interval_has_a_step_of_one_or_more(name: str, step: int) -> None:
    """Whoever makes a selection without a grammar is told, and not by NumPy."""
    axes = {name: Axis.of(name, np.arange(4.0), {})}
    with pytest.raises(QueryError, match="step"):
        resolve(Selection({name: Interval(0, 2, step)}), axes, {name: 4})


def test_an_infinite_label_is_told_as_in_answers() -> None:
    """JSON has no number for it."""
    with pytest.raises(SelectionError, match=r"1\.0 and null"):
        pick([0.0, 1.0, np.inf], "5")


PLACES: list[Resolved] = [
    Resolved({}, {}),
    Resolved({"x": 1, "y": 2}, {}),
    Resolved({"x": 2, "y": 1}, {}),
    Resolved({"x": 12}, {}),
    Resolved({"y": 12}, {}),
    Resolved({"x": slice(12, 13, 1)}, {}),
    Resolved({"x": slice(12, None, 1)}, {}),
    Resolved({"x": slice(12, None, -1)}, {}),
    Resolved({"x": np.array([12])}, {}),
    Resolved({"x": np.arange(5000)}, {}),
    Resolved({"x": np.delete(np.arange(5001), 2500)}, {}),
    Resolved({"x": np.arange(3), "y": np.arange(3)}, {}),
    Resolved({"x": np.arange(3), "y": np.arange(3)}, {}, ("x", "y")),
    Resolved({"x": slice(0, 2, 1)}, {"x": np.array([-1.0, 0.0])}),
    Resolved({"x": slice(0, 2, 1)}, {"x": np.array([-1.0, 0.0], "f4")}),
    Resolved({"x": slice(0, 2, 1)}, {"x": np.array([-1, 0])}),
    Resolved({"x": slice(0, 2, 1)}, {"x": np.array([359.0, 360.0])}),
]


def test_places_tell_all_selections_apart() -> None:
    """No two of them are told alike, and all in signs that an entity tag may have."""
    told = [found.places for found in PLACES]
    assert len(set(told)) == len(told)
    assert all(text.isascii() and not set(text) & set('" ,') for _, text in told)


def test_places_do_not_depend_on_the_order_of_dimensions() -> None:
    """Nor on where their arrays come from."""
    asked = Resolved({"x": 1, "y": slice(0, 3, 1), "z": np.arange(3)}, {}).places
    assert Resolved({"z": np.array([0, 1, 2]), "y": slice(0, 3, 1), "x": 1}, {}).places == asked
