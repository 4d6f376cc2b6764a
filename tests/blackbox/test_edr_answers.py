"""EDR: values equal to xarray's, places and times outside, what is refused, and what HTTP wants."""

from __future__ import annotations

import io
import json
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import edr
from .conftest import Service
from .edr import PLACES, check_error, globe, grid, plane, region, write_stores

GLOBE, REGION = globe(), region()
FIRST = "2024-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def service(edr_service: Service) -> Service:
    return edr_service


def ask(service: Service, query: str, dataset: str = "globe", **params: object) -> httpx.Response:
    return edr.ask(service, query, dataset, **params)


def covered(service: Service, query: str, dataset: str = "globe", **params: object) -> Any:
    return edr.covered(service, query, dataset, **params)


def same(found: xr.DataArray, expected: xr.DataArray) -> None:
    """The same values along the same labels, t, z, y and x by their letters."""
    names = {"time": "t", "valid_time": "t", "plev": "z"}
    names |= {"lat": "y", "latitude": "y", "lon": "x", "longitude": "x"}
    expected = expected.rename({a: b for a, b in names.items() if a in expected.dims})
    # A grid has all axes, also those of one label.
    found = found.isel(dict.fromkeys(set(found.dims) - set(expected.dims), 0), drop=True)
    expected = expected.transpose(*found.dims)
    np.testing.assert_array_equal(found.values, expected.values.astype(found.dtype))
    for name in found.coords:
        np.testing.assert_array_equal(found[name].values, expected[name].values)


# The rows of what a careful server gets right, and equal values.


def test_an_instant_with_a_zone_is_that_instant(service: Service) -> None:
    asked = {"coords": "POINT(50 20)", "parameter_name": "t2m", "datetime": "2024-01-03T00:00:00Z"}
    told = covered(service, "position", **asked)
    assert told["domain"]["domainType"] == "Point"
    assert told["domain"]["axes"]["t"] == {"values": ["2024-01-03T00:00:00Z"]}
    same(grid(told, "t2m"), GLOBE.t2m.sel(lon=50, lat=20, time="2024-01-03T00"))


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("2024-01-03T00:00:00Z/..", slice("2024-01-03", None)),
        ("../2024-01-02T06:00:00Z", slice(None, "2024-01-02T06:00")),
        ("2024-01-01T06:00:00Z/2024-01-02T06:00:00+00:00", slice("2024-01-01T06", "2024-01-02T06")),
        ("2024-01-02", slice("2024-01-02", "2024-01-02T23")),
        ("../..", slice(None)),
    ],
)
def test_intervals_of_time(service: Service, asked: str, chosen: slice) -> None:
    told = covered(service, "position", coords="POINT(50 20)", parameter_name="t2m", datetime=asked)
    assert told["domain"]["domainType"] == "PointSeries"
    same(grid(told, "t2m"), GLOBE.t2m.sel(lon=50, lat=20, time=chosen))


def test_times_that_are_listed_or_repeated(service: Service) -> None:
    expected = GLOBE.t2m.sel(lon=50, lat=20).isel(time=[0, 2, 4])
    for asked in (
        "2024-01-01T00:00Z,2024-01-01T12:00Z,2024-01-02T00:00Z",
        "R3/2024-01-01T00:00:00Z/PT12H",
    ):
        told = covered(
            service, "position", coords="POINT(50 20)", parameter_name="t2m", datetime=asked
        )
        same(grid(told, "t2m"), expected)


def test_a_place_west_of_greenwich_on_longitudes_from_0_to_360(service: Service) -> None:
    told = covered(service, "position", coords="POINT(-10 20)", parameter_name="t2m")
    assert told["domain"]["axes"]["x"] == {"values": [-10.0]}
    same(grid(told, "t2m"), GLOBE.t2m.sel(lon=350, lat=20))


def test_a_box_over_greenwich_and_either_order_of_rows(service: Service) -> None:
    told = covered(service, "cube", bbox="-10,-10,10,10", parameter_name="t2m", datetime=FIRST)
    assert told["domain"]["domainType"] == "Grid"
    found, rows = grid(told, "t2m"), slice(10, -10)
    assert found.x.values.tolist() == [-10, -5, 0, 5, 10]
    expected = GLOBE.t2m.isel(time=0).sel(lat=rows, lon=[350, 355, 0, 5, 10])
    same(found, expected.assign_coords(lon=found.x.values))
    told = covered(
        service, "cube", "region", bbox="-4,44,3,47", number="1", datetime="2024-06-02T00:00:00Z"
    )
    expected = REGION.wind.sel(number=1, valid_time="2024-06-02")
    same(grid(told, "wind"), expected.sel(latitude=slice(44, 47), longitude=slice(-4, 3)))


