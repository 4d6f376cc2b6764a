"""EDR over grids whose cells have places of their own: values as xarray has them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from edr_pydantic.collections import Collection

from . import edr
from .conftest import Serve, Service
from .edr import EAST, NORTH

TIMES = pd.date_range("2024-01-01", periods=3, freq="6h")
FIRST = "2024-01-01T00:00:00Z"
BERLIN, POLYGON = (13.4, 52.5), "POLYGON((2 40, 20 42, 14 55, 4 50, 2 40))"
LINE = "LINESTRING(-5 40, 10 52, 20 45)"
PLACES = {"Berlin": list(BERLIN), "Suva": [178.4, -18.1]}


def ocean() -> xr.Dataset:
    """Curvilinear, with levels, and cells on land that have no place; another grid beside it."""
    rows, columns = np.meshgrid(np.arange(60.0), np.arange(80.0), indexing="ij")
    lat, lon = 30 + rows / 2 + columns / 20, -20 + columns * 0.7 + rows / 6
    lon[40:45, 60:70] = np.nan
    rng = np.random.default_rng(3)
    values = rng.integers(0, 999, (3, 2, 60, 80)).astype("f4")
    return xr.Dataset(
        {
            "u": (("time", "yu", "xu"), values[:, 0, :2, :2]),
            "sst": (("time", "y", "x"), values[:, 0], {"units": "degC"}),
            "salt": (("time", "depth", "y", "x"), values),
            "mask": (("y", "x"), (values[0, 0] > 500).astype("i4")),
        },
        {
            "time": TIMES,
            "depth": ("depth", [5.0, 50.0], {"units": "m", "positive": "down"}),
            "nav_lon": (("y", "x"), lon, EAST),
            "nav_lat": (("y", "x"), lat, NORTH),
            "lon_u": (("yu", "xu"), lon[:2, :2], EAST),
            "lat_u": (("yu", "xu"), lat[:2, :2], NORTH),
        },
    )


def weather(moves: bool = False) -> xr.Dataset:
    """A weather model's, whose places are written for each time, and are data to xarray."""
    rows, columns = np.meshgrid(np.arange(40.0), np.arange(50.0), indexing="ij")
    shift = np.arange(3.0)[:, None, None] * moves
    lat, lon = 45 + rows / 4 + columns / 40 + shift, 5 + columns / 3 - rows / 20 + shift
    dims = ("Time", "south_north", "west_east")
    t2 = np.arange(3 * 40 * 50, dtype="f4").reshape(3, 40, 50)
    return xr.Dataset(
        {
            "T2": (dims, t2, {"units": "K"}),
            "HGT": (dims[1:], t2[0]),
            "XLAT": (dims, lat.astype("f4"), NORTH),
            "XLONG": (dims, lon.astype("f4"), EAST),
        },
        {"Time": TIMES},
    )


def pacific() -> xr.Dataset:
    """Both sides of the antimeridian, longitudes and latitudes of one dimension each, no axes."""
    lat, lon = np.linspace(-30, 10, 21), np.r_[150.0:180:2, -180:-150:2]
    values = np.arange(21.0 * 30).reshape(21, 30)
    return xr.Dataset(
        {"t": (("y", "x"), values)}, {"lat": ("y", lat, NORTH), "lon": ("x", lon, EAST)}
    )


OCEAN, WEATHER, PACIFIC = ocean(), weather(), pacific()


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("grids")
    entries: dict[str, dict[str, Any]] = {}
    made = {"ocean": OCEAN, "weather": WEATHER, "moving": weather(moves=True), "pacific": PACIFIC}
    for name, ds in made.items():
        ds.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
        entries[name] = {"url": str(folder / f"{name}.zarr"), "places": PLACES}
    return serve(entries, SLUICE_REQUEST_LABELS="1500")


def ask(service: Service, query: str, dataset: str = "ocean", **params: object) -> httpx.Response:
    return edr.ask(service, query, dataset, **params)


def covered(service: Service, query: str, dataset: str = "ocean", **params: object) -> Any:
    return edr.covered(service, query, dataset, **params)


