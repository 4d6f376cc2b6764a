"""The grammar of request parameters."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar, Query
from app.doors.native.names import By
from app.doors.native.options import OPTIONS
from sluice.errors import QueryError, SelectionError
from sluice.selection import (
    Interval,
    Label,
    Labels,
    Match,
    Position,
    Positions,
    PositionSlice,
    Selection,
)

DIMS = {"time": 10, "lat": 20, "x": 5}
COORDS = {
    "time": ("time",),
    "lat": ("lat",),
    "station": ("time",),
    "area": ("lat", "x"),
    "height": (),
}
FORMATS: dict[str, tuple[str, ...]] = {"json": (), "netcdf": ("nc",)}


def ask(*pairs: tuple[str, str], by: By = "label") -> Query:
    return Grammar(
        dims=DIMS, coords=COORDS, by=by, formats=FORMATS, variables=("t2m", "a,b/c")
    ).parse(pairs)


@pytest.mark.parametrize(
    ("value", "selection"),
    [
        ("52.5", Label("52.5")),
        ("nearest::52.5", Label("52.5", Match("nearest"))),
        ("ffill::52.5", Label("52.5", Match("pad"))),
        ("bfill::52.5", Label("52.5", Match("backfill"))),
        ("nearest::10,20", Labels(("10", "20"), Match("nearest"))),
        ("10,20,30", Labels(("10", "20", "30"))),
        ("10,", Labels(("10",))),
        ('"a,b",', Labels(("a,b",))),
        ('10,""', Labels(("10", ""))),
        ("pad::10,", Labels(("10",), Match("pad"))),
        ("10/20", Interval("10", "20")),
        ("10/..", Interval("10", None)),
        ("../20", Interval(None, "20")),
        ("../..", Interval(None, None)),
        ("10/20/6", Interval("10", "20", 6)),
        ("../../6", Interval(None, None, 6)),
        ('"a,b"', Label("a,b")),
        ('"a/b","c::d"', Labels(("a/b", "c::d"))),
        ('"say ""hi"""', Label('say "hi"')),
        ('""', Label("")),
        ('".."/b', Interval("..", "b")),
        ('nearest::"5"', Label("5", Match("nearest"))),
        ("..", Label("..")),
        ('5"', Label('5"')),
    ],
)
def test_labels(value: str, selection: object) -> None:
    """Each written form of a label, a list and an interval is read as designed."""
    assert ask(("lat", value)).selection.along == {"lat": selection}


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "10,20,",
        "10,,",
        ",10",
        "10/20,",
        '10,"",20,',
        '"10",/',
        "10,,20",
        "/",
        "/10",
        "10/",
        "1/2/3/4",
        "1/2/0",
        "1/2/-1",
        "1/2/x",
        "1/2/1.5",
        "1,2/3",
        "nearest::1/2",
        "nearest::",
        "closest::1",
        "::1",
        "a,b::c",
        "nearest::a::b",
        '"open',
        '"a"b',
        '"a""',
    ],
)
def test_malformed_labels(value: str) -> None:
    """A malformed value is refused with the parameter's name."""
    with pytest.raises(QueryError) as caught:
        ask(("lat", value))
    assert caught.value.facts["parameter"] == "lat"


@pytest.mark.parametrize(
    ("value", "selection"),
    [
        ("0", Position(0)),
        ("-1", Position(-1)),
        ("0:24:6", PositionSlice(0, 24, 6)),
        ("::-1", PositionSlice(None, None, -1)),
        (":", PositionSlice(None, None)),
        ("3:", PositionSlice(3, None)),
        ("3,5,8", Positions((3, 5, 8))),
        ("3,", Positions((3,))),
        ("007", Position(7)),
        ("-0", Position(0)),
        ("0" * 5000 + "1", Position(1)),
        ("9" * 5000, Position(10**18)),
        ("-" + "9" * 19, Position(-(10**18))),
        (":" + "9" * 5000 + ":-1" + "0" * 18, PositionSlice(None, 10**18, -(10**18))),
    ],
)
@pytest.mark.parametrize(("name", "by"), [("lat", "position"), ("x", "position"), ("x", "label")])
def test_positions(name: str, by: By, value: str, selection: object) -> None:
    """Positions are read on isel, and on sel for a dimension without a coordinate.

    An integer may be of any size; the largest mean what no axis reaches.
    """
    assert ask((name, value), by=by).selection.along == {name: selection}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1.0",
        "1e3",
        "+1",
        "1_0",
        " 1",
        "٣",
        "0/5",
        "1,2,",
        ",",
        ",1",
        "1,,",
        "0:2,",
        "1:2:0",
        "1:2:3:4",
        "-",
        "--1",
        "a:b",
    ],
)
def test_malformed_positions(value: str) -> None:
    """Only plain integers are positions."""
    with pytest.raises(QueryError):
        ask(("lat", value), by="position")


