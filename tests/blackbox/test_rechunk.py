"""A dataset copied into other chunks, and served with the copy: less to decode, the same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from loadtests.ground import ROOT

from .conftest import Serve, Service, check, command, write_catalog
from .processes import until

CHUNKS = "time=8760,latitude=12,longitude=12"
MIB = 2**20
POINT = "latitude=nearest::10&longitude=nearest::20"
PACKED = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}


def grid(hours: int, rows: int, columns: int) -> xr.Dataset:
    random = np.random.default_rng(3)
    base = random.normal(size=(rows, columns)) * 10
    waves = np.sin(np.arange(hours) / 24)[:, None, None]
    values = (280 + base + 5 * waves).astype("f4")
    values[:, :3, :3] = np.nan
    return xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
        {
            "time": np.datetime64("2024-01-01", "ns") + np.arange(hours) * np.timedelta64(1, "h"),
            "latitude": ("latitude", np.linspace(90, -90, rows), {"units": "degrees_north"}),
            "longitude": (
                "longitude",
                np.arange(columns) * 360 / columns,
                {"units": "degrees_east"},
            ),
        },
        attrs={"title": "waves"},
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`maps.zarr`: 2000 maps, packed."""
    folder = tmp_path_factory.mktemp("stores")
    ds = grid(2000, 61, 120)
    ds.t2m.encoding = {"chunks": (1, 61, 120), **PACKED}
    ds.to_zarr(folder / "maps.zarr", zarr_format=2, consolidated=True)
    return folder


def entries(folder: Path) -> dict[str, Any]:
    maps, series = str(folder / "maps.zarr"), str(folder / "series.zarr")
    return {"alone": maps, "maps": {"url": maps, "also": [series]}}


def rechunk(folder: Path, *words: str, to: str = "series.zarr", name: str = "maps") -> Any:
    catalog = write_catalog(folder, entries(folder))
    chunks = () if "--chunks" in words else ("--chunks", CHUNKS)
    return command("rechunk", name, *chunks, folder / to, "--catalog", catalog, *words)


@pytest.fixture(scope="module")
def service(serve: Serve, stores: Path) -> Service:
    done = rechunk(stores)
    assert done.returncode == 0, done.stderr
    assert "a copy of 'maps'" in done.stdout
    assert "100%" in done.stderr
    return serve(entries(stores))


def explained(service: Service, name: str, query: str) -> dict[str, Any]:
    told: dict[str, Any] = service.get(f"/datasets/{name}/sel?{query}&explain=true").json()
    return told


def test_a_series_is_read_from_the_copy(service: Service) -> None:
    with_copy = explained(service, "maps", POINT)
    without = explained(service, "alone", POINT)
    assert with_copy["copies"] == {"t2m": "series"}
    assert "copies" not in without
    assert (with_copy["chunks"], without["chunks"]) == (1, 2000)
    assert with_copy["bytes"]["netcdf"] == without["bytes"]["netcdf"]
    assert "copies" not in explained(service, "maps", "time=2024-01-03T00:00Z")


ASKED = [
    POINT,
    "latitude=-20/20&longitude=10/60",
    "latitude=20/-20&longitude=10/60&time=2024-01-05/2024-01-06",
    "time=2024-02-01T05:00Z&latitude=80/50",
    "latitude=90/80&longitude=0/20",
]


@pytest.mark.parametrize("query", ASKED)
@pytest.mark.parametrize("f", ["json", "csv", "netcdf", "bin", "netcdf3"])
def test_answers_are_the_same(service: Service, query: str, f: str) -> None:
    plain = {"Accept-Encoding": "identity"}
    found = [
        service.get(f"/datasets/{name}/sel?{query}&f={f}", headers=plain)
        for name in ("maps", "alone")
    ]
    assert found[0].status_code == 200, found[0].text
    ours, theirs = (answer.content.replace(b"alone", b"maps") for answer in found)
    assert ours == theirs


def chunks_read(service: Service) -> float:
    """How many chunks were decoded by now."""
    (line,) = [
        line
        for line in service.get("/metrics").text.splitlines()
        if line.startswith("sluice_chunk_lookups_total") and 'outcome="miss"' in line
    ]
    return float(line.rsplit(" ", 1)[1])


def test_one_chunk_is_decoded_for_a_series(service: Service) -> None:
    """Of the dataset itself it would be 2000."""
    query = "latitude=nearest::-70&longitude=nearest::200&f=csv"
    assert explained(service, "alone", query)["chunks"] == 2000
    time.sleep(1.1)  # counters are those of each second
    before = chunks_read(service)
    assert service.get(f"/datasets/maps/sel?{query}").status_code == 200
    until(lambda: chunks_read(service) > before, "a count of chunks")
    assert chunks_read(service) == before + 1


def test_tags_and_ranges_do_not_depend_on_the_copy(
    serve: Serve, stores: Path, service: Service, tmp_path: Path
) -> None:
    """The same dataset, whose copy is there or not: half of a file from each."""
    query = "/datasets/maps/sel?latitude=60/-20&longitude=0/60&f=netcdf"
    told = service.get(query + "&explain=true").json()
    assert told["copies"] == {"t2m": "series"}
    other = serve({"maps": {"url": str(stores / "maps.zarr"), "also": [str(tmp_path / "none")]}})
    assert "copies" not in other.get(query + "&explain=true").json()
    plain = {"Accept-Encoding": "identity"}
    whole = service.get(query, headers=plain)
    size = int(whole.headers["Content-Length"])
    tag = whole.headers["ETag"]
    assert other.get(query, headers=plain).headers["ETag"] == tag
    parts = [
        server.get(query, headers={**plain, "Range": ask, "If-Range": tag})
        for server, ask in ((service, f"bytes=0-{size // 2}"), (other, f"bytes={size // 2 + 1}-"))
    ]
    assert [part.status_code for part in parts] == [206, 206]
    assert parts[0].content + parts[1].content == whole.content


