"""What a careful server gets right, on grids of every orientation, over a real socket."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
import xarray as xr

from app.settings import Settings
from tests.api.conftest import decoded, serving

LATS = np.arange(-90.0, 91.0, 10.0)
GRIDS = {
    "east": np.arange(0.0, 360.0, 10.0),
    "east-reversed": np.arange(0.0, 360.0, 10.0)[::-1],
    "centred": np.arange(-180.0, 180.0, 10.0),
    "centred-reversed": np.arange(-180.0, 180.0, 10.0)[::-1],
}
FORMS = {"v2": {"chunks": (2, 7, 5)}, "sharded": {"chunks": (1, 7, 6), "shards": (2, 14, 12)}}


def globe(lons: np.ndarray) -> xr.Dataset:
    """Values that say where they lie: day * 10^6 + (latitude + 90) * 1000 + longitude east."""
    times = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    # Reversed grids are reversed in both directions: north to south, east to west.
    lats = LATS if lons[0] < lons[-1] else LATS[::-1]
    day = np.arange(4.0)[:, None, None] * 1e6
    values = day + (lats[:, None] + 90) * 1000 + lons % 360
    edges = np.stack([lons - 5, lons + 5], axis=1)
    return xr.Dataset(
        {"v": (("time", "lat", "lon"), values), "lon_bnds": (("lon", "nv"), edges)},
        {
            "time": times,
            "lat": ("lat", lats, {"units": "degrees_north"}),
            "lon": ("lon", lons, {"units": "degrees_east", "bounds": "lon_bnds"}),
        },
    )


# Asks one dataset, and the grid that is in it.
Asked = tuple[Callable[[str], httpx.Response], xr.Dataset]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server of each grid in each form, and of one with packed longitudes."""
    folder = tmp_path_factory.mktemp("globes")
    names = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for grid, lons in GRIDS.items():
            for form, encoding in FORMS.items():
                names.append(f"{grid}-{form}")
                globe(lons).to_zarr(
                    folder / names[-1],
                    zarr_format=2 if form == "v2" else 3,
                    encoding={"v": encoding},
                )
        names.append("packed")
        packed = globe(GRIDS["east"])
        packed.lon.attrs["valid_range"] = [0.0, 360.0]
        packing = {"dtype": "uint16", "scale_factor": 0.5, "_FillValue": 65535}
        packed.to_zarr(folder / "packed", zarr_format=2, encoding={"lon": packing})
    rows = "\n".join(f'  {name}: {{url: "{folder}/{name}"}}' for name in names)
    (folder / "catalog.yaml").write_text(f"datasets:\n{rows}\n")
    with serving(Settings(catalog=folder / "catalog.yaml")) as client:
        yield client


@pytest.fixture(scope="module", params=[f"{grid}-{form}" for grid in GRIDS for form in FORMS])
def ask(request: pytest.FixtureRequest, client: httpx.Client) -> Asked:
    """Asks one of the datasets; gives the answer and the grid's own longitudes."""
    lons = GRIDS[request.param.rsplit("-", 1)[0]]
    return lambda query: client.get(f"/datasets/{request.param}/sel?{query}"), globe(lons)


def seam(ds: xr.Dataset, west: float, east: float) -> xr.Dataset:
    """The independent oracle: every column as often as turns may show it, the asked ones kept."""
    ds = ds.drop_vars("lon_bnds").sortby("lon")
    turned = [ds.assign_coords(lon=ds.lon.values + turn) for turn in (-720, -360, 0, 360, 720)]
    return xr.concat(turned, "lon").sel(lon=slice(west, east))


def answer(response: httpx.Response) -> xr.Dataset:
    assert response.status_code == 200, response.text
    return decoded(response)


DAY = "time=2020-01-02T00:00Z"


