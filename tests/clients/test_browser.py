"""A browser: pages of an allowed origin read answers, preflights included; others read nothing."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.clients.conftest import Running
from tests.clients.programs import program

POINT = "time=2020-01-02T12:00Z&level=850&latitude=50&longitude=10&variables=t"
PATH = "/datasets/weather/sel"
Browse = Callable[..., list[dict[str, Any]]]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    # Nothing but this machine, whatever a browser wants to know from its maker.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=20000",
    "--enable-logging=stderr",
    "--dump-dom",
)


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Opens the page of an origin in a browser of its own and returns what it saw."""
    program("chromium")

    def open_page(origin: str, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        done = opened(f"{origin}/page.html#{quote(json.dumps(requests))}", tmp_path / "profile")
        found = re.search(r'<pre id="found">(.+)</pre>', done.stdout)
        assert found, done.stdout + done.stderr
        seen: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
        return seen

    return open_page


def opened(page: str, profile: Path) -> subprocess.CompletedProcess[str]:
    """The page's elements when its scripts are done, and what they wrote to the console."""
    return subprocess.run(
        [program("chromium"), *FLAGS, f"--user-data-dir={profile}", page],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_page_of_the_api_works_under_its_own_policy(service: Running, tmp_path: Path) -> None:
    """Its scripts and styles run, none is refused, and no other page may hold it in a frame."""
    policy = httpx.get(f"{service.address}/docs", timeout=60).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
    done = opened(f"{service.address}/docs", tmp_path / "profile")
    assert "select_by_label" in done.stdout
    assert "Authorize" in done.stdout
    assert "CONSOLE" not in done.stderr


def test_an_allowed_page_reads_answers_and_exposed_headers(
    service: Running, browse: Browse
) -> None:
    """A custom header and a JSON body are preflighted; tag, id and file name can be read."""
    mine = {"headers": {"X-Request-ID": "from-a-page"}}
    body = {"time": "2020-01-02T12:00Z", "level": 850, "latitude": 50, "longitude": 10}
    post = {
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({**body, "variables": ["t"]}),
    }
    asked = [
        (service.url(POINT), mine),
        (service.url(f"{POINT}&f=netcdf"), mine),
        (service.address + PATH, post),
    ]
    with service.logged(f"GET {PATH} 200", f"GET {PATH} 200", f"POST {PATH} 200"):
        point, file, posted = browse(service.allowed_page, *asked)
    cell = {"time": "2020-01-02T12:00", "level": 850, "latitude": 50, "longitude": 10}
    with service.dataset as ds:
        assert json.loads(point["text"])["data_vars"]["t"]["data"] == ds.t.sel(cell)
    assert (point["status"], posted["status"], file["status"]) == (200, 200, 200)
    assert json.loads(posted["text"]) == json.loads(point["text"])
    assert re.fullmatch(r'"[^"]+"', point["headers"]["etag"])
    assert point["headers"]["x-request-id"] == "from-a-page"
    named = r'attachment; filename="weather-[0-9a-f]{10}\.nc"'
    assert re.fullmatch(named, file["headers"]["content-disposition"])
    assert file["headers"]["content-type"] == "application/netcdf"
    assert file["size"] > 1000
    # The browser hides what is not exposed, so that the lines above can fail.
    assert point["headers"]["server"] is None


def test_an_allowed_page_reads_problems(service: Running, browse: Browse) -> None:
    """Errors can be read across origins too: their facts and their id, not a bare failure."""
    (problem,) = browse(service.allowed_page, (service.url("foo=1"), {}))
    assert problem["status"] == 400
    assert problem["headers"]["content-type"] == "application/problem+json"
    assert problem["headers"]["x-request-id"]
    assert json.loads(problem["text"])["parameter"] == "foo"


def test_a_page_of_another_origin_reads_nothing(service: Running, browse: Browse) -> None:
    """Without permission, a plain GET cannot be read, and a preflighted one is not even sent."""
    mine = {"headers": {"X-Request-ID": "from-a-page"}}
    post = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": "{}"}
    asked = [(service.url(POINT), options) for options in ({}, mine, post)]
    with service.logged(f"GET {PATH} 200"):
        seen = browse(service.foreign_page, *asked)
    assert seen == [{"error": "TypeError"}] * 3
