"""Options of NetCDF files, and the classic formats: as clients ask, and as readers find them."""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeAlias

import netCDF4
import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service

Engine: TypeAlias = Literal["netcdf4", "h5netcdf"]
# No coding: lengths and ranges are of the file itself.
PLAIN = {"Accept-Encoding": "identity"}
CHUNKS = {"maps": (1, 60, 80), "series": (40, 20, 20)}


def cube() -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(120, 60, 80)) * 10
    values[3:5, 20:40] = np.nan
    return xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values, {"units": "K"}),
            "mask": (("lat", "lon"), np.arange(4800).reshape(60, 80) % 7 == 0),
            "crs": ((), 4326),
        },
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(120) * np.timedelta64(6, "h"),
            "lat": np.linspace(90, -90, 60),
            "lon": np.arange(80) * 4.5,
            "step": ("time", [f"Schritt {n} ü" for n in range(120)]),
        },
        attrs={"title": "A cube", "history": "made by a test"},
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    found = {}
    for name, chunks in CHUNKS.items():
        ds, found[name] = cube(), folder / f"{name}.zarr"
        ds.t.encoding = {"chunks": chunks, "dtype": "i2", "scale_factor": 0.01, "_FillValue": -999}
        ds.to_zarr(found[name], zarr_format=2, consolidated=True)
    counts = xr.Dataset(
        {
            "n": (("time", "x"), np.full((1200, 1000), 2**40)),
            "small": (("time", "x"), np.full((1200, 1000), 255, "u1")),
        }
    )
    found["counts"] = folder / "counts.zarr"
    counts.to_zarr(found["counts"], zarr_format=2, consolidated=True)
    return found


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    return serve(stores, SLUICE_CHUNK_CACHE_BYTES="0")


def saved(service: Service, path: str, file: Path) -> Path:
    answer = service.get(path, headers=PLAIN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-length"] == str(len(answer.content))
    file.write_bytes(answer.content)
    return file


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("form", ["netcdf&unlimited=time", "netcdf3&unlimited=time", "netcdf3"])
def test_a_file_with_options_is_the_store(
    service: Service, stores: dict[str, Path], name: str, form: str, tmp_path: Path
) -> None:
    file = saved(service, f"/datasets/{name}/isel?f={form}", tmp_path / "answer.nc")
    with xr.open_dataset(file, engine="netcdf4") as ours, xr.open_zarr(stores[name]) as theirs:
        xr.testing.assert_equal(ours.load(), theirs.load())
        assert ours.attrs == theirs.attrs
        assert ours.t.attrs == theirs.t.attrs
        assert ours.t.encoding["dtype"] == np.dtype("i2")
    with netCDF4.Dataset(file) as opened:
        classic = form.startswith("netcdf3")
        assert opened.data_model == ("NETCDF3_64BIT_OFFSET" if classic else "NETCDF4")
        assert opened.dimensions["time"].isunlimited() == form.endswith("time")


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("form", ["netcdf&unlimited=time", "netcdf3&unlimited=time", "netcdf3"])
def test_any_part_of_it_is_part_of_the_whole(service: Service, name: str, form: str) -> None:
    path = f"/datasets/{name}/isel?f={form}"
    head = service.client.head(path, headers=PLAIN)
    whole = service.get(path, headers=PLAIN).content
    for start, stop in ((0, 1), (100, 5000), (400_001, 900_000), (len(whole) - 7, len(whole))):
        answer = service.get(path, headers={**PLAIN, "Range": f"bytes={start}-{stop - 1}"})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"
        assert answer.content == whole[start:stop]
    assert head.headers["accept-ranges"] == "bytes"
    tag = head.headers["etag"]
    again = service.get(path, headers={**PLAIN, "Range": "bytes=5-", "If-Range": tag})
    assert again.status_code == 206
    assert again.content == whole[5:]


def test_head_tells_the_length(service: Service) -> None:
    # Texts have a length once they are read.
    path = "/datasets/counts/isel?variables=small&f=netcdf3&unlimited=time"
    head = service.client.head(path, headers=PLAIN)
    assert head.headers["content-length"] == str(len(service.get(path, headers=PLAIN).content))
    assert head.headers["content-type"] == "application/x-netcdf3"
    assert '.nc3"' in head.headers["content-disposition"]


@pytest.mark.parametrize("form", ["netcdf", "netcdf3"])
def test_ncrcat_joins_answers(
    service: Service, stores: dict[str, Path], form: str, tmp_path: Path
) -> None:
    ncrcat = shutil.which("ncrcat")
    if ncrcat is None:
        pytest.skip("NCO is not installed: no ncrcat (apt-get install nco)")
    parts = [
        saved(
            service,
            f"/datasets/series/isel?variables=t,mask&time={part}&f={form}&unlimited=time",
            tmp_path / f"{number}.nc",
        )
        for number, part in enumerate(["0:50", "50:51", "51:120"])
    ]
    joined = tmp_path / "joined.nc"
    subprocess.run([ncrcat, *parts, joined], check=True, capture_output=True, timeout=60)
    with xr.open_dataset(joined) as ours, xr.open_zarr(stores["series"]) as theirs:
        xr.testing.assert_equal(ours[["t", "mask"]].load(), theirs[["t", "mask"]].load())


def test_the_history_says_what_was_asked_for(service: Service, tmp_path: Path) -> None:
    label = "/datasets/maps/sel?time=2024-01-02/2024-01-03&lat=nearest::1.6&variables=t"
    place = "/datasets/maps/isel?time=4:12&lat=29&variables=t"
    asked = "&f=netcdf&history=true"
    files = [
        saved(service, path + asked, tmp_path / "h.nc").read_bytes() for path in (label, place)
    ]
    assert files[0] == files[1]
    with xr.open_dataset(tmp_path / "h.nc") as opened:
        before, line = opened.attrs["history"].splitlines()
    assert before == "made by a test"
    version, _, request = line.partition(": ")
    assert version.startswith("sluice ")
    assert request == "/datasets/maps/isel?variables=t&lat=29&time=4:12&f=netcdf&history=true"
    # What it says brings the same file.
    assert saved(service, request, tmp_path / "again.nc").read_bytes() == files[0]


def test_what_classic_files_lack_is_refused_by_name(service: Service) -> None:
    answer = service.get("/datasets/counts/isel?f=netcdf3")
    assert answer.status_code == 406
    assert answer.json()["variable"] == "n"
    assert "cdf5=true" in answer.json()["detail"]
    answer = service.get("/datasets/maps/isel?f=netcdf3&unlimited=lat")
    assert answer.status_code == 406
    assert "first" in answer.json()["detail"]
    answer = service.get("/datasets/maps/isel?f=netcdf3&unlimited=time,lat")
    assert answer.status_code == 406


def test_integers_of_64_bits_and_unsigned_ones(
    service: Service, stores: dict[str, Path], tmp_path: Path
) -> None:
    file = saved(service, "/datasets/counts/isel?f=netcdf3&cdf5=true", tmp_path / "5.nc")
    with xr.open_dataset(file) as ours, xr.open_zarr(stores["counts"]) as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())
    # The older format has neither: bytes that say that they are unsigned.
    path = "/datasets/counts/isel?variables=small&time=0:9&f=netcdf3"
    with xr.open_dataset(saved(service, path, tmp_path / "2.nc")) as ours:
        assert ours.small.dtype == np.dtype("u1")
        assert (ours.small == 255).all()


