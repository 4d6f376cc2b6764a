"""What `check` finds beyond the axes: groups, chunks, stale metadata, every variable, files."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zarr

from loadtests.attack.references import web

from .broken_stores import FILES, edited, written
from .conftest import check

Found = dict[str, list[tuple[str, str | None, str]]]


def nested(path: Path) -> Path:
    """A v2 store with nested keys of chunks, whose metadata does not say so."""
    store = written(path, 2)
    for name in ("t", "u"):
        for chunk in list((store / name).glob("*.*.*")):
            target = store / name / chunk.name.replace(".", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            chunk.rename(target)
    return store


def flat(path: Path) -> Path:
    """A v2 store with plain keys of chunks, whose metadata says that they are nested."""
    store = written(path, 2, consolidated=False)
    edited(store / "t" / ".zarray", lambda d: d.update(dimension_separator="/"))
    return store


def stale(path: Path, version: int, edit: Callable[[dict[str, Any]], Any]) -> Path:
    """A store whose variable `t` was changed after its metadata was consolidated."""
    store = written(path, version)
    edited(store / "t" / (".zarray" if version == 2 else "zarr.json"), edit)
    return store


def lost(path: Path) -> Path:
    """A store of which one variable has no chunks and another has a torn one, the second of two."""
    store = written(path, 3)
    shutil.rmtree(store / "t" / "c")
    (store / "u" / "c" / "0" / "0" / "0").write_bytes(b"noise")
    return store


def added(path: Path) -> Path:
    """A store with an array that the consolidated metadata lacks, and without one that it has."""
    store = written(path, 2)
    zarr.create_array(store / "new", shape=(2,), dtype="i4", zarr_format=2)
    shutil.rmtree(store / "u")
    return store


def grouped(path: Path, version: int, *, consolidated: bool) -> Path:
    """A store with its variables in two groups, three deep."""
    for group in ("a/b/c", "other"):
        written(path, version, group=group, consolidated=False)
    if consolidated:
        with warnings.catch_warnings():
            # zarr-python warns that the v3 specification does not have it.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(path)
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("found")
    entries: dict[str, Mapping[str, Any]] = {
        "nested": {"url": str(nested(folder / "nested"))},
        "flat": {"url": str(flat(folder / "flat"))},
        "lost": {"url": str(lost(folder / "lost"))},
        "added": {"url": str(added(folder / "added"))},
        "sound-2": {"url": str(written(folder / "sound-2", 2))},
        "sound-3": {"url": str(written(folder / "sound-3", 3))},
    }
    for version in (2, 3):
        for kind, both in (("gathered", True), ("listed", False)):
            name = f"{kind}-{version}"
            store = str(grouped(folder / name, version, consolidated=both))
            entries[name] = {"url": store}
            entries[f"{name}-group"] = {"url": store, "group": "a"}
            entries[f"{name}-wrong"] = {"url": store, "group": "nothing"}

    def shorter(document: dict[str, Any]) -> None:
        document["shape"] = [2, 3, 2]

    for version in (2, 3):
        path = stale(folder / f"stale-{version}", version, shorter)
        entries[f"stale-{version}"] = {"url": str(path)}
    entries["folder"] = {"url": str(folder)}
    with web() as server:
        for name, data in FILES.items():
            (folder / name).write_bytes(data)
            server.values[f"/files/{name}"] = data
            entries[f"local-{name}"] = {"url": str(folder / name)}
            entries[f"web-{name}"] = {"url": f"{server.address}/files/{name}"}
        findings = check(folder, entries)
    told: Found = {name: [] for name in entries}
    for one in findings:
        told[one["dataset"]].append((one["severity"], one["where"], one["text"]))
    return told


def texts(found: Found, dataset: str, where: str | None = None) -> str:
    return "\n".join(text for _, place, text in found[dataset] if place == where)


@pytest.mark.parametrize("kind", ["gathered-2", "gathered-3", "listed-2", "listed-3"])
def test_groups_below_are_named(found: Found, kind: str) -> None:
    """A group without variables: those below it that have some, with the line to write."""
    assert "write group: a/b/c" in texts(found, kind)
    assert "a/b/c, other: write" in texts(found, kind)
    assert texts(found, f"{kind}-group").count("write group: a/b/c") == 1
    assert "a/b/c does" in texts(found, f"{kind}-group")
    assert "there is no group 'nothing'" in texts(found, f"{kind}-wrong")
    assert "write group: a/b/c" in texts(found, f"{kind}-wrong")
    assert found[kind][0][0] == "error"


def test_a_folder_of_stores_names_them(found: Found) -> None:
    """The parent of stores is none; its stores are named."""
    assert "sound-2" in texts(found, "folder")
    assert "name one of them in url" in texts(found, "folder")


def test_chunks_under_other_keys_are_found(found: Found) -> None:
    """Nested keys that the metadata does not tell of, and the other way round, in each variable."""
    for name in ("t", "u"):
        assert '"dimension_separator": "/"' in texts(found, "nested", name)
    assert '"dimension_separator": "."' in texts(found, "flat", "t")
    assert "dimension_separator" not in texts(found, "flat", "u")


def test_every_variable_is_looked_at(found: Found) -> None:
    """One without any chunk is told of, and so is a torn chunk of the next."""
    assert "exists" in texts(found, "lost", "t")
    assert "its first chunk cannot be read" in texts(found, "lost", "u")


@pytest.mark.parametrize("version", [2, 3])
def test_stale_consolidated_metadata_is_found(found: Found, version: int) -> None:
    """It says another shape than the array's own document; the way to fix it is named."""
    text = texts(found, f"stale-{version}", "t")
    assert "stale: shape [4, 3, 2]" in text
    assert "[2, 3, 2]" in text
    assert "consolidate_metadata" in text


