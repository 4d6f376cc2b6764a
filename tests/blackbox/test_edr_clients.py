"""EDR by the clients of the field, and what the conformance suite asserts.

The suite (opengeospatial/ets-ogcapi-edr10) is Java and knows version 1.0 alone: its assertions are
named here as it names its tests. One of them does not hold: it wants ``z``, where it is described,
to be required, which version 1.1 forbids.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import numpy as np
import pytest
import xarray as xr
from covjson_pydantic.coverage import Coverage, CoverageCollection
from edr_pydantic.capabilities import ConformanceModel, LandingPageModel
from edr_pydantic.collections import Collection, Collections
from owslib.ogcapi.edr import EnvironmentalDataRetrieval
from owslib.util import Authentication
from schemathesis.specs.openapi.definitions import OPENAPI_30

from .conftest import Serve, Service
from .edr import globe, grid, region, write_stores

ROOT = Path(__file__).parents[2]
GLOBE, REGION = globe(), region()
COVJSON_READER = ("covjson-reader", "0.16.3")
# A key called `reader`, and its hash.
KEY = "sluice_reader"


@pytest.fixture(scope="module")
def service(edr_service: Service) -> Service:
    return edr_service


@pytest.fixture(scope="module")
def address(service: Service) -> str:
    return f"{str(service.client.base_url).rstrip('/')}/edr"


# OWSLib.


@pytest.mark.parametrize("ending", ["", "/"])
def test_owslib(address: str, ending: str) -> None:
    edr = EnvironmentalDataRetrieval(f"{address}{ending}")
    assert edr.conformance()["conformsTo"]
    assert edr.api()["openapi"].startswith("3.0")
    assert {one["id"] for one in edr.collections()["collections"]} == {"globe", "region", "big"}
    assert set(edr.data()) == {"globe", "region", "big"}
    assert edr.collection("globe")["title"] == "The globe"
    told = edr.query_data(
        "globe",
        "position",
        coords="POINT(-10 20)",
        parameter_names=["t2m"],
        datetime_="2024-01-01T00:00:00Z/2024-01-02T00:00:00Z",
    )
    expected = GLOBE.t2m.sel(lon=350, lat=20, time=slice("2024-01-01", "2024-01-02T00"))
    np.testing.assert_array_equal(grid(told, "t2m").values, expected.values)
    told = edr.query_data("globe", "cube", bbox=[0, 0, 20, 10], parameter_names=["land"])
    expected = GLOBE.land.sel(lon=slice(0, 20), lat=slice(10, 0))
    np.testing.assert_array_equal(grid(told, "land").values, expected.values)
    assert edr.query_data("region", "position", coords="POINT(90 50)") == {}


# edr-xarray.


def opened(address: str, collection: str, **options: Any) -> xr.Dataset:
    with warnings.catch_warnings():
        # It takes the place of this name from us, and not from the standard.
        warnings.simplefilter("ignore")
        url = f"{address}/collections/{collection}"
        found: xr.Dataset = xr.open_dataset(url, engine="edr", **options)
    return found


def test_edr_xarray_reads_what_xarray_reads(address: str) -> None:
    with opened(address, "globe", parameter_names=["t2m"]) as ds:
        names = {"x": "lon", "y": "lat", "t": "time", "longitude": "lon", "latitude": "lat"}
        found = ds.rename({a: b for a, b in names.items() if a in ds.dims})
        assert dict(found.sizes) == {"time": 12, "lat": 37, "lon": 72}
        box = found.t2m.isel(time=slice(2, 5), lat=slice(3, 9), lon=slice(30, 41)).load()
        expected = GLOBE.t2m.isel(time=slice(2, 5), lat=slice(3, 9))
        expected = expected.sel(lon=box.lon.values % 360)
        np.testing.assert_array_equal(
            box.transpose("time", "lat", "lon").values, expected.values.astype("f8")
        )
        one = found.t2m.isel(time=7, lat=20, lon=0).load()
        assert one.item() == GLOBE.t2m.isel(time=7, lat=20).sel(lon=one.lon.item() % 360).item()


def test_edr_xarray_reads_all_levels(address: str) -> None:
    with opened(address, "globe", parameter_names=["temp"]) as ds:
        assert sorted(ds.sizes.values()) == [3, 12, 37, 72]
        names = {"x": "lon", "longitude": "lon", "y": "lat", "latitude": "lat"}
        names |= {"z": "plev", "vertical": "plev", "t": "time"}
        found = ds.temp.rename({a: b for a, b in names.items() if a in ds.dims})
        column = found.isel(time=1, lat=10, lon=36).load()
        expected = GLOBE.temp.isel(time=1, lat=10).sel(lon=column.lon.item() % 360)
        np.testing.assert_array_equal(column.values, expected.values.astype("f8"))


# Models of the standards.


def test_models_of_the_documents(service: Service) -> None:
    LandingPageModel.model_validate_json(service.get("/edr/").text)
    ConformanceModel.model_validate_json(service.get("/edr/conformance").text)
    Collections.model_validate_json(service.get("/edr/collections").text)
    for name in ("globe", "region", "big"):
        found = Collection.model_validate_json(service.get(f"/edr/collections/{name}").text)
        assert found.extent.spatial.bbox[0][0] >= -180
    told = service.get("/edr/collections/globe").json()["extent"]
    assert told["temporal"]["values"][:2] == ["2024-01-01T00:00:00Z", "2024-01-01T06:00:00Z"]
    assert told["vertical"] == {
        "interval": [["500", "1000"]],
        "values": ["1000", "850", "500"],
        "vrs": "plev (hPa)",
    }
    custom = service.get("/edr/collections/region").json()["extent"]["custom"]
    assert custom == [
        {"id": "number", "interval": [[0, 2]], "reference": "number"} | {"values": [0, 1, 2]}
    ]


READER = """
const { read } = require(process.argv[2] + '/covjson-reader')
const chunks = []
process.stdin.on('data', chunk => chunks.push(chunk)).on('end', async () => {
  const found = await read(JSON.parse(Buffer.concat(chunks)))
  const told = []
  for (const one of found.coverages || [found]) {
    const domain = await one.loadDomain()
    const name = [...one.parameters.keys()][0]
    const range = await one.loadRange(name)
    const axes = [...domain.axes.keys()]
    const unit = one.parameters.get(name).unit
    told.push({ domainType: one.domainType, axes, first: range.get({}), unit })
  }
  console.log(JSON.stringify(told))
})
"""


def read_by_javascript(service: Service, query: str) -> list[dict[str, Any]]:
    """What covjson-reader makes of an answer; skips where there is no npm to have it from."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"client: {tool} is not installed")
    script = ROOT / "scripts" / "npm.sh"
    made = subprocess.run(
        [script, *COVJSON_READER], capture_output=True, text=True, timeout=150, check=False
    )
    if made.returncode:
        pytest.skip(f"client: covjson-reader cannot be had: {made.stderr.strip()[-200:]}")
    answer = service.get(f"/edr/collections/globe/{query}")
    read = subprocess.run(
        ["node", "-e", READER, "-", made.stdout.strip()],
        input=answer.text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    found: list[dict[str, Any]] = json.loads(read.stdout)
    return found


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("position?coords=POINT(5 5)&parameter-name=t2m", "PointSeries"),
        ("cube?bbox=0,0,20,10&parameter-name=t2m", "Grid"),
        ("position?coords=MULTIPOINT(5 5,10 10)&parameter-name=t2m", "PointSeries"),
        (
            "trajectory?coords=LINESTRING(0 0,20 0)&parameter-name=t2m&datetime=2024-01-01T00:00Z",
            "Trajectory",
        ),
        (
            "position?coords=POINT(5 5)&parameter-name=temp&datetime=2024-01-01T00:00Z",
            "VerticalProfile",
        ),
    ],
)
def test_covjson_reader(service: Service, query: str, kind: str) -> None:
    found = read_by_javascript(service, query)
    for one in found:
        assert one["domainType"] == f"https://covjson.org/def/domainTypes#{kind}"
        assert isinstance(one["first"], float)
        assert one["unit"]["symbol"]["value"] == "K"