def test_a_box_over_the_antimeridian(service: Service) -> None:
    for box in ("170,0,-170,10", "170,0,190,10"):
        told = covered(service, "cube", bbox=box, parameter_name="t2m", datetime=FIRST)
        found = grid(told, "t2m")
        assert found.x.values.tolist() == [170, 175, 180, 185, 190]
        expected = GLOBE.t2m.isel(time=0).sel(lat=slice(10, 0), lon=slice(170, 190))
        same(found, expected)


def test_boxes_without_width(service: Service) -> None:
    for box in ("20,10,20,10", "21,11,21,11"):
        told = covered(service, "cube", bbox=box, parameter_name="t2m", datetime=FIRST)
        same(grid(told, "t2m"), GLOBE.t2m.isel(time=0).sel(lat=[10], lon=[20]))
    told = covered(service, "cube", bbox="-120,-80,-120,-20", parameter_name="t2m")
    expected = GLOBE.t2m.sel(lat=slice(-20, -80), lon=[240])
    same(grid(told, "t2m"), expected.assign_coords(lon=[-120]))
    assert ask(service, "cube", bbox="21,11,22,12").status_code == 204


def test_the_whole_globe_is_a_box(service: Service) -> None:
    told = covered(service, "cube", bbox="-180,-90,180,90", parameter_name="t2m", datetime=FIRST)
    found = grid(told, "t2m")
    assert found.x.values[[0, -1]].tolist() == [-180, 175]
    expected = GLOBE.t2m.isel(time=0).roll(lon=36, roll_coords=True)
    same(found, expected.assign_coords(lon=found.x.values))


@pytest.mark.parametrize(
    ("asked", "levels"),
    [
        ("850", [850]),
        ("500/900", [850, 500]),
        ("900/500", [850, 500]),
        ("850/850", [850]),
        ("1000,500", [1000, 500]),
        ("R2/500/350", [500, 850]),
        ("../850", [850, 500]),
        ("", [1000, 850, 500]),
    ],
)
def test_levels(service: Service, asked: str, levels: list[float]) -> None:
    told = covered(
        service, "position", coords="POINT(5 5)", parameter_name="temp", datetime=FIRST, z=asked
    )
    assert told["domain"]["axes"]["z"] == {"values": levels}
    assert told["domain"]["domainType"] == ("Point" if asked == "850" else "VerticalProfile")
    found = grid(told, "temp")
    expected = GLOBE.temp.isel(time=0).sel(lon=5, lat=5, plev=levels)
    np.testing.assert_array_equal(found.values.reshape(-1), expected.values.astype("f8"))


def test_a_level_in_the_place_or_the_box_yields_to_z(service: Service) -> None:
    asked = {"parameter_name": "temp", "datetime": FIRST}
    told = covered(service, "position", coords="POINT Z(5 5 500)", **asked)
    assert told["domain"]["axes"]["z"] == {"values": [500]}
    told = covered(service, "position", coords="POINT Z(5 5 500)", z="850", **asked)
    assert told["domain"]["axes"]["z"] == {"values": [850]}
    told = covered(service, "cube", bbox="0,0,400,5,5,900", **asked)
    assert told["domain"]["axes"]["z"] == {"values": [850, 500]}


def test_coordinates_in_the_order_of_their_system(service: Service) -> None:
    for crs in ("EPSG:4326", "http://www.opengis.net/def/crs/EPSG/0/4326"):
        told = covered(service, "position", coords="POINT(20 50)", crs=crs, parameter_name="t2m")
        same(grid(told, "t2m"), GLOBE.t2m.sel(lon=50, lat=20))
        assert told["domain"]["referencing"][0]["coordinates"] == ["y", "x"]
        told = covered(service, "cube", bbox="0,40,10,50", crs=crs, parameter_name="t2m")
        same(grid(told, "t2m"), GLOBE.t2m.sel(lon=slice(40, 50), lat=slice(10, 0)))
    told = covered(service, "position", coords="POINT(50 20)", crs="CRS84", parameter_name="t2m")
    same(grid(told, "t2m"), GLOBE.t2m.sel(lon=50, lat=20))
    assert ask(service, "position", coords="POINT(5 2)", crs="EPSG:3857").status_code == 400


