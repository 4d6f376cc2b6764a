"""Queries of EDR as forms, which clients post when a place is too long for a URL."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service
from .edr import EAST, NORTH, check_error, globe, grid, write_stores

GLOBE = globe()
SPECTRA = xr.Dataset(
    {"e": (("f", "coords", "lat", "lon"), np.arange(24.0).reshape(2, 2, 2, 3))},
    coords={
        "f": [0.1, 0.2],
        "lat": ("lat", [0.0, 10.0], NORTH),
        "lon": ("lon", [0.0, 10.0, 20.0], EAST),
    },
)
FORM = "application/x-www-form-urlencoded"
BOX = {"bbox": "0,0,20,10", "parameter-name": "t2m", "datetime": "2024-01-01T06:00:00Z"}


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("edr")
    SPECTRA.to_zarr(folder / "spectra.zarr", zarr_format=3, consolidated=False)
    return serve({**write_stores(folder), "spectra": {"url": str(folder / "spectra.zarr")}})


def post(service: Service, query: str, form: dict[str, str], **more: Any) -> httpx.Response:
    """A form as Qt writes it, with signs that a query may have left as they are."""
    body = urlencode(form, safe=",:/")
    sent = {"content": body, "headers": {"Content-Type": FORM}, **more}
    return service.client.post(f"/edr/collections/globe/{query}", **sent)


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("position", {"coords": "POINT(13.4 52.5)", "f": "CoverageJSON", "crs": "CRS84"}),
        ("cube", BOX),
        ("cube", {**BOX, "f": "CSV"}),
        ("area", {"coords": "POLYGON((5 45,15 45,15 55,5 45))", "parameter-name": "temp,land"}),
        ("radius", {"coords": "POINT(13.4 52.5)", "within": "700", "within-units": "km"}),
        ("trajectory", {"coords": "LINESTRING(5 45,15 55)", "z": "850"}),
        ("locations/Suva", {"parameter-name": "land"}),
    ],
)
def test_a_form_is_answered_as_the_url_is(
    service: Service, query: str, params: dict[str, str]
) -> None:
    """It has no tag: nobody can ask for it again by its URL."""
    posted = post(service, query, params)
    asked = service.get(f"/edr/collections/globe/{query}", params=params)
    assert posted.status_code == asked.status_code == 200
    assert posted.content == asked.content
    assert posted.headers["content-type"] == asked.headers["content-type"]
    assert posted.headers["cache-control"] == "no-store"
    assert "etag" not in posted.headers
    assert "etag" in asked.headers


def test_what_the_plugin_of_qgis_posts(service: Service) -> None:
    """Its reader wants rows and columns last, a type that it knows, and CRS84 by its URI."""
    params = {
        "crs": "CRS84",
        "f": "CoverageJSON",
        "parameter-name": "temp",
        "datetime": "2024-01-01T00:00:00Z/2024-01-01T12:00:00Z",
        # The last of the chosen levels, then the first.
        "z": "500/1000",
        "bbox": "-20.5,30.25,25.5,60.75",
    }
    answer = post(service, "cube", params)
    told = answer.json()
    assert answer.headers["content-type"] == "application/prs.coverage+json"
    assert told["type"] == "Coverage"
    assert told["domain"]["domainType"] == "Grid"
    systems = {"".join(one["coordinates"]): one["system"] for one in told["domain"]["referencing"]}
    assert systems["xy"]["id"] == "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    assert told["ranges"]["temp"]["axisNames"] == ["t", "z", "y", "x"]
    assert told["ranges"]["temp"]["dataType"] == "float"
    found = grid(told, "temp")
    wanted = GLOBE.temp.sel(lat=slice(60.75, 30.25), time=slice(None, "2024-01-01T12"))
    wanted = wanted.sel(lon=[340, 345, 350, 355, 0, 5, 10, 15, 20, 25])
    assert found.shape == (3, 3, 6, 10)
    np.testing.assert_array_equal(found.values, wanted.values)


def test_a_coast_is_too_long_for_a_url(service: Service) -> None:
    """What is said of the URL says what to do, and that helps."""
    turns = [math.tau * number / 900 for number in range(900)]
    places = [(20 + 15 * math.cos(turn), 40 + 15 * math.sin(turn)) for turn in turns]
    ring = ",".join(f"{lon:.6f} {lat:.6f}" for lon, lat in [*places, places[0]])
    params = {"coords": f"POLYGON(({ring}))", "parameter-name": "land", "f": "CSV"}
    refused = service.get("/edr/collections/globe/area", params=params)
    assert refused.status_code == 414
    check_error(refused)
    assert "EDR a form" in refused.json()["description"]
    rows = post(service, "area", params).text.splitlines()
    lat, lon = np.meshgrid(GLOBE.lat, GLOBE.lon, indexing="ij")
    assert len(rows) - 1 == int((np.hypot(lon - 20, lat - 40) <= 15).sum())


def test_thousands_of_labels(service: Service) -> None:
    """Each takes the nearest level, as often as it is asked for."""
    levels = [500 + number % 500 for number in range(4000)]
    params = {"coords": "POINT(20 40)", "parameter-name": "temp", "z": ",".join(map(str, levels))}
    answer = post(service, "position", {**params, "datetime": "2024-01-01", "f": "CSV"})
    assert answer.status_code == 200, answer.text
    wanted = GLOBE.temp.sel(lon=20, lat=40, plev=levels, method="nearest").isel(time=slice(4))
    found = [float(row.rpartition(",")[2]) for row in answer.text.splitlines()[1:]]
    np.testing.assert_allclose(np.sort(found), np.sort(wanted.values.ravel()))


def test_dimensions_that_are_called_like_parameters(service: Service) -> None:
    """The parameter keeps its name; clients are told how to ask for the dimension."""
    (told,) = service.get("/edr/collections/spectra").json()["extent"]["custom"]
    assert told["id"] == "sel[f]"
    asked = {"coords": "POINT(10 10)", "f": "CSV", told["id"]: "0.2", "sel[coords]": "1"}
    for answer in (
        service.get("/edr/collections/spectra/position", params=asked),
        service.client.post("/edr/collections/spectra/position", data=asked),
    ):
        assert answer.status_code == 200, answer.text
        (row,) = answer.text.splitlines()[1:]
        assert float(row.rpartition(",")[2]) == SPECTRA.e[1, 1].sel(lat=10, lon=10)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"headers": {"Content-Type": "application/json"}, "content": "{}"}, 415, "as a form"),
        ({"headers": {"Content-Type": FORM, "Content-Encoding": "gzip"}}, 415, "without a coding"),
        ({"params": {"bbox": "0,0,1,1"}}, 400, "bbox is given 2 times"),
        ({"content": b"bbox=" + b"1" * 2**21}, 413, "longer than"),
        ({"content": "&".join(f"a{number}=1" for number in range(1001))}, 400, "more than 1000"),
        ({"content": "bbox=%FF%FE"}, 400, "bbox takes west"),
        ({"content": b""}, 400, "cube takes bbox"),
        ({"content": "bbox=0,0,9,9&parameter-name=größe".encode()}, 400, "no 'größe'"),
    ],
)
def test_refused_forms(service: Service, sent: dict[str, Any], status: int, words: str) -> None:
    """In EDR's own form of an error."""
    answer = post(service, "cube", BOX, **sent)
    assert answer.status_code == status, answer.text
    check_error(answer)
    assert words in answer.json()["description"]


def test_documents_take_no_post(service: Service) -> None:
    """Queries alone do, and nothing takes what changes things."""
    for path, allowed in (("", "GET, HEAD"), ("/globe/cube", "GET, HEAD, POST")):
        answer = service.client.request("PUT", f"/edr/collections{path}")
        assert answer.status_code == 405
        assert answer.headers["allow"] == allowed
