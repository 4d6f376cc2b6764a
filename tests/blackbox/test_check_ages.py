"""`check` warns of chunks that are younger than the metadata: they may be rewritten in place."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from .conftest import check

DAY = 86400.0


def written(path: Path, version: Any, consolidated: bool) -> Path:
    """A store whose files were all written at one time, a month ago."""
    ds = xr.Dataset({"v": (("time", "x"), np.ones((8, 50)))}, {"time": np.arange(8)})
    ds.v.encoding = {"chunks": (2, 50)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        ds.to_zarr(path, zarr_format=version, consolidated=consolidated)
    then = time.time() - 30 * DAY
    for file in path.rglob("*"):
        os.utime(file, (then, then))
    return path


def touch(store: Path, later: float) -> None:
    """Have the last chunk so many seconds younger than all else."""
    chunk = max(p for p in (store / "v").rglob("*") if p.is_file() and p.name[0] in "0123456789")
    then = chunk.stat().st_mtime + later
    os.utime(chunk, (then, then))


@pytest.mark.parametrize(
    ("version", "consolidated", "later", "told"),
    [
        (2, True, 0, None),
        (2, True, 60, "1 minute younger"),
        (3, True, 2 * DAY, "2 days younger"),
        # Its writer may have taken so long.
        (2, False, 60, None),
        (3, False, 60, None),
        (3, False, 5 * 3600, "5 hours younger"),
    ],
)
def test_chunks_that_are_younger(
    tmp_path: Path, version: int, consolidated: bool, later: float, told: str | None
) -> None:
    store = written(tmp_path / "grid.zarr", version, consolidated)
    touch(store, later)
    plain = {"url": str(store)}
    found = check(tmp_path, {"grid": plain, "known": {**plain, "rewritten": True}})
    ages = [one for one in found if "younger" in one["text"]]
    if told is None:
        assert ages == []
        return
    (one,) = ages
    assert (one["dataset"], one["where"], one["severity"]) == ("grid", "v", "warning")
    assert told in one["text"]
    assert "rewritten: true" in one["text"]
