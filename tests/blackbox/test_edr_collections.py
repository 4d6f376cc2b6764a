"""EDR's list of collections: full pages, and those alone whose extents meet a box and a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from edr_pydantic.collections import Collections

from .conftest import Serve, Service
from .edr import EAST, NORTH, ask, check_error

# So many datasets that are none stand between the first collection and the second; a request opens
# no more than 50 stores beside those that it shows.
BETWEEN = 60


def box(
    lon: list[float], lat: list[float], time: object = None, level: list[float] | None = None
) -> xr.Dataset:
    """A field along these labels."""
    coords: dict[str, Any] = {"lat": ("lat", lat, NORTH), "lon": ("lon", lon, EAST)}
    if level is not None:
        coords = {"plev": ("plev", level, {"units": "hPa", "positive": "down"}), **coords}
    if time is not None:
        coords = {"time": time, **coords}
    shape = [len(one[1]) if isinstance(one, tuple) else len(one) for one in coords.values()]
    return xr.Dataset({"a": (tuple(coords), np.zeros(shape, "f4"))}, coords=coords)


def curved() -> xr.Dataset:
    """Cells between 100 and 110 east that have places of their own."""
    lon, lat = np.meshgrid(np.linspace(100, 110, 5), np.linspace(-5, 5, 4))
    places = {"lon": (("j", "i"), lon, EAST), "lat": (("j", "i"), lat, NORTH)}
    return xr.Dataset({"a": (("j", "i"), lon * 2)}, coords=places)


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder: Path = tmp_path_factory.mktemp("collections")
    days = pd.date_range("2000-01-01", "2000-12-31", freq="91D")
    days360 = xr.date_range(
        "2010-01-01", periods=3, freq="30D", calendar="360_day", use_cftime=True
    )
    assert isinstance(days360[0], cftime.Datetime360Day)
    stores = {
        "atlantic": box([-30, -20, -10], [20, 30, 40], days, [1000, 500]),
        "plain": xr.Dataset({"a": ("x", [1.0])}, coords={"x": [1.0]}),
        "pacific": box([170, 180, 190], [-20, -10], days360),
        "still": box([0, 10, 20], [40, 50, 60]),
        "curved": curved(),
    }
    for name, ds in stores.items():
        ds.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
    names = ["atlantic", *(f"plain{n}" for n in range(BETWEEN)), "pacific", "still", "curved"]
    urls = {name: folder / f"{name.rstrip('0123456789')}.zarr" for name in names}
    entries: dict[str, dict[str, object]] = {name: {"url": str(at)} for name, at in urls.items()}
    return serve({**entries, "gone": {"url": str(folder / "gone.zarr")}})


def listed(service: Service, **params: object) -> list[str]:
    """The collections of all pages, one page after the other."""
    url, found = f"/edr/collections?{urlencode(params)}", list[str]()
    while url:
        answer = service.get(url)
        assert answer.status_code == 200, answer.text
        Collections.model_validate_json(answer.text)
        told = answer.json()
        found += [one["id"] for one in told["collections"]]
        url = next((one["href"] for one in told["links"] if one["rel"] == "next"), "")
    return found


def test_pages_are_full_unless_too_many_stores_have_to_be_opened(service: Service) -> None:
    """Then they end early, and the next one goes on."""
    told = service.get("/edr/collections?limit=1&offset=1").json()
    links = {one["rel"]: one["href"] for one in told["links"]}
    assert told["collections"] == []
    assert links["self"].endswith("?limit=1&offset=1")
    assert links["next"].endswith("?limit=1&offset=52")
    told = service.get("/edr/collections?limit=2&offset=30").json()
    assert [one["id"] for one in told["collections"]] == ["pacific", "still"]
    for limit in (1, 2, 3, 50):
        assert listed(service, limit=limit) == ["atlantic", "pacific", "still", "curved"]


ATLANTIC, PACIFIC, STILL = {"atlantic"}, {"pacific"}, {"still"}


@pytest.mark.parametrize(
    ("bbox", "found"),
    [
        ("-180,-90,180,90", ATLANTIC | PACIFIC | STILL),
        ("0,-90,360,90", ATLANTIC | PACIFIC | STILL),
        ("-25,25,-24,26", ATLANTIC),
        ("335,25,336,26", ATLANTIC),
        ("-40,30,-30,90", ATLANTIC),
        ("-40,30,-31,90", set()),
        ("-180,-15,-175,-10", PACIFIC),
        ("185,-15,186,-10", PACIFIC),
        ("175,-15,-175,-10", PACIFIC),
        ("175,-15,5,90", PACIFIC | ATLANTIC | STILL),
        ("170,0,-170,10", set()),
        ("355,0,5,90", STILL),
        ("30,-90,160,90", set()),
        ("15,55,15,55", STILL),
        ("-30,20,900,-10,40,2000", ATLANTIC),
        ("-30,20,2000,-10,40,900", ATLANTIC),
        ("-30,20,1,-10,40,2", set()),
        # What has no levels lies at each.
        ("0,40,1,20,60,2", STILL),
    ],
)
def test_a_box_chooses_what_it_meets(service: Service, bbox: str, found: set[str]) -> None:
    assert {*listed(service, bbox=bbox)} - {"curved"} == found
    assert {*listed(service, bbox=bbox, limit=1)} - {"curved"} == found


@pytest.mark.parametrize(
    ("datetime", "found"),
    [
        ("2000-01-01T00:00:00Z", ATLANTIC),
        # Between two labels, which is inside of the extent.
        ("2000-02-02T12:00:00Z", ATLANTIC),
        ("2000-12-30T00:00:00Z", ATLANTIC),
        ("2000-12-30T01:00:00.5+02:00", ATLANTIC),
        ("2000-12-31", set()),
        ("2000-12", ATLANTIC),
        ("2000", ATLANTIC),
        ("1999-12-31T23:59:59Z", set()),
        ("1999-12-31T23:59:59-01:00", ATLANTIC),
        ("../1999-12-31", set()),
        ("../2000-01-01T00:00:00Z", ATLANTIC),
        ("/2000-01-01T00:00:00Z", ATLANTIC),
        ("2000-12-29/..", ATLANTIC | PACIFIC),
        ("2001-01-01T00:00:00Z/", PACIFIC),
        ("2009-12-31/2010-01-01", PACIFIC),
        # A day that its calendar of 360 days lacks.
        ("2010-01-31T00:00:00Z", PACIFIC),
        ("2012-01-31/..", set()),
        ("../..", ATLANTIC | PACIFIC),
    ],
)
def test_a_time_chooses_what_it_meets(service: Service, datetime: str, found: set[str]) -> None:
    """What has no times lies at each."""
    assert {*listed(service, datetime=datetime)} - {"curved"} == found | STILL


def test_a_box_and_a_time_choose_together(service: Service) -> None:
    """In the system that is named, and on all pages."""
    asked = {"bbox": "20,-30,40,20", "crs": "EPSG:4326", "datetime": "2000-06-01/.."}
    assert {*listed(service, **asked)} - {"curved"} == ATLANTIC | STILL
    told = service.get("/edr/collections", params={**asked, "limit": "1", "f": "json"}).json()
    for rel in ("self", "next"):
        href = next(one["href"] for one in told["links"] if one["rel"] == rel)
        assert "?bbox=20,-30,40,20&crs=EPSG:4326&datetime=2000-06-01/..&limit=1&offset=" in href
    # Empty ones are not given.
    assert {*listed(service, bbox="", datetime=" ")} - {"curved"} == ATLANTIC | PACIFIC | STILL


def test_cells_that_nobody_has_read_may_be_anywhere(service: Service) -> None:
    assert "curved" in listed(service, bbox="-100,50,-90,60")
    assert ask(service, "position", "curved", coords="POINT(105 0)").status_code == 200
    assert "curved" not in listed(service, bbox="-100,50,-90,60")
    assert "curved" in listed(service, bbox="109,0,120,1")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("bbox=1,2,3", "west,south,east,north"),
        ("bbox=1,2,3,4,5", "west,south,east,north"),
        ("bbox=a,2,3,4", "no finite number"),
        ("bbox=1,9,3,4", "south end north of its north end"),
        ("bbox=1,2,3,95", "latitude"),
        ("bbox=1,2,3,4&bbox=1,2,3,4", "bbox is given 2 times"),
        ("bbox=1,2,3,4&crs=EPSG:32633", "CRS84"),
        ("datetime=yesterday", "2024-01-01T00:00:00Z"),
        ("datetime=2024-02-32", "2024-01-01T00:00:00Z"),
        ("datetime=..", "start/end"),
        ("datetime=2024-01-01/2024-01-02/P1D", "start/end"),
        ("datetime=2024-01-02/2024-01-01", "ends before it begins"),
        (f"datetime={'2024' * 50}", "too long"),
        ("datetime=2024&datetime=2025", "datetime is given 2 times"),
        ("limit=5&limit=6", "limit is given 2 times"),
        ("limit=0", "whole number"),
    ],
)
def test_what_chooses_nothing_is_400(service: Service, params: str, said: str) -> None:
    answer = service.get(f"/edr/collections?{params}")
    assert answer.status_code == 400
    check_error(answer)
    assert said in answer.json()["description"]


def test_the_document_describes_what_chooses(service: Service) -> None:
    told = service.get("/edr/api").json()
    listed = told["paths"]["/collections"]["get"]["parameters"]
    known = told["components"]["parameters"]
    found = [known[one["$ref"].rpartition("/")[2]] for one in listed]
    names = [one["name"] for one in found]
    assert names == ["bbox", "datetime", "crs", "limit", "offset", "f"]
    assert not any(one["required"] for one in found)


def test_times_of_other_calendars_have_a_zone_and_say_so(service: Service) -> None:
    """Clients want the one; that these are no days of everybody's calendar is the other."""
    told = service.get("/edr/collections/pacific").json()["extent"]["temporal"]
    assert told == {
        "interval": [["2010-01-01T00:00:00Z", "2010-03-01T00:00:00Z"]],
        "values": ["2010-01-01T00:00:00Z", "2010-02-01T00:00:00Z", "2010-03-01T00:00:00Z"],
        "trs": "360_day (a calendar of CF)",
    }