def test_repeated_parameters_make_a_list() -> None:
    """A repeated parameter is one list, in the order of its values."""
    query = ask(("lat", "1"), ("x", "2"), ("lat", "3,4"), ("x", "0,1"))
    assert query.selection.along == {"lat": Labels(("1", "3", "4")), "x": Positions((2, 0, 1))}
    same = ask(("lat", "pad::1"), ("lat", "ffill::2"))
    assert same.selection.along == {"lat": Labels(("1", "2"), Match("pad"))}


@pytest.mark.parametrize(
    "pairs",
    [
        [("lat", "1"), ("lat", "2/3")],
        [("lat", "nearest::1"), ("lat", "2")],
        [("x", "1"), ("x", "2:3")],
        [("f", "json"), ("f", "json")],
        [("method", "pad"), ("method", "nearest")],
    ],
)
def test_conflicting_repetition(pairs: list[tuple[str, str]]) -> None:
    """A name given twice with kinds that do not go together is refused."""
    with pytest.raises(QueryError) as caught:
        ask(*pairs)
    assert caught.value.facts["parameter"] == pairs[0][0]


def test_defaults_and_outputs() -> None:
    """Method, format and variables are read beside the selections."""
    query = ask(
        ("method", "ffill"), ("f", "netcdf"), ("variables", 't2m,"a,b/c"'), ("variables", "height")
    )
    assert query == Query(Selection({}, ("t2m", "a,b/c", "height")), "netcdf")
    query = ask(("method", "ffill"), ("lat", "1"))
    assert query.selection.along == {"lat": Label("1", Match("pad"))}
    assert ask() == Query(Selection({}, None), None)


@pytest.mark.parametrize(
    ("pair", "known"),
    [
        (("foo", "1"), {*OPTIONS, *DIMS}),
        (("f", "xml"), {"json", "netcdf"}),
        (("method", "closest"), {"nearest", "pad", "ffill", "backfill", "bfill"}),
    ],
)
def test_unknown_words_name_the_known_ones(pair: tuple[str, str], known: set[str]) -> None:
    """Whatever is unknown is answered with the words that are known."""
    with pytest.raises(QueryError) as caught:
        ask(pair)
    assert caught.value.facts["parameter"] == pair[0]
    assert set(caught.value.facts["known"]) == known


def test_method_is_no_parameter_of_isel() -> None:
    """Positions are exact: without a label on isel, neither parameter nor prefix means anything."""
    for pair in (("method", "nearest"), ("tolerance", "lat:1"), ("lat", "nearest::1")):
        with pytest.raises(QueryError):
            ask(pair, by="position")


@pytest.mark.parametrize("by", ["label", "position"])
def test_brackets_choose_labels_or_positions(by: By) -> None:
    """On either path a dimension is asked by label in sel[...] and by position in isel[...]."""
    query = ask(("isel[time]", "-1"), ("sel[lat]", "nearest::52.5"), by=by)
    assert query.selection.along == {"time": Position(-1), "lat": Label("52.5", Match("nearest"))}
    query = ask(("sel[lat]", "1"), ("sel[lat]", "2,3"), ("sel[x]", "0:2"), by=by)
    assert query.selection.along == {"lat": Labels(("1", "2", "3")), "x": PositionSlice(0, 2)}


