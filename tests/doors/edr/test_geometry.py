"""Texts of places: what is read, what is refused, and that nothing else happens."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.doors.edr.cells import circle_box, inside, within
from app.doors.edr.geometry import (
    MOST_VERTICES,
    box_of,
    line_of,
    places_of,
    read_box,
    read_distance,
    read_geometry,
    system_of,
)
from sluice.axes.globe import distance_km
from sluice.encoders.coverage_parts import CRS84, EPSG4326
from sluice.errors import QueryError

POINTS, AREAS = ("POINT", "MULTIPOINT"), ("POLYGON", "MULTIPOLYGON")
LINES = ("LINESTRING", "MULTILINESTRING")
words = st.sampled_from(
    [
        *POINTS,
        *AREAS,
        *LINES,
        "Z",
        "M",
        "ZM",
        "EMPTY",
        "(",
        ")",
        ",",
        " ",
        "1",
        "-2.5",
        "1e5",
        "nan",
    ]
)


@given(st.one_of(st.text(max_size=30), st.lists(words, max_size=20).map("".join)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for kinds in (POINTS, AREAS, LINES):
        with suppress(QueryError):
            geometry = read_geometry(text, kinds, CRS84)
            if kinds is LINES:
                line_of(geometry, CRS84)
            elif kinds is POINTS:
                places_of(geometry, CRS84)
            else:
                box_of(geometry, CRS84)


@pytest.mark.parametrize(
    "text",
    ["POINT(1 2)", " point ( 1 2 ) ", "POINT Z(1 2 3)", "POINTZ(1 2 3)", "MULTIPOINT(1 2)"],
)
def test_spellings_of_a_point(text: str) -> None:
    lon, lat, _ = places_of(read_geometry(text, POINTS, CRS84), CRS84)
    assert (lon.tolist(), lat.tolist()) == ([1], [2])
    lon, lat, level = places_of(read_geometry("POINT Z(1 2 3)", POINTS, EPSG4326), EPSG4326)
    assert (lon.tolist(), lat.tolist()) == ([2], [1])
    assert level is not None
    assert level.tolist() == [3]


def test_the_vertices_of_lines() -> None:
    line = line_of(read_geometry("LINESTRING ZM(1 2 3 4,5 6 7 8)", LINES, EPSG4326), EPSG4326)
    assert line.lon.tolist() == [2, 6]
    assert line.level is not None
    assert line.level.tolist() == [3, 7]
    assert line.seconds is not None
    assert line.seconds.tolist() == [4, 8]
    line = line_of(read_geometry("LINESTRING M(1 2 4,5 6 8)", LINES, CRS84), CRS84)
    assert line.level is None
    assert line.seconds is not None
    assert line.seconds.tolist() == [4, 8]
    line = line_of(read_geometry("MULTILINESTRING((1 2,3 4),(5 6,7 8))", LINES, CRS84), CRS84)
    assert line.starts == (0, 2)


def test_bounds_of_texts() -> None:
    many = ",".join(["1 2"] * (MOST_VERTICES + 1))
    with pytest.raises(QueryError, match="20000"):
        read_geometry(f"MULTIPOINT({many})", POINTS, CRS84)
    with pytest.raises(QueryError, match="letters"):
        read_geometry(f"POINT({'1' * 600_000} 2)", POINTS, CRS84)
    with pytest.raises(QueryError):
        read_geometry("MULTIPOLYGON" + "(" * 1000 + "1 2" + ")" * 1000, AREAS, CRS84)


def test_parts_beside_the_antimeridian_are_beside_each_other() -> None:
    text = "MULTIPOLYGON(((170 0,180 0,180 9,170 0)),((-180 0,-170 0,-180 9,-180 0)))"
    geometry, box = box_of(read_geometry(text, AREAS, CRS84), CRS84)
    assert (box.west, box.east) == (170, 190)
    assert inside(geometry, np.array([175.0, 185, 200]), np.array([1.0])).tolist() == [
        [True, True, False]
    ]
    text = "MULTIPOLYGON(((-20 0,-10 0,-10 9,-20 0)),((5 0,9 0,9 9,5 0)))"
    assert box_of(read_geometry(text, AREAS, CRS84), CRS84)[1].west == -20


def test_a_ring_that_crosses_itself_is_refused() -> None:
    """At once: to mend one of a few hundred random vertices takes minutes."""
    ring = np.random.default_rng(0).uniform(0, 80, (900, 2)).round(1)
    text = ",".join(f"{x} {y}" for x, y in [*ring, ring[0]])
    with pytest.raises(QueryError, match="a ring crosses or touches itself"):
        box_of(read_geometry(f"POLYGON(({text}))", AREAS, CRS84), CRS84)


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    km=st.floats(1, 21_000),
    bearing=st.floats(0, 2 * math.pi),
)
@settings(max_examples=200, deadline=None)
def test_a_circle_lies_in_its_box(lon: float, lat: float, km: float, bearing: float) -> None:
    box = circle_box(lon, lat, km)
    angle = 0.999 * km / 6371.0088
    y = math.radians(lat)
    north = math.asin(
        max(
            -1,
            min(
                1, math.sin(y) * math.cos(angle) + math.cos(y) * math.sin(angle) * math.cos(bearing)
            ),
        )
    )
    east = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(y),
        math.cos(angle) - math.sin(y) * math.sin(north),
    )
    x = lon + math.degrees(east)
    assert distance_km(lon, lat, x, math.degrees(north)) <= km
    assert box.south - 1e-6 <= math.degrees(north) <= box.north + 1e-6
    assert (x - box.west + 1e-6) % 360 <= box.east - box.west + 2e-6


def test_cells_within_a_distance() -> None:
    lon, lat = np.arange(-20.0, 21), np.arange(40.0, 61)
    found = within(0, 50, 500, lon, lat)
    assert found[10, 20]
    assert found.sum() == (distance_km(0, 50, lon[None], lat[:, None]) <= 500).sum()


def test_boxes_and_distances() -> None:
    assert read_box("1,2,3,4", CRS84) == read_box("2,1,4,3", EPSG4326)
    assert read_box("1, 2, 10, 3, 4, 20", CRS84).levels == (10, 20)
    assert read_distance("2", "KM") == 2
    assert read_distance("1e9", "km") < 20_100
    for distance, units in ((None, "km"), ("1", None), ("0", "km"), ("x", "km"), ("1", "ly")):
        with pytest.raises(QueryError):
            read_distance(distance, units)


def test_systems() -> None:
    for name in ("CRS84", "crs84", "OGC:CRS84", None, "", CRS84, CRS84.replace("http:", "https:")):
        assert system_of(name) == CRS84
    for name in ("EPSG:4326", "urn:ogc:def:crs:EPSG::4326", f"[{EPSG4326}]"):
        assert system_of(name) == EPSG4326
