"""What is told before anything is read: the bytes that a download has, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service

PLAIN = {"Accept-Encoding": "identity"}
BOX = "time=5:45&lat=20:160"
FORMATS = ("json", "csv", "ndjson", "columns", "netcdf", "bin")
TEXTS = {"json", "csv", "ndjson", "columns"}


def cube() -> xr.Dataset:
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 200, 100)) * 10 + 270
    values[:, 100:, 50:] = np.nan
    return xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values, {"units": "K", "long_name": "temperature"}),
            "flag": (("time", "lat", "lon"), random.integers(0, 300, (60, 200, 100)).astype("i2")),
        },
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(60) * np.timedelta64(6, "h"),
            "lat": np.linspace(90, -90, 200),
            "lon": np.arange(100) * 0.9,
        },
        attrs={"history": "made for a test " * 20},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ds, folder = cube(), tmp_path_factory.mktemp("store") / "cube.zarr"
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 250.0, "_FillValue": -32768}
    ds.t.encoding = {"chunks": (10, 50, 100), **packed}
    ds.flag.encoding = {"chunks": (10, 200, 100)}
    ds.to_zarr(folder, zarr_format=2, consolidated=True)
    return folder


@pytest.fixture
def service(serve: Serve, store: Path) -> Service:
    return serve({"cube": store})


def explained(service: Service, query: str, of: str = "cube") -> dict[str, Any]:
    answer = service.get(f"/datasets/{of}/isel?explain=true&{query}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def downloaded(service: Service, query: str, f: str, of: str = "cube") -> int:
    answer = service.get(f"/datasets/{of}/isel?{query}&f={f}", headers=PLAIN)
    assert answer.status_code == 200, answer.text[:300]
    return len(answer.content)


def test_the_told_size_is_that_of_the_download(shared: Service) -> None:
    """Of NetCDF to the byte, of texts within a tenth where much the same was answered."""
    of = "first"
    told = explained(shared, BOX, of)["bytes"]
    assert {name for name in FORMATS if told[name]["rough"]} == TEXTS
    for name in ("netcdf", "bin"):
        assert told[name]["size"] == downloaded(shared, BOX, name, of)
    downloaded(shared, "time=0:50&lat=10:170", "csv", of)
    told = explained(shared, BOX, of)["bytes"]
    for name in TEXTS:
        sent = downloaded(shared, BOX, name, of)
        assert told[name]["rough"] is False
        assert told[name]["size"] == pytest.approx(sent, rel=0.1), name


@pytest.mark.parametrize(
    "query",
    [
        "time=0&lat=0:3&lon=0:10",
        "lat=7&lon=9",
        "time=3&variables=t",
        "lat=3,5,8&lon=9,1,7&pointwise=lat,lon",
        "time=3&lat=4&lon=5",
        "variables=lat",
    ],
)
def test_small_answers_and_other_forms_have_their_sizes(shared: Service, query: str) -> None:
    for read in ("time=0:5", "lat=0:10"):
        downloaded(shared, read, "csv")
    told = explained(shared, query)["bytes"]
    for f in FORMATS:
        assert told[f]["rough"] is False
        assert told[f]["size"] == pytest.approx(downloaded(shared, query, f), rel=0.1), f
    assert told["netcdf"]["size"] == downloaded(shared, query, "netcdf")


def test_a_table_that_was_streamed_tells_of_others(shared: Service) -> None:
    of, part = "second", "time=5:45&lat=20:90"
    assert explained(shared, part, of)["bytes"]["json"]["rough"] is True
    downloaded(shared, "lat=0:100", "csv", of)
    told = explained(shared, part, of)["bytes"]["json"]
    assert told["rough"] is False
    assert told["size"] == pytest.approx(downloaded(shared, part, "json", of), rel=0.1)


@pytest.fixture(scope="module")
def shared(serve: Serve, store: Path) -> Service:
    """Under other names the store is one of which nothing was answered yet."""
    long = store.parent / "long.zarr"
    ds = xr.Dataset(coords={"time": np.arange(10**6)}).assign(v=("time", np.zeros(10**6, "i1")))
    ds.to_zarr(long, zarr_format=2)
    return serve({"cube": store, "first": store, "second": store, "long": long})


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize("query", ["time=5:45", "lat={}&lon=4", "time={}", "time=2&lat={}&lon=6"])
def test_what_was_sent_is_told_to_the_byte(shared: Service, query: str, coding: str) -> None:
    """Whole or in slabs, small or large, and before any content coding."""
    query = query.format(["identity", "gzip", "zstd"].index(coding))
    for f in TEXTS:
        path = f"/datasets/cube/isel?{query}&f={f}"
        sent = shared.get(path, headers={"Accept-Encoding": coding})
        told = explained(shared, query)["bytes"][f]
        assert told == {"size": len(sent.content), "rough": False}
        assert len(sent.content) == downloaded(shared, query, f)


def odd() -> xr.Dataset:
    random = np.random.default_rng(2)
    values = random.random((180, 360))
    values[:90] = np.nan
    texts = np.array(["x" * n for n in random.integers(0, 60, 180 * 90)], object)
    seen = np.datetime64("2024-01-01", "ns") + random.integers(0, 10**12, (180, 90)) * 1000
    return xr.Dataset(
        {
            "halves": (("lat", "lon"), values),
            "name": (("lat", "place"), texts.reshape(180, 90)),
            "seen": (("lat", "place"), seen, {}, {"units": "microseconds since 2024-01-01"}),
            "one": ((), 273.15),
            "word": ((), "calm"),
        },
        {"lon": np.arange(360) / 7, "code": ("place", [f"code, {n}" for n in range(90)])},
    )


@pytest.fixture(scope="module")
def oddities(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("odd") / "cube.zarr"
    odd().to_zarr(folder, zarr_format=2)
    entries = {"cube": {"url": str(folder)}, "moving": {"url": str(folder), "rewritten": True}}
    return serve(entries, SLUICE_CHUNK_CACHE_BYTES="0")


def test_what_was_not_seen_is_rough(oddities: Service) -> None:
    """One half has no values, the other has long ones: neither tells of the other."""
    downloaded(oddities, "variables=halves&lat=0:90", "csv")
    for other in ("lat=90:180", "lat=45:135", "lat=100&lon=7", ""):
        told = explained(oddities, f"variables=halves&{other}")["bytes"]
        assert told["ndjson"]["rough"] is True, other
    downloaded(oddities, "variables=halves&lat=90:180", "csv")
    for seen in ("lat=0:90", "lat=90:180", "lat=90:178", "lat=10:80&lon=3:200"):
        told = explained(oddities, f"variables=halves&{seen}")["bytes"]
        for f in TEXTS:
            assert told[f]["rough"] is False, (seen, f)
            sent = downloaded(oddities, f"variables=halves&{seen}", f)
            assert told[f]["size"] == pytest.approx(sent, rel=0.1)


@pytest.mark.parametrize(
    "query",
    [
        "variables=name",
        "variables=seen",
        "variables=name,seen&lat=4:90",
        "variables=one",
        "variables=word",
        "variables=one,word",
        "variables=code",
        "variables=lon",
        "variables=lon&lon=5:300",
        "variables=halves&lat=100,3,101,3&lon=5,6,7,8&pointwise=lat,lon",
        "variables=halves&lat=100,100,100",
        "variables=halves&lat=::-7&lon=350,2,9",
    ],
)
def test_any_answer_that_was_sent_is_told(oddities: Service, query: str) -> None:
    """Texts, instants, single values, points, coordinates alone: with nothing in memory."""
    for f in TEXTS:
        before = explained(oddities, query)["bytes"][f]
        sent = downloaded(oddities, query, f)
        assert before["rough"] or before["size"] == pytest.approx(sent, rel=0.1), f
    after = explained(oddities, query)["bytes"]
    for f in TEXTS:
        assert after[f]["rough"] is False, f
        assert after[f]["size"] == pytest.approx(downloaded(oddities, query, f), rel=0.1), f


def test_options_of_a_text_count(oddities: Service) -> None:
    query = "variables=halves&lat=100&f=csv&header=units&bom=true"
    sent = oddities.get(f"/datasets/cube/isel?{query}", headers=PLAIN)
    told = explained(oddities, query)["bytes"]["csv"]
    assert told == {"size": len(sent.content), "rough": False}


def test_what_is_rewritten_is_never_sure(oddities: Service) -> None:
    path = "/datasets/moving/isel?variables=halves"
    assert oddities.get(f"{path}&f=csv").status_code == 200
    assert oddities.get(f"{path}&explain=true").json()["bytes"]["csv"]["rough"] is True


def test_a_format_that_refuses_says_why(serve: Serve, store: Path) -> None:
    service = serve({"cube": store}, SLUICE_REQUEST_RESULT_BYTES=str(2**20))
    told = explained(service, "f=json")
    assert told["within_limits"] is False
    assert "refused" in told["bytes"]["json"]
    assert "refused" not in told["bytes"]["netcdf"]
    excess = told["excess"]
    assert (excess["limited"], excess["limit"], excess["dimension"]) == (
        "result_bytes",
        2**20,
        "lat",
    )
    assert 0 < excess["positions"] < excess["of"] == 200
    assert service.get(f"/datasets/cube/isel?f=json&lat=0:{excess['positions']}").status_code == 200
    more = service.get(f"/datasets/cube/isel?f=json&lat=0:{excess['positions'] + 1}")
    assert more.status_code == 413


def test_costs_are_told(service: Service) -> None:
    told = explained(service, "lat=3&lon=4&f=netcdf")
    assert (told["chunks"], told["decoded_chunks"], told["most_times"]) == (12, 12, 1)
    assert told["chunk_bytes"] <= told["memory_bytes"] + 2**20
    assert told["forecast"] == {"seconds": pytest.approx(0.0, abs=1.0), "rough": True}
    assert "excess" not in told
    downloaded(service, BOX, "json")
    assert explained(service, f"{BOX}&f=json")["forecast"]["rough"] is False


def test_a_million_labels_are_not_told(shared: Service) -> None:
    answer = shared.get("/datasets/long/isel?explain=true")
    assert len(answer.content) < 2000
    assert answer.json()["bytes"]["netcdf"]["size"] == downloaded(shared, "", "netcdf", "long")


@pytest.fixture(scope="module")
def globe(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("globe") / "cube.zarr"
    random, lon = np.random.default_rng(3), np.arange(0, 360, 5.0)
    when = np.datetime64("2024-01-01", "ns") + np.arange(10) * np.timedelta64(1, "h")
    ds = xr.Dataset(
        {
            "t": (("time", "lat", "lon"), random.normal(size=(10, 20, 72)) * 1e-7),
            "lon_bnds": (("lon", "nv"), np.stack([lon - 2.5, lon + 2.5], 1)),
            "since": (("time", "lat"), np.broadcast_to(when[:, None], (10, 20))),
            "count": (("time", "lat"), random.integers(0, 99, (10, 20))),
        },
        {
            "time": when,
            "lat": np.linspace(-90, 90, 20),
            "lon": ("lon", lon, {"units": "degrees_east", "bounds": "lon_bnds"}),
        },
    )
    ds.to_zarr(folder, zarr_format=2)
    return serve({"cube": folder}, SLUICE_REQUEST_RESULT_BYTES=str(20_000))


@pytest.mark.parametrize("f", ["netcdf", "netcdf3", "bin", "bin&pack=u1&range=0,1"])
@pytest.mark.parametrize("query", ["lon=-20/20", "lon=-20/20&variables=t", "lon=300/420&lat=0/90"])
def test_across_the_seam_sizes_are_exact(globe: Service, query: str, f: str) -> None:
    """The labels of the answer are known, and its bounds are as long as those in the store."""
    path = f"/datasets/cube/sel?{query}&variables=t,lon_bnds&f={f}"
    if "variables" in query:
        path = path.replace("&variables=t,lon_bnds", "")
    name = f.partition("&")[0]
    told = globe.get(f"{path}&explain=true").json()["bytes"][name]
    length = globe.client.head(path, headers=PLAIN).headers["content-length"]
    sent = globe.get(path, headers=PLAIN)
    assert sent.status_code == 200, sent.text[:200]
    assert told == {"size": len(sent.content), "rough": False}
    assert int(length) == len(sent.content)


@pytest.mark.parametrize("pack", ["u1", "i2", "f4", "u1&range=-1e-7,1e-7"])
@pytest.mark.parametrize("query", ["time=2:7", "time=0&lat=3", "time=1&lat=1&lon=1", "lat=5:9"])
def test_packed_arrays_have_an_exact_size(globe: Service, query: str, pack: str) -> None:
    """Whatever the values are: without a range they decide on the numbers in the header."""
    path = f"/datasets/cube/isel?variables=t&f=bin&pack={pack}&{query}"
    told = globe.get(f"{path}&explain=true").json()
    sent = globe.get(path, headers=PLAIN)
    assert sent.status_code == 200, sent.text
    assert told["bytes"]["bin"] == {"size": len(sent.content), "rough": False}


def test_packed_arrays_count_as_what_they_are(globe: Service) -> None:
    """14,400 values of eight bytes are too many for this server, and of one byte they are not."""
    told = globe.get("/datasets/cube/isel?explain=true&variables=t&f=bin&pack=u1").json()
    assert 14_400 < told["result_bytes"] < 20_000
    assert told["within_limits"] is True
    more = globe.get("/datasets/cube/isel?variables=t&f=bin&pack=i2")
    assert (more.status_code, more.json()["limited"]) == (413, "result_bytes")


@pytest.mark.parametrize("query", ["variables=t&time=0", "variables=since", "variables=count"])
def test_a_classic_file_has_its_size(globe: Service, query: str) -> None:
    """At once, or once its values are known: integers of 64 bits decide how they are written."""
    before = globe.get(f"/datasets/cube/isel?{query}&explain=true").json()["bytes"]["netcdf3"]
    sent = downloaded(globe, query, "netcdf3")
    assert before["rough"] is (query != "variables=t&time=0")
    assert before["rough"] or before["size"] == sent
    after = globe.get(f"/datasets/cube/isel?{query}&explain=true").json()["bytes"]["netcdf3"]
    assert after == {"size": sent, "rough": False}
