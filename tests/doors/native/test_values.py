"""How long lists are bounded, and what hostile text costs."""

from __future__ import annotations

import time
from contextlib import suppress

import numpy as np
import pytest

from app.doors.native.grammar import Grammar, Query
from app.doors.native.names import By
from sluice.axes.axis import Axis
from sluice.axes.resolve import resolve
from sluice.errors import LimitError, QueryError, SelectionError
from sluice.selection import Labels

MANY = 10_000
SIZE = 2**20
# Several times what a quiet core takes; anything quadratic takes minutes.
SECONDS = 2.0
AXES = {
    "lat": np.linspace(90, -90, 19),
    "lon": np.arange(0, 360, 5.0),
    "time": np.arange("2020-01-01", "2020-03-01", dtype="M8[D]").astype("M8[s]"),
    "name": np.array(["a", "b"], object),
    "lead": np.arange(3).astype("m8[s]"),
}
PREPARED = {name: Axis.of(name, values, {}) for name, values in AXES.items()}
SIZES = {name: axis.size for name, axis in PREPARED.items()} | {"x": 7}


def ask(*pairs: tuple[str, str], most: int | None = None, by: By = "label") -> Query:
    return Grammar(
        dims=SIZES,
        coords={name: (name,) for name in AXES},
        by=by,
        formats={"json": ()},
        variables=("t",),
    ).parse(pairs, most_labels=most)


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        (["1,2,3,4"], 4),
        (["1,2", "3,4,5"], 5),
        (["1"] * 6, 6),
        (["1,"] * 4, 4),
        (["pad::1,2,3,4"], 4),
        (["1," * 500_000 + "1"], 500_001),
    ],
)
@pytest.mark.parametrize(("name", "by"), [("lat", "label"), ("x", "label"), ("lat", "position")])
def test_long_lists_are_refused(name: str, by: By, texts: list[str], count: int) -> None:
    """A list of more labels or positions than allowed is refused with both numbers."""
    if "::" in texts[0] and (name, by) != ("lat", "label"):
        return
    with pytest.raises(LimitError) as caught:
        ask(*((name, text) for text in texts), most=3, by=by)
    assert caught.value.facts == {"parameter": name, "count": count, "limit": 3}


@pytest.mark.parametrize("method", ["", "pad::"])
def test_quoted_commas_count_for_nothing(method: str) -> None:
    """A comma inside a label makes no list longer."""
    text = method + '"a,b,c","d,e","f,,,"'
    selection = ask(("name", text), most=3).selection.along["name"]
    assert isinstance(selection, Labels)
    assert selection.values == ("a,b,c", "d,e", "f,,,")
    for longer in (text + ',"g"', text + ",g", text + ',g"'):
        with pytest.raises(LimitError) as caught:
            ask(("name", longer), most=3)
        assert caught.value.facts["count"] == 4
    with pytest.raises(QueryError):
        ask(("name", text + ',"g'), most=3)


def test_lists_up_to_the_limit_are_read() -> None:
    """The limit itself is allowed, and neither intervals nor other parameters count."""
    pairs = [("lat", "1,2,3"), ("x", "0,1,2"), ("time", "2020/2021"), ("lon", "1,")]
    assert ask(*pairs, most=3) == ask(*pairs)
    assert ask(("x", "1,"), ("lat", "1"), most=1) == ask(("x", "1,"), ("lat", "1"))


HOSTILE = {
    "commas": "," * SIZE,
    "slashes": "/" * SIZE,
    "colons": ":" * SIZE,
    "quotes": '"' * SIZE,
    "an odd quote": '"' * (SIZE - 1),
    "half-closed quotes": '""x,' * (SIZE // 4),
    "never closed": '"' + '""x,' * (SIZE // 4),
    "a number": "1" * SIZE,
    "decimals": "0." + "1" * SIZE,
    "zeros": "0" * SIZE,
    "a list": "1," * (SIZE // 2) + "1",
    "a quoted list": '"",' * (SIZE // 3) + '"1"',
    "a padded list": "pad::" + "1," * (SIZE // 2) + "1",
    "an interval": "a/" * (SIZE // 2) + "a",
    "methods": "nearest::" * (SIZE // 9),
    "a duration": "P" + "1" * SIZE + "D",
    "spaces": " " * SIZE,
}


def cost(pairs: list[tuple[str, str]], by: By) -> float:
    """Seconds of CPU, at best, until the pairs are resolved or refused."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        with suppress(QueryError, SelectionError, LimitError):
            resolve(ask(*pairs, most=MANY, by=by).selection, PREPARED, SIZES)
        best = min(best, time.process_time() - began)
        if best < SECONDS:
            break
    return best


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_cheap(text: str) -> None:
    """A mebibyte of anything, as a value of anything, is answered in a fraction of a second."""
    for name in ("lat", "lon", "time", "name", "lead", "x"):
        for by in ("label", "position"):
            assert cost([(name, HOSTILE[text])], by) < SECONDS
    for option in ("variables", "tolerance", "pointwise", "method", "f", "explain"):
        assert cost([("lat", "nearest::1"), (option, HOSTILE[text])], "label") < SECONDS


@pytest.mark.parametrize("value", ["1", "1,", '"a"', "nearest::1", "a/b", "0:1", "lat", "lat:1"])
def test_hostile_repetition_is_cheap(value: str) -> None:
    """A hundred thousand parameters of one name, or of as many names, are soon refused."""
    for name in ("lat", "name", "x", "variables", "tolerance", "pointwise", "f", "method"):
        assert cost([(name, value)] * 100_000, "label") < SECONDS
    assert cost([(f"x{number}", value) for number in range(100_000)], "label") < SECONDS


@pytest.mark.parametrize("name", ["[" * SIZE, "sel[" * (SIZE // 4), "sel[" + "]" * SIZE])
def test_hostile_names_are_cheap(name: str) -> None:
    """A name of a mebibyte is soon refused, in a sentence of ordinary length."""
    assert cost([(name, "1")], "label") < SECONDS
    with pytest.raises((QueryError, SelectionError)) as caught:
        ask((name, "1"))
    assert len(caught.value.detail) < 500
