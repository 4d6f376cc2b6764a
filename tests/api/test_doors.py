"""Standard doors: which datasets they serve, who is asked for what, what is told of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from app.api import create_app
from app.api.doors import Link, ToldProblem, door_dataset, forms_of
from app.api.problems import plain_problem
from app.api.requests import service
from app.api.routes import add_reading_route
from app.catalog.catalog import load_catalog
from app.catalog.entry import DoorName
from app.catalog.opened import Opened
from app.settings import Settings
from sluice.errors import CatalogError
from tests.api.conftest import serving_app
from tests.api.test_problems import check
from tests.api.test_requests import LINES, basic, by

CATALOG = """
defaults: {doors: [dap, zarr]}
datasets:
  two: {url: "{stores}/v2.zarr", title: Weather}
  all: {url: "{stores}/v2.zarr", doors: null, access: public}
  none: {url: "{stores}/v2.zarr", doors: []}
"""


class Bell:
    """A door that says whose it was."""

    name: DoorName = "dap"

    def add_to(self, app: FastAPI) -> None:
        add_reading_route(app, "/bell/{dataset_id}", self.ring, {}, door=self.name)

    def links(self, opened: Opened) -> Iterable[Link]:
        yield Link(f"bell/{opened.entry.id}", "A bell", "text/plain")

    async def ring(self, request: Request) -> Response:
        told = door_dataset(request, service(request), self.name)
        return Response(told, media_type="text/plain")


@pytest.fixture(scope="module")
def rung(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("rung")
    (folder / "catalog.yaml").write_text(CATALOG.replace("{stores}", str(stores)))
    settings = Settings(catalog=folder / "catalog.yaml", keys=";".join(LINES[:1] + LINES[3:]))
    with serving_app(create_app(settings, doors=(Bell(),))) as client:
        yield client


def test_a_catalog_opens_and_shuts_doors(rung: httpx.Client) -> None:
    """For all its datasets, and for one of them."""
    assert rung.get("/bell/two", headers=by("team")).text == "two"
    assert rung.get("/bell/all").text == "all"
    shut = check(rung.get("/bell/none", headers=by("team")), 404)
    assert "opens none" in shut["detail"]
    unknown = check(rung.get("/bell/nothing", headers=by("team")), 404)
    assert unknown["type"] == shut["type"]


def test_a_description_links_the_doors(rung: httpx.Client) -> None:
    """Relative to itself."""
    links = rung.get("/datasets/two", headers=by("team")).json()["links"]
    assert links[0] == {
        "door": "dap",
        "href": "../bell/two",
        "title": "A bell",
        "type": "text/plain",
    }
    for link in links:
        place = rung.build_request("GET", "/datasets/two").url.join(link["href"])
        found = rung.head(place, headers=by("team"))
        assert found.status_code in (200, 406, 413, 422)
        if found.status_code == 200:
            assert found.headers["content-type"].partition(";")[0] == link["type"]
    own = rung.get("/datasets/none", headers=by("team")).json()["links"]
    assert own == [{**link, "href": link["href"].replace("two", "none")} for link in links[1:]]
    page = rung.get("/explore/two", headers=by("team")).text
    assert page.count('rel="nofollow"') == len(links)


def test_clients_with_files_of_passwords_are_asked_for_one(rung: httpx.Client) -> None:
    """As curl, the NetCDF library and requests are, which then send Basic by themselves."""
    answer = rung.get("/bell/two")
    check(answer, 401)
    assert answer.headers["www-authenticate"] == 'Basic realm="Sluice", Bearer realm="Sluice"'
    key = by("team")["X-API-Key"]
    assert rung.get("/bell/two", headers={"Authorization": basic("me", key)}).text == "two"


class Echo(Bell):
    """One that fails, and says so in its own words."""

    def add_to(self, app: FastAPI) -> None:
        add_reading_route(app, "/dap/fail", self.fail, {}, door=self.name)

    async def fail(self, request: Request) -> Response:
        raise RuntimeError("nobody expected that")

    def tell(self, path: str, failed: ToldProblem) -> Response:
        return Response(f"{path}: {failed.title}", failed.status, failed.headers)


def test_a_door_tells_all_that_fails_below_its_path(stores: Path, tmp_path: Path) -> None:
    """Also what it never sees, and what nobody expected; elsewhere it is a problem document."""
    (tmp_path / "catalog.yaml").write_text(CATALOG.replace("{stores}", str(stores)))
    settings = Settings(catalog=tmp_path / "catalog.yaml")
    with serving_app(create_app(settings, doors=(Echo(),))) as client:
        for method, path, status, title in (
            ("GET", "/dap/nowhere", 404, "Not Found"),
            ("POST", "/dap/fail", 405, "Method Not Allowed"),
            ("GET", "/dap/fail", 500, "Unexpected error"),
            ("GET", "/dap?" + 20_000 * "x", 414, "The URL is too long"),
        ):
            answer = client.request(method, path)
            assert answer.status_code == status
            assert answer.text == f"{path.partition('?')[0]}: {title}"
            assert answer.headers["cache-control"] == "no-store"
        check(client.get("/dapper"), 404)


def test_a_door_knows_its_path_below_another() -> None:
    """Whether the proxy takes that away or not."""
    form = forms_of((Echo(),))
    failed = plain_problem(404, "no", {})
    for path, told in (("/below/dap/x", "/dap/x"), ("/dap/x", "/dap/x"), ("/below/edr", None)):
        found = form({"type": "http", "root_path": "/below", "path": path}, failed)
        text = None if found is failed else bytes(found.body).decode()
        assert text == (told and f"{told}: Not Found")


def test_doors_are_counted(rung: httpx.Client) -> None:
    """By status, beside the routes."""
    rung.head("/bell/all")
    line = 'sluice_door_request_seconds_count{door="dap",status="200"}'

    for _ in range(200):
        if line in rung.get("/metrics", headers=by("boss")).text:
            return
        time.sleep(0.05)
    raise AssertionError("the answer was not counted")


def test_no_other_door_can_be_named(stores: Path, tmp_path: Path) -> None:
    """A word that is none is refused with the field."""
    text = CATALOG.replace("{stores}", str(stores)).replace("[dap, zarr]", "[dapp]")
    (tmp_path / "catalog.yaml").write_text(text)
    with pytest.raises(CatalogError, match="doors"):
        load_catalog(tmp_path / "catalog.yaml")
