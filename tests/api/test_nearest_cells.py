"""Places on the globe: the cells of any grid that are nearest to them, and how far they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
import xarray as xr

from app.settings import Settings
from sluice.axes.globe import distance_km
from tests.api.conftest import decoded, serving
from tests.api.test_problems import check

BERLIN, PARIS = (13.4, 52.5), (2.35, 48.86)


def curved() -> xr.Dataset:
    """An ocean's grid: curvilinear, with cells on land that have no coordinates."""
    rows, columns = np.meshgrid(np.arange(90.0), np.arange(120.0), indexing="ij")
    lat = 30 + rows / 3 + columns / 20
    lon = -20 + columns / 2 + rows / 6
    lon[40:45, 60:70] = np.nan
    values = np.arange(3 * 90 * 120, dtype="f4").reshape(3, 90, 120)
    return xr.Dataset(
        {
            "sst": (("time", "y", "x"), values),
            "mean": ("time", [1.0, 2.0, 3.0]),
            "u": (("time", "yu", "xu"), values[:, :2, :2]),
        },
        {
            "time": np.arange(3),
            "nav_lon": (("y", "x"), lon, {"units": "degrees_east", "bounds": "lon_bnds"}),
            "nav_lat": (("y", "x"), lat, {"standard_name": "latitude", "units": "degrees"}),
            "lon_bnds": (("y", "x"), lon, {"units": "degrees_east"}),
            "lon_u": (("yu", "xu"), lon[:2, :2], {"units": "degrees_east"}),
            "lat_u": (("yu", "xu"), lat[:2, :2], {"units": "degrees_north"}),
        },
    )


def regular() -> xr.Dataset:
    values = np.arange(3 * 19 * 36).reshape(3, 19, 36)
    coords = {"lat": np.linspace(90, -90, 19), "lon": np.arange(0.0, 360, 10)}
    return xr.Dataset({"t": (("time", "lat", "lon"), values)}, coords)


def stations() -> xr.Dataset:
    lon, lat = np.array([13.4, 11.6, -3.7]), np.array([52.5, 48.1, 40.4])
    return xr.Dataset(
        {"t": ("station", [1.0, 2.0, 3.0])},
        {"lon": ("station", lon), "lat": ("station", lat), "name": ("station", list("abc"))},
    )


def metres() -> xr.Dataset:
    coords = {name: (name, np.arange(3.0), {"units": "m"}) for name in ("y", "x")}
    return xr.Dataset({"t": (("y", "x"), np.zeros((3, 3)))}, coords)


def rotated() -> xr.Dataset:
    """A rotated pole: axes in degrees that are no longitudes, beside fields that are."""
    ds = metres()
    for name, what in (("y", "latitude"), ("x", "longitude")):
        ds[name].attrs = {"units": "degrees", "standard_name": f"grid_{what}"}
    lon, lat = np.meshgrid([10.0, 11.0, 12.0], [50.0, 51.0, 52.0])
    return ds.assign_coords(lon=(("y", "x"), lon), lat=(("y", "x"), lat))


def weather(moves: bool = False) -> xr.Dataset:
    """A weather model's output: coordinates for each time, staggered ones beside them."""
    rows, columns = np.meshgrid(np.arange(40.0), np.arange(50.0), indexing="ij")
    shift = np.arange(3.0)[:, None, None] * moves
    lat, lon = 45 + rows / 4 + columns / 40 + shift, 5 + columns / 3 - rows / 20 + shift
    dims = ("Time", "south_north", "west_east")
    north = {"units": "degree_north", "description": "LATITUDE, SOUTH IS NEGATIVE"}
    east = {"units": "degree_east"}
    t2 = np.arange(3 * 40 * 50, dtype="f4").reshape(3, 40, 50)
    ds = xr.Dataset(
        {
            "T2": (dims, t2, {"units": "K"}),
            "U": (("Time", "south_north", "west_east_stag"), t2),
            "HGT": (("south_north", "west_east"), t2[0]),
            "XLAT": (dims, lat.astype("f4"), north),
            "XLONG": (dims, lon.astype("f4"), east),
            "XLAT_U": (("Time", "south_north", "west_east_stag"), lat, north),
            "XLONG_U": (("Time", "south_north", "west_east_stag"), lon + 0.1, east),
        }
    )
    for name in ("XLAT", "XLONG"):
        ds[name].encoding = {"chunks": (1, 40, 50)}
    return ds


def moving() -> xr.Dataset:
    """The same of a nest that follows a storm."""
    return weather(moves=True)