def test_brackets_reach_names_that_are_parameters() -> None:
    """A dimension may be called like a parameter, or like brackets; each is reached."""
    dims = {"f": 3, "method": 4, "sel[lat]": 5, "a]": 2}
    pairs = [("f", "json"), ("isel[f]", "1"), ("isel[method]", "2"), ("sel[lat]", "3")]
    pairs += [("isel[a]]", "1")]
    query = Grammar(dims=dims, coords={}, by="label", formats=FORMATS).parse(pairs)
    asked = {"f": Position(1), "method": Position(2), "sel[lat]": Position(3), "a]": Position(1)}
    assert (query.format, query.selection.along) == ("json", asked)


@pytest.mark.parametrize(("by", "written"), [("label", "sel[f]"), ("position", "isel[f]")])
def test_known_parameters_are_each_named_once(by: By, written: str) -> None:
    """A dimension that is named like a parameter is known under the brackets that reach it."""
    with pytest.raises(QueryError) as caught:
        Grammar(dims={"f": 3, "lat": 2}, coords={}, by=by, formats=FORMATS).parse([("foo", "1")])
    known = caught.value.facts["known"]
    assert known[-2:] == [written, "lat"]
    assert len(set(known)) == len(known)


@pytest.mark.parametrize(
    "names", [("lat", "sel[lat]"), ("isel[lat]", "lat"), ("sel[lat]", "isel[lat]")]
)
def test_a_name_given_twice(names: tuple[str, str]) -> None:
    """One dimension is asked for in one way."""
    with pytest.raises(QueryError) as caught:
        ask((names[0], "1"), (names[1], "1"))
    assert caught.value.facts == {"parameter": names[1], "dimension": "lat"}


def test_unknown_names_in_brackets() -> None:
    """In brackets, what is no dimension was understood, but is not there."""
    with pytest.raises(SelectionError) as caught:
        ask(("sel[foo]", "1"))
    assert caught.value.facts == {"parameter": "sel[foo]", "known": list(DIMS)}
    for name in ("isel[area]", "sel[station]", "sel[height]", "isel[station]"):
        with pytest.raises(SelectionError):
            ask((name, "1"))
    for name in ("isel[]", "sel[", "isel[lat", "[lat]", "Sel[lat]"):
        with pytest.raises(QueryError):
            ask((name, "1"))
    with pytest.raises(SelectionError):
        ask(("sel[x]", "nearest::1"), by="position")
    with pytest.raises(QueryError):
        ask(("isel[lat]", "nearest::1"))


def test_labels_on_isel_take_methods() -> None:
    """Beside a label in brackets, isel knows methods and tolerances too."""
    pairs = [("sel[lat]", "1"), ("time", "0"), ("method", "pad"), ("tolerance", "lat:1")]
    query = ask(*pairs, by="position")
    assert query.selection.along["lat"] == Label("1", Match("pad", "1"))
    # On either path the default method passes over intervals.
    for by in ("label", "position"):
        query = ask(("sel[lat]", "1/2"), ("method", "pad"), by=by)
        assert query.selection.along == {"lat": Interval("1", "2")}


def test_tolerances() -> None:
    """Distances are read by dimension, in one list or several, quoted where a name needs it."""
    pairs = [("lat", "nearest::1"), ("time", "2020"), ("method", "pad")]
    along = {
        "lat": Label("1", Match("nearest", "0.25")),
        "time": Label("2020", Match("pad", "PT1H")),
    }
    one = [("tolerance", "time:PT1H,lat:0.25")]
    two = [("tolerance", "time:PT1H"), ("tolerance", '"lat:0.25"')]
    for tolerances in (one, two):
        assert ask(*pairs, *tolerances).selection.along == along
    odd = [("a:b", "nearest::1"), ("tolerance", "a:b:2")]
    query = Grammar(dims={"a:b": 3}, coords={"a:b": ("a:b",)}, by="label", formats={}).parse(odd)
    assert query.selection.along == {"a:b": Label("1", Match("nearest", "2"))}


@pytest.mark.parametrize(
    "value", ["", "0.25", "lat", "lat:", ":1", "lat:1,lat:2", "lat:1/time:2", "time:P1D", "x:1"]
)
def test_malformed_tolerances(value: str) -> None:
    """A tolerance names a dimension that is asked inexactly, once, and a distance."""
    with pytest.raises(QueryError) as caught:
        ask(("lat", "nearest::1"), ("time", "2020"), ("x", "1"), ("tolerance", value))
    assert caught.value.facts["parameter"] == "tolerance"


