"""What several workers share, under attack: reloads in a row, swept folders, deaths, scrapes."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import xarray as xr

from loadtests.attack.stage import Figure, Stage, Target
from loadtests.ground import ROOT

_STORM_RELOADS: Final = 100
_DATASETS: Final = 1000
_SCRAPES: Final = 20
_ASKS: Final = 40
_PATIENCE_SECONDS: Final = 30.0


def reloads(stage: Stage) -> Iterable[Figure]:
    """Reloads by signal and by request, as fast as they go, each of another catalog."""
    store = _store(stage)
    with _serving(stage, {"a": {"url": str(store)}}) as (target, headers):
        before = _cpu_seconds(target)
        with target.watched() as watch:
            for number in range(_STORM_RELOADS):
                _rewrite(stage, {"a": {"url": str(store)}, f"b{number}": {"url": str(store)}})
                os.kill(target.pid, signal.SIGHUP)
                _ask(target, "/catalog/reload", headers, "POST")
        unanswered = sum(_ask(target, "/datasets", headers)[0] != 200 for _ in range(_ASKS))
        before = _cpu_seconds(target)
        time.sleep(2)
        busy = (_cpu_seconds(target) - before) / 2
    yield Figure("reloads: requests unanswered after a storm", unanswered, 0)
    yield Figure("reloads: cores that are busy after it", busy, 0.5)
    yield from watch.figures("reloads", longest_ms=500, grown_mib=40)


def swept(stage: Stage) -> Iterable[Figure]:
    """The temporary folder goes, then a worker, while the others serve."""
    store, temporary = _store(stage), stage.folder / "temporary"
    temporary.mkdir()
    entries = {"a": {"url": str(store)}}
    with _serving(stage, entries, TMPDIR=str(temporary)) as (target, headers):
        for _ in range(_ASKS):
            _ask(target, "/datasets/a/isel?x=1", headers)
        time.sleep(1.5)  # gauges are told once a second
        shutil.rmtree(temporary)
        with target.watched() as watch:
            os.kill(_workers(target)[0].pid, signal.SIGKILL)
            _until_two_serve(target, starts=3)
        _rewrite(stage, {**entries, "b": {"url": str(store)}})
        reloaded = _ask(target, "/catalog/reload", headers, "POST")[0] == 200
        listings = [_ask(target, "/datasets", headers)[1] for _ in range(_ASKS)]
        stale = sum(b'"b"' not in listing for listing in listings) if reloaded else _ASKS
        time.sleep(1.5)
        status, told = _ask(target, "/metrics", headers)
        found = re.search(rb"^sluice_open_datasets (.*)$", told, re.MULTILINE)
    yield Figure("swept: answers of the old catalog after a reload", stale, 0)
    yield Figure("swept: /metrics that failed", float(status != 200), 0)
    # The one that lives has opened one, and the new one none.
    gauge = float(found[1]) if found else float("inf")
    yield Figure("swept: open datasets told after kill -9", gauge, 1)
    yield Figure("swept: longest /healthz of the living", watch.longest_ms, 500, "ms")


def scrapes(stage: Stage) -> Iterable[Figure]:
    """Metrics of a thousand datasets that were all asked, scraped without a pause."""
    store = _store(stage)
    entries = {f"dataset-{number:04}": {"url": str(store)} for number in range(_DATASETS)}
    with _serving(stage, entries) as (target, headers):
        for name in entries:
            _ask(target, f"/datasets/{name}/isel?x=1", headers)
            _ask(target, f"/datasets/{name}/sel?y=1", headers)
        seconds = []
        with target.watched() as watch:
            for _ in range(_SCRAPES):
                began = time.monotonic()
                _, text = _ask(target, "/metrics", headers)
                seconds.append(time.monotonic() - began)
    yield Figure("scrapes: lines of /metrics", text.count(b"\n"), 10_000)
    yield Figure("scrapes: bytes of /metrics", len(text) / 2**20, 1, "MiB")
    yield Figure("scrapes: median scrape", 1000 * sorted(seconds)[_SCRAPES // 2], 1000, "ms")
    yield from watch.figures("scrapes", longest_ms=50, grown_mib=60)


@contextmanager
def _serving(
    stage: Stage, entries: Mapping[str, Mapping[str, Any]], **settings: str
) -> Iterator[tuple[Target, dict[str, str]]]:
    """Two workers, and the header of an admin's key."""
    words = [sys.executable, "-m", "app", "key", "attack", "--admin"]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    keys = {"SLUICE_KEYS": made.stdout.strip(), "SLUICE_LOG_LEVEL": "info"}
    with stage.serving(entries, "--workers", "2", **keys, **settings) as target:
        _until_two_serve(target, starts=2)
        yield target, {"X-API-Key": made.stderr.strip()}


def _until_two_serve(target: Target, starts: int) -> None:
    ends = time.monotonic() + 2 * _PATIENCE_SECONDS
    while target.log.read_text().count("startup complete") < starts and time.monotonic() < ends:
        time.sleep(0.1)


def _workers(target: Target) -> list[psutil.Process]:
    children = psutil.Process(target.pid).children()
    return [child for child in children if any("spawn_main" in w for w in child.cmdline())]


def _cpu_seconds(target: Target) -> float:
    return sum(sum(worker.cpu_times()[:2]) for worker in _workers(target))


def _ask(
    target: Target, path: str, headers: Mapping[str, str], method: str = "GET"
) -> tuple[int, bytes]:
    """Status and body on a connection of its own; status 0 where none comes."""
    connection = http.client.HTTPConnection(*target.host_and_port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def _rewrite(stage: Stage, entries: Mapping[str, Mapping[str, Any]]) -> None:
    catalog = stage.folder / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": entries}), encoding="utf-8")


def _store(stage: Stage) -> Path:
    """A small store of the stage's folder."""
    path = stage.folder / "small.zarr"
    dataset = xr.Dataset({"v": ("x", np.arange(3.0))})
    dataset.to_zarr(path, mode="w", consolidated=True, zarr_format=2)
    return path