@pytest.mark.parametrize(
    ("asked", "west", "east"),
    [
        ("-10/10", -10, 10),
        ("350/10", 350, 370),
        ("170/-170", 170, 190),
        ("-180/180", -180, 170),
        ("0/360", 0, 350),
        ("20/40", 20, 40),
        ("-95/95", -90, 90),
    ],
)
def test_boxes_cross_the_seam(ask: Asked, asked: str, west: int, east: int) -> None:
    """A box holds every column from its west end to its east end, under rising labels."""
    get, ds = ask
    got = answer(get(f"lon={asked}&{DAY}"))
    np.testing.assert_array_equal(got.lon, np.arange(west, east + 1, 10.0))
    want = seam(ds, west, east).sel(time="2020-01-02")
    xr.testing.assert_equal(got.drop_vars("lon_bnds"), want)
    np.testing.assert_array_equal(got.lon_bnds, np.stack([want.lon - 5, want.lon + 5], axis=1))


def test_every_third_column_from_the_west_end(ask: Asked) -> None:
    """The step counts from the west end, across the seam."""
    get, ds = ask
    got = answer(get(f"lon=-20/20/3&{DAY}&variables=v"))
    xr.testing.assert_equal(got.v, seam(ds, -20, 20).sel(time="2020-01-02").v[:, ::3])


def test_an_instant_is_that_instant(ask: Asked) -> None:
    """Row 1: a time of day in UTC drops the dimension, however the zone is written."""
    get, ds = ask
    for text in ("2020-01-03T00:00:00Z", "2020-01-03T02:00:00%2B02:00"):
        got = answer(get(f"time={text}"))
        xr.testing.assert_equal(got, ds.sel(time="2020-01-03T00:00:00"))
        assert got.time.shape == ()


def test_an_open_interval_reaches_the_end(ask: Asked) -> None:
    """Row 2: from a day on, that day included."""
    get, ds = ask
    xr.testing.assert_equal(answer(get("time=2020-01-03/..")), ds.isel(time=slice(2, None)))
    xr.testing.assert_equal(answer(get("time=../2020-01-03")), ds.isel(time=slice(0, 3)))


@pytest.mark.parametrize("asked", ["nearest::-10", "nearest::-12", "nearest::347.5", "-10", "350"])
def test_a_longitude_has_two_names(ask: Asked, asked: str) -> None:
    """Row 3: -10 and 350 are one column, which comes back under the store's own label."""
    get, ds = ask
    got = answer(get(f"{DAY}&lat=50&lon={asked}"))
    assert got.v.item() == 1e6 + 140 * 1000 + 350
    assert got.lon.item() == ds.lon[np.flatnonzero(ds.lon % 360 == 350)].item()
    assert (got.lat.item(), got.time.item()) == (50, ds.time[1].item())


@pytest.mark.parametrize("asked", ["-10/10", "10/-10"])
def test_latitudes_come_in_the_stores_order(ask: Asked, asked: str) -> None:
    """Row 5: the rows in between, whichever end is named first. (Row 4 is the seam, above.)"""
    get, ds = ask
    xr.testing.assert_equal(answer(get(f"{DAY}&lat={asked}")), ds.isel(time=1, lat=slice(8, 11)))


@pytest.mark.parametrize("asked", ["lat=nearest::500", "time=nearest::1900-01-01"])
def test_what_lies_far_outside_is_refused(ask: Asked, asked: str) -> None:
    """Row 6: no match from beyond the axis; the answer has the axis' range."""
    get, _ = ask
    refused = get(asked)
    assert refused.status_code == 422, refused.text
    want = [-90.0, 90.0] if "lat" in asked else ["2020-01-01T00:00:00Z", "2020-01-04T00:00:00Z"]
    assert refused.json()["range"] == want


def test_an_absent_label_names_its_neighbours(ask: Asked) -> None:
    """Row 7: exact means exact, and the nearest labels are in the answer."""
    get, _ = ask
    refused = get("lat=52.51")
    assert (refused.status_code, refused.json()["nearest"]) == (422, [50.0, 60.0])
    refused = get("lon=-1")
    assert refused.status_code == 422
    assert sorted(label % 360 for label in refused.json()["nearest"]) == [0.0, 350.0]


