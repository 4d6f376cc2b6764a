"""A label is accepted as an answer prints it, whatever the store keeps it as; under any method."""

from __future__ import annotations

import base64
import csv
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.dtype import VariableLengthBytes

from tests.blackbox.conftest import Serve, Service

FORMATS = (2, 3)
IDS = ["KJFK", "EDDF", "LFPG", "ZBAA"]
# What is no UTF-8; its base64 in either alphabet, as text; what begins as base64 is marked.
ODD = [b"S\xe3o", b"U+Nv", b"U-Nv", "Zürich".encode(), b"base64url:U-Nv", b"\xff\xfe\xfd", b""]
# Text: plain, like the base64 of bytes, halves of pairs, and what stands for those elsewhere.
TEXTS = ["KJFK", "base64url:U-Nv", "base64url:", "base64url:7aCA", "xbase64url:", "Base64url:U-Nv"]
HALVES = ["\ud800", "\udce3", "\ufffd", "a\ud800", "a\ufffd", "\U0001f600"]
LATITUDES = [10.0, 20.0, 30.0]
VALUES = np.arange(12.0).reshape(4, 3)


# Halves of pairs fit into text of a fixed width alone: that of any width is UTF-8 in a store.
TEXT_KINDS = {
    "textsU": np.array([*TEXTS, *HALVES]),
    "textsO": np.array(TEXTS, dtype=object),
    "textsT": np.array(TEXTS, dtype=np.dtypes.StringDType()),
}


def stations(path: Path, zarr_format: int, ids: Any) -> Path:
    """Values by station and latitude, the stations named by `ids` of any dtype."""
    ds = xr.Dataset({"t": (("station", "lat"), VALUES)}, coords={"station": ids, "lat": LATITUDES})
    ds.to_zarr(path, zarr_format=zarr_format, consolidated=True)
    return path


def characters(path: Path, zarr_format: int) -> Path:
    """Stations named by an array of single characters, as netCDF-3 has them."""
    stations(path, zarr_format, [0, 1, 2, 3])
    group = zarr.open_group(path, mode="a", zarr_format=zarr_format)  # type: ignore[arg-type]
    letters = np.array([[letter.encode() for letter in name] for name in IDS])
    dims = ["station", "letter"]
    named: dict[str, Any] = {"dimension_names": dims} if zarr_format == 3 else {}
    del group["station"]
    array = group.create_array("station", shape=letters.shape, dtype="S1", **named)
    array[...] = letters
    if zarr_format == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = dims
    zarr.consolidate_metadata(path, zarr_format=zarr_format)  # type: ignore[arg-type]
    return path


def lengthy(path: Path, zarr_format: int) -> Path:
    """Stations named by bytes of any length, which come as objects."""
    stations(path, zarr_format, [0, 1, 2, 3])
    group = zarr.open_group(path, mode="a", zarr_format=zarr_format)  # type: ignore[arg-type]
    named: dict[str, Any] = {"dimension_names": ["station"]} if zarr_format == 3 else {}
    del group["station"]
    array = group.create_array("station", shape=(4,), dtype=VariableLengthBytes(), **named)
    array[...] = np.array([name.encode() for name in IDS], dtype=object)
    if zarr_format == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = ["station"]
    zarr.consolidate_metadata(path, zarr_format=zarr_format)  # type: ignore[arg-type]
    return path


def odd(path: Path, zarr_format: int) -> Path:
    """Bytes of every kind, on an axis and in a variable."""
    ids = np.array(ODD)
    ds = xr.Dataset({"n": ("id", np.arange(len(ODD))), "b": ("id", ids)}, coords={"id": ids})
    ds.to_zarr(path, zarr_format=zarr_format, consolidated=True)
    return path


def texts(path: Path, zarr_format: int, ids: Any) -> Path:
    """Texts of every kind, on an axis and in a variable of one and of two dimensions."""
    numbers = ("id", np.arange(len(ids)))
    ds = xr.Dataset({"n": numbers, "b": ("id", ids), "c": (("id", "one"), ids[:, None])})
    ds = ds.assign_coords(id=ids)
    ds.to_zarr(path, zarr_format=zarr_format, consolidated=True)
    return path


def axes(path: Path) -> Path:
    """Axes without distances beside one that has them: truths, and dates out of order."""
    times = xr.date_range("2001-02-27", periods=4, calendar="360_day", use_cftime=True)
    values = np.arange(24.0).reshape(2, 4, 3)
    ds = xr.Dataset(
        {"t": (("wet", "time", "lat"), values)},
        coords={"wet": [True, False], "time": times[[2, 0, 3, 1]], "lat": LATITUDES},
    )
    ds.to_zarr(path, zarr_format=2)
    return path


