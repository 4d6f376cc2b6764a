"""The server as it is started: behind a proxy, with several workers, and what it logs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

CATALOG = "datasets: {cube: {url: cube.zarr, title: A cube}}"


@contextmanager
def served(
    tmp_path: Path, workers: int = 1, **settings: str
) -> Iterator[tuple[httpx.Client, Path]]:
    """A client of ``sluice serve`` with these settings, and the file of its log."""
    catalog, log = tmp_path / "catalog.yaml", tmp_path / "log"
    catalog.write_text(CATALOG)
    command = [sys.executable, "-m", "app", "serve", "--catalog", str(catalog), "--port", "0"]
    environment = {**os.environ, **{f"SLUICE_{name}": text for name, text in settings.items()}}
    with log.open("w") as err:
        server = subprocess.Popen(
            [*command, "--workers", str(workers)], env=environment, stderr=err
        )
        try:
            address = _address(server, log, workers)
            with httpx.Client(base_url=address, timeout=60, verify=False) as client:
                yield client, log
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def _address(server: subprocess.Popen[bytes], log: Path, workers: int) -> str:
    while server.poll() is None:
        said = log.read_text()
        running = re.search(r"running on (http://127\.0\.0\.1:\d+)", said)
        if running and said.count("startup complete") == workers:
            return running[1]
    pytest.fail(log.read_text())


def test_all_workers_count_into_one_total(tmp_path: Path) -> None:
    """Whichever worker answers, the metrics are those of all: no request is lost or made up."""
    with served(tmp_path, workers=2) as (client, _):
        url = str(client.base_url.join("/datasets"))
        for _ in range(40):
            # A new connection each time, so that both workers get some.
            assert httpx.get(url, timeout=60, verify=False).status_code == 200
        totals = set()
        time.sleep(0.5)  # a request is counted just after its answer was sent
        for _ in range(6):
            text = httpx.get(str(client.base_url.join("/metrics")), timeout=60, verify=False).text
            row = 'sluice_request_seconds_count{route="/datasets",status="200"} '
            (total,) = re.findall(re.escape(row) + r"([0-9.]+)", text)
            totals.add(total)
    assert totals == {"40.0"}


def test_each_request_has_a_line_in_the_log(tmp_path: Path) -> None:
    """With its time, severity, status and id; at ``warning`` requests are not written."""
    with served(tmp_path) as (client, log):
        client.get("/datasets?x=hidden", headers={"X-Request-ID": "look-for-me"})
    lines = [line for line in log.read_text().splitlines() if "look-for-me" in line]
    (line,) = lines
    assert re.match(r"time=[0-9T:.-]{23}Z level=info id=look-for-me client=127\.0\.0\.1 ", line)
    assert " method=GET path=/datasets status=400 " in line
    assert "hidden" not in line
    with served(tmp_path, LOG_LEVEL="warning") as (client, log):
        client.get("/datasets")
    assert "GET" not in log.read_text()


def test_no_answer_is_taken_for_something_else(tmp_path: Path) -> None:
    """Each says once that browsers may not guess its type, refusals and pages included."""
    with served(tmp_path) as (client, _):
        for path in ("/datasets", "/nothing", "/docs", "/docs/assets/swagger-ui.css"):
            assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_under_a_root_path_everything_finds_its_way(tmp_path: Path) -> None:
    """Behind a proxy that shows it below a path, the page and the document name that path."""
    with served(tmp_path, ROOT_PATH="/sluice") as (client, _):
        assert client.get("/datasets").status_code == 200
        assert client.get("/sluice/datasets").status_code == 200
        # Addresses of pages are relative: they are right below any path.
        assert 'href="docs"' in client.get("/", headers={"Accept": "text/html"}).text
        page = client.get("/sluice/docs").text
        assert "/sluice/openapi.json" in page
        assert "/sluice/docs/assets/swagger-ui-bundle.js" in page
        # Some proxies take the path away before they ask, others leave it.
        for asset in re.findall(r'(?:src|href)="/sluice([^"]+)"', page):
            assert client.get(f"/sluice{asset}").status_code == 200
            assert client.get(asset).status_code == 200
        document = client.get("/sluice/openapi.json").json()
        assert document["servers"] == [{"url": "/sluice"}]


@pytest.mark.parametrize(
    ("trusted", "client_address"),
    [("127.0.0.1", "203.0.113.9"), ("192.0.2.7", "127.0.0.1"), ("", "127.0.0.1")],
)
def test_only_trusted_proxies_speak_for_clients(
    tmp_path: Path, trusted: str, client_address: str
) -> None:
    """A forwarded address counts when it comes from a proxy of the setting, and not otherwise."""
    with served(tmp_path, TRUSTED_PROXIES=trusted) as (client, log):
        client.get("/datasets", headers={"X-Forwarded-For": "203.0.113.9"})
    assert f" client={client_address} method=GET path=/datasets status=200 " in log.read_text()
