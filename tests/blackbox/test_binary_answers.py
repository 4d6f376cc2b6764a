"""Tensors, npy files and pictures over HTTP: other readers find the store's values in them."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr
import zarr
from PIL import Image
from safetensors.numpy import load

from .conftest import Serve, Service

PLAIN = {"Accept-Encoding": "identity"}
CODED = {"Accept-Encoding": "gzip"}


def cube() -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(60, 200, 400)) * 10
    values[3:5, 20:40] = np.nan
    return xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values.round(2), {"units": "K"}),
            "flag": (("lat", "lon"), values[0] > 0),
            "crs": ((), 4326),
        },
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(60) * np.timedelta64(6, "h"),
            "lat": np.linspace(-90, 90, 200, dtype="f4"),
            "lon": np.arange(400) * 0.9,
            "name": ("time", [f"step {n}" for n in range(60)]),
        },
        attrs={"title": "a cube"},
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    found = {"maps": folder / "maps.zarr", "v1.2": folder / "dots.zarr", "wide": folder / "wide"}
    ds = cube()
    ds.t.encoding = {"chunks": (1, 200, 400), "dtype": "i2", "scale_factor": 0.01}
    ds.t.encoding["_FillValue"] = -32768
    ds.to_zarr(found["maps"], zarr_format=2)
    ds.isel(time=slice(3)).drop_vars("name").to_zarr(found["v1.2"], zarr_format=2)
    # Of which nothing is stored: all is fill value.
    group = zarr.open_group(found["wide"], mode="w", zarr_format=2)
    wide = group.create_array("t", shape=(2000, 400, 400), chunks=(2000, 10, 10), dtype="f4")
    wide.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
    return found


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    return serve(stores)


def get(service: Service, path: str, **headers: str) -> httpx.Response:
    answer = service.get(f"/datasets/{path}", headers={**PLAIN, **headers})
    assert answer.status_code in (200, 206), answer.text
    return answer


def told_of(content: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    found: dict[str, Any] = json.loads(header["__metadata__"]["dataset"])
    return found


def test_tensors_are_the_store(service: Service, stores: dict[str, Path]) -> None:
    answer = get(service, "maps/isel.bin")
    assert answer.headers["content-type"] == "application/vnd.sluice.tensors"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"].endswith('.bin"')
    arrays, told = load(answer.content), told_of(answer.content)
    with xr.open_zarr(stores["maps"]) as store:
        assert set(told["variables"]) == set(map(str, store.variables))
        assert set(told["coords"]) == set(map(str, store.coords))
        assert told["attrs"] == {"title": "a cube"}
        for name in ("t", "flag", "crs", "lat", "lon"):
            np.testing.assert_array_equal(arrays[name], store[name].values)
            assert told["variables"][name]["dims"] == list(store[name].dims)
            assert told["variables"][name]["dtype"] == str(store[name].dtype)
        assert told["variables"]["name"]["data"] == store.name.values.tolist()
        assert told["variables"]["t"]["attrs"] == {"units": "K"}
        when = told["variables"]["time"]
        decoded = xr.decode_cf(xr.Dataset({"time": ("time", arrays["time"], {
            "units": when["units"], "calendar": when["calendar"]})}))  # fmt: skip
        np.testing.assert_array_equal(decoded.time.values, store.time.values)


@pytest.mark.parametrize(
    "path",
    [
        "maps/isel.bin?variables=t",
        "maps/isel.bin?variables=t&pack=f4",
        "maps/isel.bin?variables=t&pack=u1&range=-20,20&isel[lat]=::-1",
        "maps/isel.npy?variables=t",
        "maps/isel.npy?variables=t&time=3,1,2",
    ],
)
def test_lengths_and_parts_are_those_of_the_file(service: Service, path: str) -> None:
    whole = get(service, path)
    if ".bin" not in path:
        head = service.client.head(f"/datasets/{path}", headers=PLAIN)
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert head.headers["etag"] == whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    for first, last in ((0, 9), (1000, 70_000), (len(whole.content) - 5, None)):
        part = get(service, path, Range=f"bytes={first}-{'' if last is None else last}")
        assert part.status_code == 206
        assert part.content == whole.content[first : None if last is None else last + 1]


def test_a_head_tells_the_length_where_no_text_decides_it(service: Service) -> None:
    for query in ("", "&pack=i2&range=-20,20", "&pack=u1", "&pack=i2"):
        path = f"/datasets/v1.2/sel.bin?variables=t{query}"
        head = service.client.head(path, headers=PLAIN)
        assert head.headers["content-length"] == str(len(service.get(path, headers=PLAIN).content))
        # What values decide is made whole.
        assert ("accept-ranges" in head.headers) == ("pack" not in query or "range" in query)


@pytest.mark.parametrize(("pack", "missing", "most"), [("u1", 255, 254), ("i2", -32768, 65534)])
@pytest.mark.parametrize("ends", [None, (-15, 15)])
def test_packed_numbers_are_told_how(
    service: Service, pack: str, missing: int, most: int, ends: tuple[int, int] | None
) -> None:
    query = "" if ends is None else f"&range={ends[0]},{ends[1]}"
    answer = get(service, f"maps/isel.bin?time=3&variables=t&pack={pack}{query}")
    stored, told = load(answer.content)["t"], told_of(answer.content)["variables"]["t"]
    values = cube().t.values[3]
    low, high = ends or (np.nanmin(values), np.nanmax(values))
    assert stored.dtype == pack
    assert told["scale"] == pytest.approx((high - low) / most)
    np.testing.assert_array_equal(stored == missing, np.isnan(values))
    read = told["offset"] + told["scale"] * stored.astype("f8")
    error = np.abs(read - np.clip(values, low, high))[~np.isnan(values)]
    assert error.max() <= told["scale"] * 0.5001
    # Without a range the values decide: the answer is made whole, and has no parts.
    assert ("accept-ranges" in answer.headers) == (ends is not None)


def test_numpy_loads_one_variable(service: Service, stores: dict[str, Path]) -> None:
    with xr.open_zarr(stores["maps"]) as store:
        for name in ("t", "flag", "lat"):
            answer = get(service, f"maps/sel.npy?variables={name}")
            assert answer.headers["content-type"] == "application/x-npy"
            found = np.load(io.BytesIO(answer.content))
            np.testing.assert_array_equal(found, store[name].values)
            assert found.dtype == store[name].dtype
    when = np.load(io.BytesIO(get(service, "v1.2/sel.npy?variables=time").content))
    np.testing.assert_array_equal(when, cube().time.values[:3])


def test_pictures_are_north_up_and_never_coded(service: Service) -> None:
    path = "/datasets/maps/isel?variables=t&time=3&range=-20,20&cmap=gray"
    answer = service.get(path, headers={**CODED, "Accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-disposition"].startswith("inline")
    assert get(service, "maps/isel.png?variables=t&time=3&range=-20,20&cmap=gray").content == (
        answer.content
    )
    seen = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
    values = cube().t.values[3][::-1]
    missing = np.isnan(values)
    np.testing.assert_array_equal(seen[..., 3], np.where(missing, 0, 255))
    wanted = np.clip(np.where(missing, 0, values) / 40 + 0.5, 0, 1) * 255
    assert np.abs(seen[..., 0] - wanted)[~missing].max() <= 1.5
    reversed_ = get(service, "maps/isel.png?variables=t&time=3&range=-20,20&cmap=gray_r").content
    other = np.asarray(Image.open(io.BytesIO(reversed_)).convert("RGBA"))
    assert (seen[~missing][:, 0] + other[~missing][:, 0] == 255).all()


def test_large_arrays_have_no_coding_and_small_ones_have(service: Service) -> None:
    for suffix in ("bin", "npy"):
        for query, coded in (("", False), ("&time=0:4", True)):
            path = f"/datasets/maps/isel.{suffix}?variables=t{query}"
            with service.client.stream("GET", path, headers=CODED) as answer:
                assert ("content-encoding" in answer.headers) == coded


def test_what_would_decode_chunks_too_often_leads_to_netcdf(service: Service) -> None:
    for suffix in ("bin", "npy"):
        answer = service.get(f"/datasets/wide/sel.{suffix}")
        assert answer.status_code == 413
        assert answer.json()["known"] == ["netcdf"]
        assert "f=netcdf" in answer.json()["detail"]
    assert service.client.head("/datasets/wide/sel.nc", headers=PLAIN).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("maps/sel.npy", 422, "variables=crs"),
        ("maps/sel.png?variables=t", 422, "isel[time]=0"),
        ("maps/sel.png?variables=crs", 422, "whole"),
        ("maps/sel.npy?variables=name", 422, "f=bin"),
        ("v1.2/sel.png?variables=time", 406, "json"),
        ("maps/sel.png?variables=t&isel[time]=0&cmap=jet", 400, "viridis"),
        ("maps/sel.bin?pack=u3", 400, "u1 or i2 or f4"),
        ("maps/sel.bin?range=1,2", 400, "leave range out"),
        ("maps/sel.bin?pack=u1&range=2,1", 400, "250,310"),
        ("maps/sel.bin?pack=u1&range=nan,1", 400, "250,310"),
        ("maps/sel.csv?pack=u1", 400, "f=bin"),
        ("maps/sel.nc?f=csv", 400, "leave one of them out"),
        ("maps/sel.nc?f=netcdf3", 400, "its own suffix is .nc3"),
        ("maps/sel.json?f=columns", 400, "its own suffix is .columns.json"),
        ("maps/sel.csv?f=ndjson", 400, "which is f=csv; its own suffix is .ndjson"),
        ("maps/sel.txt", 404, ".png"),
        ("maps/sel.jpg", 404, "No format has the suffix '.jpg';"),
        ("maps/sel?f=nc", 400, "f='nc' is no format; did you mean netcdf?"),
        ("maps/sel?f=columns.json", 400, "did you mean columns?"),
        ("maps/sel?f=safetensors", 400, "did you mean bin?"),
        ("maps/sel?f=tensors", 400, "did you mean bin?"),
        ("maps/sel?f=zarr", 400, "f='zarr' is no format; the formats are json"),
        ("maps/sel.bin?variables=t&pack=u1&range=-1.7e308,1.7e308", 422, "smaller range"),
        ("maps/sel.tar.gz", 404, ".png"),
        ("wide/sel.png?isel[x]=0&isel[y]=0,1&isel[time]=::1&f=png", 200, ""),
        ("nothing/sel.png", 404, "/datasets"),
    ],
)
def test_refusals_lead_on(service: Service, path: str, status: int, words: str) -> None:
    answer = service.get(f"/datasets/{path}")
    assert answer.status_code == status
    assert words in (answer.json()["detail"] if status != 200 else "")


@pytest.mark.parametrize("word", ["sel", "isel"])
def test_a_suffix_is_a_format(service: Service, word: str) -> None:
    """For GET, HEAD and POST, and for ids with dots; `f` may say the same again."""
    query = {"variables": "t", "isel[time]": "0"}
    types = {"nc": "netcdf", "csv": "csv", "json": "json", "png": "png", "bin": "bin", "npy": "npy"}
    types |= {"nc3": "netcdf3", "columns.json": "columns", "ndjson": "ndjson"}
    for suffix, name in types.items():
        path = f"/datasets/v1.2/{word}"
        plain = service.get(path, params={**query, "f": name}, headers=PLAIN)
        answer = service.get(f"{path}.{suffix}", params=query, headers=PLAIN)
        assert (answer.status_code, plain.status_code) == (200, 200)
        assert answer.content == plain.content
        for header in ("content-type", "etag"):
            assert answer.headers[header] == plain.headers[header]
        again = service.get(f"{path}.{suffix}", params={**query, "f": name}, headers=PLAIN)
        assert again.content == plain.content
        posted = service.client.post(f"{path}.{suffix}", json=query, headers=PLAIN)
        assert posted.content == plain.content
        head = service.client.head(f"{path}.{suffix}", params=query, headers=PLAIN)
        assert head.headers["etag"] == plain.headers["etag"]


def test_explanations_are_of_these_formats_too(service: Service) -> None:
    for path in ("sel.bin?pack=u1&range=1,2", "sel.npy?variables=t", "sel.png?variables=flag"):
        answer = service.get(f"/datasets/maps/{path}&explain=true")
        assert answer.status_code == 200, answer.text
        assert answer.json()["within_limits"] is True


def test_a_range_can_be_an_array_in_a_body(service: Service) -> None:
    query = {"variables": "t", "time": 3, "pack": "u1"}
    posted = service.client.post("/datasets/maps/isel.bin", json={**query, "range": [-15, 15]})
    asked = get(service, "maps/isel.bin?variables=t&time=3&pack=u1&range=-15,15")
    assert posted.content == asked.content
