"""HTTP = xarray: random requests, held against plain comparisons, in every format."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import netCDF4
import numpy as np
import pandas as pd
import PIL.Image
import pyarrow as pa
import pytest
import safetensors.numpy
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from app.settings import Settings
from sluice.encoders.formats import ENCODERS
from tests.api.conftest import decoded, serving
from tests.api.oracle import dataset
from tests.api.oracle_requests import Request, requests

SOUTHWARD, NORTHWARD = np.arange(90.0, -91, -30), np.arange(-90.0, 91, 30)
EAST, CENTRED = np.arange(0.0, 360, 30), np.arange(-180.0, 180, 30)
FORMS: dict[str, dict[str, Any]] = {
    "v2": {"zarr_format": 2},
    "v3": {"zarr_format": 3},
    "sharded": {
        "zarr_format": 3,
        "encoding": {"t": {"chunks": (2, 2, 3), "shards": (4, 4, 6)}},
    },
}
STORES = {
    "east-southward-v2": (SOUTHWARD, EAST, "v2"),
    "east-northward-v3": (NORTHWARD, EAST, "v3"),
    "centred-southward-sharded": (SOUTHWARD, CENTRED, "sharded"),
    "centred-westward-v2": (NORTHWARD, CENTRED[::-1], "v2"),
    "east-westward-sharded": (SOUTHWARD, EAST[::-1], "sharded"),
    "region-v3": (SOUTHWARD[1:4], np.arange(-20.0, 41, 10), "v3"),
}
MEMORY = {name: dataset(lats, lons) for name, (lats, lons, _) in STORES.items()}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server over all of them."""
    folder = tmp_path_factory.mktemp("oracle")
    for name, (_, _, form) in STORES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MEMORY[name].to_zarr(folder / f"{name}.zarr", **FORMS[form])
    rows = "".join(f"  {name}: {{url: {name}.zarr}}\n" for name in STORES)
    (folder / "catalog.yaml").write_text(f"datasets:\n{rows}")
    with serving(Settings(catalog=folder / "catalog.yaml")) as client:
        yield client


def check_json(response: httpx.Response, want: xr.Dataset) -> None:
    got = decoded(response)
    xr.testing.assert_equal(got, want)
    assert {n: v.dtype for n, v in got.variables.items()} == {
        n: v.dtype for n, v in want.variables.items()
    }


def check_netcdf(response: httpx.Response, want: xr.Dataset) -> None:
    with xr.open_dataset(io.BytesIO(response.content)) as got:
        xr.testing.assert_equal(got, want)


def check_csv(response: httpx.Response, want: xr.Dataset) -> None:
    """Every column, cell by cell, in the order of the variables' dimensions."""
    check_table(pd.read_csv(io.BytesIO(response.content)), want)


def check_ndjson(response: httpx.Response, want: xr.Dataset) -> None:
    rows = [json.loads(line) for line in response.text.splitlines()]
    if rows:
        check_table(pd.DataFrame(rows), want)


def check_columns(response: httpx.Response, want: xr.Dataset) -> None:
    check_table(pd.DataFrame(response.json()["columns"]), want)


def check_arrow(response: httpx.Response, want: xr.Dataset) -> None:
    check_typed(pa.ipc.open_stream(response.content).read_all(), want)


def check_feather(response: httpx.Response, want: xr.Dataset) -> None:
    check_typed(pa.ipc.open_file(response.content).read_all(), want)


def check_parquet(response: httpx.Response, want: xr.Dataset) -> None:
    check_typed(parquet.read_table(io.BytesIO(response.content)), want)


def check_typed(table: pa.Table, want: xr.Dataset) -> None:
    """Instants are in UTC; all else as in CSV."""
    found: pd.DataFrame = table.to_pandas()
    for name in found.select_dtypes("datetimetz"):
        found[name] = found[name].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    check_table(found, want)


