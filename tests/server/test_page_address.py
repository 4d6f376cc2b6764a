"""From one command to the page of one's own store: its address is told, and opened on request."""

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
import numpy as np
import pytest
import xarray as xr

from app.server.page_address import page_address
from app.settings import Settings

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a small store."""
    path = tmp_path_factory.mktemp("stores") / "my ocean.zarr"
    xr.Dataset({"t": ("x", np.arange(3.0))}).to_zarr(path, zarr_format=2, consolidated=True)
    return str(path)


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Path]:
    """The log of ``sluice serve`` with these arguments on a free port."""
    log = folder / "log"
    command = [sys.executable, "-m", "app", "serve", *arguments, "--port", "0"]
    with log.open("w") as err:
        server = subprocess.Popen(command, stderr=err, env={**os.environ, **environment})
        try:
            yield log
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE_SECONDS)


def found(path: Path, pattern: str) -> str:
    """What the pattern's group matches in a file, once it does."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        text = path.read_text() if path.exists() else ""
        if (match := re.search(pattern, text)) is not None:
            return match[1]
        time.sleep(0.1)
    pytest.fail(f"{path} has no {pattern}: {path.exists() and path.read_text()}")


def test_the_page_of_ones_own_store_is_opened(store: str, tmp_path: Path) -> None:
    """By the browser that the environment names, once the server answers."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$1 end\" >'{opened}'\n")
    browser.chmod(0o755)
    with serving(tmp_path, store, "--open", BROWSER=f"{browser} %s") as log:
        address = found(log, r"the page: (\S+)")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/explore/my-ocean", address)
        assert found(opened, r"(\S+) end") == address
        page = httpx.get(address, headers={"Accept": "text/html"}, timeout=60)
        assert "my-ocean" in page.text


def test_without_a_display_the_address_is_told(store: str, tmp_path: Path) -> None:
    """No text browser takes the terminal; the server serves on, and says which store is absent."""
    unset = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    absent = str(tmp_path / "absent.zarr")
    with serving(tmp_path, store, absent, "--open", "--host", "0.0.0.0", **unset) as log:
        found(log, r"WARNING: +\S+/absent\.zarr: (there is nothing there now)")
        address = found(
            log, r"no browser is opened (?:in a container|without a display); open (.*)"
        )
        found(log, r"(startup complete)")
        assert httpx.get(address, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("settings", "host", "ids", "expected"),
    [
        ({}, "127.0.0.1", ["a"], "http://127.0.0.1:80/explore/a"),
        ({}, "127.0.0.1", ["a", "b"], "http://127.0.0.1:80/"),
        ({}, "::", [], "http://[::1]:80/"),
        ({"root_path": "/data"}, "0.0.0.0", ["a"], "http://127.0.0.1:80/data/explore/a"),
        ({"explorer": False}, "10.0.0.1", ["a"], "http://10.0.0.1:80/docs"),
    ],
)
def test_addresses(settings: dict[str, object], host: str, ids: list[str], expected: str) -> None:
    """As they are from the server's own machine."""
    made = Settings.model_validate(settings)
    assert page_address(made, host, 80, ids) == expected