def test_tolerance_is_for_inexact_labels_alone() -> None:
    """Neither an exact label, an interval, nor a dimension that is not asked takes a tolerance."""
    for value in ("1", "1,2", "1/2"):
        with pytest.raises(QueryError):
            ask(("lat", value), ("tolerance", "lat:1"))
    with pytest.raises(QueryError):
        ask(("method", "nearest"), ("tolerance", "lat:1"))
    with pytest.raises(SelectionError) as caught:
        ask(("lat", "nearest::1"), ("tolerance", "height:1"))
    assert caught.value.facts["known"] == list(DIMS)


def test_pointwise() -> None:
    """The dimensions that are read together are named in a list or several."""
    pairs = [("lat", "1,2"), ("x", "0,1"), ("time", "2020")]
    assert ask(*pairs, ("pointwise", "lat,x")).selection.pointwise == ("lat", "x")
    assert ask(*pairs, ("pointwise", "time"), ("pointwise", "lat")).selection.pointwise == (
        "time",
        "lat",
    )
    assert ask(*pairs).selection.pointwise == ()


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("lat", {"lat": "1,2"}),
        ("lat,lat", {"lat": "1,2"}),
        ("lat/x", {"lat": "1,2", "x": "1,2"}),
        ("", {"lat": "1,2", "x": "1,2"}),
        ("lat,x", {"lat": "1,2"}),
        ("lat,x", {"lat": "1,2", "x": "1,2,3"}),
        ("lat,x,time", {"lat": "1,2", "x": "1", "time": "2020,2021,2022"}),
        ("lat,x", {"lat": "1/2", "x": "1,2"}),
        ("lat,x", {"lat": "1,2", "x": "1:2"}),
    ],
)
def test_lists_that_do_not_go_together(names: str, values: dict[str, str]) -> None:
    """Lists of different lengths, intervals, and fewer than two dimensions are no points."""
    with pytest.raises(QueryError) as caught:
        ask(*values.items(), ("pointwise", names))
    assert caught.value.facts["parameter"] == "pointwise"


def test_points_along_an_unknown_dimension() -> None:
    """A name in `pointwise` that is no dimension was understood, but is not there."""
    with pytest.raises(SelectionError):
        ask(("lat", "1,2"), ("pointwise", "lat,height"))


@pytest.mark.parametrize("pair", [("pointwise", "lat,tim"), ("tolerance", "tim:PT1H")])
def test_a_dimension_that_was_probably_meant(pair: tuple[str, str]) -> None:
    """Options that name dimensions say what was meant, too, and so does the format."""
    with pytest.raises(SelectionError, match="did you mean time") as caught:
        ask(("lat", "1,2"), pair)
    assert caught.value.facts["did_you_mean"] == "time"
    with pytest.raises(QueryError, match="did you mean netcdf") as refused:
        ask(("f", "netcfd"))
    assert refused.value.facts["did_you_mean"] == "netcdf"


def test_explain() -> None:
    """An explanation is asked for with true, and with nothing else."""
    assert ask(("explain", "true")).explain
    assert not ask(("explain", "false")).explain
    for values in (["yes"], ["True"], [""], ["true", "true"]):
        with pytest.raises(QueryError) as caught:
            ask(*(("explain", value) for value in values))
        assert caught.value.facts["parameter"] == "explain"


def test_empty_variables() -> None:
    """An empty list of variables is a mistake, not a request for nothing."""
    with pytest.raises(QueryError):
        ask(("variables", ""))


def test_unknown_variable() -> None:
    """A variable that the dataset lacks is answered with those that it has."""
    with pytest.raises(SelectionError) as caught:
        ask(("variables", "t2m,t3m"))
    assert caught.value.facts["known"] == ["t2m", "a,b/c", *COORDS]