@given(
    lon=st.floats(-180, 360, allow_nan=False),
    lat=st.floats(-90, 90, allow_nan=False),
    step=st.integers(0, 11),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_place_is_its_nearest_cell(service: Service, lon: float, lat: float, step: int) -> None:
    coords = f"POINT({lon!r} {lat!r})"
    time = pd.Timestamp(GLOBE.time.values[step]).isoformat() + "Z"
    told = covered(
        service, "position", coords=coords, datetime=time, parameter_name="temp,t2m", z=850
    )
    axes = told["domain"]["axes"]
    x, y = axes["x"]["values"][0], axes["y"]["values"][0]
    assert abs((x - lon + 180) % 360 - 180) <= 2.5 + 1e-6
    assert abs(y - lat) <= 2.5 + 1e-6
    expected = GLOBE.isel(time=step).sel(lon=x % 360, lat=y, plev=850)
    for name in ("temp", "t2m"):
        same(grid(told, name), expected[name])


@given(
    west=st.integers(-180, 359),
    width=st.integers(0, 200),
    south=st.integers(-90, 85),
    height=st.integers(5, 90),
    steps=st.tuples(st.integers(0, 11), st.integers(0, 11)).map(sorted),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_box_holds_its_cells(
    service: Service, west: int, width: int, south: int, height: int, steps: list[int]
) -> None:
    east = west + width if west + width <= 360 else west + width - 360
    north = min(south + height, 90)
    lons = [lon for lon in GLOBE.lon.values if (lon - west) % 360 <= (east - west) % 360]
    lons = sorted(lons, key=lambda lon: (lon - west) % 360)
    if not lons and west == east:
        apart = abs((GLOBE.lon.values - west + 180) % 360 - 180)
        lons = [float(GLOBE.lon.values[apart.argmin()])]
    first, last = (pd.Timestamp(GLOBE.time.values[step]).isoformat() + "Z" for step in steps)
    asked = {"bbox": f"{west},{south},{east},{north}", "datetime": f"{first}/{last}"}
    answer = ask(service, "cube", parameter_name="steps", **asked)
    rows = GLOBE.lat.sel(lat=slice(north, south))
    if not lons or not rows.size:
        assert answer.status_code == 204
        return
    found = grid(answer.json(), "steps")
    if west == east and lons[0] % 5 == 0 and west % 5:
        assert abs((found.x.values[0] - west + 180) % 360 - 180) <= 2.5
        lons = [found.x.values[0] % 360]
    assert (found.x.values % 360).tolist() == lons
    expected = GLOBE.steps.sel(lon=lons, lat=rows).isel(time=slice(steps[0], steps[1] + 1))
    same(found, expected.assign_coords(lon=found.x.values))


def test_several_places_are_a_collection(service: Service) -> None:
    asked = {"coords": "MULTIPOINT((20 10),(-100 -40),(7 81))", "parameter_name": "t2m"}
    told = covered(service, "position", **asked)
    cells = [(20, 10), (260, -40), (5, 80)]
    for one, (lon, lat) in zip(told["coverages"], cells, strict=True):
        assert one["domain"]["domainType"] == "PointSeries"
        same(grid(one, "t2m"), GLOBE.t2m.sel(lon=lon, lat=lat))
    # Those outside of the data are left out.
    asked = {"coords": "MULTIPOINT(0 50, 100 50)", "datetime": "2024-06-01T00:00:00Z"}
    told = covered(service, "position", "region", number=2, **asked)
    expected = REGION.wind.sel(number=2, valid_time="2024-06-01", longitude=0, latitude=50)
    same(grid(told, "wind"), expected)
    outside = ask(service, "position", "region", coords="MULTIPOINT(90 50, 100 50)")
    assert outside.status_code == 204


def test_members_of_an_ensemble_are_coverages(service: Service) -> None:
    told = covered(service, "position", "region", coords="POINT(0 50)")
    assert told["type"] == "CoverageCollection"
    for number, one in enumerate(told["coverages"]):
        assert (one["id"], one["dimensions"]) == (f"number={number}", {"number": number})
        same(grid(one, "wind"), REGION.wind.sel(number=number, longitude=0, latitude=50))


def test_variables_of_other_shapes_are_coverages_of_their_own(service: Service) -> None:
    told = covered(service, "position", coords="POINT(5 5)", parameter_name="temp,t2m,land")
    kinds = [one["domain"]["domainType"] for one in told["coverages"]]
    assert sorted(kinds) == ["Grid", "Point", "PointSeries"]
    by_name = {name: one for one in told["coverages"] for name in one["ranges"]}
    for name in ("temp", "t2m", "land"):
        same(grid(by_name[name], name), GLOBE[name].sel(lon=5, lat=5))


# Areas, circles and lines.

AREAS = {
    "triangle": "POLYGON((-31 11,33 14,6 66,-31 11))",
    "hole": "POLYGON((0 0,40 0,40 40,0 40,0 0),(8 8,8 32,32 32,32 8,8 8))",
    "parts": "MULTIPOLYGON(((0 0,12 0,12 12,0 0)),((90 -40,120 -40,120 -60,90 -40)))",
    "antimeridian": "MULTIPOLYGON(((161 1,180 1,180 22,161 22,161 1)),"
    "((-180 1,-158 1,-158 22,-180 22,-180 1)))",
    "overlapping": "MULTIPOLYGON(((0 0,40 0,40 40,0 40,0 0)),((20 20,60 20,60 60,20 60,20 20)))",
}


@pytest.mark.parametrize("name", AREAS)
def test_cells_of_an_area(service: Service, name: str) -> None:
    told = covered(service, "area", coords=AREAS[name], parameter_name="t2m,land", datetime=FIRST)
    geometry = shapely.union_all(shapely.get_parts(shapely.from_wkt(AREAS[name])))
    x, y = np.meshgrid((GLOBE.lon.values + 180) % 360 - 180, GLOBE.lat.values)
    inside = shapely.intersects_xy(geometry, x, y)
    inside |= shapely.intersects_xy(geometry, np.where(x == -180, 180, x), y)
    coverages = told.get("coverages", [told])
    for variable in ("t2m", "land"):
        one = next(one for one in coverages if variable in one["ranges"])
        found = plane(one, variable).stack(cell=("y", "x"))
        found = found[[value is not None for value in one["ranges"][variable]["values"]]]
        whole = GLOBE[variable].isel(time=0, missing_dims="ignore").transpose("lat", "lon")
        expected = whole.values[inside]
        shown = expected[~np.isnan(expected)] if expected.dtype.kind == "f" else expected
        assert sorted(found.values.tolist()) == sorted(shown.astype("f8").tolist())
        for (lat, lon), value in zip(found.cell.values, found.values, strict=True):
            assert value == whole.sel(lat=lat, lon=lon % 360).values.astype("f8")


def test_an_area_in_other_formats(service: Service) -> None:
    asked = {"coords": AREAS["triangle"], "parameter_name": "t2m", "datetime": FIRST}
    told = covered(service, "area", **asked)
    found = plane(told, "t2m")
    cells = found.stack(cell=("y", "x")).dropna("cell")
    answer = ask(service, "area", f="NetCDF", **asked)
    with xr.open_dataset(io.BytesIO(answer.content), engine="h5netcdf") as ds:
        np.testing.assert_array_equal(ds.t2m.values.astype("f8"), found.values)
        assert ds.lon.values.tolist() == found.x.values.tolist()
    table = pd.read_csv(io.StringIO(ask(service, "area", f="CSV", **asked).text))
    assert table.t2m.dropna().tolist() == cells.values.tolist()
    features = ask(service, "area", f="GeoJSON", **asked).json()["features"]
    assert [one["geometry"]["coordinates"] for one in features] == [
        [row.lon, row.lat] for row in table.itertuples()
    ]


def test_cells_within_a_distance(service: Service) -> None:
    for unit, distance in (("km", "1500"), ("m", "1500000"), ("mi", "932.0568")):
        told = covered(
            service,
            "radius",
            coords="POINT(-177 40)",
            parameter_name="land",
            within=distance,
            within_units=unit,
        )
        found = grid(told, "land")
        lon, lat = np.radians(found.x.values)[None, :], np.radians(found.y.values)[:, None]
        here, there = np.radians(40), np.radians(-177)
        angle = np.sin(here) * np.sin(lat) + np.cos(here) * np.cos(lat) * np.cos(lon - there)
        inside = 6371.0088 * np.arccos(np.clip(angle, -1, 1)) <= 1500
        assert (inside == ~np.isnan(found.values)).all()
        rows = GLOBE.land.sel(lat=found.y.values, lon=found.x.values % 360)
        np.testing.assert_array_equal(found.values[inside], rows.values[inside])
    around = covered(
        service,
        "radius",
        coords="POINT(0 89)",
        parameter_name="land",
        within=600,
        within_units="km",
    )
    assert len(around["domain"]["axes"]["x"]["values"]) == 72


def test_cells_along_a_line(service: Service) -> None:
    asked = {"parameter_name": "t2m", "datetime": FIRST}
    told = covered(service, "trajectory", coords="LINESTRING(0 0,20 0,20 20)", **asked)
    assert told["domain"]["domainType"] == "Trajectory"
    places = told["domain"]["axes"]["composite"]["values"]
    cells = [(x, 0) for x in range(0, 21, 5)] + [(20, y) for y in range(5, 21, 5)]
    assert places == [[FIRST, x, y] for x, y in cells]
    expected = [GLOBE.t2m.isel(time=0).sel(lon=x, lat=y).item() for x, y in cells]
    np.testing.assert_array_equal(grid(told, "t2m").values, np.array(expected, "f8"))


def test_a_line_with_levels_and_times(service: Service) -> None:
    start = pd.Timestamp("2024-01-01").timestamp()
    line = f"LINESTRING ZM(0 0 1000 {start},20 0 500 {start + 86400})"
    told = covered(service, "trajectory", coords=line, parameter_name="temp")
    assert told["domain"]["axes"]["composite"]["coordinates"] == ["t", "x", "y", "z"]
    for (t, x, y, z), value in zip(
        told["domain"]["axes"]["composite"]["values"],
        told["ranges"]["temp"]["values"],
        strict=True,
    ):
        at = GLOBE.temp.sel(time=t.removesuffix("Z"), lon=x, lat=y, plev=z)
        assert value == pytest.approx(at.item(), rel=1e-6)
    plain = covered(service, "trajectory", coords="LINESTRING(0 0,20 0)", parameter_name="temp")
    assert [one["domain"]["domainType"] for one in plain["coverages"]] == ["MultiPointSeries"] * 3
    levels = covered(
        service, "trajectory", coords="LINESTRING(0 0,20 0)", parameter_name="temp", datetime=FIRST
    )
    for one, level in zip(levels["coverages"], [1000, 850, 500], strict=True):
        assert one["domain"]["domainType"] == "Trajectory"
        assert one["domain"]["axes"]["composite"]["values"][1] == [FIRST, 5, 0, level]
        expected = GLOBE.temp.isel(time=0).sel(plev=level, lat=0, lon=slice(0, 20))
        np.testing.assert_array_equal(grid(one, "temp").values, expected.values)
    timeless = covered(service, "trajectory", coords="LINESTRING(0 0,20 0)", parameter_name="land")
    assert timeless["domain"]["domainType"] == "MultiPoint"


# Formats.


def test_formats_of_a_place(service: Service) -> None:
    asked = {"coords": "POINT(50 20)", "parameter_name": "t2m"}
    expected = GLOBE.t2m.sel(lon=50, lat=20).values
    table = pd.read_csv(io.StringIO(ask(service, "position", f="CSV", **asked).text))
    np.testing.assert_array_equal(table.t2m.values.astype("f4"), expected)
    features = ask(service, "position", f="GeoJSON", **asked)
    assert features.headers["content-type"] == "application/geo+json"
    rows = [one["properties"] for one in features.json()["features"]]
    np.testing.assert_array_equal(np.array([row["t2m"] for row in rows], "f4"), expected)
    assert rows[0]["datetime"] == FIRST
    answer = ask(service, "position", f="netcdf", **asked)
    with xr.open_dataset(io.BytesIO(answer.content), engine="h5netcdf") as ds:
        np.testing.assert_array_equal(ds.t2m.values, expected)


def test_an_accept_header_chooses(service: Service) -> None:
    path = "/edr/collections/globe/position?coords=POINT(5 5)&parameter-name=land"
    for accept, media_type in (
        ("application/prs.coverage+json, application/json;q=0.9", "application/prs.coverage+json"),
        ("application/vnd.cov+json", "application/vnd.cov+json"),
        ("application/json", "application/prs.coverage+json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/prs.coverage+json"),
        ("application/geo+json", "application/geo+json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("*/*", "application/prs.coverage+json"),
    ):
        answer = service.get(path, headers={"accept": accept})
        assert answer.headers["content-type"] == media_type, accept
    assert service.get(path, headers={"accept": "image/png"}).status_code == 406


def test_categories_have_words_and_no_unit(service: Service) -> None:
    told = covered(service, "position", coords="POINT(5 5)", parameter_name="land")
    parameter = told["parameters"]["land"]
    assert parameter["categoryEncoding"] == {"sea": [0], "land": [1], "ice": [2]}
    assert "unit" not in parameter
    assert told["ranges"]["land"]["dataType"] == "integer"


# What is outside, and what is wrong.


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("position", {"coords": "POINT(0 50)", "datetime": "1900-01-01T00:00:00Z"}),
        ("position", {"coords": "POINT(90 50)"}),
        ("position", {"coords": "POINT(0 -80)"}),
        ("cube", {"bbox": "90,40,100,50"}),
        ("area", {"coords": "POLYGON((90 40,100 40,100 50,90 40))"}),
        ("radius", {"coords": "POINT(90 50)", "within": "10", "within_units": "km"}),
        ("trajectory", {"coords": "LINESTRING(90 50,99 50)"}),
        ("cube", {"bbox": "0,45,4,50", "datetime": "2030-01-01T00:00:00Z/.."}),
        ("position", {"coords": "POINT(0 50)", "number": "9"}),
    ],
)
def test_outside_of_the_data_is_204(service: Service, query: str, params: dict[str, str]) -> None:
    answer = ask(service, query, "region", **params)
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_nearest_lies_within_a_step(service: Service) -> None:
    asked = {"number": "0", "datetime": "2024-06-01T05:00:00Z"}
    told = covered(service, "position", "region", coords="POINT(21.5 61.5)", **asked)
    assert told["domain"]["axes"]["x"] == {"values": [20.0]}
    assert told["domain"]["axes"]["t"] == {"values": ["2024-06-01T00:00:00Z"]}
    assert ask(service, "position", "region", coords="POINT(22.5 50)", **asked).status_code == 204


WRONG: list[tuple[str, dict[str, str]]] = [
    ("position", {}),
    ("position", {"coords": ""}),
    ("position", {"coords": "POINT()"}),
    ("position", {"coords": "POINT EMPTY"}),
    ("position", {"coords": "POINT(nan 1)"}),
    ("position", {"coords": "POINT(1e400 1)"}),
    ("position", {"coords": "POINT(500 1)"}),
    ("position", {"coords": "POINT(1 91)"}),
    ("position", {"coords": "POINT(1)"}),
    ("position", {"coords": "POINT((1 2))"}),
    ("position", {"coords": "LINESTRING(1 2,3 4)"}),
    ("position", {"coords": "GEOMETRYCOLLECTION(POINT(1 2))"}),
    ("position", {"coords": "(" * 3000}),
    ("position", {"coords": "POINT(5 5)", "parameter_name": "nothing"}),
    ("position", {"coords": "POINT(5 5)", "datetime": "yesterday"}),
    ("position", {"coords": "POINT(5 5)", "datetime": "2024-02-30T00:00:00Z"}),
    ("position", {"coords": "POINT(5 5)", "datetime": "a/b/c"}),
    ("position", {"coords": "POINT(5 5)", "datetime": "R99999999999/2024-01-01T00:00Z/PT1H"}),
    ("position", {"coords": "POINT(5 5)", "datetime": "R9/2024-01-01T00:00Z/P9999999999D"}),
    ("position", {"coords": "POINT(5 5)", "z": "high"}),
    ("position", {"coords": "POINT(5 5)", "z": "nan"}),
    ("position", {"coords": "POINT(5 5)", "f": "shapefile"}),
    ("position", {"coords": "POINT(5 5)", "crs": "EPSG:32633"}),
    ("cube", {}),
    ("cube", {"bbox": "1,2,3"}),
    ("cube", {"bbox": "1,2,3,4,5"}),
    ("cube", {"bbox": "1,9,3,4"}),
    ("cube", {"bbox": "a,b,c,d"}),
    ("cube", {"bbox": "1,2,3,inf"}),
    ("area", {}),
    ("area", {"coords": "POLYGON()"}),
    ("area", {"coords": "POLYGON((0 0,1 1))"}),
    ("area", {"coords": "POLYGON((0 0,1 0,1 1,0 0.5))"}),
    ("area", {"coords": "POINT(1 1)"}),
    ("area", {"coords": "POLYGON((0 0,40 40,40 0,0 40,0 0))"}),
    ("radius", {"coords": "POINT(1 1)"}),
    ("radius", {"coords": "POINT(1 1)", "within": "10"}),
    ("radius", {"coords": "POINT(1 1)", "within": "-1", "within_units": "km"}),
    ("radius", {"coords": "POINT(1 1)", "within": "1", "within_units": "parsec"}),
    ("radius", {"coords": "MULTIPOINT(1 1,2 2)", "within": "1", "within_units": "km"}),
    *(("position", {"coords": "POINT(1 1)", name: ", ,"}) for name in ("datetime", "z")),
    ("trajectory", {}),
    ("trajectory", {"coords": "LINESTRING()"}),
    ("trajectory", {"coords": "LINESTRINGM()"}),
    ("trajectory", {"coords": "LINESTRINGZ()"}),
    ("trajectory", {"coords": "LINESTRING ZM()"}),
    ("trajectory", {"coords": "LINESTRING M(1 2 1e300,2 3 1e300)"}),
]


@pytest.mark.parametrize(("query", "params"), WRONG)
def test_what_is_wrong_is_400(service: Service, query: str, params: dict[str, str]) -> None:
    answer = ask(service, query, **params)
    assert answer.status_code == 400, answer.text
    check_error(answer)
    assert re.search("Exception|Error|LinearRing|Self-inter", answer.text) is None


@pytest.mark.parametrize(
    ("query", "coords", "said"),
    [
        ("position", "POINT(5)", "a place is two numbers"),
        ("area", "POLYGON((0 0,10 0,10 10,0 10))", "the last one is the first"),
        ("area", "POLYGON((0 0,10 10,10 0,0 10,0 0))", "a ring crosses or touches itself or"),
        ("trajectory", "LINESTRING(0 0)", "each line has two places or more"),
    ],
)
def test_what_is_wrong_with_a_place_is_told_in_its_own_words(
    service: Service, query: str, coords: str, said: str
) -> None:
    """And with an example, where the text cannot be read."""
    told = ask(service, query, coords=coords).json()["detail"]
    assert said in told
    assert "such as " in told or "at 5 5" in told


def test_no_collection_has_instances(service: Service) -> None:
    """There is one version of each: none is linked, and who asks for one is told so."""
    for path in (
        "instances",
        "instances/latest",
        "instances/2024-01-01/position?coords=POINT(1 1)",
    ):
        answer = service.get(f"/edr/collections/globe/{path}")
        assert answer.status_code == 404
        check_error(answer)
        assert "no instances" in answer.json()["description"]
    assert "instances" not in service.get("/edr/collections/globe").text
    conformance = service.get("/edr/conformance").json()["conformsTo"]
    assert not any("instances" in one for one in conformance)
    assert (
        service.get("/edr/collections/none/instances").json()["detail"] != answer.json()["detail"]
    )


def test_what_is_not_there_is_404(service: Service) -> None:
    paths = ("none", "plain", "globe/locations/Atlantis", "globe/instances", "globe/position/x")
    for path in paths:
        answer = service.get(f"/edr/collections/{path}")
        assert answer.status_code == 404, path
        check_error(answer)
    check_error(service.get("/edr/nowhere"))
    assert ask(service, "position", "gone", coords="POINT(1 1)").status_code == 502


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/edr", 405),
        ("DELETE", "/edr/collections/globe/position", 405),
        ("PUT", "/edr/nowhere/at/all", 405),
        ("GET", f"/edr/collections/globe/position?coords={'1' * 20_000}", 414),
        ("GET", f"/edr/{'x' * 20_000}", 414),
        ("GET", "/edr//", 404),
    ],
)
def test_what_no_query_is_asked_for_is_told_alike(
    service: Service, method: str, path: str, status: int
) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    check_error(answer)
    # Elsewhere these are no members of a problem.
    others = service.client.request(method, path.replace("/edr", "/datasets", 1))
    assert others.status_code >= 400
    assert "code" not in others.json()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /edr/collections HTTP/1.1\r\n\r\n", 400),
        (b"GET /edr/collections HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n", 400),
        (b"GET /edr/ HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_told_alike(service: Service, sent: bytes, status: int) -> None:
    received = b""
    with socket.create_connection(service.address, timeout=30) as connection:
        connection.sendall(sent)
        with suppress(ConnectionError):
            while data := connection.recv(65536):
                received += data
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    told = json.loads(body)
    assert (told["code"], told["description"]) == (str(status), told["detail"])


def test_more_than_a_limit_is_413(service: Service) -> None:
    answer = ask(service, "cube", "big", bbox="-180,-90,180,90")
    assert answer.status_code == 413
    check_error(answer)
    told = answer.json()["description"]
    assert "4000000" in told
    assert "f=ndjson" not in told
    many = ", ".join(f"{x % 360} {x % 90}" for x in range(1000))
    assert ask(service, "position", coords=f"MULTIPOINT({many})").status_code == 200
    line = ", ".join(f"{(x % 2) * 360} {x % 90}" for x in range(1000))
    answer = ask(service, "trajectory", coords=f"LINESTRING({line})", parameter_name="land")
    assert answer.status_code == 413
    check_error(answer)


@pytest.mark.parametrize(
    ("query", "twice"),
    [
        ("position?coords=POINT(5 5)", "coords=POINT(5 5)"),
        ("position?coords=POINT(5 5)", "coords=POINT(6 6)"),
        ("position?coords=POINT(5 5)&datetime=2024-01-01", "datetime=2024-01-02"),
        ("position?coords=POINT(5 5)&z=850", "z=500"),
        ("position?coords=POINT(5 5)&parameter-name=land&f=CSV", "f=GeoJSON"),
        ("position?coords=POINT(5 5)&crs=CRS84", "crs=EPSG:4326"),
        ("cube?bbox=0,0,5,5", "bbox=0,0,9,9"),
        ("radius?coords=POINT(5 5)&within=900&within-units=km", "within=9"),
        ("radius?coords=POINT(5 5)&within=900&within-units=km", "within_units=m"),
        ("locations/Berlin?datetime=2024-01-01", "datetime=2024-01-02"),
    ],
)
def test_what_stands_twice_is_400(service: Service, query: str, twice: str) -> None:
    """Neither is taken for the other; empty ones are none."""
    path = f"/edr/collections/globe/{query}"
    answer = service.get(f"{path}&{twice}")
    assert answer.status_code == 400
    check_error(answer)
    assert "is given 2 times" in answer.json()["description"]
    name = twice.partition("=")[0]
    assert service.get(f"{path}&{name}=&x=1&x=2").status_code == 200


def test_unknown_parameters_are_passed_over(service: Service) -> None:
    for name in ("parameter-name", "parameter_names", "parameter-names"):
        params = {"coords": "POINT(5 5)", name: "land", "foo": "bar", "resolution-x": "9"}
        answer = service.get("/edr/collections/globe/position", params=params)
        assert list(answer.json()["ranges"]) == ["land"]
        # Names add up, however they are written.
        answer = service.get(
            "/edr/collections/globe/position", params={**params, "parameter_name": "t2m"}
        )
        assert set(answer.json()["parameters"]) == {"land", "t2m"}


# HTTP.


def test_tags_and_heads(service: Service) -> None:
    path = "/edr/collections/globe/position?coords=POINT(5 5)&parameter-name=land"
    answer = service.get(path)
    tag = answer.headers["etag"]
    again = service.get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    head = service.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == tag
    others = {
        service.get(f"{path}&{more}").headers["etag"]
        for more in ("f=CSV", "f=GeoJSON", "crs=EPSG:4326", "f=NetCDF")
    }
    assert len({*others, tag}) == 5
    assert service.get(f"{path}&foo=1").headers["etag"] == tag
    areas = [
        ask(service, "area", coords=coords, parameter_name="land").headers["etag"]
        for coords in ("POLYGON((0 0,20 0,20 20,0 20,0 0))", "POLYGON((0 0,20 0,20 20,0 0))")
    ]
    assert areas[0] != areas[1]
    for path in ("/edr/", "/edr/collections", "/edr/collections/globe", "/edr/conformance"):
        tag = service.get(path).headers["etag"]
        assert service.get(path, headers={"if-none-match": tag}).status_code == 304


def test_places_with_names(service: Service) -> None:
    listed = service.get("/edr/collections/globe/locations")
    assert listed.headers["content-type"] == "application/geo+json"
    found = {one["id"]: one["geometry"]["coordinates"] for one in listed.json()["features"]}
    assert found == PLACES
    for asked, names in (
        ("bbox=10,50,20,60", ["Berlin"]),
        ("bbox=170,-20,-170,0&datetime=2024-01-01/..", ["Suva"]),
        ("bbox=50,10,60,20&crs=EPSG:4326", ["Berlin"]),
        ("bbox=-10,-10,10,10", []),
        ("datetime=../2023", []),
        ("limit=1", list(PLACES)),
    ):
        told = service.get(f"/edr/collections/globe/locations?{asked}").json()
        assert [one["id"] for one in told["features"]] == names, asked
    assert service.get("/edr/collections/globe/locations?bbox=1,2").status_code == 400
    told = covered(service, "locations/Suva", parameter_name="t2m")
    same(grid(told, "t2m"), GLOBE.t2m.sel(lon=180, lat=-20))
    assert service.get("/edr/collections/region/locations").json()["features"] == []


def test_a_dataset_links_its_collection(service: Service) -> None:
    links = service.get("/datasets/globe").json()["links"]
    found = next(one for one in links if one["door"] == "edr")
    assert service.get(f"/datasets/{found['href']}").json()["id"] == "globe"
    assert not [x for x in service.get("/datasets/plain").json()["links"] if x["door"] == "edr"]


def test_a_long_polygon_stalls_nobody(service: Service) -> None:
    angles = np.linspace(0, 2 * np.pi, 700)
    ring = ",".join(f"{80 * np.cos(a):.2f} {80 * np.sin(a):.2f}" for a in angles)
    first = ring.split(",")[0]
    ring = ring.rsplit(",", 1)[0] + f",{first}"
    told = covered(service, "area", coords=f"POLYGON(({ring}))", parameter_name="land")
    shown = [one for one in told["ranges"]["land"]["values"] if one is not None]
    assert 750 < len(shown) < 850


def test_json_is_valid_where_values_are_missing(service: Service) -> None:
    told = covered(
        service, "position", coords="POINT(35 65)", parameter_name="temp", datetime=FIRST
    )
    assert told["ranges"]["temp"]["values"] == [None] * 3
    json.dumps(told, allow_nan=False)


def test_doors_and_folders(tmp_path: Path) -> None:
    """The stores of this module are such that xarray opens them alike."""
    entries = write_stores(tmp_path)
    with xr.open_zarr(entries["globe"]["url"], chunks=None) as ds:
        xr.testing.assert_equal(ds.load(), GLOBE)
