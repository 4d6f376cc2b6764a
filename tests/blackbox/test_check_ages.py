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


CASES = [
    (2, True, 0, None),
    (2, True, 60, "1 minute younger"),
    (3, True, 2 * DAY, "2 days younger"),
    # Its writer may have taken so long.
    (2, False, 60, None),
    (3, False, 60, None),
    (3, False, 5 * 3600, "5 hours younger"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is found in a store of each case, and in it where the entry knows of it."""
    folder = tmp_path_factory.mktemp("ages")
    entries: dict[str, Any] = {}
    for number, (version, consolidated, later, _) in enumerate(CASES):
        store = written(folder / f"grid-{number}.zarr", version, consolidated)
        touch(store, later)
        entries[f"grid-{number}"] = {"url": str(store)}
        entries[f"known-{number}"] = {"url": str(store), "rewritten": True}
    return check(folder, entries)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_chunks_that_are_younger(found: list[dict[str, Any]], number: int) -> None:
    told = CASES[number][-1]
    names = (f"grid-{number}", f"known-{number}")
    ages = [one for one in found if one["dataset"] in names and "younger" in one["text"]]
    if told is None:
        assert ages == []
        return
    (one,) = ages
    assert (one["dataset"], one["where"], one["severity"]) == (names[0], "v", "warning")
    assert told in one["text"]
    assert "rewritten: true" in one["text"]
