"""Longitudes, held against a plain computation with every column's angle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doors.native.grammar import Grammar
from sluice.axes.axis import Axis
from sluice.axes.resolve import Resolved, resolve
from sluice.errors import QueryError, SelectionError

GLOBE = np.arange(0, 360, 2.5)
CENTRED = np.arange(-180, 180, 2.5)


def pick(values: Any, text: str, *, name: str = "lon", **attrs: Any) -> Resolved:
    axis = Axis.of(name, np.asarray(values), attrs)
    pairs = [(name, text)]
    query = Grammar(dims={name: axis.size}, coords={name: (name,)}, by="label", formats={}).parse(
        pairs
    )
    return resolve(query.selection, {name: axis}, {name: axis.size})


def box(values: Any, text: str, **attrs: Any) -> tuple[list[Any], list[Any]]:
    """Stored and answered labels of the columns of an interval."""
    found = pick(values, text, **attrs)
    stored = np.asarray(values)[found.positions["lon"]]
    return stored.tolist(), found.labels.get("lon", stored).tolist()


def label(values: Any, text: str, **attrs: Any) -> Any:
    """The stored label of a point."""
    return np.asarray(values)[pick(values, text, **attrs).positions["lon"]]


def prepared(name: str, attrs: dict[str, Any], values: Any) -> tuple[bool, bool]:
    axis = Axis.of(name, np.asarray(values), attrs)
    return axis.longitude, axis.periodic


@pytest.mark.parametrize(
    ("name", "attrs", "is_one"),
    [
        ("lon", {}, True),
        ("Longitude", {}, True),
        ("x", {}, False),
        ("x", {"standard_name": "longitude"}, True),
        ("x", {"standard_name": "longitude", "units": "radians"}, False),
        ("x", {"units": "degrees_east"}, True),
        ("x", {"units": "degreesE"}, True),
        ("x", {"units": "degrees", "axis": "X"}, True),
        ("x", {"units": "degrees"}, False),
        ("x", {"units": "m", "axis": "X"}, False),
        ("lat", {"units": "degrees_north"}, False),
        ("lon", {"units": "m"}, False),
        ("lon", {"units": 7}, True),
    ],
)
def test_what_makes_a_longitude(name: str, attrs: dict[str, Any], is_one: bool) -> None:
    """CF attributes or the name make a longitude axis, unless its units are no degrees."""
    assert prepared(name, attrs, GLOBE) == (is_one, is_one)


@pytest.mark.parametrize(
    ("values", "periodic"),
    [
        (GLOBE, True),
        (CENTRED[::-1], True),
        (np.arange(3600) / np.float32(10), True),
        (np.round(np.arange(4320) / 12, 2), True),
        (np.append(GLOBE, 360), True),
        (np.roll(CENTRED, 7), True),
        (GLOBE[:-1], False),
        (GLOBE[10:60], False),
        ([0], False),
        ([0, 120, 240], True),
    ],
)
def test_what_makes_a_circle(values: Any, periodic: bool) -> None:
    """The axis goes round when one more step after the last label is the first again."""
    assert prepared("lon", {}, values) == (True, periodic)


@pytest.mark.parametrize("values", [[], ["a", "b"], [0.0, 1e30], np.arange(3).astype("M8[s]")])
def test_what_is_no_longitude_at_all(values: Any) -> None:
    """A name is not enough where the labels cannot be degrees."""
    assert prepared("lon", {}, values) == (False, False)


@pytest.mark.parametrize("values", [GLOBE, GLOBE[::-1], CENTRED, CENTRED[::-1]])
@pytest.mark.parametrize(
    ("text", "angle"),
    [
        ("350", 350), ("-10", 350), ("-190", 170), ("540", 180), ("nearest::-10", 350),
        ("nearest::359", 0), ("nearest::-1", 0), ("nearest::358.7", 357.5), ("-0.0000001", 0),
        ("359.9999999", 0), ("nearest::179.5", 180), ("nearest::-178.9", 180),
        ("nearest::500", 140),
    ],
)  # fmt: skip
def test_points_wrap(values: Any, text: str, angle: float) -> None:
    """A point is found under each of its names, and answers with the store's label."""
    assert label(values, text) % 360 == angle


def test_ties_across_the_seam_go_east() -> None:
    """Halfway over the seam the eastern column is the nearest, as everywhere on the axis."""
    assert label(GLOBE, "nearest::358.75") == 0
    assert label(GLOBE, "nearest::3.75") == 5
    assert label(GLOBE[::-1], "nearest::358.75") == 0


