"""Long answers of every dtype are what the store holds, however they are asked for and sent."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.blackbox.conftest import Serve, Service

SIZE = 20_000
FORMATS = (2, 3)
NUMBERS = np.arange(SIZE)
NAMES = np.array([f"site {number:05}é" for number in NUMBERS], dtype=object)
DATES = cftime.num2date(NUMBERS, "days since 1950-01-01", "noleap")
COLUMNS: dict[str, Any] = {
    "text": NAMES[::-1].copy(),
    "fixed": NAMES.astype("U11"),
    "short": np.array([b"ab", b"", b"c"])[NUMBERS % 3],
    "truth": NUMBERS % 2 == 0,
    "half": NUMBERS.astype("f2") / 3,
    "single": NUMBERS.astype("f4") / 3,
    "double": np.where(NUMBERS % 7 == 0, np.nan, NUMBERS / 3),
    "small": NUMBERS.astype("i1"),
    "large": NUMBERS.astype("u8") + 2**63,
    "pair": NUMBERS + 1j / 3,
    "instant": np.datetime64("2000-01-01", "ns") + NUMBERS.astype("m8[ms]"),
    "duration": NUMBERS.astype("m8[s]").astype("m8[ns]"),
    "date": DATES,
}


def write(folder: Path, zarr_format: int) -> Path:
    """All columns along an axis of names, and one along an axis of dates."""
    columns = {name: ("site", values) for name, values in COLUMNS.items()}
    if zarr_format == 3:
        # Complex fill values and byte strings: xarray writes them in the older format alone.
        columns.pop("short")
    ds = xr.Dataset(
        {**columns, "flow": ("time", NUMBERS / 4)}, coords={"site": NAMES, "time": DATES}
    )
    path = folder / f"v{zarr_format}.zarr"
    with warnings.catch_warnings():
        # zarr and xarray warn about types that the specifications lack.
        warnings.simplefilter("ignore")
        ds.to_zarr(path, zarr_format=zarr_format, consolidated=True)
    return path


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A server over the store in both formats of Zarr."""
    folder = tmp_path_factory.mktemp("long")
    return serve({f"v{number}": write(folder, number) for number in FORMATS})


def read(written: list[Any], like: Any) -> list[Any]:
    """What JSON wrote, as values of the column's own kind."""
    found: list[Any]
    match like.dtype.kind:
        case "f":
            numbers = [np.nan if item is None else item for item in written]
            found = np.array(numbers, like.dtype).tolist()
            return found
        case "c":
            return [complex(*item) for item in written]
        case "M":
            found = np.array([item.removesuffix("Z") for item in written], "M8[ns]").tolist()
            return found
        case "m":
            return [pd.Timedelta(item).value for item in written]
        case _:
            return written


def truth(values: Any) -> list[Any]:
    """The column's values as `read` gives them."""
    match values.dtype.kind:
        case "S":
            return [item.decode() for item in values.tolist()]
        case "O" if hasattr(values[0], "isoformat"):
            return [item.isoformat() for item in values]
        case _:
            return list(values.tolist())


def same(found: list[Any], wanted: list[Any]) -> bool:
    """Whether two lists are equal, NaN beside NaN."""
    return all(a == b or (a != a and b != b) for a, b in zip(found, wanted, strict=True))


@given(
    zarr_format=st.sampled_from(FORMATS),
    name=st.sampled_from(sorted(COLUMNS)),
    start=st.integers(0, 9000),
    length=st.sampled_from([1, 8191, 8192, 8193, 9000, 11_000]),
    coding=st.sampled_from(["identity", "gzip", "zstd"]),
    posted=st.booleans(),
)
@settings(deadline=None, max_examples=80, derandomize=True)
def test_any_column_of_any_length(
    service: Service,
    zarr_format: int,
    name: str,
    start: int,
    length: int,
    coding: str,
    posted: bool,
) -> None:
    """The values as JSON and their labels, of each dtype, around the lengths of a piece."""
    if name == "short" and zarr_format == 3:
        return
    path, place = f"/datasets/v{zarr_format}/isel", slice(start, start + length)
    asked = {"site": f"{start}:{start + length}", "variables": name}
    headers = {"Accept-Encoding": coding}
    if posted:
        answer = service.client.post(path, json=asked, headers=headers)
    else:
        answer = service.client.get(path, params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["coords"]["site"]["data"] == NAMES[place].tolist()
    values = COLUMNS[name][place]
    assert same(read(document["data_vars"][name]["data"], values), truth(values))


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_a_long_calendar(service: Service, zarr_format: int, coding: str) -> None:
    """A series along an axis of dates without leap days, in each format."""
    path, headers = f"/datasets/v{zarr_format}/sel", {"Accept-Encoding": coding}
    asked = {"variables": "flow", "time": "1950-01-01/1990-12-31"}
    count = 41 * 365
    wanted = [date.isoformat() for date in DATES[:count]]
    answer = service.get(path, params=asked, headers=headers)
    document = answer.json()
    assert document["coords"]["time"]["data"] == wanted
    assert document["data_vars"]["flow"]["data"] == (NUMBERS[:count] / 4).tolist()
    answer = service.get(path, params={**asked, "f": "csv"}, headers=headers)
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert [row[0] for row in rows[1:]] == wanted
    answer = service.get(path, params={**asked, "f": "netcdf"}, headers=headers)
    with netCDF4.Dataset("answer", memory=answer.content) as file:
        assert len(file["time"]) == count
        assert file["flow"][:].tolist() == (NUMBERS[:count] / 4).tolist()


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_long_list_of_names(service: Service, zarr_format: int) -> None:
    """Nine thousand stations by name, in the order in which they were asked for."""
    names = NAMES[9000:0:-1].tolist()
    asked = {"site": names, "variables": "double"}
    answer = service.client.post(f"/datasets/v{zarr_format}/sel", json=asked)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["coords"]["site"]["data"] == names
    values = COLUMNS["double"][9000:0:-1]
    assert same(read(document["data_vars"]["double"]["data"], values), values.tolist())