def test_a_copy_follows_the_dataset(serve: Serve, tmp_path: Path) -> None:
    """A new version is answered by itself, until its copy is made; check tells of it."""
    ds = grid(60, 19, 36)
    url = tmp_path / "maps.zarr"
    encoding = {"t2m": {"chunks": (1, 19, 36)}}
    ds.isel(time=slice(50)).to_zarr(url, zarr_format=2, consolidated=True, encoding=encoding)
    assert rechunk(tmp_path).returncode == 0
    entry = {**entries(tmp_path)["maps"], "refresh_seconds": 0, "refresh": "before"}
    server = serve({"maps": entry})
    assert explained(server, "maps", POINT)["copies"] == {"t2m": "series"}
    ds.isel(time=slice(50, 60)).to_zarr(url, append_dim="time", consolidated=True)
    told = explained(server, "maps", POINT)
    assert told["dims"]["time"] == 60
    assert "copies" not in told
    found = check(tmp_path, {"maps": entry})
    assert [one["where"] for one in found if "another version" in one["text"]] == ["also: series"]
    done = rechunk(tmp_path)
    assert done.returncode == 2
    assert "--replace" in done.stderr
    assert rechunk(tmp_path, "--replace").returncode == 0
    assert explained(server, "maps", POINT)["copies"] == {"t2m": "series"}
    body = server.get(f"/datasets/maps/sel?{POINT}").json()
    expected = ds.t2m.sel(latitude=10, longitude=20, method="nearest").values
    np.testing.assert_array_equal(np.float32(body["data_vars"]["t2m"]["data"]), expected)


def large(folder: Path) -> None:
    """Some 120 MB of float32 in maps."""
    root = zarr.create_group(folder / "maps.zarr", zarr_format=3)
    dims = ("time", "latitude", "longitude")
    shape, chunks = (480, 180, 360), (1, 180, 360)
    array = root.create_array("t2m", shape=shape, chunks=chunks, dtype="f4", dimension_names=dims)
    random = np.random.default_rng(1)
    for hour in range(0, 480, 48):
        array[hour : hour + 48] = random.normal(size=(48, 180, 360)).astype("f4")


def peak(*words: str | Path) -> tuple[int, int]:
    """The status of the command, and the most memory that it had."""
    started = subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    most = 0
    while started.poll() is None:
        try:
            status = Path(f"/proc/{started.pid}/status").read_text()
        except OSError:
            break
        found = [line for line in status.splitlines() if line.startswith("VmHWM")]
        most = max([most, *(int(line.split()[1]) * 1024 for line in found)])
        time.sleep(0.02)
    return started.wait(), most


def test_a_killed_copy_goes_on_within_its_memory(tmp_path: Path) -> None:
    large(tmp_path)
    catalog = write_catalog(tmp_path, {"maps": str(tmp_path / "maps.zarr")})
    words = ("rechunk", "maps", "--chunks", CHUNKS, "--catalog", catalog, "--memory", "24MiB")
    target = tmp_path / "series.zarr"
    record = target / "sluice-rechunk.json"
    begun = subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, words), str(target)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def some() -> bool:
        try:
            return bool(json.loads(record.read_text())["done"].get("t2m", 0) >= 2)
        except (OSError, ValueError):
            return False

    until(some, "two blocks")
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    assert record.exists()
    assert "sluice_copy_of" not in (target / "zarr.json").read_text()
    first = target / "t2m" / "c" / "0" / "0" / "0"
    written = first.stat().st_mtime_ns
    status, most = peak(*words, target)
    assert status == 0
    assert not record.exists()
    assert first.stat().st_mtime_ns == written
    ours, theirs = zarr.open_group(target, mode="r"), zarr.open_group(tmp_path / "maps.zarr")
    for rows in (slice(0, 3), slice(90, 95), slice(177, 180)):
        np.testing.assert_array_equal(ours["t2m"][:, rows], theirs["t2m"][:, rows])  # type: ignore[index]
    status, least = peak(*words, target)
    assert status == 0
    # Of 120 MB: what was asked for, and what allocators keep.
    assert most - least < 24 * MIB + 32 * MIB, (most, least)


WRONG = [
    (["--chunks", "time=0"], "at least one position along time"),
    (["--chunks", "time"], "is not a dimension and a length"),
    (["--chunks", "lat=3"], "no variable has the dimension 'lat'"),
    (["--memory", "lots"], "is not a size"),
    (["--memory", "1MiB"], "give it more (--memory)"),
]


@pytest.mark.parametrize(("words", "told"), WRONG)
def test_wrong_orders_are_refused_in_a_line(
    stores: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    done = rechunk(stores, *words, to=str(tmp_path / "none.zarr"))
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "none.zarr").exists() or not any((tmp_path / "none.zarr").iterdir())


def test_what_is_there_stays(stores: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("folder", "file"):
        done = rechunk(stores, to=str(tmp_path / name))
        assert done.returncode in (1, 2)
        assert "something else" in done.stderr or "file" in done.stderr
    assert (tmp_path / "folder" / "letter.txt").read_text() == "precious"
    assert (tmp_path / "file").read_text() == "precious"
    assert rechunk(stores, name="maps-not").returncode == 2
