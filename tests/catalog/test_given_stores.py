"""What a command line's addresses are said to lack before the server serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from app.catalog.given_stores import doubts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stores of either version and a document of references, all in one folder."""
    dataset = xr.Dataset({"t": ("x", np.arange(3.0))})
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=True)
    dataset.to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    (tmp_path / "refs.json").write_text("{}")
    return tmp_path


def test_nothing_is_said_of_what_may_be_served(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores, arrays in them, files, patterns, addresses of the network; a relative path too."""
    monkeypatch.chdir(folder)
    good = ["a.zarr", f"file://{folder}/b.zarr", "a.zarr/t", str(folder / "refs.json")]
    assert not list(doubts([*good, f"{folder}/*.nothing", "s3://bucket/x.zarr", "memory://x"]))


def test_an_absent_store_is_told(folder: Path) -> None:
    """It may be written later."""
    (told,) = doubts([str(folder / "c.zarr"), str(folder / "a.zarr")])
    assert told == f"{folder}/c.zarr: there is nothing there now; it is served once it is written"


def test_a_folder_around_stores_names_them(folder: Path) -> None:
    """The usual slip: the folder above."""
    (told,) = doubts([str(folder)])
    expected = f"{folder}/a.zarr, {folder}/b.zarr"
    assert told == f"{folder}: this folder has no Zarr metadata; stores in it: {expected}"


def test_a_folder_without_stores(folder: Path) -> None:
    """There is nothing to name."""
    empty = folder / "empty"
    empty.mkdir()
    assert list(doubts([str(empty)])) == [f"{empty}: this folder has no Zarr metadata"]


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
def test_impossible_paths_are_doubts_too(path: str) -> None:
    """No start fails of what is only looked at."""
    (told,) = doubts([path])
    assert len(told) < 500
