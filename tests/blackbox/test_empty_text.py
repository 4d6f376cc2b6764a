"""Empty text in NetCDF files is text of no length, in every reader; a NULL ends most of them."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve
from tests.blackbox.readers import attributes, copies, in_old_python, in_r, needed, run, seen

NAMES = ["", "Oslo", "", "Ålesund"]
TEXTS = {"title": "", "lists": ["", "a", ""], "lone": [""], "accented": "°C", "plain": "K"}


@pytest.fixture(scope="module")
def path(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The answer over a store with empty text wherever text can be."""
    folder = tmp_path_factory.mktemp("stores")
    names = np.array(NAMES, dtype=object)
    dataset = xr.Dataset(
        {
            "t": ("place", [1.0, 2.0, 3.0, 4.0], TEXTS),
            "name": ("place", names),
            "grid": (("place", "side"), np.array([["", "b"]] * 4, dtype=object)),
            "nothing": ("place", np.array([""] * 4, dtype=object)),
            "lone": ((), np.array("", dtype=object)),
        },
        coords={"place": names, "label": ("place", names[::-1].copy())},
        attrs=TEXTS,
    )
    dataset.to_zarr(folder / "a.zarr", zarr_format=2, consolidated=True)
    answer = serve({"a": folder / "a.zarr"}).get("/datasets/a/isel?f=netcdf")
    assert answer.status_code == 200, answer.text
    path = folder / "answer.nc"
    path.write_bytes(answer.content)
    return path


def test_the_bytes_are_those_of_the_c_library(path: Path, tmp_path: Path) -> None:
    """The handle of an empty text has no length, and names an object of a heap, as C's does."""
    theirs = tmp_path / "theirs.nc"
    with netCDF4.Dataset(theirs, "w") as file:
        file.createDimension("place", 4)
        file.createVariable("name", str, ("place",))[:] = np.array(NAMES, dtype=object)
    for written in (path, theirs):
        with h5py.File(written) as file:
            start = file["name"].id.get_offset()
        content = written.read_bytes()
        handles = np.frombuffer(content[start:], dtype="<u4,<u8,<u4", count=4)
        assert [int(length) for length, _, _ in handles] == [0, 4, 0, 8]
        for length, heap, index in handles.tolist():
            assert (content[heap : heap + 4], index > 0) == (b"GCOL", True)
            place = heap + 16
            while int.from_bytes(content[place : place + 2], "little") != index:
                size = int.from_bytes(content[place + 8 : place + 16], "little")
                place += 16 + size + -size % 8
            assert int.from_bytes(content[place + 8 : place + 16], "little") == length


def test_in_xarray(path: Path) -> None:
    """Variables, coordinates, attributes and lists of them come back, the latter as lists."""
    for engine in ("h5netcdf", "netcdf4"):
        with xr.open_dataset(path, engine=engine) as found:
            assert found.name.values.tolist() == found.place.values.tolist() == NAMES
            assert found.label.values.tolist() == NAMES[::-1]
            assert found.grid.values.tolist() == [["", "b"]] * 4
            assert (found.nothing.values.tolist(), found.lone.item()) == ([""] * 4, "")
            wanted = TEXTS | {"lone": ""}
            assert ({**found.attrs}, {**found.t.attrs}) == (wanted, wanted)


def test_ncdump_shows_no_nil(path: Path) -> None:
    """The C library's own tool shows texts, or the fill value that an empty one equals."""
    needed("ncdump")
    shown = run("ncdump", path)
    assert "NIL" not in shown
    assert 'string t:lists = "", "a", "" ;' in shown
    assert 't:title = "" ;' in shown


def test_copies_are_equal(path: Path) -> None:
    """What nccopy and ncks copy holds the same."""
    for copy in copies(path):
        assert seen(copy) == seen(path)


@pytest.mark.parametrize("package", ["ncdf4", "RNetCDF"])
def test_in_r(path: Path, package: str) -> None:
    """Both of R's libraries read every text."""
    found = in_r(package, path)
    assert found["name"] == found["place"] == "|".join(NAMES)
    assert found["label"] == "|".join(NAMES[::-1])
    assert (found["nothing"], found["lone"]) == ("|||", "")
    for name in ("t", ""):
        assert [found[f"{name}:{key}"] for key in TEXTS] == ["", "|a|", "", "°C", "K"]


def test_in_stars(path: Path) -> None:
    """stars reads numbers beside empty text."""
    assert in_r("stars", path, "t")["t"] == "1|2|3|4"


def test_in_old_python(path: Path) -> None:
    """h5py and netCDF4 of 2018 read every text and every attribute."""
    for found in in_old_python(path).values():
        assert found["name"]["values"] == found["place"]["values"] == NAMES
        assert found["grid"]["values"] == [["", "b"]] * 4
        assert (found["nothing"]["values"], found["lone"]["values"]) == ([""] * 4, "")
        for name in ("t", ""):
            read = found[name]["attrs"]
            assert [read[key] for key in ("title", "lists", "accented", "plain")] == [
                *("", ["", "a", ""], "°C", "K")
            ]
            assert read["lone"] in ("", [""])


def test_ascii_attributes_are_ascii(path: Path) -> None:
    """Text of one length says that it is ASCII; other text is UTF-8 of any length."""
    with h5py.File(path) as file:
        for holder in (file, *file.values()):
            for name in holder.attrs:
                kind = holder.attrs.get_id(name).get_type()
                if isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str():
                    assert kind.get_cset() == h5py.h5t.CSET_ASCII
        assert file["t"].attrs.get_id("accented").get_type().get_cset() == h5py.h5t.CSET_UTF8
    with netCDF4.Dataset(path) as file:
        assert attributes(file["t"])["lists"] == ("list", repr(TEXTS["lists"]))