def test_arrays_beside_the_consolidated_metadata_are_found(found: Found) -> None:
    """What it names and is gone, and what it lacks and is there."""
    assert "names u" in texts(found, "added")
    assert "lacks new" in texts(found, "added")


@pytest.mark.parametrize("name", ["sound-2", "sound-3"])
def test_sound_stores_have_none_of_it(found: Found, name: str) -> None:
    """Only the units that the sample's axes lack are told."""
    assert {(severity, where) for severity, where, _ in found[name] if severity != "note"} == {
        ("warning", "lat"),
        ("warning", "lon"),
    }


@pytest.mark.parametrize("place", ["local", "web"])
def test_a_file_is_called_by_what_it_is(found: Found, place: str) -> None:
    """A url that is a file: its kind by its first bytes, and the way to serve it."""
    kinds = {
        "classic.nc": ("NetCDF-3", "kerchunk"),
        "four.nc": ("NetCDF-4", "VirtualiZarr"),
        "image.tif": ("TIFF", "kerchunk"),
        "big.tif": ("TIFF", "kerchunk"),
        "weather.grib2": ("GRIB", "kerchunk"),
        "field.grib": ("GRIB", "kerchunk"),
        "refs.json": ("reference document", "reference://"),
        "refs.json.zst": ("zstd", "reference://"),
        "plain.json": ("JSON", "reference://"),
        "table.parquet": ("Parquet", "Zarr"),
        "store.tar.gz": ("gzip", "unpack"),
        "image.fits": ("FITS", "kerchunk"),
        "old.hdf": ("HDF4", "kerchunk"),
    }
    for name, words in kinds.items():
        severities = [severity for severity, _, _ in found[f"{place}-{name}"]]
        assert severities == ["error"], name
        for word in words:
            assert word in texts(found, f"{place}-{name}"), name


def test_findings_are_json(tmp_path: Path) -> None:
    """A store above many groups names some of them, not a megabyte."""
    root = zarr.create_group(tmp_path / "many", zarr_format=3)
    for number in range(30):
        root.create_array(f"g{number:02}/x", shape=(1,), dtype="i4")
    found = check(tmp_path, {"many": {"url": str(tmp_path / "many")}})
    assert "and 10 more" in found[0]["text"]
    assert len(json.dumps(found)) < 2_000