def test_options_of_files_are_checked(service: Service) -> None:
    answer = service.get("/datasets/maps/isel?time=0&f=netcdf&unlimited=time")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "unlimited"
    assert answer.json()["known"] == ["lat", "lon"]
    assert service.get("/datasets/maps/isel?f=json&unlimited=time").status_code == 400
    assert service.get("/datasets/maps/isel?f=netcdf&history=perhaps").status_code == 400
    assert service.get("/datasets/maps/isel?f=netcdf&cdf5=true").status_code == 400


def test_options_have_tags_of_their_own(service: Service) -> None:
    path = "/datasets/maps/isel?time=0:2&f=netcdf"
    forms = ["", "&unlimited=time", "&history=true", "&unlimited=lat"]
    tags = {service.client.head(path + form).headers["etag"] for form in forms}
    assert len(tags) == len(forms)


def test_a_posted_question_has_the_options_too(service: Service) -> None:
    asked = {"time": [0, 1], "f": "netcdf", "unlimited": ["time"], "history": True}
    answer = service.client.post("/datasets/maps/isel", json=asked, headers=PLAIN)
    path = "/datasets/maps/isel?time=0,1&f=netcdf&unlimited=time&history=true"
    assert answer.content == service.get(path, headers=PLAIN).content


ZLIB = "/datasets/{name}/isel?f=netcdf&compression=zlib"


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("more", ["", "&unlimited=time&history=true", "&time=3&lat=5&lon=7"])
@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_a_compressed_file_is_the_plain_one(
    service: Service, name: str, more: str, engine: Engine, tmp_path: Path
) -> None:
    small = saved(service, ZLIB.format(name=name) + more, tmp_path / "small.nc")
    plain = saved(service, f"/datasets/{name}/isel?f=netcdf{more}", tmp_path / "plain.nc")
    with xr.open_dataset(small, engine=engine) as ours, xr.open_dataset(plain) as theirs:
        ours.attrs.pop("history", None)
        theirs.attrs.pop("history", None)
        xr.testing.assert_identical(ours.load(), theirs.load())
        if ours.t.dims:
            assert ours.t.encoding["zlib"]
            assert ours.t.encoding["shuffle"]
            assert small.stat().st_size < plain.stat().st_size