def gaps(path: Path) -> Path:
    """Axes of which labels are missing: rising, and out of order."""
    coords = {"lat": [10.0, np.nan, 30.0, np.nan], "depth": [5.0, np.nan, 1.0, 3.0]}
    ds = xr.Dataset({"t": (("lat", "depth"), np.zeros((4, 4)))}, coords=coords)
    ds.to_zarr(path, zarr_format=3, consolidated=True)
    return path


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A server over all of them, each in both formats."""
    folder = tmp_path_factory.mktemp("labels")
    kinds = {
        "bytes": np.array([name.encode() for name in IDS]),
        "fixed": np.array(IDS),
        "text": np.array(IDS, dtype=object),
    }
    with warnings.catch_warnings():
        # zarr and xarray warn about types that the specifications lack.
        warnings.simplefilter("ignore")
        stores = {"axes": axes(folder / "axes.zarr"), "gaps": gaps(folder / "gaps.zarr")}
        for number in FORMATS:
            for kind, ids in kinds.items():
                stores[f"{kind}{number}"] = stations(folder / f"{kind}{number}.zarr", number, ids)
            stores[f"letters{number}"] = characters(folder / f"letters{number}.zarr", number)
            stores[f"lengthy{number}"] = lengthy(folder / f"lengthy{number}.zarr", number)
            for kind, ids in TEXT_KINDS.items():
                stores[f"{kind}{number}"] = texts(folder / f"{kind}{number}.zarr", number, ids)
            stores[f"odd{number}"] = odd(folder / f"odd{number}.zarr", number)
    return serve(stores)


KINDS = ("bytes", "fixed", "text", "letters", "lengthy")
STORES = [f"{kind}{number}" for kind in KINDS for number in FORMATS]


@pytest.mark.parametrize("store", STORES)
def test_a_station_by_its_name(service: Service, store: str) -> None:
    """One, a list, an interval, points, by GET and POST; beside a method that is for latitudes."""
    path = f"/datasets/{store}/sel"
    asked: list[tuple[dict[str, Any], Any]] = [
        ({"station": "LFPG"}, VALUES[2].tolist()),
        ({"station": "LFPG,KJFK"}, VALUES[[2, 0]].tolist()),
        ({"station": "LFPG", "lat": "nearest::21"}, 7.0),
        ({"station": "LFPG", "lat": "21", "method": "nearest"}, 7.0),
        ({"station": "LFPG", "lat": "21", "method": "pad", "tolerance": "lat:2"}, 7.0),
        ({"station": "LFPG,EDDF", "lat": "21", "method": "nearest"}, [7.0, 4.0]),
        ({"station": "nearest::LFPG", "lat": "20"}, 7.0),
        (
            {"station": "LFPG,EDDF", "lat": "9,31", "method": "nearest"}
            | {"pointwise": "station,lat", "tolerance": "lat:1"},
            [6.0, 5.0],
        ),
    ]
    for parameters, wanted in asked:
        for answer in (
            service.get(path, params=parameters),
            service.client.post(path, json=parameters),
        ):
            assert answer.status_code == 200, answer.text
            assert answer.json()["data_vars"]["t"]["data"] == wanted
    listed = service.client.post(path, json={"station": ["ZBAA", "KJFK"], "lat": 10})
    assert listed.json()["coords"]["station"]["data"] == ["ZBAA", "KJFK"]
    described = service.get(f"/datasets/{store}").json()["coords"]["station"]
    assert (described["min"], described["max"]) == ("EDDF", "ZBAA")


@pytest.mark.parametrize("store", STORES)
def test_a_station_that_is_not_there(service: Service, store: str) -> None:
    """Under a method too it is refused, with the names around it; text has no tolerance."""
    path = f"/datasets/{store}/sel"
    for query in ("station=LFPO", "station=LFPO&method=nearest", "station=nearest::KJFK,LFPO"):
        answer = service.get(f"{path}?{query}")
        assert answer.status_code == 422
        problem = answer.json()
        assert (problem["dimension"], problem["label"]) == ("station", "LFPO")
        assert problem["nearest"] == ["LFPG", "ZBAA"]
        assert ("nearest" in query) == ("no method nearest" in problem["detail"])
    answer = service.get(f"{path}?station=LFPG&method=nearest&tolerance=station:1")
    assert answer.status_code == 422
    assert "station has no distances" in answer.json()["detail"]


@pytest.mark.parametrize("number", FORMATS)
def test_no_two_values_look_alike(service: Service, number: int) -> None:
    """In JSON and CSV each is another text, which as a label leads back to it."""
    path = f"/datasets/odd{number}"
    document = service.get(f"{path}/isel").json()
    printed = document["data_vars"]["b"]["data"]
    assert document["coords"]["id"]["data"] == printed
    assert printed == [
        *["base64url:U-Nv", "U+Nv", "U-Nv", "Zürich"],
        *["base64url:YmFzZTY0dXJsOlUtTnY=", "base64url:__79", ""],
    ]
    rows = list(csv.reader(io.StringIO(service.get(f"{path}/isel?f=csv").text)))
    assert [row[rows[0].index("id")] for row in rows[1:]] == printed
    for place, label in enumerate(printed):
        for written in (f'"{label}"', label)[: 1 + bool(label)]:
            answer = service.get(f"{path}/sel", params={"id": written})
            assert answer.status_code == 200, answer.text
            assert answer.json()["data_vars"]["n"]["data"] == place
            answer = service.client.post(f"{path}/sel", json={"id": [written], "f": "csv"})
            assert label in answer.text
    explained = service.get(f"{path}/sel", params={"id": printed[0], "explain": "true"}).json()
    assert explained["coords"]["id"]["data"] == printed[0]
    described = service.get(path).json()["coords"]["id"]
    assert {described["min"], described["max"]} <= set(printed)
    nearest = service.get(f"{path}/sel", params={"id": "base64url:U-Nw"}).json()["nearest"]
    assert nearest[0] == "base64url:U-Nv"


def coded(text: str) -> str:
    """What an answer writes for a text."""
    encoded = text.encode(errors="surrogatepass")
    if encoded.decode(errors="ignore") == text and not text.startswith("base64url:"):
        return text
    return "base64url:" + base64.urlsafe_b64encode(encoded).decode()


@pytest.mark.parametrize("kind", TEXT_KINDS)
@pytest.mark.parametrize("number", FORMATS)
def test_no_two_texts_look_alike(service: Service, tmp_path: Path, kind: str, number: int) -> None:
    """Neither text like base64 nor lone surrogates: each is another text, and leads back."""
    path = f"/datasets/{kind}{number}"
    document = service.get(f"{path}/isel").json()
    printed = document["coords"]["id"]["data"]
    assert printed == [coded(text) for text in TEXT_KINDS[kind].tolist()]
    assert len({*printed}) == len(printed)
    assert document["data_vars"]["b"]["data"] == printed
    assert document["data_vars"]["c"]["data"] == [[text] for text in printed]
    rows = list(csv.reader(io.StringIO(service.get(f"{path}/isel?f=csv&variables=n,b").text)))
    assert [row[rows[0].index("id")] for row in rows[1:]] == printed
    assert [row[rows[0].index("b")] for row in rows[1:]] == printed
    for place, label in enumerate(printed):
        for answer in (
            service.get(f"{path}/sel", params={"id": label}),
            service.client.post(f"{path}/sel", json={"id": label}),
        ):
            assert answer.status_code == 200, answer.text
            assert answer.json()["data_vars"]["n"]["data"] == place
            assert answer.json()["coords"]["id"]["data"] == label
            assert answer.json()["data_vars"]["b"]["data"] == label
    explained = service.get(f"{path}/isel?explain=true").json()["coords"]["id"]
    assert explained["data"] == printed
    assert explained["dtype"] == document["coords"]["id"]["dtype"]
    assert explained["dtype"] == service.get(path).json()["coords"]["id"]["dtype"]
    described = service.get(path).json()["coords"]["id"]
    assert {described["min"], described["max"]} <= {*printed}
    refused = service.get(f"{path}/sel", params={"id": "base64url:U-Nw"}).json()
    assert refused["label"] == "base64url:U-Nw"
    assert {*refused["nearest"]} <= {*printed}
    (tmp_path / "answer.nc").write_bytes(service.get(f"{path}/isel?f=netcdf").content)
    with xr.open_dataset(tmp_path / "answer.nc", engine="h5netcdf") as found:
        kept = [
            text if coded(text) != text and text in TEXTS else coded(text)
            for text in TEXT_KINDS[kind].tolist()
        ]
        assert found["b"].values.tolist() == found["id"].values.tolist() == kept


def test_other_axes_without_distances(service: Service) -> None:
    """Truths, and dates that are out of order, are taken exactly beside a method."""
    path = "/datasets/axes/sel?lat=21&method=nearest"
    for query, wanted in (
        ("wet=false&time=2001-02-28T00:00Z", 22.0),
        ("wet=true&time=2001-02-29T00:00:00", 1.0),
        ("wet=false,true&time=2001-02-30", [19.0, 7.0]),
    ):
        answer = service.get(f"{path}&{query}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["data_vars"]["t"]["data"] == wanted
    answer = service.get(f"{path}&time=2001-02-28T05:00Z")
    assert answer.status_code == 422
    assert "unsorted" in json.dumps(answer.json())


def test_why_an_axis_has_no_method(service: Service) -> None:
    """Missing labels are named as such; an axis that is out of order is."""
    path = "/datasets/gaps/sel?method=nearest"
    for query, why in (
        ("lat=11", "since 2 of its 4 labels are missing, no method nearest applies"),
        ("depth=4", "since its labels are unsorted, no method nearest applies"),
    ):
        answer = service.get(f"{path}&{query}")
        assert answer.status_code == 422
        assert why in answer.json()["detail"]