@pytest.mark.parametrize(
    "asked",
    ["lon=1/9", "lon=-9/-1", "lat=51/59", "time=2021/2022", "time=2020-02-01/..", "lat=91/.."],
)
def test_an_interval_of_nothing_is_refused(ask: Asked, asked: str) -> None:
    """Row 8: an interval that selects nothing is never an empty 200."""
    get, _ = ask
    refused = get(asked)
    assert refused.status_code == 422, refused.text
    assert len(refused.json()["range"]) == 2


def test_an_unknown_parameter_is_named(ask: Asked) -> None:
    """Row 9: the parameter that means nothing, and those that mean something."""
    get, _ = ask
    refused = get("lat=0&foo=1")
    assert (refused.status_code, refused.json()["parameter"]) == (400, "foo")
    assert {"time", "lat", "lon", "method", "f"} <= set(refused.json()["known"])


@pytest.mark.parametrize(("asked", "angle"), [("nearest::359", 0), ("pad::-1", 350), ("-170", 190)])
def test_neighbours_over_the_seam(client: httpx.Client, asked: str, angle: int) -> None:
    """The first column is the last one's neighbour, for every method and name of a place."""
    got = answer(client.get(f"/datasets/east-v2/sel?{DAY}&lat=0&lon={asked}"))
    assert got.v.item() % 1000 == angle
    assert got.lon.item() == angle


def test_a_list_of_columns_keeps_the_stores_labels(client: httpx.Client) -> None:
    """Lists come back as the store names their columns, in the asked order."""
    got = answer(client.get(f"/datasets/east-v2/sel?{DAY}&lat=0&lon=-10,10,-20"))
    assert got.lon.values.tolist() == [350, 10, 340]
    assert (got.v.values % 1000).tolist() == [350, 10, 340]


def test_netcdf_does_not_bend_the_new_labels(client: httpx.Client) -> None:
    """A seam box of packed longitudes is written with labels that the packing could not hold."""
    response = client.get(f"/datasets/packed/sel?lon=-90/90&{DAY}&f=netcdf")
    assert response.status_code == 200
    with xr.open_dataset(io.BytesIO(response.content)) as got:
        np.testing.assert_array_equal(got.lon, np.arange(-90, 91, 10.0))
        np.testing.assert_array_equal(got.v.sel(lat=0) % 1000, np.arange(-90, 91, 10.0) % 360)
        assert got.lon.attrs["units"] == "degrees_east"
        assert "valid_range" not in got.lon.attrs


def test_the_shared_dataset_keeps_its_labels(client: httpx.Client) -> None:
    """A relabelled answer changes nothing for the next one."""
    for _ in range(2):
        client.get(f"/datasets/packed/sel?lon=-90/90&{DAY}&f=netcdf")
        body = client.get("/datasets/packed").json()["coords"]["lon"]
        assert (body["min"], body["max"]) == (0.0, 350.0)
        assert body["attrs"]["valid_range"] == [0.0, 360.0]


def test_variables_without_longitude_have_nothing_to_relabel(client: httpx.Client) -> None:
    """A seam box of which only other variables are kept answers with them."""
    got = answer(client.get("/datasets/east-v2/sel?lon=-10/10&variables=time"))
    assert set(got.coords) == {"time"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("lat=nearest::52.5&tolerance=lat:2.5", 200),
        ("lat=nearest::52.5&tolerance=lat:2.4", 422),
        ("lat=nearest::120&tolerance=lat:30", 200),
        ("lon=nearest::-2&tolerance=lon:2", 200),
        ("lon=nearest::-2&tolerance=lon:1.9", 422),
        ("time=nearest::2020-01-02T01:00Z&tolerance=time:PT1H", 200),
        ("time=nearest::2020-01-02T01:00Z&tolerance=time:PT59M", 422),
        ("time=nearest::2020-01-02T01:00Z&tolerance=time:1", 400),
        ("lat=52.5,41&method=nearest&tolerance=lat:3", 200),
        ("lat=50&tolerance=lat:3", 400),
        ("lat=40/60&method=nearest&tolerance=lat:3", 400),
        ("lat=nearest::52.5&tolerance=height:3", 422),
    ],
)
def test_tolerances(client: httpx.Client, query: str, status: int) -> None:
    """A match may lie as far away as the tolerance says, and no farther."""
    response = client.get(f"/datasets/east-v2/sel?{query}&variables=v")
    assert response.status_code == status, response.text