# Behind keys: of Basic any user, as OWSLib and files of passwords have it.


def test_behind_keys(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> None:
    entries = write_stores(tmp_path_factory.mktemp("keys"))
    entries["mine"] = dict(entries["globe"])
    entries["globe"]["access"] = "public"
    entries["big"]["doors"] = ["dap"]
    keys = f"reader {sha256(KEY.encode()).hexdigest()}"
    shown = ("globe", "region", "big", "mine")
    service = serve({name: entries[name] for name in shown}, SLUICE_KEYS=keys)
    root = f"{str(service.client.base_url).rstrip('/')}/edr"
    listed = service.get("/edr/collections")
    assert [one["id"] for one in listed.json()["collections"]] == ["globe"]
    assert "private" in listed.headers["cache-control"]
    for path in ("region", "nothing", "region/position?coords=POINT(0 50)"):
        refused = service.get(f"/edr/collections/{path}")
        assert refused.status_code == 401
        assert refused.json()["code"] == "401"
        assert refused.headers["www-authenticate"].startswith("Basic")
    basic = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    for header in ({"authorization": f"Basic {basic}"}, {"x-api-key": KEY}):
        found = service.get("/edr/collections", headers=header).json()["collections"]
        assert [one["id"] for one in found] == ["globe", "region", "mine"]
    assert service.get("/edr/collections/big", headers={"x-api-key": KEY}).status_code == 404
    edr = EnvironmentalDataRetrieval(root, auth=Authentication(username="x", password=KEY))
    told = edr.query_data("region", "position", coords="POINT(0 50)", z="1")
    assert len(told["coverages"]) == 3
    # A key in the address would not be in the links that it follows.
    with httpx.Client(headers={"X-API-Key": KEY}) as session:
        found = opened(root, "mine", session=session, parameter_names=["t2m"]).load()
    np.testing.assert_array_equal(np.sort(found.t2m, None), np.sort(GLOBE.t2m.astype("f8"), None))


# The suite's assertions, by the names of its tests.

QUERIES = ("position", "area", "trajectory")


def links(document: dict[str, Any], *rels: str) -> list[dict[str, Any]]:
    return [one for one in document["links"] if one["rel"] in rels]


def test_landing_page_validation(service: Service) -> None:
    answer = service.get("/edr/")
    assert answer.status_code == 200
    told = answer.json()
    assert links(told, "service-desc", "service-doc")
    assert links(told, "conformance")
    assert links(told, "data")
    for one in told["links"]:
        assert one["rel"]
        assert one["type"]
        assert service.get(one["href"]).status_code == 200, one
    assert service.get("/edr").json() == told
    for f in ("json", "application/json"):
        assert service.get(f"/edr/?f={f}").json() == told


def test_openapi_document_retrieval_and_validation(service: Service) -> None:
    (link,) = links(service.get("/edr/").json(), "service-desc")
    assert link["type"] == "application/vnd.oai.openapi+json;version=3.0"
    answer = service.get(link["href"])
    assert answer.headers["content-type"] == link["type"]
    told = answer.json()
    assert told["openapi"] == "3.0.3"
    jsonschema_rs.Draft4Validator(OPENAPI_30).validate(told)
    parameters = told["components"]["parameters"]
    for path, item in told["paths"].items():
        query = path.rpartition("/")[2]
        listed = [
            parameters[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            for one in item["get"]["parameters"]
        ]
        asked = {one["name"]: one for one in listed}
        wanted = {"cube": "bbox"}.get(query, "coords")
        if query in ("position", "area", "radius", "trajectory", "cube"):
            one = asked[wanted]
            assert (one["in"], one["required"], one["explode"]) == ("query", True, False)
            assert one["schema"]["type"] == ("array" if wanted == "bbox" else "string")
            for name in ("datetime", "crs", "f", "z"):
                assert (asked[name]["style"], asked[name]["explode"]) == ("form", False)
                assert asked[name]["in"] == "query"


def query_of(text: str) -> dict[str, str]:
    """The names and values of a query that is written plainly."""
    return dict(pair.split("=") for pair in text.split("&") if pair)


def test_all_paths_of_the_document_answer(service: Service) -> None:
    told = service.get("/edr/api").json()
    (server,) = told["servers"]
    samples = {
        "position": "coords=POINT(5 5)",
        "area": "coords=POLYGON((0 0,20 0,20 20,0 0))",
        "radius": "coords=POINT(5 5)&within=1000&within-units=km",
        "trajectory": "coords=LINESTRING(0 0,20 0)",
        "cube": "bbox=0,0,20,20",
    }
    posted = set()
    for path, item in told["paths"].items():
        filled = path.replace("{collectionId}", "globe").replace("{locationId}", "Berlin")
        query = samples.get(path.rpartition("/")[2], "")
        answer = service.get(f"{server['url']}{filled}?{query}")
        assert answer.status_code == 200, path
        if "post" in item:
            ((media_type, form),) = item["post"]["requestBody"]["content"].items()
            form = {name: query_of(query)[name] for name in form["schema"].get("required", ())}
            again = service.client.post(f"{server['url']}{filled}", data=form)
            assert again.request.headers.get("content-type") == (media_type if form else None)
            assert again.content == answer.content, path
            posted.add(path.rpartition("/")[2])
    assert posted == {*samples, "{locationId}"}


def test_conformance_validation(service: Service) -> None:
    answer = service.get("/edr/conformance")
    assert answer.http_version == "HTTP/1.1"
    told = answer.json()["conformsTo"]
    assert all(isinstance(one, str) for one in told)
    assert "http://www.opengis.net/spec/ogcapi-edr-1/1.0/conf/core" in told
    assert "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/core" in told
    # There are no instances.
    assert not [one for one in told if "instances" in one]


def test_collections_validation(service: Service) -> None:
    told = service.get("/edr/collections").json()
    assert told["collections"]
    assert all(one["rel"] and one["type"] for one in links(told, "self"))
    assert links(told, "self")
    for one in told["collections"]:
        assert links(one, "data", "collection")
        assert links(one, "self", "alternate")
        queries = [query["link"] for query in one["data_queries"].values()]
        assert all(x["rel"] and x["type"] for x in [*one["links"], *queries])
        assert one["extent"]["spatial"]["bbox"]
        alone = service.get(f"/edr/collections/{one['id']}").json()
        assert alone["id"] == one["id"]
        assert any(name in str(one["crs"]) for name in ("CRS84", "EPSG:4326", "WGS84"))
        for parameter in one["parameter_names"].values():
            assert parameter["type"] == "Parameter"
            assert parameter["observedProperty"]["label"]


def test_pages_of_collections(service: Service) -> None:
    found, url = [], "/edr/collections?limit=1"
    while url:
        told = service.get(url).json()
        found += [one["id"] for one in told["collections"]]
        following = links(told, "next")
        url = following[0]["href"] if following else ""
    assert found == ["globe", "region", "big"]
    assert service.get("/edr/collections?limit=0").status_code == 400


@pytest.mark.parametrize("query", QUERIES)
def test_queries_without_parameters_are_400(service: Service, query: str) -> None:
    kinds = {
        "position": ["POINT()"],
        "area": ["POLYGON()"],
        "trajectory": ["LINESTRING()", "LINESTRINGM()", "LINESTRINGZ()", "LINESTRINGZM()"],
    }
    for text in ("", "?coords=", *(f"?coords={kind}" for kind in kinds[query])):
        answer = service.get(f"/edr/collections/globe/{query}{text}")
        assert answer.status_code == 400, text


def test_locations_without_a_name_are_200(service: Service) -> None:
    for name in ("globe", "region"):
        told = service.get(f"/edr/collections/{name}/locations?f=GeoJSON").json()
        assert told["type"] == "FeatureCollection"
        # (RFC 7946, sections 3.1.2, 3.2 and 3.3.)
        assert len(told["features"]) == {"globe": 2, "region": 0}[name]
        for one in told["features"]:
            assert one["type"] == "Feature"
            assert one["geometry"]["type"] == "Point"
            lon, lat = one["geometry"]["coordinates"]
            assert -180 <= lon <= 180
            assert -90 <= lat <= 90
            assert isinstance(one["properties"], dict)


@pytest.mark.parametrize("name", ["globe", "region"])
@pytest.mark.parametrize("query", QUERIES)
def test_queries_over_all_times_and_levels(service: Service, name: str, query: str) -> None:
    told = service.get(f"/edr/collections/{name}").json()
    west, south, east, north = told["extent"]["spatial"]["bbox"][0]
    x, y = (west + east) / 2, (south + north) / 2
    first, last = told["extent"]["temporal"]["interval"][0]
    corners = [(x - 1, y - 1), (x + 1, y - 1), (x + 1, y + 1), (x - 1, y + 1), (x - 1, y - 1)]
    coords = {
        "position": f"POINT({x}+{y})",
        "area": f"POLYGON(({','.join(f'{a}+{b}' for a, b in corners)}))",
        "trajectory": f"LINESTRING({x - 1}+{y},{x}+{y},{x + 1}+{y + 1})",
    }[query]
    assert told["data_queries"][query]["link"]["href"].endswith(f"/{name}/{query}")
    parameter = next(iter(told["parameter_names"]))
    for crs in told["crs"]:
        for f in ("CoverageJSON", "GeoJSON"):
            answer = service.get(
                f"/edr/collections/{name}/{query}?parameter-name={parameter}&coords={coords}"
                f"&crs={crs}&f={f}&datetime={first}/{last}"
            )
            if crs.endswith("4326") and abs(y - x) > 3:
                # The suite knows one order of coordinates, which is another place here.
                continue
            assert answer.status_code == 200, answer.text
            text = "\n".join(answer.text.split("\n")[:10])
            assert "Coverage" in text or "Feature" in text
            if f == "CoverageJSON":
                model = Coverage if answer.json()["type"] == "Coverage" else CoverageCollection
                model.model_validate_json(answer.text)