def apart_km(lon: Any, lat: Any, place: tuple[float, float]) -> Any:
    """By the law of cosines, which is another formula than the service has."""
    x, y, x0, y0 = (np.radians(np.asarray(a, "f8")) for a in (lon, lat, *place))
    cosine = np.sin(y) * np.sin(y0) + np.cos(y) * np.cos(y0) * np.cos(x - x0)
    return 6371.0088 * np.arccos(np.clip(cosine, -1, 1))


def nearest(ds: xr.Dataset, lon: str, lat: str, place: tuple[float, float]) -> dict[str, int]:
    apart = apart_km(ds[lon], ds[lat], place)
    at = np.unravel_index(np.nanargmin(apart), apart.shape)
    return dict(zip(map(str, ds[lon].dims), map(int, at), strict=True))


def cells(ds: xr.Dataset, inside: Any) -> xr.Dataset:
    """Those of the ocean that are inside, in C order."""
    rows, columns = np.nonzero(np.asarray(inside))
    return ds.isel(y=("points", rows), x=("points", columns))


def within(polygon: str, lon: xr.DataArray, lat: xr.DataArray) -> Any:
    return shapely.intersects_xy(shapely.from_wkt(polygon), lon.values, lat.values)


def check_places(told: Mapping[str, Any], expected: xr.Dataset, kind: str) -> None:
    """A domain of places, with the first time's values of both shapes."""
    assert told["domain"]["domainType"] == kind
    composite = told["domain"]["axes"]["composite"]
    assert composite["coordinates"] == ["x", "y"]
    found = np.array(composite["values"])
    np.testing.assert_array_equal(found[:, 0], expected.nav_lon)
    np.testing.assert_array_equal(found[:, 1], expected.nav_lat)
    values = told["ranges"]["sst"]
    assert values["axisNames"][-1] == "composite"
    np.testing.assert_array_equal(
        np.reshape(values["values"], values["shape"]).reshape(-1, found.shape[0]),
        np.atleast_2d(expected.sst),
    )


@pytest.mark.parametrize("place", [BERLIN, (-19.9, 30.1), (0.05, 55.3), (21.7, 51.2)])
def test_a_place_is_its_nearest_cell(service: Service, place: tuple[float, float]) -> None:
    expected = OCEAN.isel(nearest(OCEAN, "nav_lon", "nav_lat", place))
    told = covered(
        service, "position", coords=f"POINT({place[0]} {place[1]})", parameter_name="sst"
    )
    assert told["domain"]["domainType"] == "PointSeries"
    axes = told["domain"]["axes"]
    assert axes["x"]["values"] == [expected.nav_lon.item()]
    assert axes["y"]["values"] == [expected.nav_lat.item()]
    assert told["ranges"]["sst"]["values"] == expected.sst.values.tolist()
    told = covered(
        service,
        "position",
        coords=f"POINT({place[0]} {place[1]} 50)",
        parameter_name="salt",
        datetime=FIRST,
    )
    assert told["domain"]["axes"]["z"]["values"] == [50]
    assert told["ranges"]["salt"]["values"] == [expected.salt[0, 1].item()]


def test_several_places_and_what_lies_outside(service: Service) -> None:
    told = covered(
        service, "position", coords="MULTIPOINT(13.4 52.5, 100 0, 2 41)", parameter_name="mask"
    )
    found = [one["ranges"]["mask"]["values"] for one in told["coverages"]]
    at = [nearest(OCEAN, "nav_lon", "nav_lat", place) for place in (BERLIN, (2.0, 41.0))]
    assert found == [[OCEAN["mask"].isel(one).item()] for one in at]
    for query, params in (
        ("position", {"coords": "POINT(100 0)"}),
        ("position", {"coords": "POINT(13.4 52.5)", "datetime": "1990-01-01T00:00:00Z"}),
        ("position", {"coords": "MULTIPOINT(100 0, 120 0)"}),
        ("radius", {"coords": "POINT(100 0)", "within": 9, "within_units": "km"}),
        ("cube", {"bbox": "100,0,120,10"}),
        ("area", {"coords": "POLYGON((100 0,120 0,120 9,100 0))"}),
        ("trajectory", {"coords": "LINESTRING(100 0,120 0)"}),
        ("locations/Suva", {}),
    ):
        assert ask(service, query, **params).status_code == 204, query
    assert ask(service, "locations/Berlin").status_code == 200