def crossed() -> xr.Dataset:
    """Coordinates of one dimension each, neither of them an axis."""
    lat, lon = np.linspace(60, 30, 31), np.r_[350:360:2.0, 0:21:2.0]
    values = np.arange(2.0 * 31 * 16).reshape(2, 31, 16)
    return xr.Dataset(
        {"t": (("time", "y", "x"), values)},
        {"lat": ("y", lat), "lon": ("x", lon, {"units": "degrees_east"})},
    )


MADE = {
    f.__name__: f for f in (curved, regular, stations, metres, rotated, weather, moving, crossed)
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("places")
    lines = []
    for name, make in MADE.items():
        make().to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
        lines.append(f'  {name}: {{url: "{folder}/{name}.zarr"}}')
    catalog = folder / "catalog.yaml"
    catalog.write_text("\n".join(["datasets:", *lines]))
    with serving(Settings(catalog=catalog)) as client:
        yield client


def ask(client: httpx.Client, name: str, door: str = "sel", **more: str) -> httpx.Response:
    return client.get(f"/datasets/{name}/{door}?{urlencode(more)}")


def nearest(ds: xr.Dataset, place: tuple[float, float]) -> tuple[tuple[int, ...], float]:
    apart = distance_km(*place, ds.nav_lon.values, ds.nav_lat.values)
    row, column = np.unravel_index(np.nanargmin(apart), apart.shape)
    return (int(row), int(column)), float(np.nanmin(apart))


@pytest.mark.parametrize("door", ["sel", "isel"])
@pytest.mark.parametrize("place", [BERLIN, PARIS, (20.1, 53.0), (-346.6, 52.5)])
def test_the_nearest_cell_of_a_curved_grid(
    client: httpx.Client, door: str, place: tuple[float, float]
) -> None:
    (row, column), apart = nearest(curved(), place)
    answer = ask(client, "curved", door, at=f"{place[0]},{place[1]}", variables="sst")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-sluice-distance"] == f"{apart:.3f} km"
    xr.testing.assert_equal(decoded(answer), curved()[["sst"]].isel(y=row, x=column))


def test_the_tag_follows_the_cell(client: httpx.Client) -> None:
    first, near, far = (
        ask(client, "curved", at=f"{lon},52.5", variables="sst") for lon in (13.4, 13.401, 16)
    )
    (row, column), _ = nearest(curved(), BERLIN)
    plain = ask(client, "curved", "isel", y=str(row), x=str(column), variables="sst")
    assert first.headers["etag"] == near.headers["etag"] == plain.headers["etag"]
    assert first.headers["etag"] != far.headers["etag"]
    assert first.headers["x-sluice-distance"] != near.headers["x-sluice-distance"]
    again = client.get(first.url, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["x-sluice-distance"] == first.headers["x-sluice-distance"]


def test_several_places_go_point_by_point(client: httpx.Client) -> None:
    url = "/datasets/curved/sel"
    asked = client.get(f"{url}?at=13.4,52.5&at=2.35,48.86&variables=sst&time=1")
    posted = client.post(
        url, json={"at": ["13.4,52.5", "2.35,48.86"], "variables": "sst", "time": 1}
    )
    found = [nearest(curved(), place) for place in (BERLIN, PARIS)]
    rows, columns = (
        xr.DataArray(list(each), dims="points")
        for each in zip(*(cell for cell, _ in found), strict=True)
    )
    for answer in (asked, posted):
        assert answer.headers["x-sluice-distance"] == ", ".join(f"{km:.3f} km" for _, km in found)
        xr.testing.assert_equal(decoded(answer), curved()[["sst"]].isel(time=1, y=rows, x=columns))


def test_a_body_has_a_place_as_two_numbers(client: httpx.Client) -> None:
    answer = client.post("/datasets/curved/sel", json={"at": [13.4, 52.5], "variables": "sst"})
    same = ask(client, "curved", at="13.4,52.5", variables="sst")
    assert answer.content == same.content
    assert answer.headers["x-sluice-distance"] == same.headers["x-sluice-distance"]
    listed = client.post("/datasets/curved/sel", json={"at": ["13.4,52.5"], "variables": "sst"})
    assert decoded(listed).sizes == {"time": 3, "points": 1}


@pytest.mark.parametrize("place", [(-3.0, 52.5), (357.0, 52.5), (4.9, 85.1), (355.1, -90.0)])
def test_axes_have_their_nearest_labels(client: httpx.Client, place: tuple[float, float]) -> None:
    lon, lat = place
    answer = ask(client, "regular", at=f"{lon},{lat}")
    label = round(lon / 10) * 10 % 360
    expected = regular().sel(lat=lat, lon=label, method="nearest")
    xr.testing.assert_equal(decoded(answer), expected)
    apart = float(distance_km(lon, lat, float(expected.lon), float(expected.lat)))
    assert answer.headers["x-sluice-distance"] == f"{apart:.3f} km"
    same = ask(client, "regular", lat=f"nearest::{lat}", lon=f"nearest::{lon}")
    assert same.headers["etag"] == answer.headers["etag"]


def test_stations_and_rotated_poles(client: httpx.Client) -> None:
    found = decoded(ask(client, "stations", at="11,48"))
    assert str(found.name.values) == "b"
    several = client.get("/datasets/stations/sel?at=11,48&at=-4,40")
    assert decoded(several).t.values.tolist() == [2.0, 3.0]
    found = decoded(ask(client, "rotated", at="11.2,51.3"))
    assert (float(found.lon), float(found.lat)) == (11, 51)


def cell_of(lon: xr.DataArray, lat: xr.DataArray, place: tuple[float, float]) -> tuple[int, int]:
    row, column = np.unravel_index(
        np.argmin(distance_km(*place, lon.values, lat.values)), lon.shape
    )
    return int(row), int(column)


@pytest.mark.parametrize("time", [None, 2, slice(1, 3)])
@pytest.mark.parametrize("names", ["T2", "HGT,T2", "U"])
def test_coordinates_of_each_time_that_do_not_change(
    client: httpx.Client, time: int | slice | None, names: str
) -> None:
    ds, end = weather(), "_U" if names == "U" else ""
    row, column = cell_of(ds[f"XLONG{end}"][0], ds[f"XLAT{end}"][0], BERLIN)
    chosen = {} if time is None else {"Time": time}
    more = {} if time is None else {"isel[Time]": "2" if time == 2 else "1:3"}
    answer = ask(client, "weather", at="13.4,52.5", variables=names, **more)
    assert answer.status_code == 200, answer.text
    last = ds[f"XLONG{end}"].dims[2]
    expected = ds[names.split(",")].isel({**chosen, "south_north": row, last: column})
    xr.testing.assert_equal(decoded(answer).drop_vars(("XLAT", "XLONG"), errors="ignore"), expected)
    lon, lat = (float(ds[f"{name}{end}"][0, row, column]) for name in ("XLONG", "XLAT"))
    apart = distance_km(*BERLIN, lon, lat)
    assert answer.headers["x-sluice-distance"] == f"{float(apart):.3f} km"


@pytest.mark.parametrize("time", [0, 2, 1])
def test_coordinates_that_change_are_those_of_the_time(client: httpx.Client, time: int) -> None:
    ds = moving()
    row, column = cell_of(ds.XLONG[time], ds.XLAT[time], BERLIN)
    for key in (str(time), f"{time}:{time + 1}"):
        answer = ask(client, "moving", at="13.4,52.5", variables="T2", **{"isel[Time]": key})
        found = decoded(answer).T2.values.reshape(-1)
        assert found == ds.T2.values[time, row, column]


@pytest.mark.parametrize("more", [{}, {"isel[Time]": "0:2"}])
def test_coordinates_that_change_need_one_time(client: httpx.Client, more: dict[str, str]) -> None:
    for _ in range(2):
        told = check(ask(client, "moving", at="13.4,52.5", variables="T2", **more), 422)
        assert "choose one position of Time, such as isel[Time]=0" in told["detail"]
        assert told["dimension"] == "Time"


def test_several_places_where_coordinates_have_times(client: httpx.Client) -> None:
    ds = weather()
    cells = [cell_of(ds.XLONG[0], ds.XLAT[0], place) for place in ((8, 50), (12, 47))]
    found = client.get("/datasets/weather/sel?at=8,50&at=12,47&variables=T2")
    expected = [ds.T2.values[:, row, column] for row, column in cells]
    values = decoded(found).T2.transpose("points", "Time").values
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("place", [BERLIN, PARIS, (-3.1, 44.4), (356.9, 44.4), (5, 45)])
def test_coordinates_of_one_dimension_each(
    client: httpx.Client, place: tuple[float, float]
) -> None:
    ds = crossed()
    lon, lat = xr.broadcast(ds.lon, ds.lat)
    lon, lat = lon.transpose("y", "x"), lat.transpose("y", "x")
    row, column = cell_of(lon, lat, place)
    answer = ask(client, "crossed", at=f"{place[0]},{place[1]}")
    xr.testing.assert_equal(decoded(answer), ds.isel(y=row, x=column))
    apart = float(distance_km(*place, float(ds.lon[column]), float(ds.lat[row])))
    assert answer.headers["x-sluice-distance"] == f"{apart:.3f} km"
    told = check(ask(client, "crossed", at="100,45"), 422)
    assert told["distance_km"] > told["limit_km"]


def test_the_grids_are_listed(client: httpx.Client) -> None:
    told = client.get("/datasets/crossed").json()["grids"]
    assert told == [{"longitude": "lon", "latitude": "lat", "dims": ["y", "x"]}]
    told = client.get("/datasets/weather").json()["grids"]
    assert [grid["longitude"] for grid in told] == ["XLONG", "XLONG_U"]


def test_an_explanation_says_where_it_is(client: httpx.Client) -> None:
    (row, column), apart = nearest(curved(), BERLIN)
    answer = ask(client, "curved", at="13.4,52.5", variables="sst", explain="true")
    assert answer.json()["at"] == {
        "positions": {"y": [row], "x": [column]},
        "distances_km": [round(apart, 3)],
    }
    other = ask(client, "curved", at="13.401,52.5", variables="sst", explain="true")
    assert other.headers["etag"] != answer.headers["etag"]


def test_netcdf_and_head_say_the_distance(client: httpx.Client) -> None:
    url = "/datasets/curved/sel?at=13.4,52.5&variables=sst&f=netcdf"
    assert (
        client.head(url).headers["x-sluice-distance"]
        == client.get(url).headers["x-sluice-distance"]
    )


REFUSED = {
    "curved?at=13.4&variables=sst": 400,
    "curved?at=13.4,52.5,3&variables=sst": 400,
    "curved?at=nan,52.5&variables=sst": 400,
    "curved?at=52.5,134&variables=sst": 400,
    "curved?at=&variables=sst": 400,
    "curved?at=13.4,52.5&isel[y]=3&variables=sst": 400,
    "regular?at=13.4,52.5&lat=10": 400,
    "curved?at=1,40&at=2,41&pointwise=time,y&time=0&isel[y]=0&variables=sst": 400,
    "curved?at=13.4,52.5&variables=sst&tolerance=at:-1": 400,
    "curved?at=13.4,52.5&variables=sst&tolerance=at:far": 400,
    "curved?time=0&tolerance=at:5": 400,
    # Far from the grid, and nearer, but farther than was asked for.
    "curved?at=-90,0&variables=sst": 422,
    "curved?at=13.4,52.5&variables=sst&tolerance=at:0.001": 422,
    "regular?at=14,52.5&tolerance=at:1": 422,
    # Two grids, none, and what lies on none.
    "curved?at=13.4,52.5": 422,
    "curved?at=13.4,52.5&variables=mean": 422,
    "metres?at=13.4,52.5": 422,
    "curved?variables=sst&" + "&".join(["at=13.4,52.5"] * 101): 413,
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_refused(client: httpx.Client, query: str) -> None:
    name, _, asked = query.partition("?")
    told = check(client.get(f"/datasets/{name}/sel?{asked}"), REFUSED[query])
    assert "at" in told["detail"]


def test_a_tolerance_reaches_farther(client: httpx.Client) -> None:
    url = "/datasets/curved/sel?at=-90,0&variables=sst"
    told = check(client.get(url), 422)
    assert told["distance_km"] > told["limit_km"] > 0
    answer = client.get(f"{url}&tolerance=at:{told['distance_km'] + 1}")
    assert answer.status_code == 200
    assert client.get("/datasets/regular/isel?at=14,52.5&tolerance=at:500").status_code == 200


def test_coordinates_that_are_too_many_are_not_read(tmp_path: Path) -> None:
    curved().to_zarr(tmp_path / "curved.zarr", zarr_format=2, consolidated=True)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(f'datasets: {{curved: {{url: "{tmp_path}/curved.zarr"}}}}')
    limited = Settings(catalog=catalog, request_result_bytes=2**16)
    with serving(limited) as client:
        url = "/datasets/curved/sel?at=13.4,52.5&variables=sst"
        assert check(client.get(url), 413)["limited"] == "result_bytes"


def test_coordinates_that_are_too_many_to_be_compared(tmp_path: Path) -> None:
    """Of one time less is read."""
    weather().to_zarr(tmp_path / "weather.zarr", zarr_format=2, consolidated=True)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(f'datasets: {{weather: {{url: "{tmp_path}/weather.zarr"}}}}')
    with serving(Settings(catalog=catalog, stream_result_bytes=2**15)) as client:
        url = "/datasets/weather/sel?at=13.4,52.5&variables=T2"
        told = check(client.get(url), 413)
        assert "isel[Time]=0" in told["detail"]
        assert client.get(f"{url}&isel[Time]=0").status_code == 200
