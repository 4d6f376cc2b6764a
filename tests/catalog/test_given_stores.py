"""What a command line's addresses are said to lack before the server serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from app.catalog.given_stores import doubts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stores of either version in one folder."""
    dataset = xr.Dataset({"t": ("x", np.arange(3.0))})
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=True)
    dataset.to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    return tmp_path


def test_nothing_is_said_of_what_may_be_served(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores, arrays in them, patterns, addresses of the network; a relative path too."""
    monkeypatch.chdir(folder)
    good = ["a.zarr", f"file://{folder}/b.zarr", "a.zarr/t"]
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


@pytest.mark.parametrize(
    ("name", "content", "what", "way"),
    [
        ("x.nc", b"CDF\x01" + bytes(20), "a NetCDF-3 file", "make a reference document of it"),
        ("x.nc4", b"\x89HDF\r\n\x1a\n", "a NetCDF-4 or HDF5 file", "an entry in a catalog"),
        ("refs.json", b'{"version": 1, "refs": {}}', "a reference document", "the address of refs"),
        ("a.zarr/t/.zarray", b"{}", "one document of a store", "name its folder"),
        ("x.zarr.zip", b"PK\x03\x04", "a zip archive", "unpack it"),
        ("empty", b"", "an empty file", "write it again"),
    ],
)
def test_a_file_is_no_store(folder: Path, name: str, content: bytes, what: str, way: str) -> None:
    """Whatever is in it: none is served by its plain path."""
    place = folder / name
    if not place.exists():
        place.write_bytes(content)
    for url in (str(place), f"file://{place}"):
        (told,) = doubts([url])
        assert told.startswith(f"{place}: this is {what}")
        assert "no Zarr store, which is a folder" in told
        assert way in told


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
def test_impossible_paths_are_doubts_too(path: str) -> None:
    """No start fails of what is only looked at."""
    (told,) = doubts([path])
    assert len(told) < 500
