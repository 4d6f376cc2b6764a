"""What the users check: a real answer passes in every format, and each spoilt one is seen."""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import xarray as xr

from app.settings import Settings
from loadtests.formats import (
    from_bin,
    from_coverage,
    from_csv,
    from_dods,
    from_json,
    from_netcdf,
    packing,
)
from loadtests.grid import Found, Grid, Region, WrongAnswer, learn
from loadtests.threadpool import create_app
from tests.api.conftest import serving, serving_app

# Across a chunk boundary in time, longitude and latitude; missing values in the south.
BOX: Region = {
    "time": range(20, 30),
    "level": 0,
    "latitude": range(34, 40),
    "longitude": range(44, 52),
}
CELL = {"time": 119, "level": 2, "latitude": 0, "longitude": 143}
SOUTH: Region = {**BOX, "latitude": range(68, 73)}


@pytest.fixture(scope="module")
def client(sample: Path) -> Iterator[httpx.Client]:
    with serving(Settings(catalog=sample / "catalog.yaml")) as client:
        yield client


@pytest.fixture(scope="module")
def grid(client: httpx.Client, sample: Path) -> Grid:
    return learn(client.get("/datasets/sample").json(), sample / "truth")


def fetched(client: httpx.Client, url: str) -> bytes:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.content


def read_csv(content: bytes) -> Found:
    return from_csv(content, ("t", "v"))


READERS: dict[str, Callable[[bytes], Found]] = {
    "json": from_json,
    "netcdf": from_netcdf,
    "csv": read_csv,
    "bin": from_bin,
}


@pytest.mark.parametrize("region", [BOX, CELL, SOUTH])
@pytest.mark.parametrize("f", READERS)
def test_what_was_asked_for_passes(
    client: httpx.Client, grid: Grid, region: Region, f: str
) -> None:
    """A box, a cell and a region with missing values are right in every format."""
    content = fetched(client, grid.url(region, ("t", "v"), f=f))
    grid.check(READERS[f](content), region, ("t", "v"))


@pytest.mark.parametrize("f", READERS)
@pytest.mark.parametrize("dimension", BOX)
def test_a_neighbouring_region_is_seen(
    client: httpx.Client, grid: Grid, f: str, dimension: str
) -> None:
    """An answer that is one step off along any dimension is wrong, in every format."""
    where = BOX[dimension]
    beside = where + 1 if isinstance(where, int) else range(where.start + 1, where.stop + 1)
    content = fetched(client, grid.url({**BOX, dimension: beside}, ("t", "v"), f=f))
    with pytest.raises(WrongAnswer):
        grid.check(READERS[f](content), BOX, ("t", "v"))


@pytest.mark.parametrize("f", READERS)
def test_a_smaller_region_and_another_variable_are_seen(
    client: httpx.Client, grid: Grid, f: str
) -> None:
    """Too little, and something else, are wrong."""
    short = fetched(client, grid.url({**BOX, "longitude": range(44, 51)}, ("t", "v"), f=f))
    other = fetched(client, grid.url(BOX, ("t",), f=f))
    for content in (short, other):
        with pytest.raises(WrongAnswer):
            grid.check(READERS[f](content), BOX, ("t", "v"))


def spoil_json(content: bytes) -> bytes:
    body: Any = json.loads(content)
    body["data_vars"]["t"]["data"] += 0.5
    return json.dumps(body).encode()


def spoil_netcdf(content: bytes) -> bytes:
    ds = xr.load_dataset(io.BytesIO(content), engine="h5netcdf")
    return bytes(ds.assign(t=ds.t + 0.5).to_netcdf(engine="h5netcdf"))


def spoil_csv(content: bytes) -> bytes:
    start, value = content.rstrip().rsplit(b",", 1)
    return b"%s,1%s\r\n" % (start, value)


@pytest.mark.parametrize(
    ("f", "spoil"), [("json", spoil_json), ("netcdf", spoil_netcdf), ("csv", spoil_csv)]
)
def test_one_wrong_value_is_seen(
    client: httpx.Client, grid: Grid, f: str, spoil: Callable[[bytes], bytes]
) -> None:
    """A value that is not the store's is wrong, though all labels are right."""
    content = spoil(fetched(client, grid.url(CELL, ("t",), f=f)))
    with pytest.raises(WrongAnswer, match="values of t"):
        grid.check(READERS[f](content), CELL, ("t",))