def check_table(table: pd.DataFrame, want: xr.Dataset) -> None:
    spanning = list(want.data_vars)[:1] or list(want.variables)
    dims = tuple(dict.fromkeys(dim for name in spanning for dim in want[name].dims))
    sizes = {dim: want.sizes[dim] for dim in dims}
    columns = {str(dim): xr.Variable(dim, np.arange(size)) for dim, size in sizes.items()}
    columns |= {str(n): v for n, v in want.variables.items() if set(v.dims) <= set(dims)}
    assert sorted(table.columns) == sorted(columns)
    for name, variable in columns.items():
        cells = variable.set_dims(sizes).transpose(*dims).values.ravel()
        got = table[name]
        if cells.dtype.kind == "M":
            assert got.str.endswith("Z").all()
            got = got.str.removesuffix("Z")
        np.testing.assert_array_equal(got.to_numpy().astype(cells.dtype), cells, err_msg=name)


def check_netcdf3(response: httpx.Response, want: xr.Dataset) -> None:
    with netCDF4.Dataset("answer", memory=response.content) as file:
        got = xr.open_dataset(xr.backends.NetCDF4DataStore(file)).load()
    xr.testing.assert_equal(got, want)


def check_bin(response: httpx.Response, want: xr.Dataset) -> None:
    """Numbers as they are; instants are counted."""
    found = safetensors.numpy.load(response.content)
    numbers = {str(n): v.values for n, v in want.variables.items() if v.dtype.kind in "biuf"}
    assert numbers
    for name, values in numbers.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def check_npy(response: httpx.Response, want: xr.Dataset) -> None:
    found = np.load(io.BytesIO(response.content))
    (values,) = (v.values for v in (want.data_vars or want.coords).values())
    np.testing.assert_array_equal(found, values)


def check_png(response: httpx.Response, want: xr.Dataset) -> None:
    """A picture has a pixel for each cell."""
    (shape,) = (v.squeeze().shape for v in want.data_vars.values())
    with PIL.Image.open(io.BytesIO(response.content)) as picture:
        assert picture.width * picture.height == int(np.prod(shape))


CHECKS = {
    "json": check_json,
    "netcdf": check_netcdf,
    "netcdf3": check_netcdf3,
    "csv": check_csv,
    "ndjson": check_ndjson,
    "columns": check_columns,
    "arrow": check_arrow,
    "feather": check_feather,
    "parquet": check_parquet,
    "bin": check_bin,
    "npy": check_npy,
    "png": check_png,
}


def statuses(format: str, want: xr.Dataset | None) -> set[int]:
    """What may come: rows of a table need variables that share their dimensions.

    A picture is of one variable and two dimensions, an array of one variable.
    """
    if want is None:
        return {422}
    groups = {frozenset(variable.dims) for variable in want.data_vars.values()}
    if format in ("csv", "ndjson", "columns", "arrow", "feather", "parquet"):
        return {422} if len(groups) > 1 else {200}
    if format in ("npy", "png"):
        return {422} if len(want.data_vars) > 1 else {200, 422}
    return {200}


def modestly(examples: int) -> settings:
    slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=slow
    )


def test_every_format_is_read_back() -> None:
    """No format is served without a reader that holds it against the oracle."""
    assert set(CHECKS) == set(ENCODERS)


@given(st.data())
@modestly(150)
def test_http_is_xarray(client: httpx.Client, data: st.DataObject) -> None:
    """A random request is answered in every format with what the oracle chooses, or refused."""
    name = data.draw(st.sampled_from(sorted(STORES)))
    request: Request = data.draw(requests(MEMORY[name]))
    for format in ENCODERS:
        url = f"/datasets/{name}/{request.path}"
        response = client.get(url, params=[*request.pairs, ("f", format)])
        told = f"{response.request.url}\n{response.text[:400]}"
        assert response.status_code in statuses(format, request.answer), told
        if response.status_code == 200:
            assert request.answer is not None
            CHECKS[format](response, request.answer)


@given(st.data())
@modestly(60)
def test_a_post_and_an_explanation_are_the_same(client: httpx.Client, data: st.DataObject) -> None:
    """The same request posted answers alike; its explanation has the answer's dimensions."""
    name = data.draw(st.sampled_from(sorted(STORES)))
    request: Request = data.draw(requests(MEMORY[name]))
    url = f"/datasets/{name}/{request.path}"
    got = client.get(url, params=tuple(request.pairs))
    posted = client.post(url, json=request.document)
    assert (posted.status_code, posted.content) == (got.status_code, got.content)
    explained = client.get(url, params=[*request.pairs, ("explain", "true")])
    assert explained.status_code == got.status_code
    if request.answer is not None:
        assert explained.json()["dims"] == dict(request.answer.sizes)
