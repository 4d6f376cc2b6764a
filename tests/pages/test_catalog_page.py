"""The catalog as a page: all titles, with and without scripts, as text whatever they hold."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import httpx
import pytest
import xarray as xr

from tests.pages.conftest import Guarded, Look, Serve
from tests.pages.stores import ENTRIES, EVIL, beacon, write

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TITLES = [told.get("entry", {}).get("title", name) for name, told in ENTRIES.items()]


@pytest.mark.parametrize("scripts", [True, False])
def test_all_titles_are_there(address: str, look: Look, scripts: bool) -> None:
    """As text, with scripts and without; and so are they on the pages that they lead to."""
    tab = look(java_script_enabled=scripts)
    tab.page.goto(address)
    assert tab.page.locator(".card h2").all_inner_texts() == TITLES
    if scripts:
        tab.shot("catalog")
    tab.page.get_by_role("link", name=EVIL).click()
    assert tab.page.locator("h1").inner_text() == EVIL
    assert EVIL in tab.page.locator(".facts").inner_text()
    assert "2024-01-01 to 2024-01-01 01:00" in tab.page.locator(".facts").inner_text()


def test_the_search_needs_no_script(address: str, look: Look) -> None:
    """All words, in titles, descriptions and ids, in any case."""
    tab = look(java_script_enabled=False)
    tab.page.goto(address)
    tab.page.get_by_role("searchbox").fill("DATEN dritte")
    tab.page.get_by_role("button", name="Search").click()
    assert tab.page.url == f"{address}/?q=DATEN+dritte"
    assert tab.page.locator(".card h2").all_inner_texts() == ["Dritte <b>Daten</b>"]
    tab.page.goto(f"{address}/?q=nothing&page=7")
    assert tab.page.locator(".card").count() == 0
    assert tab.page.locator(".count").inner_text() == "0 datasets for “nothing”"


@pytest.mark.parametrize("path", ["/", "/datasets", "/datasets/first"])
def test_browsers_get_pages_and_programs_json(address: str, path: str) -> None:
    """JSON wins where both are liked alike; caches are told that the header decides."""
    page = httpx.get(address + path, headers=BROWSER, timeout=60)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Accept" in page.headers["vary"].split(", ")
    for accept in ("*/*", "application/json", "text/html,application/json", "", "image/png"):
        data = httpx.get(address + path, headers={"Accept": accept}, timeout=60)
        assert data.headers["content-type"] == "application/json", accept
        assert "Accept" in data.headers["vary"].split(", ")
        assert data.json()
    assert (
        httpx.head(address + path, headers=BROWSER, timeout=60)
        .headers["content-type"]
        .startswith("text/html")
    )


@pytest.mark.parametrize("path", ["/", "/explore/first", "/embed/first", "/explore/none"])
def test_pages_run_their_own_scripts_alone(address: str, path: str) -> None:
    """The policy names this server, and no exception."""
    policy = httpx.get(address + path, headers=BROWSER, timeout=60).headers[
        "content-security-policy"
    ]
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told["default-src"] == "'none'"
    assert told["script-src"] == told["style-src"] == told["connect-src"] == "'self'"
    assert told["img-src"] == "'self' blob: data:"
    assert told["frame-ancestors"] == "'none'"


def test_search_engines_find_a_dataset(address: str) -> None:
    """Its block is JSON, which nothing in it can end."""
    page = httpx.get(f"{address}/explore/second", headers=BROWSER, timeout=60).text
    (block,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    told = json.loads(block)
    assert told["@type"] == "Dataset"
    assert told["name"] == EVIL
    assert told["temporalCoverage"] == "2024-01-01T00:00:00Z/2024-01-01T01:00:00Z"
    assert told["spatialCoverage"]["geo"]["box"] == "-90 -180 90 180"
    assert told["variableMeasured"][0]["unitText"] == "K"
    assert told["url"] == f"{address}/explore/second"


def test_what_fails_is_a_page_with_the_status_of_its_problem(address: str) -> None:
    """A dataset that is not there, on a page of a person."""
    answer = httpx.get(f"{address}/explore/none", headers=BROWSER, timeout=60)
    assert answer.status_code == 404
    assert "There is no such dataset" in answer.text


def test_an_operator_may_want_no_pages(serve: Serve, folder: Path) -> None:
    """Then everything is as programs know it."""
    address = serve({"heat": {"url": str(folder / "beacon.zarr")}}, SLUICE_EXPLORER="false")
    for path in ("/datasets", "/datasets/heat"):
        assert httpx.get(address + path, headers=BROWSER, timeout=60).json()
    assert httpx.get(f"{address}/", headers=BROWSER, timeout=60).headers["location"] == "/docs"
    assert httpx.get(f"{address}/explore/heat", headers=BROWSER, timeout=60).status_code == 404


def test_frames_of_named_origins_may_have_a_view(guarded: Guarded) -> None:
    """Of nobody else, and of the view alone."""
    framed = httpx.get(f"{guarded.address}/embed/open", timeout=60).headers[
        "content-security-policy"
    ]
    assert framed.endswith("frame-ancestors https://maps.example https://news.example")
    whole = httpx.get(f"{guarded.address}/explore/open", timeout=60).headers[
        "content-security-policy"
    ]
    assert whole.endswith("frame-ancestors 'none'")


SECRET = {"key": "the-key-id", "secret": "the-secret", "endpoint_url": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def odd(serve: Serve, folder: Path) -> str:
    """A service with a hierarchy, a store at a place of its own, and one that does not open."""
    field = beacon(north_first=True, from_zero=True, hours=1)
    tree = xr.DataTree.from_dict({"/land": field, "/sea/deep": field})
    tree.to_zarr(folder / "tree.zarr", zarr_format=2)
    write(field, folder / "hidden-place.zarr")
    return serve(
        {
            "heat": {"url": str(folder / "hidden-place.zarr")},
            "far": {"url": "s3://hidden-place/far.zarr", "storage_options": SECRET},
            "tree": {"url": str(folder / "tree.zarr"), "title": "All of it", "group": "*"},
        }
    )


def test_a_hierarchy_without_arrays_at_its_root_lists_its_groups(odd: str, look: Look) -> None:
    """Each group is a dataset; the JSON of the same path says what it did."""
    until_listed(odd, {"tree~land", "tree~sea~deep"})
    tab = look()
    tab.page.goto(f"{odd}/explore/tree")
    assert tab.page.locator("h1").inner_text() == "All of it"
    assert tab.page.locator(".card code").all_inner_texts() == ["tree~land", "tree~sea~deep"]
    tab.page.locator(".card a").first.click()
    tab.wait()
    assert tab.page.url == f"{odd}/explore/tree~land"
    assert httpx.get(f"{odd}/datasets/tree", timeout=60).status_code == 404


def until_listed(address: str, expected: set[str]) -> None:
    """Return when the groups are known."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        told = httpx.get(f"{address}/datasets", timeout=60).json()["datasets"]
        if {one["id"] for one in told} >= expected:
            return
        time.sleep(0.2)
    pytest.fail(f"{told}")


def test_no_page_tells_where_data_are(odd: str, folder: Path) -> None:
    """Neither the address of a store nor what opens it, of one that opens and of one that fails."""
    pages = [f"{page}/{one}" for page in ("explore", "embed") for one in ("heat", "far")]
    for path in ("", "docs", *pages):
        text = httpx.get(f"{odd}/{path}", headers=BROWSER, timeout=60).text
        for word in ("hidden-place", str(folder), *SECRET.values()):
            assert word not in text, path
