"""The demo: a sample as weather services publish them, served and asked as a newcomer would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from demo.sample import DAYS, write_sample

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]]]:
    """The sample store and the progress that was reported while it was written."""
    path = tmp_path_factory.mktemp("sample") / "analyses.zarr"
    reported: list[tuple[int, int]] = []
    write_sample(path, lambda done, of: reported.append((done, of)))
    return path, reported


def test_the_sample_is_what_it_says(sample: tuple[Path, list[tuple[int, int]]]) -> None:
    """Four dimensions, hourly, packed integers, 0..360, north to south, a few megabytes."""
    path, reported = sample
    with xr.open_zarr(path, chunks=None) as ds:
        assert dict(ds.sizes) == {"time": 24 * DAYS, "level": 3, "latitude": 73, "longitude": 144}
        assert set(np.diff(ds.time)) == {np.timedelta64(1, "h")}
        assert (ds.latitude[0], ds.latitude[-1]) == (90, -90)
        assert (ds.longitude[0], ds.longitude[-1]) == (0, 357.5)
        assert all(ds[name].encoding["dtype"] == np.dtype("int16") for name in ds.data_vars)
        assert 180 < ds.t.min() < ds.t.max() < 330
        assert 0 < ds.t.isnull().mean() < 0.1
    assert 10**6 < sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) < 10**7
    assert reported == [(done, DAYS) for done in range(DAYS + 1)]
    assert not path.with_name("analyses.zarr.part").exists()


@pytest.mark.parametrize("words", ["--help", "-h"])
def test_the_demo_tells_what_it_does(words: str) -> None:
    """Instead of doing it, and without installing anything first."""
    done = subprocess.run([ROOT / "run", "demo", words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ./run demo")
    assert "--once" in done.stdout


def test_the_demo_refuses_what_it_does_not_know() -> None:
    """A word that is misspelt starts no server."""
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--onec"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "unrecognized arguments: --onec" in done.stderr


def test_the_demo_shows_three_requests_with_their_answers(tmp_path: Path) -> None:
    """It writes its sample, serves it, prints curl lines with real answers, and ends cleanly."""
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--once"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "100 %" in done.stderr
    lines = done.stdout.splitlines()
    answers = [lines[n + 1] for n, line in enumerate(lines) if line.startswith("$ curl -s ")]
    assert len(answers) == 3
    assert '"t":{"dims":[],' in answers[0]
    assert '"t":{"dims":["time"],' in answers[1]
    assert re.fullmatch(r"\([\d,]+ bytes of application/netcdf\)", answers[2])