class Oracle:
    """Draws one request's selections and says, by plain comparisons, which labels they choose."""

    def __init__(self, ds: xr.Dataset, seed: int) -> None:
        self.ds = ds
        self.random = np.random.default_rng(seed)

    def latitude(self) -> tuple[str, np.ndarray]:
        """A label, a list or an interval of latitudes, with those that it chooses."""
        lats = self.ds.lat.values
        one, other = self.random.uniform(-95, 95, 2).round(2)
        match self.random.integers(4):
            case 0:
                return f"nearest::{one}", lats[[np.abs(lats - one).argmin()]]
            case 1:
                some = self.random.choice(lats, 3)
                return ",".join(map(str, some)), some
            case 2:
                return f"{one}/..", lats[lats >= one]
            case _:
                inside = lats[(min(one, other) <= lats) & (lats <= max(one, other))]
                return f"{one}/{other}/2", inside[::2]

    def longitude(self) -> tuple[str, np.ndarray]:
        """The same along the circle; labels as the answer gives them."""
        lons = self.ds.lon.values
        one, other = self.random.uniform(-400, 400, 2).round(2)
        match self.random.integers(3):
            case 0:
                apart = np.abs((lons - one + 180) % 360 - 180)
                return f"nearest::{one}", lons[[apart.argmin()]]
            case 1:
                some = self.random.choice(lons, 3)
                turns = self.random.integers(-2, 3, 3) * 360
                return ",".join(map(str, some + turns)), some
            case _:
                width = 360 if other - one >= 360 else (other - one) % 360
                east = np.sort((lons - one) % 360)
                return f"{one}/{other}/3", (one + east[east <= width])[::3]


@pytest.mark.parametrize("name", ["east-v2", "centred-reversed-sharded"])
def test_random_boxes_are_what_comparisons_choose(client: httpx.Client, name: str) -> None:
    """A hundred random requests answer with the labels, and the values, of an independent count."""
    ds = globe(GRIDS[name.rsplit("-", 1)[0]])
    for seed in range(100):
        oracle = Oracle(ds, seed)
        (lat, lats), (lon, lons) = oracle.latitude(), oracle.longitude()
        path = f"/datasets/{name}/isel?time=-2&sel[lat]={lat}&sel[lon]={lon}&variables=v"
        response = client.get(path)
        if not (lats.size and lons.size):
            assert response.status_code == 422, path
            continue
        got = answer(response)
        np.testing.assert_allclose(np.atleast_1d(got.lat), lats, err_msg=path)
        np.testing.assert_allclose(np.atleast_1d(got.lon), lons, err_msg=path)
        want = 2e6 + (lats[:, None] + 90) * 1000 + np.round(lons) % 360
        np.testing.assert_allclose(got.v.values.reshape(want.shape), want, err_msg=path)


@pytest.mark.parametrize("name", ["east-sharded", "centred-reversed-v2"])
def test_random_stations_are_what_comparisons_choose(client: httpx.Client, name: str) -> None:
    """Stations anywhere on the globe answer with the nearest cell, seam and poles included."""
    ds = globe(GRIDS[name.rsplit("-", 1)[0]])
    random = np.random.default_rng(3)
    lats, lons = random.uniform(-90, 90, 60).round(2), random.uniform(-360, 360, 60).round(2)
    rows = np.abs(ds.lat.values - lats[:, None]).argmin(axis=1)
    columns = np.abs((ds.lon.values - lons[:, None] + 180) % 360 - 180).argmin(axis=1)
    query = f"lat={','.join(map(str, lats))}&lon={','.join(map(str, lons))}&method=nearest"
    response = client.get(f"/datasets/{name}/sel?{query}&pointwise=lat,lon&variables=v")
    want = ds.v.isel(
        lat=xr.DataArray(rows, dims="points"), lon=xr.DataArray(columns, dims="points")
    )
    xr.testing.assert_equal(answer(response).v, want)