def test_pad_and_backfill_cross_the_seam() -> None:
    """The label before 0 is the last one, and the one after it the first, in the store's order."""
    assert label(GLOBE, "pad::359") == label(GLOBE[::-1], "backfill::-1") == 357.5
    assert label(GLOBE, "backfill::359") == label(GLOBE[::-1], "pad::-1") == 0


def test_lists_keep_the_stores_labels() -> None:
    """A list is read label by label, in the asked order."""
    assert label(GLOBE, "-10,10,370").tolist() == [350, 10, 10]
    assert pick(GLOBE, "-10,10").labels == {}


def test_an_absent_column_names_both_neighbours() -> None:
    """Across the seam the nearest labels are the last and the first."""
    with pytest.raises(SelectionError) as caught:
        pick(GLOBE, "-1")
    assert caught.value.facts["nearest"] == [357.5, 0.0]


def test_a_region_wraps_labels_and_has_ends() -> None:
    """On a part of the circle labels wrap too, but beyond its ends one step is the limit."""
    region = np.arange(340, 380, 5.0)
    assert label(region, "-10") == 350
    assert label(region, "5") == 365
    assert label(region, "nearest::16") == 375
    assert label(region, "nearest::336") == 340
    for text in ("nearest::100", "nearest::334.9", "nearest::20.1", "pad::336"):
        with pytest.raises(SelectionError):
            pick(region, text)
    assert box(region, "-10/10") == ([350, 355, 360, 365, 370], [-10, -5, 0, 5, 10])
    assert box(np.arange(-20, 21, 10), "350/10") == ([-10, 0, 10], [350, 360, 370])
    assert box(np.arange(-20, 21, 10), "10/-10") == ([10, 20, -20, -10], [10, 20, 340, 350])


GRIDS = {
    "0..350": np.arange(0, 360, 10),
    "-180..170": np.arange(-180, 180, 10),
    "float32": np.arange(0, 360, 10, dtype="f4"),
    "rolled": np.roll(np.arange(-180, 180, 10), 5),
    "0..360": np.arange(0, 361, 10),
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("-10/10", [-10, 0, 10]),
        ("350/10", [350, 360, 370]),
        ("170/-170", [170, 180, 190]),
        ("170/190", [170, 180, 190]),
        ("20/40", [20, 30, 40]),
        ("-180/180", [*range(-180, 180, 10)]),
        ("0/359.99999999", [*range(0, 360, 10)]),
        ("-180/170", [*range(-180, 180, 10)]),
        ("10/370", [*range(10, 370, 10)]),
        ("-10/350", [*range(-10, 350, 10)]),
        ("170/530", [*range(170, 530, 10)]),
        ("0/720", [*range(0, 360, 10)]),
        ("180/-180", [180]),
        ("355/5", [360]),
        ("-10.0000000001/9.9999999999", [-10, 0, 10]),
        ("-9.9999999999/10", [-10, 0, 10]),
        ("-20/20/2", [-20, 0, 20]),
        ("-20/20/3", [-20, 10]),
    ],
)
def test_intervals_run_eastward(grid: str, descending: bool, text: str, labels: list[int]) -> None:
    """Labels rise from the asked west end on every grid, and each column comes at most once."""
    values = GRIDS[grid][::-1] if descending else GRIDS[grid]
    stored, answered = box(values, text)
    if grid == "0..360" and text in ("0/720", "0/359.99999999"):
        labels = [*labels, 360]
    assert answered == labels
    assert [angle % 360 for angle in stored] == [angle % 360 for angle in labels]


@pytest.mark.parametrize("values", GRIDS.values())
def test_all_of_it_under_the_stored_names(values: Any) -> None:
    """The interval that the axis spans is the axis; nothing is renamed."""
    low, high = values.min(), values.max()
    found = pick(values, f"{low}/{high}")
    assert sorted(values[found.positions["lon"]]) == sorted(values)
    assert found.labels == {}


def test_contiguous_boxes_stay_slices() -> None:
    """A box that the store holds in one piece is read as one piece, renamed or not."""
    assert pick(GLOBE, "10/20").positions["lon"] == slice(4, 9, 1)
    assert pick(GLOBE, "-20/-10").positions["lon"] == slice(136, 141, 1)
    assert pick(GLOBE[::-1], "0/5").positions["lon"] == slice(143, 140, -1)
    assert pick(GLOBE[::-1], "350/357.5/2").positions["lon"] == slice(3, None, -2)


