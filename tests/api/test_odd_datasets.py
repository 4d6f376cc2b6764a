"""Datasets of every odd kind: whatever is asked of them, the answer is valid and never a 500."""

from __future__ import annotations

import asyncio
import json
import random
import re
import warnings
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr

from app.api.server_examples import with_examples
from app.settings import Settings
from sluice import Filesystems, open_dataset
from sluice.engine import PreparedDataset, prepare
from tests.api.conftest import serving


def texts() -> xr.Dataset:
    """String and bool axes; values that are text, bytes, complex and half precision."""
    return xr.Dataset(
        {
            "a": (("place", "k"), np.arange(12.0).reshape(3, 4)),
            "s": ("place", ["x", "é", ""]),
            "c": ("k", np.array([1 + 2j, 2, 3, np.nan])),
            "h": ("k", np.arange(4).astype("f2")),
            "b": ("k", np.array([b"ab", b"\xff", b"", b"d"])),
        },
        {"place": ["B", "a", "c,d"], "k": [True, False, True, False]},
    )


def calendar() -> xr.Dataset:
    """A 360-day calendar, two-dimensional latitudes, dimensions without a coordinate."""
    time = xr.date_range("2001-02-27", periods=5, calendar="360_day", use_cftime=True)
    return xr.Dataset(
        {"a": (("time", "y", "x"), np.arange(60, dtype="f4").reshape(5, 3, 4))},
        {
            "time": time,
            "lat": (("y", "x"), np.arange(12.0).reshape(3, 4)),
            "ref": np.datetime64("2020-01-01", "ns"),
        },
    )


def unsorted() -> xr.Dataset:
    """Labels out of order, twice, missing; timedeltas; the largest integers."""
    return xr.Dataset(
        {"a": (("x", "t", "u"), np.arange(24, dtype="u8").reshape(4, 3, 2) + 2**63)},
        {
            "x": [3.0, 1.0, np.nan, 1.0],
            "t": np.array([0, 6, 12], "m8[h]").astype("m8[ns]"),
            "u": np.array([2**64 - 1, 0], "u8"),
        },
    )


def empty() -> xr.Dataset:
    """An axis without labels."""
    return xr.Dataset({"a": (("x", "y"), np.zeros((0, 3)))}, {"x": np.zeros(0), "y": [1, 2, 3]})


def scalar() -> xr.Dataset:
    """No dimension at all, and attributes that NetCDF does not know."""
    attrs = {"nested": {"a": [1, None, {"b": 2}]}, "flag": True, "none": None}
    return xr.Dataset({"a": 5.0, "n": np.nan}, attrs=attrs)


def nothing() -> xr.Dataset:
    """No variable at all."""
    return xr.Dataset(attrs={"x": 1})


def missing_times() -> xr.Dataset:
    """Instants that are missing, on the axis and in the data."""
    times = np.array(["2020-01-01", "NaT", "2021-01-01"], "M8[ns]")
    return xr.Dataset({"a": ("time", [1, 2, 3]), "when": ("time", times)}, {"time": times})


def parameters() -> xr.Dataset:
    """Dimensions that are named like parameters."""
    return xr.Dataset({"a": (("f", "variables"), np.arange(4.0).reshape(2, 2))}, {"f": [1, 2]})


def degrees() -> xr.Dataset:
    """Axes in degrees whose ends are no numbers of degrees."""
    return xr.Dataset(
        {"a": (("lat", "lon"), np.zeros((2, 3)))},
        {
            "lat": ("lat", [-np.inf, 1.0], {"units": "degrees_north"}),
            "lon": ("lon", ["a", "b", "c"], {"units": "degrees_east"}),
        },
    )


MAKERS = (texts, calendar, unsorted, empty, scalar, nothing, missing_times, parameters, degrees)
DATASETS = {make.__name__: make for make in MAKERS}

