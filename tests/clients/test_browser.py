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
    "--dump-dom",
)


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Opens the page of an origin in a browser of its own and returns what it saw."""
    chromium = program("chromium")

    def open_page(origin: str, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        page = f"{origin}/page.html#{quote(json.dumps(requests))}"
        done = subprocess.run(
            [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", page],
            capture_output=True,
            text=True,
            timeout=60,
        )
        found = re.search(r'<pre id="found">(.+)</pre>', done.stdout)
        assert found, done.stdout + done.stderr
        seen: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
        return seen

    return open_page


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
    assert file["headers"]["content-disposition"] == 'attachment; filename="weather.nc"'
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