def test_a_compressed_file_has_parts_and_a_length(service: Service) -> None:
    path = ZLIB.format(name="maps") + "&time=0:7"
    head = service.client.head(path, headers=PLAIN)
    assert head.status_code == 200
    assert head.headers["accept-ranges"] == "bytes"
    # Nobody made it yet.
    assert "content-length" not in head.headers
    whole = service.get(path)
    assert "content-encoding" not in whole.headers
    assert whole.headers["etag"] == head.headers["etag"]
    assert whole.headers["content-length"] == str(len(whole.content))
    head = service.client.head(path)
    assert head.headers["content-length"] == str(len(whole.content))
    part = {"Range": "bytes=1000-1999", "If-Range": whole.headers["etag"]}
    answer = service.get(path, headers=part)
    assert answer.status_code == 206
    assert answer.content == whole.content[1000:2000]
    assert service.get(path, headers={"Range": "bytes=-9"}).content == whole.content[-9:]
    answer = service.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert answer.status_code == 304
    answer = service.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert answer.status_code == 416


def counted(service: Service, metric: str) -> float:
    """The value of a metric once it rests."""
    found = [-1.0]
    while len(found) < 6 or len(set(found[-6:])) > 1:
        time.sleep(0.3)
        rows = service.get("/metrics").text.splitlines()
        found.append(sum(float(row.split()[-1]) for row in rows if row.startswith(f"{metric} ")))
    return found[-1]


def test_a_compressed_file_is_made_once_for_all(service: Service) -> None:
    path, lookups = ZLIB.format(name="series"), 'sluice_chunk_lookups_total{outcome="miss"}'
    before = counted(service, lookups)
    assert service.get(f"{path}&time=1:40").status_code == 200
    by_one = counted(service, lookups) - before
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: service.get(f"{path}&time=0:39").content, range(8))]
    by_eight = counted(service, lookups) - before - by_one
    assert len(set(answers)) == 1
    assert by_eight == by_one > 0
    assert counted(service, "sluice_spool_bytes") > len(answers[0])


def test_compressed_files_are_the_same_after_a_restart(
    serve: Serve, service: Service, stores: dict[str, Path]
) -> None:
    other = serve(stores, SLUICE_SPOOL_BYTES="2000000", SLUICE_SPOOL_SECONDS="0")
    path = ZLIB.format(name="series")
    ours, again, theirs = other.get(path), other.get(path), service.get(path)
    assert ours.headers["etag"] == theirs.headers["etag"]
    assert ours.content == again.content == theirs.content


def test_a_compressed_file_that_is_too_large_is_refused(
    serve: Serve, stores: dict[str, Path], tmp_path: Path
) -> None:
    little = serve(stores, SLUICE_SPOOL_BYTES="100000", SLUICE_SPOOL_FOLDER=str(tmp_path))
    answer = little.get(ZLIB.format(name="maps"))
    assert answer.status_code == 413
    assert answer.json()["limited"] == "spool_bytes"
    assert "f=netcdf" in answer.json()["detail"]
    # There is room for another, and nothing is left in the folder.
    assert little.get(ZLIB.format(name="maps") + "&time=0&lat=0:9").status_code == 200
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_written_is_told(serve: Serve, stores: dict[str, Path]) -> None:
    lost = serve(stores, SLUICE_SPOOL_FOLDER="/proc/nowhere")
    answer = lost.get(ZLIB.format(name="maps"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "disk" in answer.json()["detail"]
    assert lost.get("/datasets/maps/isel?f=netcdf&time=0").status_code == 200


def test_what_is_explained_of_a_file_is_its_length(service: Service) -> None:
    for form in (
        "netcdf&variables=mask&unlimited=lat&history=true",
        "netcdf3&variables=mask",
        "netcdf&compression=zlib",
    ):
        path = f"/datasets/series/isel?lat=0:30&f={form}"
        whole = service.get(path, headers=PLAIN).content
        told = service.get(f"{path}&explain=true").json()
        assert str(len(whole)) in str(told), form


def test_compression_is_of_netcdf_alone(service: Service) -> None:
    for form in ("json", "netcdf3"):
        answer = service.get(f"/datasets/maps/isel?f={form}&compression=zlib")
        assert answer.status_code == 400
        assert answer.json()["known"] == ["f=netcdf"]
    answer = service.get("/datasets/maps/isel?f=netcdf&compression=lzma")
    assert answer.json()["known"] == ["zlib"]
