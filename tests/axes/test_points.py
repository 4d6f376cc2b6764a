"""Lists that are read together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar
from sluice.axes.axis import Axis, Indexer
from sluice.axes.resolve import Resolved, resolve
from sluice.errors import QueryError, SelectionError
from sluice.selection import Positions, Selection

AXES = {
    "time": Axis.of("time", np.arange("2020-01-01", "2020-01-05", dtype="M8[D]"), {}),
    "lat": Axis.of("lat", np.arange(90.0, -91.0, -10.0), {}),
    "lon": Axis.of("lon", np.arange(0.0, 360.0, 10.0), {}),
    "twice": Axis.of("twice", np.array([1, 2, 2]), {}),
}
SIZES = {name: axis.size for name, axis in AXES.items()} | {"x": 5}


def points(names: str, **values: str) -> Resolved:
    pairs = [*values.items(), ("pointwise", names)]
    coords = {name: (name,) for name in AXES}
    query = Grammar(dims=SIZES, coords=coords, by="label", formats={}).parse(pairs)
    return resolve(query.selection, AXES, SIZES)


def listed(at: Indexer) -> list[int]:
    assert isinstance(at, np.ndarray)
    found: list[int] = at.tolist()
    return found


def test_lists_of_labels_and_positions() -> None:
    """Each dimension answers with as many positions; the others stay as they are."""
    found = points("lat,lon,x", lat="50,-10", lon="nearest::-12,4", x="4,0", time="2020-01-02")
    assert found.pointwise == ("lat", "lon", "x")
    assert {name: listed(found.positions[name]) for name in found.pointwise} == {
        "lat": [4, 10],
        "lon": [35, 0],
        "x": [4, 0],
    }
    assert found.positions["time"] == slice(1, 2, 1)


def test_scalars_are_for_every_point() -> None:
    """A scalar label or position is repeated; scalars alone are one point."""
    found = points("time,lon,x", time="2020-01-03T00:00Z", lon="0,10,20", x="-1")
    assert listed(found.positions["time"]) == [2, 2, 2]
    assert listed(found.positions["x"]) == [4, 4, 4]
    alone = points("time,lat", time="2020-01-03", lat="0")
    assert {name: listed(at) for name, at in alone.positions.items()} == {"time": [2], "lat": [9]}


@pytest.mark.parametrize(
    ("values", "error", "point"),
    [
        ({"lat": "0,10,11", "lon": "0,0,0"}, SelectionError, 2),
        ({"lat": "0,10,north", "lon": "0,0,0"}, QueryError, 2),
        ({"lat": "nearest::0,500,0", "lon": "0,0,0"}, SelectionError, 1),
        ({"lat": "0", "lon": "5,0"}, SelectionError, 0),
        ({"lat": "0,0", "x": "0,5"}, SelectionError, 1),
        ({"lat": "0,0", "twice": "1,2"}, SelectionError, 1),
    ],
)
def test_errors_name_the_point(values: dict[str, str], error: type[Exception], point: int) -> None:
    """Whoever asks for fifty stations reads which of them is wrong."""
    with pytest.raises(error, match=f"point {point}: ") as caught:
        points(",".join(values), **values)
    assert caught.value.facts["point"] == point  # type: ignore[attr-defined]


def test_a_wrong_scalar_is_no_point() -> None:
    """An error in what is for every point names none of them."""
    with pytest.raises(SelectionError) as caught:
        points("lat,lon", lat="1", lon="0,10")
    assert "point" not in caught.value.facts


FAR = st.integers(-6, 6) | st.sampled_from([2**63, -(2**70), 10**18])


@given(st.lists(st.integers(-5, 4), min_size=1, max_size=40), st.booleans())
def test_positions_of_any_list_are_counted_from_the_start(asked: list[int], together: bool) -> None:
    """However long it is, and whether it goes point by point."""
    selection = Selection({"x": Positions(tuple(asked))}, pointwise=("x",) if together else ())
    found = resolve(selection, AXES, SIZES)
    assert listed(found.positions["x"]) == [index % 5 for index in asked]


@given(st.lists(FAR, min_size=1, max_size=40), st.booleans())
def test_the_first_position_that_is_not_there_is_told(asked: list[int], together: bool) -> None:
    """Also where it is none that 64 bits hold."""
    wrong = next((n for n, index in enumerate(asked) if not -5 <= index < 5), None)
    selection = Selection({"x": Positions(tuple(asked))}, pointwise=("x",) if together else ())
    if wrong is None:
        resolve(selection, AXES, SIZES)
        return
    with pytest.raises(SelectionError, match="x has 5 positions") as caught:
        resolve(selection, AXES, SIZES)
    assert caught.value.facts.get("point") == (wrong if together else None)
