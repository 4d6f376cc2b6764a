"""`open: at_start` opens datasets in the background, before anybody asks for them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from loadtests.attack.odd_web import odd_web

from .conftest import Serve, Service, command, write_catalog


def until(comes_true: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not comes_true():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def opened(service: Service) -> int:
    """How many datasets were opened, by the metrics."""
    text = service.get("/metrics").text
    rows = [row for row in text.splitlines() if row.startswith("sluice_dataset_open_seconds_count")]
    return sum(int(float(row.split()[-1])) for row in rows if 'outcome="ok"' in row)


def test_entries_are_opened_before_anybody_asks(serve: Serve, tmp_path: Path) -> None:
    """Those that say so, and no others; one that fails has a line and harms nothing."""
    xr.Dataset({"t": ("x", np.arange(9))}).to_zarr(tmp_path / "line.zarr", zarr_format=2)
    with odd_web(tmp_path) as web:
        entry = {"url": f"{web.address}/line.zarr", "open": "at_start"}
        lazy = {"url": f"{web.address}/other.zarr"}
        gone = {"url": f"{web.address}/gone.zarr", "open": "at_start"}
        service = serve({"gone": gone, "line": entry, "lazy": lazy})
        until(lambda: opened(service) == 1)
        until(lambda: "dataset 'gone' was not opened at the start" in service.log.read_text())
        asked = sum(web.asked.values())
        assert service.get("/datasets/line").status_code == 200
        assert sum(web.asked.values()) == asked
        assert not any("other.zarr" in path for path in web.asked)
        # So are those that a reload brings.
        new = {"datasets": {"line": entry, "more": {**entry, "title": "More"}}}
        service.catalog.write_text(json.dumps(new))
        os.kill(service.pid, signal.SIGHUP)
        until(lambda: opened(service) == 2)


def test_another_word_is_refused(tmp_path: Path) -> None:
    """With the field and the words that there are."""
    catalog = write_catalog(tmp_path, {"a": {"url": "x.zarr", "open": "now"}})
    done = command("serve", "--catalog", catalog)
    assert done.returncode == 2
    assert "open" in done.stderr
    assert "at_start" in done.stderr
