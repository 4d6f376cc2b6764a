"""Queries written back as parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar, Query
from app.doors.native.names import By
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Position,
    Positions,
    PositionSlice,
    Selection,
)
from tests.doors.native.spelling import format_query

FORMATS: dict[str, tuple[str, ...]] = {"json": (), "netcdf": ("nc",)}
NASTY = [
    "f", "method", "variables", "sel[x]", "isel[x]", "x", "sel[sel[x]]", "sel[", "a]", "[", "a,b",
    "a:b", "a::b", ":", "b:", '"', '"q"', 'say "hi"', "..", "a/b", " ", "é \n", "1", "nearest",
    "nearest::1", "&=%+#", "\u2028\U0001f30d",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a dataset: dimensions, those with labels, data variables."""

    dims: tuple[str, ...]
    indexed: frozenset[str]
    variables: tuple[str, ...]

    def read(self, pairs: Any, by: By) -> Query:
        return Grammar(
            dims=dict.fromkeys(self.dims, 5),
            coords={name: (name,) for name in self.dims if name in self.indexed},
            by=by,
            formats=FORMATS,
            variables=self.variables,
        ).parse(pairs)


names = st.one_of(st.sampled_from(NASTY), st.text(min_size=1))
texts = st.one_of(st.sampled_from(["", "..", "52.5", *NASTY]), st.text())
matches = st.one_of(
    st.none(),
    st.builds(
        Match,
        st.sampled_from(["nearest", "pad", "backfill"]),
        st.sampled_from([None, "0.25", "PT1H", '"', "a,b", "/"]),
    ),
)
integers = st.one_of(st.integers(-9, 9), st.integers(-(10**18), 10**18))
ends = st.one_of(st.none(), texts)
bounds = st.one_of(st.none(), integers)


@st.composite
def datasets(draw: st.DrawFn) -> Names:
    dims = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    indexed = draw(st.sets(st.sampled_from(dims)))
    return Names(tuple(dims), frozenset(indexed), tuple(draw(st.lists(names, unique=True))))


def selections(indexed: bool, size: int) -> st.SearchStrategy[Along]:
    """What one dimension may be asked for; its lists have `size` items."""
    kinds: list[st.SearchStrategy[Along]] = [
        st.builds(Position, integers),
        st.builds(Positions, st.tuples(*[integers] * size)),
        st.builds(PositionSlice, bounds, bounds, bounds.filter(lambda step: step != 0)),
    ]
    if indexed:
        kinds += [
            st.builds(Label, texts, matches),
            st.builds(Labels, st.tuples(*[texts] * size), matches),
            st.builds(Interval, ends, ends, st.integers(1, 10**18)),
        ]
    return st.one_of(kinds)


@st.composite
def queries(draw: st.DrawFn, of: Names) -> Query:
    size = draw(st.integers(1, 3))
    asked = draw(st.sets(st.sampled_from(of.dims)))
    chosen = {name: draw(selections(name in of.indexed, size)) for name in sorted(asked)}
    together = [n for n, s in chosen.items() if not isinstance(s, Interval | PositionSlice)]
    pointwise = draw(st.permutations(together)) if len(together) > 1 and draw(st.booleans()) else []
    known = sorted({*of.variables, *of.indexed})
    wanted = st.lists(st.sampled_from(known), min_size=1, unique=True) if known else st.nothing()
    variables = draw(st.one_of(st.none(), wanted.map(tuple)))
    selection = Selection(chosen, variables, tuple(pointwise))
    return Query(selection, draw(st.sampled_from([None, *FORMATS])), draw(st.booleans()))


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    """Any query over any names is read back as it was, on either path; so no two share a text."""
    of = data.draw(datasets())
    query = data.draw(queries(of))
    pairs = format_query(query)
    for by in ("label", "position"):
        assert of.read(pairs, by) == query
        assert format_query(of.read(pairs, by)) == pairs


@given(st.data())
@settings(deadline=None)
def test_the_order_of_asking_does_not_show(data: st.DataObject) -> None:
    """Equal queries have one text, however their mappings are ordered."""
    query = data.draw(queries(data.draw(datasets())))

    along = dict(reversed(list(query.selection.along.items())))
    selection = replace(query.selection, along=along)
    other = replace(query, selection=selection)
    assert other == query
    assert format_query(other) == format_query(query)


GRID = Names(("time", "lat", "x", "f"), frozenset({"time", "lat"}), ("t", "a,b"))


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        ("lat=1 time=2020", "time=2020 lat=1", (("sel[lat]", "1"), ("sel[time]", "2020"))),
        ("lat=1", "sel[lat]=1", (("sel[lat]", "1"),)),
        ('lat="1"', "lat=1", (("sel[lat]", "1"),)),
        ("x=1,2", "isel[x]=1 isel[x]=02", (("isel[x]", "1,2"),)),
        ("x=1,2", "sel[x]=1 sel[x]=2", (("isel[x]", "1,2"),)),
        ("lat=1,2,3", "lat=1 lat=2,3", (("sel[lat]", "1,2,3"),)),
        ("lat=1,2", 'lat=1, lat="2"', (("sel[lat]", "1,2"),)),
        ("lat=ffill::1", "lat=pad::1", (("sel[lat]", "pad::1"),)),
        ("lat=1 method=bfill", "method=backfill sel[lat]=1",
         (("sel[lat]", "backfill::1"),)),
        ("lat=1/2/1", "lat=1/2", (("sel[lat]", "1/2"),)),
        ("lat=1/2 method=pad", "lat=1/2", (("sel[lat]", "1/2"),)),
        ("isel[f]=1 f=json", "f=json sel[f]=1", (("isel[f]", "1"), ("f", "json"))),
        ("explain=false", "", ()),
        ('variables=t variables="a,b"', 'variables=t,"a,b"', (("variables", 't,"a,b"'),)),
        ("lat=pad::1 time=pad::2020 tolerance=time:P1D tolerance=lat:1",
         "tolerance=lat:1,time:P1D time=pad::2020 lat=pad::1",
         (("sel[lat]", "pad::1"), ("sel[time]", "pad::2020"), ("tolerance", "lat:1,time:P1D"))),
    ],
)  # fmt: skip
def test_spellings_of_one_request_have_one_text(
    one: str, other: str, text: tuple[tuple[str, str], ...]
) -> None:
    """Order, synonyms, brackets, quotes and repetition do not show in what is written."""
    for spelled in (one, other):
        pairs = [(p.partition("=")[0], p.partition("=")[2]) for p in spelled.split()]
        assert format_query(GRID.read(pairs, "label")) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lat=1", "lat=1,"),
        ("x=1", "x=1,"),
        ("lat=1/..", 'lat=1/".."'),
        ("lat=1,2", 'lat="1,2"'),
        ("lat=1,2", "lat=2,1"),
        ("lat=1", "isel[lat]=1"),
        ("variables=t,lat", "variables=lat,t"),
    ],
)
def test_different_requests_have_different_texts(one: str, other: str) -> None:
    """What answers differently is written differently."""
    texts = []
    for spelled in (one, other):
        name, _, value = spelled.partition("=")
        texts.append(format_query(GRID.read([(name, value)], "label")))
    assert texts[0] != texts[1]