def test_cells_of_areas_are_places(service: Service) -> None:
    """In the order of the store, at one time or several."""
    inside = within(POLYGON, OCEAN.nav_lon, OCEAN.nav_lat)
    expected = cells(OCEAN, inside)
    told = covered(service, "area", coords=POLYGON, parameter_name="sst", datetime=FIRST)
    check_places(told, expected.isel(time=0), "MultiPoint")
    assert told["domain"]["axes"]["t"] == {"values": [FIRST]}
    told = covered(service, "area", coords=POLYGON, parameter_name="sst")
    check_places(told, expected, "MultiPointSeries")
    told = covered(service, "area", coords=POLYGON, parameter_name="salt", datetime=FIRST)
    assert len(told["coverages"]) == 2, "a coverage for each level"
    near = apart_km(OCEAN.nav_lon, OCEAN.nav_lat, BERLIN) <= 200
    asked: dict[str, Any] = {"coords": "POINT(13.4 52.5)", "within": 200, "within_units": "km"}
    told = covered(service, "radius", **asked, parameter_name="sst", datetime=FIRST)
    check_places(told, cells(OCEAN, near).isel(time=0), "MultiPoint")
    lon, lat = OCEAN.nav_lon, OCEAN.nav_lat
    inside = (lon >= 2) & (lon <= 9.5) & (lat >= 44) & (lat <= 51)
    told = covered(service, "cube", bbox="2,44,9.5,51", parameter_name="sst", datetime=FIRST)
    check_places(told, cells(OCEAN, inside).isel(time=0), "MultiPoint")


def test_cells_of_an_area_in_other_formats(service: Service) -> None:
    inside = within(POLYGON, OCEAN.nav_lon, OCEAN.nav_lat)
    expected = cells(OCEAN, inside).isel(time=0)
    asked = {"coords": POLYGON, "parameter_name": "sst", "datetime": FIRST}
    features = ask(service, "area", **asked, f="GeoJSON").json()["features"]
    assert [f["properties"]["sst"] for f in features] == expected.sst.values.tolist()
    assert features[0]["geometry"]["coordinates"] == [
        expected.nav_lon[0].item(),
        expected.nav_lat[0].item(),
    ]
    table = pd.read_csv(io.StringIO(ask(service, "area", **asked, f="CSV").text))
    np.testing.assert_array_equal(table.sst, expected.sst)
    np.testing.assert_array_equal(table.nav_lon, expected.nav_lon)
    with xr.open_dataset(io.BytesIO(ask(service, "area", **asked, f="NetCDF").content)) as ds:
        np.testing.assert_array_equal(ds.sst, expected.sst)


def test_an_area_across_the_antimeridian(service: Service) -> None:
    lon = PACIFIC.lon.values % 360
    columns, rows = np.flatnonzero((lon >= 170) & (lon <= 190)), slice(5, 16)
    expected = PACIFIC.t.isel(y=rows, x=columns).values.reshape(-1)
    for query, params in (
        ("cube", {"bbox": "170,-20,-170,0"}),
        ("area", {"coords": "POLYGON((170 -20,190 -20,190 0,170 0,170 -20))"}),
        (
            "area",
            {
                "coords": "MULTIPOLYGON(((170 -20,180 -20,180 0,170 0,170 -20)),"
                "((-180 -20,-170 -20,-170 0,-180 0,-180 -20)))"
            },
        ),
    ):
        told = covered(service, query, "pacific", **params)
        assert sorted(told["ranges"]["t"]["values"]) == sorted(expected.tolist()), params


