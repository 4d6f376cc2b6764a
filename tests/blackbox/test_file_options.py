"""Options of NetCDF files, and the classic formats: as clients ask, and as readers find them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service

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
