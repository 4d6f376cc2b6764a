"""Pages below any path: their addresses are relative, whoever puts the path before them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loadtests.ground import free_port, running, wait_until_it_answers
from tests.clients.nginx import nginx
from tests.pages.conftest import READY, Look, Serve, Watched


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, dict[str, str]]:
    """A catalog of one store."""
    return {"heat": {"url": str(folder / "beacon.zarr"), "title": "Heat"}}


@pytest.fixture(scope="module")
def origin(entries: dict[str, dict[str, str]], serve: Serve) -> str:
    """A service that a setting tells of its path, and of a proxy."""
    return serve(entries, SLUICE_ROOT_PATH="/sluice", SLUICE_TRUSTED_PROXIES="127.0.0.1")


@contextmanager
def mounted(entries: dict[str, dict[str, str]], folder: Path) -> Iterator[str]:
    """The address of an application that has the service below ``/data``."""
    catalog = folder / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": entries}))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.pages.mounted:outer", "--port", str(port)]
    log, address = folder / "mounted.log", f"http://127.0.0.1:{port}/data"
    with running(command, log, MOUNTED_CATALOG=str(catalog)) as server:
        wait_until_it_answers(server, f"{address}/healthz", log)
        yield address


def walk(tab: Watched, address: str) -> None:
    """From the catalog to the picture and back; nothing is asked for beside the path."""
    tab.page.goto(f"{address}/")
    tab.page.get_by_role("link", name="Heat").click()
    tab.page.wait_for_selector(READY)
    assert tab.page.url == f"{address}/explore/heat"
    tab.page.get_by_label("Next, time").click()
    tab.page.wait_for_url("**T01:00Z")
    tab.wait()
    tab.page.get_by_role("link", name="Datasets").click()
    assert tab.page.url == f"{address}/"
    assert all(one.startswith(f"{address}/") for one in tab.asked)


def test_inside_another_application(
    entries: dict[str, dict[str, str]], look: Look, tmp_path: Path
) -> None:
    """Mounted below a path that the service is not told of."""
    with mounted(entries, tmp_path) as address:
        walk(look(), address)


def test_behind_a_root_path(origin: str, look: Look) -> None:
    """Below the path that a setting names."""
    walk(look(), f"{origin}/sluice")


# What proxies do with the path below which they show a service: leave it, or take it away.
PROXIED = {"left": "http://127.0.0.1:{port}", "taken": "http://127.0.0.1:{port}/"}


@pytest.mark.parametrize("way", PROXIED)
def test_behind_a_proxy(origin: str, look: Look, tmp_path: Path, way: str) -> None:
    """A real one, with the path that a setting names; links to a page name its own address."""
    target = PROXIED[way].format(port=origin.rpartition(":")[2])
    # Host and scheme are what the browser asked for.
    location = f"""proxy_pass {origin};
      location /sluice/ {{
        proxy_pass {target};
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}"""
    with nginx(tmp_path, location) as port:
        address = f"http://127.0.0.1:{port}/sluice"
        tab = look()
        walk(tab, address)
        page = httpx.get(f"{address}/explore/heat", timeout=60).text
        (image,) = re.findall(r'property="og:image" content="([^"]+)"', page)
        assert image == f"{address}/thumbnails/heat.png"
        assert httpx.get(image, timeout=60).headers["content-type"] == "image/png"
        assert httpx.get(f"{address}/openapi.json", timeout=60).json()["servers"] == [
            {"url": "/sluice"}
        ]
        tab.page.goto(f"{address}/docs")
        tab.page.wait_for_selector(".opblock")
        assert all(one.startswith(f"{address}/") for one in tab.asked if one.startswith("http"))