def test_open_ends_stay_on_the_axis() -> None:
    """With an open end nothing wraps: the store's labels from, or up to, the one that is named."""
    assert pick(GLOBE, "350/..").positions["lon"] == slice(140, 144, 1)
    assert pick(GLOBE, "../5").positions["lon"] == slice(0, 3, 1)
    assert pick(GLOBE, "../..").positions["lon"] == slice(0, 144, 1)
    assert pick(CENTRED, "../-175").labels == {}
    with pytest.raises(SelectionError):
        pick(GLOBE, "360/..")


def test_an_arc_between_two_columns_is_refused() -> None:
    """An interval without a column is refused with the axis' range."""
    with pytest.raises(SelectionError) as caught:
        pick(GLOBE, "-2/-1")
    assert caught.value.facts["range"] == [0.0, 357.5]
    with pytest.raises(SelectionError):
        pick(GLOBE[10:20], "100/200")


@pytest.mark.parametrize("text", ["1e7", "-1e300", "0/1e9", "east", "-10/west"])
def test_what_names_no_longitude(text: str) -> None:
    """What is no number, or turns thousands of times, cannot be a longitude."""
    with pytest.raises(QueryError):
        pick(GLOBE, text)


def test_labels_find_room() -> None:
    """Integers that cannot be negative, or so large, make way for those that can."""
    for dtype, wider in (("u2", "i8"), ("i2", "i2"), ("f4", "f4"), (">f8", "f8")):
        labels = pick(np.arange(0, 360, 10).astype(dtype), "-10/10").labels["lon"]
        assert labels.dtype == np.dtype(wider)
        assert labels.tolist() == [-10, 0, 10]


def test_decimals_of_float32_survive_the_turn() -> None:
    """A label turns before it takes the axis' precision, so that -0.1 is 359.9."""
    tenths = np.arange(3600).astype("f4") / np.float32(10)
    assert pick(tenths, "-0.1").positions["lon"] == 3599
    assert list(np.asarray(pick(tenths, "-0.1/0.1").positions["lon"])) == [3599, 0, 1]


@st.composite
def globes(draw: st.DrawFn) -> Any:
    """Whole circles: any start, direction and step that divides 360, in binary fractions."""
    step = draw(st.sampled_from([0.5, 1.25, 2.5, 7.5, 45.0, 90.0]))
    values = draw(st.integers(-64, 64)) / 8 * 22.5 + np.arange(round(360 / step)) * step
    values = values[::-1] if draw(st.booleans()) else values
    return values.astype(draw(st.sampled_from(["f4", "f8"])))


eighths = st.integers(-720 * 8, 720 * 8).map(lambda n: n / 8)


@given(globes(), eighths, eighths, st.integers(1, 4))
@settings(deadline=None)
def test_arcs_hold_what_lies_in_them(values: Any, west: float, east: float, step: int) -> None:
    """A box holds the columns whose angle east of the west end is no larger than the box's."""
    width = 360.0 if east - west >= 360 else (east - west) % 360
    offsets = (values.astype("f8") - west) % 360
    inside = np.flatnonzero(offsets <= width)
    inside = inside[np.argsort(offsets[inside])][::step]
    if not inside.size:
        with pytest.raises(SelectionError):
            pick(values, f"{west}/{east}/{step}")
        return
    stored, answered = box(values, f"{west}/{east}/{step}")
    assert stored == values[inside].tolist()
    assert answered == (west + offsets[inside]).tolist()


@given(globes(), eighths, st.sampled_from(["nearest", "pad", "backfill"]))
@settings(deadline=None)
def test_inexact_points_agree_with_a_padded_axis(values: Any, asked: float, method: str) -> None:
    """The chosen column is xarray's on the same axis with one turn more on either side."""
    ds = xr.Dataset({"column": ("lon", np.arange(values.size))}, {"lon": values})
    turns = sorted((-360, 0, 360), reverse=bool(values[0] > values[-1]))
    padded = xr.concat([ds.assign_coords(lon=values + turn) for turn in turns], "lon")
    inside = float(values.min()) + (asked - float(values.min())) % 360
    expected = padded.sel(lon=inside, method=method).column.item()
    assert pick(values, f"{method}::{asked}").positions["lon"] == expected