# Per dataset and dimension, labels that mean something on it, or nearly.
LABELS = {
    "texts": {"place": ["a", "B", '"c,d"', "a/B", "../a"], "k": ["true", "0", "0:2"]},
    "calendar": {
        "time": ["2001-02-30", "2001-02", "2001-02-28T00:00Z", "nearest::2001-02-29T05:00Z",
                 "2001/..", "pad::2001-02-28", "2001-02-27/2001-02-29/2"],
        "y": ["0", "-1", "0:2", "::-1"],
        "x": ["1,2", "0:9:3"],
    },
    "unsorted": {
        "x": ["3", "1", "1/3", "../2", "3,1", "..", "nearest::3"],
        "t": ["PT6H", "PT0H/PT7H", "nearest::PT5H", "PT6H,PT0H", "P0D"],
        "u": ["18446744073709551615", "0", "0/1", "nearest::1"],
    },
    "empty": {"x": ["0", "0/1", "..", "nearest::1"], "y": ["1", "1,3", "nearest::2.5", "1/2"]},
    "scalar": {"a": ["1"]},
    "nothing": {"x": ["1"]},
    "missing_times": {
        "time": ["2020", "2020-01-01T00:00:00Z", "2020/2021", "nearest::2020-05-01", "2021,2020"],
    },
    "parameters": {"f": ["1", "json"], "variables": ["0", "a"]},
    "degrees": {"lat": ["1", "1/..", "nearest::1e300", "inf"], "lon": ["a", "a/c", "0"]},
}  # fmt: skip
POSITIONS = ["0", "-1", "1", "0:2", "::-1", "1,0", "5", "-9", ":", "2:1", "::0", "9" * 30]
VARIABLES = ["a", "a,s", "time", "x", "h,b", "c", "ref", "when", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of all of them, in both formats of Zarr by turns."""
    folder = tmp_path_factory.mktemp("odd")
    for number, (name, make) in enumerate(DATASETS.items()):
        with warnings.catch_warnings():
            # zarr and xarray warn about types that the specifications lack.
            warnings.simplefilter("ignore")
            make().to_zarr(folder / f"{name}.zarr", zarr_format=2 + number % 2)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    """A client of a server over all of them."""
    catalog = folder / "catalog.yaml"
    # Half a surrogate pair, as YAML and JSON can write it.
    odd = 'title: "\\ud800", description: "\\udfff"'
    catalog.write_text(
        "datasets:\n" + "".join(f"  {n}: {{url: {n}.zarr, {odd}}}\n" for n in DATASETS)
    )
    with serving(Settings(catalog=catalog)) as client:
        yield client


def check(answer: httpx.Response) -> None:
    """No server error, and no NaN in what calls itself JSON."""
    assert answer.status_code < 500, f"{answer.request.url}: {answer.text}"
    if "json" in answer.headers["content-type"]:
        json.loads(answer.text, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


@pytest.mark.parametrize("name", DATASETS)
def test_it_describes_itself(client: httpx.Client, name: str) -> None:
    """`/datasets/{id}` answers for every kind of axis, attribute and variable."""
    answer = client.get(f"/datasets/{name}")
    check(answer)
    assert answer.json()["dims"] == dict(DATASETS[name]().sizes)


def test_it_has_pages(client: httpx.Client) -> None:
    """Each has a page and a view of its own, and a card on the page of all that are open."""
    for path in (*(f"/{page}/{name}" for name in DATASETS for page in ("explore", "embed")), "/"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert answer.headers["content-type"].startswith("text/html")
        for ahead in re.findall(r'rel="preload" as="fetch"[^>]* href="\.\./([^"]*)"', answer.text):
            assert client.get(unescape(f"/{ahead}")).status_code == 200, ahead


@pytest.mark.parametrize("name", DATASETS)
def test_it_is_served_whole(client: httpx.Client, name: str) -> None:
    """All of it comes as JSON, and as NetCDF but for complex values, which NetCDF lacks."""
    answer = client.get(f"/datasets/{name}/isel")
    check(answer)
    assert answer.status_code == 200
    answer = client.get(f"/datasets/{name}/isel?f=netcdf")
    check(answer)
    assert answer.status_code == (406 if name == "texts" else 200)


async def prepared(store: Path) -> PreparedDataset:
    async with Filesystems() as filesystems:
        source = await filesystems.source(str(store), storage_options={})
        return prepare(await open_dataset(source, on_unusable="leave_out"))


@pytest.mark.parametrize("name", DATASETS)
def test_the_examples_of_it_are_answered(folder: Path, client: httpx.Client, name: str) -> None:
    """The requests that `/docs` would make of it, if it were the first."""
    document = client.get("/openapi.json").json()
    with_examples(document, name, asyncio.run(prepared(folder / f"{name}.zarr")))
    for word in ("sel", "isel"):
        operation = document["paths"][f"/datasets/{{dataset_id}}/{word}"]["get"]
        by_name = {one["name"]: one for one in operation["parameters"]}
        if by_name["dataset_id"]["example"] != name:
            continue  # it has no variable of numbers
        for example in by_name["selection"]["examples"].values():
            answer = client.get(f"/datasets/{name}/{word}", params=example["value"])
            assert answer.status_code == 200, (example, answer.text)


@pytest.mark.parametrize("name", DATASETS)
def test_no_selection_makes_a_500(client: httpx.Client, name: str) -> None:
    """Two hundred selections, most of them nearly right, are each answered or refused."""
    source = random.Random(name)
    for _ in range(200):
        kind = source.choice(["sel", "isel"])
        labels = LABELS[name]
        chosen = source.sample(sorted(labels), source.randint(0, len(labels)))
        query = {dim: source.choice(labels[dim] if kind == "sel" else POSITIONS) for dim in chosen}
        for extra, values in (("variables", VARIABLES), ("method", ["nearest", "pad", "bfill"])):
            if source.random() < 0.2:
                query[extra] = source.choice(values)
        query["f"] = source.choice(["json", "json", "netcdf"])
        check(client.get(f"/datasets/{name}/{kind}", params=query))


def test_store_that_cannot_be_decoded_is_its_own_fault(tmp_path: Path) -> None:
    """Units that do not parse leave their variable out, values that do not decode are a 502."""
    hours = np.array([0, 2**62, 1], "i8")
    units = {"units": "hours since 2000-01-01"}
    xr.Dataset({"when": ("x", hours, units)}).to_zarr(tmp_path / "values.zarr", zarr_format=2)
    units = {"units": "hours since the flood"}
    xr.Dataset({"when": ("x", hours, units)}).to_zarr(tmp_path / "units.zarr", zarr_format=2)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("datasets: {values: {url: values.zarr}, units: {url: units.zarr}}")
    with serving(Settings(catalog=catalog)) as client:
        described = client.get("/datasets/units").json()
        assert (described["data_vars"], list(described["unusable"])) == ({}, ["when"])
        answer = client.get("/datasets/units/isel?variables=when")
        assert (answer.status_code, answer.json()["variable"]) == (422, "when")
        assert client.get("/datasets/values/isel?x=0:3").status_code == 502
        assert client.get("/datasets/values/isel?x=0").status_code == 200
