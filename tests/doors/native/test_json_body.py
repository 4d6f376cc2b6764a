"""The parameters of a JSON body."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar, Query
from app.doors.native.json_body import read_members
from app.doors.native.values import Number
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Interval, Label, Labels, Match, Position, Positions, Selection

DIMS = {"lat": 9, "lon": 9, "x": 9, "variables": 3}


def labels_of(query: Query) -> list[object]:
    found: list[object] = []
    for wanted in query.selection.along.values():
        match wanted:
            case Label(value):
                found.append(value)
            case Labels(values):
                found += values
            case _:
                pass
    return found


def ask(document: Any) -> Query:
    text = document if isinstance(document, str) else json.dumps(document)
    return Grammar(
        dims=DIMS,
        coords={"lat": ("lat",), "lon": ("lon",)},
        by="label",
        formats={"json": ()},
        variables=("t", "a,b"),
    ).parse_json(read_members(text.encode()))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("52.5", "52.5"),
        ("-0", "-0"),
        ("1E+2", "1E+2"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("9" * 6000, "9" * 6000),
        ('"nearest::\\u00e9"', "nearest::é"),
        ('"\\ud83c\\udf0d"', "\U0001f30d"),
    ],
)
def test_scalars_keep_what_was_written(value: str, text: str) -> None:
    """Numbers keep their digits, strings are what they say."""
    assert read_members(f'{{"lat": {value}}}'.encode()) == {"lat": [text]}


@pytest.mark.parametrize(
    ("value", "selection"),
    [
        (52.5, Label("52.5")),
        ("pad::52.5", Label("52.5", Match("pad"))),
        ("1/..", Interval("1", None)),
        ("1,2", Labels(("1", "2"))),
        ([1, 2.5], Labels(("1", "2.5"))),
        ([1, '"a,b"'], Labels(("1", "a,b"))),
        (["pad::1", "ffill::2"], Labels(("1", "2"), Match("pad"))),
        ([1], Labels(("1",))),
        (["1"], Labels(("1",))),
        (["1,2"], Labels(("1", "2"))),
        (["1,"], Labels(("1",))),
        (['"a,b"'], Labels(("a,b",))),
        (["nearest::1"], Labels(("1",), Match("nearest"))),
    ],
)
def test_labels(value: Any, selection: object) -> None:
    """A value is read as in a URL; an array is a list, also one of a single item."""
    assert ask({"lat": value}).selection.along == {"lat": selection}


@pytest.mark.parametrize(
    ("value", "selection"),
    [(3, Position(3)), ([3], Positions((3,))), ([3, -1], Positions((3, -1)))],
)
def test_positions(value: Any, selection: object) -> None:
    """Positions are whole numbers or lists of them."""
    assert ask({"isel[lat]": value}).selection.along == {"lat": selection}


def test_options() -> None:
    """Arrays of names are lists, `explain` is a truth, the others are strings."""
    document = {
        "lat": [1, 2], "lon": [3, 4], "pointwise": ["lat", "lon"], "variables": ["t", '"a,b"'],
        "method": "ffill", "tolerance": ["lat:1", "lon:2"], "explain": True, "f": "json",
    }  # fmt: skip
    along = {
        "lat": Labels(("1", "2"), Match("pad", "1")),
        "lon": Labels(("3", "4"), Match("pad", "2")),
    }
    selection = Selection(along, ("t", "a,b"), ("lat", "lon"))
    assert ask(document) == Query(selection, "json", True)
    assert ask({"variables": ["t"], "explain": False}) == Query(Selection({}, ("t",)))
    assert ask({"sel[variables]": [1]}).selection.along == {"variables": Positions((1,))}
    assert ask({}) == Query(Selection())


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("lat", None, "null"),
        ("lat", True, "true or false"),
        ("lat", [True], "true or false"),
        ("lat", {}, "an object"),
        ("lat", [{"a": 1}], "an object"),
        ("lat", [], "an empty array"),
        ("lat", [[1]], "an array in an array"),
        ("lat", [1, None], "null"),
        ("variables", [], "an empty array"),
        ("variables", True, "true or false"),
        ("explain", [True], "one value"),
        ("f", ["json"], "one value"),
        ("method", ["pad", "pad"], "one value"),
    ],
)
def test_what_no_value_can_be(name: str, value: Any, kind: str) -> None:
    """What cannot be a value is named, with the parameter."""
    with pytest.raises(QueryError, match=kind) as caught:
        ask({name: value})
    assert caught.value.facts == {"parameter": name}


@pytest.mark.parametrize("value", [["1/2"], ["1/2", "3/4"], ["1,2", "3/4"], [""], ["1,2,"]])
def test_arrays_hold_labels_alone(value: Any) -> None:
    """An interval or an empty text in an array is refused as in a repeated parameter."""
    with pytest.raises(QueryError):
        ask({"lat": value})


@pytest.mark.parametrize("value", [["0:2"], ["0:2", 1], [1.5], ["1,,"], [""], ["pad::1"]])
def test_arrays_hold_positions_alone(value: Any) -> None:
    """Neither a slice nor what is no whole number is one of a list."""
    with pytest.raises(QueryError) as caught:
        ask({"isel[lat]": value})
    assert caught.value.facts == {"parameter": "isel[lat]"}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('{"lat": 1,\n "lon" 2}', {"line": 2, "column": 8}),
        ("", {"line": 1, "column": 1}),
        ('{"lat": 01}', {"line": 1, "column": 10}),
        ('{"lat": "\t"}', {"line": 1, "column": 10}),
        ("{} {}", {"line": 1, "column": 4}),
        ("\ufeff{}", {"line": 1, "column": 1}),
        ('{"lat": NaN}', {}),
        ('{"lat": [-Infinity]}', {}),
        ('{"lat": 1, "lat": 2}', {"parameter": "lat"}),
        ("[1]", {}),
        ("null", {}),
        ('"lat"', {}),
        ("[" * 100_000, {}),
        ('{"a":' * 100_000, {}),
        ('{"lat": "\\ud800"}', {}),
        ('{"lat": ["\\udfff", 1]}', {}),
        ('{"\\ud800": 1}', {}),
    ],
)
def test_what_is_no_document(text: str, facts: dict[str, Any]) -> None:
    """What is not a JSON object, strictly, is refused; where it breaks off is said."""
    with pytest.raises(QueryError) as caught:
        read_members(text.encode())
    assert caught.value.facts == facts
    assert caught.value.detail.isprintable()


def test_what_is_not_utf8() -> None:
    """Bytes in another encoding are refused, with the place of the first that is wrong."""
    with pytest.raises(QueryError) as caught:
        read_members('{"lat": "é"}'.encode("latin-1"))
    assert caught.value.facts == {"byte": 9}


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=6,
)
parameters = st.one_of(st.sampled_from(["lat", "x", "isel[lat]", "f", "variables"]), st.text())


@given(st.one_of(st.binary(), st.dictionaries(parameters, json_values).map(json.dumps)))
def test_any_body_is_read_or_refused(body: bytes | str) -> None:
    """Whatever is posted, nothing but the errors of the contract is raised."""
    with suppress(QueryError, SelectionError, LimitError):
        members = read_members(body if isinstance(body, bytes) else body.encode())
        for name, value in members.items():
            assert type(name) is str
            assert isinstance(value, bool) or all(type(item) in (str, Number) for item in value)
        grammar = Grammar(dims=DIMS, coords={"lat": ("lat",)}, by="label", formats={"json": ()})
        query = grammar.parse_json(members)
        assert {type(label) for label in labels_of(query)} <= {str}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_posted_numbers_are_the_numbers(numbers: list[float]) -> None:
    """An array of numbers is the list of their texts."""
    assert ask({"lat": numbers}).selection.along == {"lat": Labels(tuple(map(repr, numbers)))}


def test_ten_thousand_labels_are_soon_read() -> None:
    """An array of 10,000 labels costs some milliseconds from bytes to query."""
    numbers = np.random.default_rng(1).uniform(-90, 90, 10_000).round(3).tolist()
    best = 1.0
    for _ in range(5):
        began = time.process_time()
        assert ask({"lat": numbers}).selection.along == {"lat": Labels(tuple(map(repr, numbers)))}
        best = min(best, time.process_time() - began)
    assert best < 0.1
