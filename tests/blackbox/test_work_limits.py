"""Work and memory have limits of their own: what touches much is answered within a small window."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
import xarray as xr
import zarr

from .conftest import Serve, Service

PLAIN = {"Accept-Encoding": "identity"}
# The most ordinary question there is: a series at one point of a store of maps.
STEPS, HEIGHT, WIDTH = 160, 721, 1440
MAP_BYTES: Final = HEIGHT * WIDTH * 4
SERIES = "lat=360&lon=720"
MIB: Final = 2**20


def write(folder: Path, shard: int | None) -> Path:
    """Maps in chunks of their own, or in shards; what follows the first four objects repeats them.

    (To write all of them would take most of the time of these tests.)
    """
    dims, shape = ("time", "lat", "lon"), (STEPS, HEIGHT, WIDTH)
    root = zarr.open_group(folder, mode="w", zarr_format=3 if shard else 2)
    names: dict[str, Any] = {"dimension_names": dims} if shard else {}
    shards = (shard, HEIGHT, WIDTH) if shard else None
    array = root.create_array(
        "t", shape=shape, chunks=(1, HEIGHT, WIDTH), shards=shards, dtype="f4", **names
    )
    if not shard:
        array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
    field = np.linspace(0, 1, HEIGHT * WIDTH, dtype="f4").reshape(1, HEIGHT, WIDTH)
    steps = shard or 1
    for number in range(4):
        own = np.arange(steps, dtype="f4") + 100 * number
        array[number * steps : (number + 1) * steps] = field + own[:, None, None]
    place = "c/{}/0/0" if shard else "{}.0.0"
    for number in range(4, STEPS // steps):
        target = folder / "t" / place.format(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "t" / place.format(number % 4), target)
    return folder


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    return {"maps": write(folder / "maps", None), "shards": write(folder / "shards", 20)}


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    return serve(
        stores,
        SLUICE_CHUNK_CACHE_BYTES=str(48 * MIB),
        SLUICE_CHUNKS_INFLIGHT_BYTES=str(24 * MIB),
    )


def peak_bytes(service: Service) -> int:
    status = Path(f"/proc/{service.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("f", ["json", "csv", "netcdf"])
@pytest.mark.parametrize("name", ["maps", "shards"])
def test_a_series_across_many_maps_is_answered_within_a_window(
    service: Service, stores: dict[str, Path], name: str, f: str, tmp_path: Path
) -> None:
    """664 MB of chunks are decoded, a few of them at a time."""
    service.get(f"/datasets/{name}/isel?time=0:3&{SERIES}&f={f}")
    before = peak_bytes(service)
    answer = service.get(f"/datasets/{name}/isel?{SERIES}&variables=t&f={f}", headers=PLAIN)
    assert answer.status_code == 200, answer.text[:300]
    array = zarr.open_group(stores[name], mode="r")["t"]
    assert isinstance(array, zarr.Array)
    expected = np.array([array[step, 360, 720] for step in range(STEPS)], "f4")
    if f == "json":
        found = np.array(answer.json()["data_vars"]["t"]["data"], "f4")
    elif f == "csv":
        rows = answer.text.split("\r\n")[1:-1]
        found = np.array([row.split(",")[-1] for row in rows], "f4")
    else:
        (tmp_path / "answer.nc").write_bytes(answer.content)
        with xr.open_dataset(tmp_path / "answer.nc") as ours:
            found = ours.t.values
    np.testing.assert_array_equal(found, expected)
    # The cache, what is in flight twice, and what threads and allocators keep: a fourth of all.
    assert peak_bytes(service) - before < STEPS * MAP_BYTES / 4


@pytest.mark.parametrize("f", ["json", "csv", "netcdf"])
def test_work_has_one_limit_for_all_formats(serve: Serve, stores: dict[str, Path], f: str) -> None:
    limits = {"SLUICE_REQUEST_CHUNK_BYTES": str(10 * MAP_BYTES)}
    service = serve({"maps": stores["maps"]}, **limits)
    path = f"/datasets/maps/isel?{SERIES}&variables=t&f={f}"
    refused = service.get(path)
    assert refused.status_code == 413
    problem = refused.json()
    assert (problem["limited"], problem["limit"]) == ("chunk_bytes", 10 * MAP_BYTES)
    assert (problem["dimension"], problem["positions"], problem["of"]) == ("time", 10, STEPS)
    assert service.get(f"{path}&time=0:10").status_code == 200


def test_a_result_that_is_too_large_whole_leads_on(serve: Serve, stores: dict[str, Path]) -> None:
    service = serve({"maps": stores["maps"]}, SLUICE_REQUEST_RESULT_BYTES=str(2 * MIB))
    refused = service.get("/datasets/maps/isel?time=0")
    assert refused.status_code == 413
    assert "f=netcdf" in refused.json()["detail"]
    assert service.get("/datasets/maps/isel?time=0&f=netcdf", headers=PLAIN).status_code == 200


def test_an_answer_that_takes_too_long_whole_leads_on(
    serve: Serve, stores: dict[str, Path]
) -> None:
    service = serve({"maps": stores["maps"]}, SLUICE_REQUEST_SECONDS="0.05")
    late = service.get(f"/datasets/maps/isel?{SERIES}&variables=t")
    assert late.status_code == 504
    assert late.json()["type"].endswith("deadline")
    assert "f=netcdf" in late.json()["detail"]


def test_a_stream_ends_after_its_time_in_all(serve: Serve, stores: dict[str, Path]) -> None:
    """However much progress it makes; its client sees the connection end."""
    service = serve(
        {"maps": stores["maps"]},
        SLUICE_STREAM_SECONDS="0.05",
        SLUICE_CHUNK_CACHE_BYTES="0",
    )
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        service.get("/datasets/maps/isel?f=netcdf", headers=PLAIN)