def test_cells_along_a_line(service: Service) -> None:
    """Those that are nearest to some place of it, each once in a row, from one end to the other."""
    told = covered(service, "trajectory", coords=LINE, parameter_name="mask")
    assert told["domain"]["domainType"] == "MultiPoint"
    path = shapely.from_wkt(LINE)
    places = [path.interpolate(d).coords[0] for d in np.linspace(0, path.length, 2000)]
    passed = [nearest(OCEAN, "nav_lon", "nav_lat", place) for place in places]
    expected = [at for at, before in zip(passed, [{}, *passed], strict=False) if at != before]
    where = [tuple(OCEAN[c].isel(at).item() for c in ("nav_lon", "nav_lat")) for at in expected]
    found = [tuple(one) for one in told["domain"]["axes"]["composite"]["values"]]
    assert len(set(found)) > 0.8 * len(set(where))
    assert set(found) <= set(where)
    assert all(one != other for one, other in pairwise(found))
    assert (found[0], found[-1]) == (where[0], where[-1])
    # With a time for each place.
    seconds = int(TIMES[1].timestamp())
    line = f"LINESTRING M(0 45 {seconds}, 10 50 {seconds})"
    told = covered(service, "trajectory", coords=line, parameter_name="sst")
    assert told["domain"]["domainType"] == "Trajectory"
    first = nearest(OCEAN, "nav_lon", "nav_lat", (0.0, 45.0))
    assert told["ranges"]["sst"]["values"][0] == OCEAN.sst.isel(time=1, **first).item()


def test_places_that_are_written_for_each_time(service: Service) -> None:
    at = nearest(WEATHER.isel(Time=0), "XLONG", "XLAT", BERLIN)
    expected = WEATHER.isel(at)
    told = covered(service, "position", "weather", coords="POINT(13.4 52.5)")
    assert list(told["ranges"]) == ["T2"]
    assert told["domain"]["domainType"] == "PointSeries"
    assert told["ranges"]["T2"]["values"] == expected.T2.values.tolist()
    np.testing.assert_allclose(told["domain"]["axes"]["x"]["values"], [expected.XLONG[0].item()])
    told = covered(service, "area", "weather", coords="POLYGON((6 48,9 48,9 51,6 48))")
    assert told["domain"]["domainType"] == "MultiPointSeries"
    one = WEATHER.isel(Time=0)
    inside = within("POLYGON((6 48,9 48,9 51,6 48))", one.XLONG, one.XLAT)
    values = np.reshape(told["ranges"]["T2"]["values"], told["ranges"]["T2"]["shape"])
    np.testing.assert_array_equal(values, WEATHER.T2.values[:, inside])


def test_places_that_move_need_a_time(service: Service) -> None:
    answer = ask(service, "position", "moving", coords="POINT(13.4 52.5)")
    assert answer.status_code == 400
    assert "change along Time" in answer.json()["description"]
    ds = weather(moves=True).isel(Time=2)
    told = covered(
        service, "position", "moving", coords="POINT(13.4 52.5)", datetime="2024-01-01T12:00:00Z"
    )
    expected = ds.isel(nearest(ds, "XLONG", "XLAT", BERLIN)).T2.item()
    assert told["ranges"]["T2"]["values"] == [expected]


def test_collections_tell_of_their_grid(service: Service) -> None:
    """The one that most variables lie on, where it is, and what may be asked of it."""
    found = service.get("/edr/collections/ocean")
    Collection.model_validate_json(found.text)
    told = found.json()
    assert list(told["parameter_names"]) == ["mask", "salt", "sst"]
    assert "custom" not in told["extent"]
    lon, lat = OCEAN.nav_lon, OCEAN.nav_lat
    there = lat.where(lon.notnull())
    expected = [lon.min().item(), there.min().item(), lon.max().item(), there.max().item()]
    np.testing.assert_allclose(told["extent"]["spatial"]["bbox"][0], expected)
    west, south, east, north = service.get("/edr/collections/pacific").json()["extent"]["spatial"][
        "bbox"
    ][0]
    assert (west, south, east, north) == (150, -30, -152, 10)
    listed = {one["id"] for one in service.get("/edr/collections").json()["collections"]}
    assert listed == {"ocean", "weather", "moving", "pacific"}


def test_more_cells_than_a_limit_are_413(service: Service) -> None:
    answer = ask(service, "cube", bbox="-180,-90,180,90")
    assert answer.status_code == 413
    assert "1500" in answer.json()["description"]
