"""The example that is an application, and its chart in a browser. The others are commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr

from loadtests.ground import ROOT, free_port, running, wait_until_it_answers
from tests.clients.test_browser import opened

EXAMPLES = ROOT / "examples"
CATALOG = "datasets: {sample: {url: sample.zarr}}"
VALUES = np.array([271.5, 273.25, np.nan, 270.0], "f4")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the application over one series, which pages without an origin may read."""
    folder = tmp_path_factory.mktemp("examples")
    dims = ("time", "level", "latitude", "longitude")
    coords = {
        "time": np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(6, "h"),
        "level": ("level", np.array([850], "i4"), {"units": "hPa"}),
        "latitude": ("latitude", np.array([52.5]), {"units": "degrees_north"}),
        "longitude": ("longitude", np.array([13.4]), {"units": "degrees_east"}),
    }
    t = (dims, VALUES.reshape(4, 1, 1, 1), {"units": "K"})
    xr.Dataset({"t": t}, coords).to_zarr(folder / "sample.zarr", zarr_format=2)
    (folder / "catalog.yaml").write_text(CATALOG)
    port, log = free_port(), folder / "application.log"
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "mounted:application"]
    settings = {"SLUICE_CATALOG": str(folder / "catalog.yaml"), "SLUICE_CORS_ORIGINS": "null"}
    with running([*command, "--port", str(port)], log, **settings) as started:
        address = f"http://127.0.0.1:{port}"
        wait_until_it_answers(started, f"{address}/data/healthz", log)
        yield address


def test_the_application_has_routes_of_its_own_and_the_service(application: str) -> None:
    """Side by side: its own are FastAPI's, with parameters."""
    assert httpx.get(f"{application}/about?name=a", timeout=60).json() == {"hello": "a"}
    answer = httpx.get(f"{application}/data/datasets/sample/sel?f=npy&variables=t", timeout=60)
    assert answer.status_code == 200
    np.testing.assert_array_equal(np.frombuffer(answer.content[-16:], "f4"), VALUES)


@pytest.mark.parametrize("page", ["own", "file"])
def test_the_chart_is_drawn(application: str, page: str, tmp_path: Path) -> None:
    """By the page of the application, and by the file alone; what is missing is a gap."""
    chart = (EXAMPLES / "chart.html").as_uri()
    address = {"own": application, "file": f"{chart}?server={application}/data"}[page]
    shown = opened(address, tmp_path / "profile").stdout
    assert "2024-01-01T00:00:00Z to 2024-01-01T18:00:00Z: 270.0 to 273.3 K" in shown
    line = re.search(r'<path d="([^"]+)"', shown)
    assert line
    assert re.sub(r"[^ML]", "", line[1]) == "MLM"


def test_the_chart_tells_what_is_refused(application: str, tmp_path: Path) -> None:
    """In the words of the problem document."""
    shown = opened(f"{application}/?dataset=none", tmp_path / "profile").stdout
    assert "There is no series: The catalog has no dataset of this name" in shown