def test_dimensions_called_like_brackets() -> None:
    """Brackets around a dimension's name win over a dimension that is called so."""
    dims = {"x": 3, "sel[x]": 4, "a,b": 5, "a:b": 6}
    coords = {name: (name,) for name in dims}

    def read(*pairs: tuple[str, str]) -> Query:
        return Grammar(dims=dims, coords=coords, by="label", formats=FORMATS).parse(pairs)

    assert read(("sel[x]", "1")).selection.along == {"x": Label("1")}
    assert read(("sel[sel[x]]", "1")).selection.along == {"sel[x]": Label("1")}
    with pytest.raises(QueryError) as caught:
        read(("foo", "1"))
    assert caught.value.facts["known"][-4:] == ["x", "sel[sel[x]]", "a,b", "a:b"]
    query = read(
        ("a,b", "pad::1"), ("a:b", "pad::2"), ("variables", '"a,b",a:b'),
        ("pointwise", '"a,b",a:b'), ("tolerance", '"a,b:1",a:b:2'),
    )  # fmt: skip
    assert query.selection.variables == query.selection.pointwise == ("a,b", "a:b")
    assert query.selection.along == {
        "a,b": Label("1", Match("pad", "1")),
        "a:b": Label("2", Match("pad", "2")),
    }


def test_coordinates_of_two_dimensions_say_what_works() -> None:
    """Who asks for a label on a two-dimensional latitude learns what to write instead."""
    curvilinear: dict[str, Any] = {"dims": {"y": 3, "x": 4, "time": 2}, "formats": FORMATS}
    lat = {"lat": ("y", "x"), "time": ("time",), "when": ("time",), "y": ("y", "x")}
    for by in ("label", "position"):
        for name in ("lat", "sel[lat]", "isel[lat]"):
            with pytest.raises(SelectionError, match="is not an index coordinate") as caught:
                Grammar(coords=lat, by=by, **curvilinear).parse([(name, "52")])
            assert caught.value.facts == {
                "parameter": name,
                "coordinate_dims": ["y", "x"],
                "instead": ["isel[y]", "isel[x]"],
            }
            assert r"by position (isel[y]=..., isel[x]=...)" in caught.value.detail
    with pytest.raises(SelectionError) as caught:
        Grammar(coords=lat, by="label", **curvilinear).parse([("sel[y]", "52")])
    assert caught.value.facts["instead"] == ["isel[y]", "isel[x]"]
    with pytest.raises(SelectionError, match=r"by label \(sel\[time\]=...\)") as caught:
        Grammar(coords=lat, by="label", **curvilinear).parse([("when", "52")])
    assert caught.value.facts["instead"] == ["isel[time]", "sel[time]"]
    for name in caught.value.facts["instead"]:
        assert Grammar(coords=lat, by="label", **curvilinear).parse([(name, "1")]).selection.along


@pytest.mark.parametrize(
    ("name", "hint"),
    [("station", "dimension time"), ("area", "lat, x"), ("height", "scalar")],
)
@pytest.mark.parametrize("by", ["label", "position"])
def test_coordinates_that_are_no_index(name: str, hint: str, by: By) -> None:
    """Selecting along a coordinate that is not an index says why, and what to use instead."""
    with pytest.raises(SelectionError, match=hint):
        ask((name, "1"), by=by)


def test_method_on_a_dimension_without_coordinate() -> None:
    """A method needs labels; a dimension without them refuses it as unsatisfiable."""
    with pytest.raises(SelectionError):
        ask(("x", "nearest::1"))


@given(
    st.sampled_from(
        [
            "lat",
            "x",
            "variables",
            "f",
            "method",
            "tolerance",
            "pointwise",
            "explain",
            "station",
            "sel[x]",
            "zz",
        ]
    ),
    st.text(),
)
def test_any_text_is_read_or_refused(name: str, value: str) -> None:
    """No text raises anything but the two errors of the contract."""
    for by in ("label", "position"):
        with suppress(QueryError, SelectionError):
            assert isinstance(ask((name, value), by=by), Query)


@given(st.lists(st.text(), min_size=2))
def test_quoting_round_trips(texts: list[str]) -> None:
    """Any list of strings, quoted, is read back as it was."""
    quoted = ",".join('"' + text.replace('"', '""') + '"' for text in texts)
    assert ask(("lat", quoted)).selection.along == {"lat": Labels(tuple(texts))}
