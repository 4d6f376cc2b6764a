"""The nearest cell of a grid, against a look at every cell by another formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sluice.axes.globe import EARTH_KM, Cells, Crossed, Nearest, distance_km

Floats = NDArray[np.float64]


def vectors(lon: Floats, lat: Floats) -> Floats:
    x, y = np.radians(lon), np.radians(lat)
    return np.stack((np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)), axis=-1)


def angles_km(lon: float, lat: float, lons: Floats, lats: Floats) -> Floats:
    """By the cross and the dot product, which is exact everywhere."""
    place, cells = vectors(np.array(lon), np.array(lat)), vectors(lons, lats)
    across = np.linalg.norm(np.cross(cells, place), axis=-1)
    return np.asarray(EARTH_KM * np.arctan2(across, cells @ place))


def check_distance(nearest: Nearest | None, apart: Floats) -> None:
    """It is as far away as the nearest one of all is, and None where there is none."""
    if np.isnan(apart).all():
        assert nearest is None
        return
    assert nearest is not None
    assert nearest.distance_km == pytest.approx(np.nanmin(apart), abs=1e-4)


def rotated(
    shape: tuple[int, int], width: float, pole: tuple[float, float]
) -> tuple[Floats, Floats]:
    """A regular grid around the equator, turned so that its middle lies at `pole`."""
    rows, columns = (np.linspace(-width, width, size) for size in shape)
    x, y, z = np.moveaxis(vectors(*np.meshgrid(columns, rows)), -1, 0)
    lon, lat = np.radians(pole)
    x, z = x * np.cos(lat) - z * np.sin(lat), x * np.sin(lat) + z * np.cos(lat)
    return np.degrees(np.arctan2(y, x) + lon), np.degrees(np.arcsin(np.clip(z, -1, 1)))


@st.composite
def grids(draw: st.DrawFn) -> tuple[Floats, Floats]:
    shape = draw(st.tuples(st.integers(1, 100), st.integers(1, 100)))
    width = draw(st.sampled_from([0.1, 5.0, 60.0, 89.0]))
    pole = draw(st.tuples(st.floats(-180, 180), st.sampled_from([-90.0, -45.0, 0.0, 89.9, 90.0])))
    lon, lat = rotated(shape, width, pole)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    lon += random.normal(scale=width / 300, size=shape)
    lat = np.clip(lat + random.normal(scale=width / 300, size=shape), -90, 90)
    missing = random.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.99]))
    lon[missing] = np.nan
    lat[random.random(shape) < 0.1] = np.nan
    if draw(st.booleans()):
        lon = lon % 360
    dtype = draw(st.sampled_from(["f4", "f8"]))
    flat = draw(st.booleans())
    lon, lat = lon.astype(dtype), lat.astype(dtype)
    return (lon.ravel(), lat.ravel()) if flat else (lon, lat)


@settings(max_examples=150, deadline=None)
@given(grids(), st.floats(-360, 360), st.floats(-90, 90), st.booleans())
def test_it_is_the_one_that_a_look_at_all_finds(
    grid: tuple[Floats, Floats], lon: float, lat: float, inside: bool
) -> None:
    lons, lats = (values.astype("f8") for values in grid)
    found = Cells(*grid)
    assert found.size == lons.size
    if inside:
        # Beside a cell, where others are about as near.
        lon, lat = (float(np.nan_to_num(values.flat[lons.size // 2])) for values in (lons, lats))
        lat = min(max(lat, -90.0), 90.0)
    apart = angles_km(lon, lat, lons, lats)
    nearest = found.nearest(lon, lat)
    check_distance(nearest, apart)
    if nearest is None:
        return
    known = np.sort(apart[~np.isnan(apart)])
    if len(known) < 2 or known[1] - known[0] > 1e-4:
        assert nearest.position == np.unravel_index(np.nanargmin(apart), apart.shape)


@st.composite
def crosses(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """A longitude for each column and a latitude for each row, in any order, some missing."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns, rows = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    width = draw(st.sampled_from([0.1, 5.0, 60.0, 400.0]))
    lon = draw(st.floats(-300, 300)) + random.uniform(-width, width, columns)
    lat = np.clip(draw(st.floats(-90, 90)) + random.uniform(-width, width, rows), -90, 90)
    missing = draw(st.sampled_from([0.0, 0.3, 1.0]))
    lon[random.random(columns) < missing] = np.nan
    lat[random.random(rows) < missing] = draw(st.sampled_from([np.nan, 1e20]))
    dtype = draw(st.sampled_from(["f4", "f8"]))
    return lon.astype(dtype), lat.astype(dtype)