@pytest.mark.parametrize("f", READERS)
@pytest.mark.parametrize("part", [slice(0), slice(-200)])
def test_cut_answers_do_not_pass(client: httpx.Client, grid: Grid, f: str, part: slice) -> None:
    """An empty or truncated body cannot be read, or is too little."""
    content = fetched(client, grid.url(BOX, ("t", "v"), f=f))[part]
    with pytest.raises((WrongAnswer, ValueError, OSError, KeyError, struct.error)):
        grid.check(READERS[f](content), BOX, ("t", "v"))


def test_a_nearby_label_asks_for_its_cell(client: httpx.Client, grid: Grid) -> None:
    """The labels of a click are not on the axes, and the answer is the cell beside them."""
    for number in range(20):
        cell = {axis.name: random.Random(number).randrange(axis.size) for axis in grid.axes}
        url = grid.nearby_url(cell, ("t", "v"), random.Random(number))
        near = parse_qs(urlsplit(url).query)["latitude"][0].removeprefix("nearest::")
        assert float(near) % 2.5 != 0
        grid.check(from_json(fetched(client, url)), cell, ("t", "v"))


def test_arrays_of_dap_are_unpacked_and_held_to_the_store(client: httpx.Client, grid: Grid) -> None:
    """Packed numbers of two bytes, with missing ones; those of a neighbouring region are wrong."""
    das = fetched(client, "/dap/sample.das").decode()
    packed = {name: packing(das, name) for name in ("t", "v")}
    edge: Region = {**BOX, "latitude": range(62, 70)}
    for rows, right in (("62:1:69", True), ("61:1:68", False)):
        cuts = f"[20:1:29][0][{rows}][44:1:51]"
        found = from_dods(fetched(client, f"/dap/sample.dods?t{cuts},v{cuts}"), packed)
        if right:
            grid.check(found, edge, ("t", "v"), labelled=False)
            continue
        with pytest.raises(WrongAnswer):
            grid.check(found, edge, ("t", "v"), labelled=False)


def test_a_cut_answer_of_dap_is_seen(client: httpx.Client) -> None:
    """Numbers that are missing at the end, and numbers beyond it."""
    packed = {"t": packing(fetched(client, "/dap/sample.das").decode(), "t")}
    content = fetched(client, "/dap/sample.dods?t[0:1:3][0][0][0]")
    with pytest.raises((WrongAnswer, ValueError)):
        from_dods(content[:-4], packed)
    with pytest.raises(WrongAnswer, match="bytes of data"):
        from_dods(content + b"more", packed)


def test_a_position_of_edr_is_held_to_the_store(client: httpx.Client, grid: Grid) -> None:
    """A profile at one place and time is right, and that of the next hour is wrong."""
    region: Region = {"time": 30, "level": range(3), "latitude": 15, "longitude": 5}
    names = {role: axis.name for role, axis in grid.roles.items()}
    place = "/edr/collections/sample/position?coords=POINT(12.5%2052.5)&parameter-name=t"
    right = from_coverage(fetched(client, f"{place}&datetime=2024-01-02T06:00Z"), names)
    grid.check(right, region, ("t",), labelled=False)
    assert right.labels["longitude"] == [12.5]
    wrong = from_coverage(fetched(client, f"{place}&datetime=2024-01-02T07:00Z"), names)
    with pytest.raises(WrongAnswer, match="values of t"):
        grid.check(wrong, region, ("t",), labelled=False)


@pytest.mark.parametrize("f", ["json", "netcdf", "csv"])
def test_the_thread_pool_is_asked_the_same_and_answers_it(
    sample: Path, monkeypatch: pytest.MonkeyPatch, f: str
) -> None:
    """Its axes are learned, its boxes and clicks are right, and a tag that it gave is a 304."""
    monkeypatch.setenv("LOAD_STORE", str(sample / "analyses.zarr"))
    with serving_app(create_app()) as client:
        grid = learn(client.get("/datasets/sample").json(), sample / "truth")
        url = grid.url(BOX, ("t", "v"), f=f)
        answer = client.get(url)
        grid.check(READERS[f](answer.content), BOX, ("t", "v"))
        click = client.get(grid.nearby_url(CELL, ("t",), random.Random(1)))
        grid.check(from_json(click.content), CELL, ("t",))
        again = client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