@settings(max_examples=200, deadline=None)
@given(crosses(), st.floats(-360, 360), st.floats(-90, 90), st.booleans())
def test_of_crossed_coordinates_it_is_the_one_that_a_look_at_all_finds(
    grid: tuple[Floats, Floats], lon: float, lat: float, inside: bool
) -> None:
    found = Crossed(*grid)
    if inside:
        lon, lat = (float(np.nan_to_num(each[len(each) // 2])) for each in grid)
        lat = min(max(lat, -90.0), 90.0) if abs(lat) < 1e19 else 0.0
    known_lat = np.where(np.abs(grid[1]) > 90, np.nan, grid[1]).astype("f8")
    lons, lats = np.meshgrid(grid[0].astype("f8"), known_lat)
    apart = angles_km(lon, lat, lons, lats)
    nearest = found.nearest(lon, lat)
    check_distance(nearest, apart)
    if nearest is None:
        return
    assert apart[nearest.position] == pytest.approx(np.nanmin(apart), abs=1e-4)
    same = Cells(lons, lats).nearest(lon, lat)
    assert same is not None
    if same.position == nearest.position:
        assert same.width_km == pytest.approx(nearest.width_km)


def test_the_first_of_equal_ones() -> None:
    lon, lat = np.tile([10.0, 20.0], (70, 50)), np.zeros((70, 100))
    found = Cells(lon, lat).nearest(20, 0)
    assert found is not None
    assert found.position == (0, 1)
    flat = Cells(lon.ravel(), lat.ravel()).nearest(20, 0)
    assert flat is not None
    assert flat.position == (1,)


@pytest.mark.parametrize(("lon", "column"), [(359.9, 0), (-0.1, 0), (179.9, 2), (-180, 2), (91, 1)])
def test_longitudes_wrap(lon: float, column: int) -> None:
    lons, lats = np.meshgrid([0.0, 90.0, 180.0, 270.0], [-45.0, 45.0])
    found = Cells(lons, lats).nearest(lon, 44)
    assert found is not None
    assert found.position == (1, column)


def test_a_pole_is_as_near_from_everywhere() -> None:
    lons, lats = np.meshgrid(np.arange(0.0, 360, 10), [89.0, 90.0])
    found = Cells(lons, lats).nearest(123, 90)
    assert found is not None
    assert found.position[0] == 1
    assert found.distance_km == pytest.approx(0, abs=1e-6)


def test_what_is_no_coordinate_is_no_cell() -> None:
    lons = np.array([[1e20, 10.0], [np.inf, -32767]])
    lats = np.array([[1e20, 10.0], [0.0, 0.0]])
    found = Cells(lons, lats).nearest(0, 0)
    assert found is not None
    assert found.position == (0, 1)
    assert found.width_km is None
    assert Cells(lons[1:], lats[1:]).nearest(0, 0) is None


def test_integers_and_the_width_of_a_cell() -> None:
    lons, lats = np.meshgrid(np.arange(0, 50, 2), np.arange(-40, 41))
    found = Cells(lons, lats).nearest(9.6, 0.2)
    assert found is not None
    assert found.position == (40, 5)
    assert found.width_km == pytest.approx(2 * np.pi * EARTH_KM / 180)


def test_distances() -> None:
    quarter = np.pi / 2 * EARTH_KM
    assert distance_km(0, 0, 90, 0) == pytest.approx(quarter)
    assert distance_km(0, 0, 180, 0) == pytest.approx(2 * quarter)
    assert distance_km(0, -90, 77, 90) == pytest.approx(2 * quarter)


@given(grids())
def test_pieces_have_each_cell_at_its_place(grid: tuple[Floats, Floats]) -> None:
    """All that have coordinates, once."""
    lon, lat = grid
    found = [np.concatenate(one) for one in zip(*Cells(lon, lat).pieces(), strict=True)]
    places = found[0].astype("i8")
    there = np.flatnonzero(~(np.isnan(lon) | np.isnan(lat)))
    assert sorted(places.tolist()) == there.tolist()
    np.testing.assert_array_equal(found[1], lon.reshape(-1)[places])
    np.testing.assert_array_equal(found[2], lat.reshape(-1)[places])


def test_pieces_of_rows_and_columns() -> None:
    lon, lat = np.array([1.0, np.nan, 3.0]), np.array([np.nan, 5.0])
    ((places, lons, lats),) = Crossed(lon, lat).pieces()
    assert (places.tolist(), lons.tolist(), lats.tolist()) == ([3, 5], [1.0, 3.0], [5.0, 5.0])


@pytest.mark.parametrize(
    ("lon", "lat", "box"),
    [
        ([10.0, 12.0], [5.0, 7.0], (10, 5, 12, 7)),
        ([350.0, 359.5, 3.0], [5.0], (-10, 5, 3, 5)),
        ([170.0, 180.0, -175.5], [-5.0, 5.0], (170, -5, -175.5, 5)),
        (list(range(-180, 180, 10)), [-90.0, 90.0], (-180, -90, 180, 90)),
        ([42.5], [1.0], (42.5, 1, 42.5, 1)),
        ([np.nan], [1.0], None),
    ],
)
def test_what_cells_lie_in(lon: list[float], lat: list[float], box: object) -> None:
    """West of all and east of all, across any seam."""
    assert Crossed(np.array(lon), np.array(lat)).box == box
    lons, lats = np.meshgrid(lon, lat)
    assert Cells(lons, lats).box == box


def test_steps_are_as_long_as_small_cells() -> None:
    lon, lat = np.arange(0.0, 40, 2), np.arange(-20.0, 20)
    step = EARTH_KM * np.radians(1)
    assert Crossed(lon, lat).step_km == pytest.approx(step)
    assert Cells(*np.meshgrid(lon, lat)).step_km == pytest.approx(step)
    assert Crossed(lon[:1], lat[:1]).step_km == np.inf
