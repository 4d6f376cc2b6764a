"""Arrow, Feather and Parquet as their clients read them: pandas, polars, DuckDB and pyarrow."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import httpx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from .conftest import Serve, Service
from .test_row_streams import peak
from .test_streams import counted, until_zero

PLAIN = {"Accept-Encoding": "identity"}
STEPS, ROWS, COLUMNS = 48, 100, 200
MIB = 2**20
SPOOL_BYTES = 16 * MIB
TYPES = {
    "arrow": "application/vnd.apache.arrow.stream",
    "feather": "application/vnd.apache.arrow.file",
    "parquet": "application/vnd.apache.parquet",
}


def cube() -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(STEPS, ROWS, COLUMNS)).round(3).astype("f4")
    values[3, 20:40] = np.nan
    return xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values, {"units": "K", "long_name": "Temperatür"}),
            "count": (("time", "lat", "lon"), (values > 0).astype("u1")),
        },
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(STEPS) * np.timedelta64(6, "h"),
            "lat": ("lat", np.linspace(90, -90, ROWS), {"units": "degrees_north"}),
            "lon": np.arange(COLUMNS) * 1.8,
            "band": ("lat", np.array([f"Band {n // 10}" for n in range(ROWS)], dtype=object)),
        },
        attrs={"title": "Würfel"},
    )


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    return cube()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    found = {}
    for name in ("cube", "rewritten"):
        ds, found[name] = cube(), folder / f"{name}.zarr"
        for variable in ds.values():
            variable.encoding = {"chunks": (2, ROWS, COLUMNS)}
        ds.to_zarr(found[name], zarr_format=2, consolidated=True)
    dates = xr.date_range("2000-02-27", periods=6, calendar="360_day", use_cftime=True)
    series = xr.Dataset(
        {"t": ("time", np.arange(6.0)), "ok": ("time", np.array([True, False] * 3))},
        {"time": dates},
    )
    found["series"] = folder / "series.zarr"
    series.to_zarr(found["series"], zarr_format=2, consolidated=True)
    # Noise, so that no format makes it short; none of its chunks is decoded twice.
    noise = np.random.default_rng(1).random((40, 200, 400))
    large = xr.Dataset({"t": (("time", "y", "x"), noise)})
    large.t.encoding = {"chunks": (4, 200, 400)}
    found["large"] = folder / "large.zarr"
    large.to_zarr(found["large"], zarr_format=2, consolidated=True)
    found["broken"] = folder / "broken.zarr"
    shutil.copytree(found["large"], found["broken"], copy_function=os.link)
    (found["broken"] / "t" / "9.0.0").unlink()
    (found["broken"] / "t" / "9.0.0").write_bytes(b"no chunk")
    return found


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    entries: dict[str, Any] = {name: str(path) for name, path in stores.items()}
    entries["rewritten"] = {"url": entries["rewritten"], "rewritten": True}
    return serve(entries, SLUICE_CHUNK_CACHE_BYTES="0", SLUICE_SPOOL_BYTES=str(SPOOL_BYTES))


@pytest.fixture(scope="module")
def base(service: Service) -> str:
    """The address of the cube."""
    return f"{str(service.client.base_url).rstrip('/')}/datasets/cube/"


@pytest.fixture(scope="module")
def ducks() -> duckdb.DuckDBPyConnection:
    """DuckDB with its HTTP client, which comes as a package of its own."""
    package = pytest.importorskip(
        "duckdb_extension_httpfs", reason="duckdb-extension-httpfs is not installed"
    )
    file = next(Path(package.__file__).parent.rglob("httpfs.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute(f"LOAD '{file}'; SET TimeZone = 'UTC'")
    return connection


def expected(ds: xr.Dataset) -> pd.DataFrame:
    """The table that pandas has of a selection, in the order of the answer's columns."""
    dims = [str(dim) for dim in ds.t.dims]
    if not dims:
        return pd.DataFrame({str(name): [one.values[()]] for name, one in ds.variables.items()})
    return ds.to_dataframe(dim_order=dims).reset_index()


def check(found: pd.DataFrame, ds: xr.Dataset) -> None:
    """Equal to pandas' own, but that instants say that they are in UTC."""
    want = expected(ds)
    assert sorted(found.columns) == sorted(want.columns)
    assert len(found) == len(want)
    for name in want.columns:
        got, column = found[name], want[name]
        if isinstance(got.dtype, pd.DatetimeTZDtype):
            assert str(got.dtype.tz) == "UTC"
            got = got.dt.tz_localize(None)
        if name == "band":
            got, column = got.astype(object), column.astype(object)
        else:
            kind = column.dtype.kind
            assert got.dtype.kind == kind, name
        np.testing.assert_array_equal(got.to_numpy(), column.to_numpy(), err_msg=name)


def read(name: str, content: bytes) -> pd.DataFrame:
    """What pandas has of an answer."""
    match name:
        case "arrow":
            found = pa.ipc.open_stream(content).read_pandas()
        case "feather":
            found = pd.read_feather(io.BytesIO(content))
        case _:
            found = pd.read_parquet(io.BytesIO(content))
    assert isinstance(found, pd.DataFrame)
    return found


@st.composite
def selections(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A request by position, and what xarray is asked for."""
    pairs, indexers = [], dict[str, Any]()
    for dim, size in (("time", STEPS), ("lat", ROWS), ("lon", COLUMNS)):
        match draw(st.sampled_from(["all", "one", "slice", "list"])):
            case "one":
                place = draw(st.integers(-size, size - 1))
                pairs.append(f"{dim}={place}")
                indexers[dim] = place
            case "slice":
                start = draw(st.integers(0, size - 1))
                stop, step = draw(st.integers(start + 1, size)), draw(st.integers(1, 30))
                pairs.append(f"{dim}={start}:{stop}:{step}")
                indexers[dim] = slice(start, stop, step)
            case "list":
                places = draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=4))
                pairs.append(f"{dim}={','.join(map(str, places))}")
                indexers[dim] = places
            case _:
                pass
    return "&".join(pairs), indexers


@given(asked=selections(), name=st.sampled_from(sorted(TYPES)))
@settings(
    deadline=None,
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_table_is_what_pandas_has_of_xarray(
    service: Service, truth: xr.Dataset, asked: tuple[str, dict[str, Any]], name: str
) -> None:
    """Random selections in each format."""
    query, indexers = asked
    answer = service.get(f"/datasets/cube/isel.{name}?{query}", headers=PLAIN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == TYPES[name]
    check(read(name, answer.content), truth.isel(indexers))


def test_pandas_by_url(base: str, truth: xr.Dataset) -> None:
    """One line each; `columns` are the reader's own."""
    box = truth.sel(time=slice("2024-01-02", "2024-01-03"), lat=slice(60, 30))
    query = "time=2024-01-02/2024-01-03&lat=30/60"
    check(pd.read_parquet(f"{base}sel.parquet?{query}"), box)
    check(pd.read_feather(f"{base}sel?{query}&f=feather"), box)
    found = pd.read_parquet(f"{base}sel.parquet?{query}", columns=["lat", "t"])
    assert found.columns.tolist() == ["lat", "t"]
    np.testing.assert_array_equal(found.t, expected(box).t)


def test_polars_by_url(service: Service, base: str, truth: xr.Dataset) -> None:
    """It scans by ranges: the footer first, then columns."""
    query = "sel[time]=2024-01-02/2024-01-03&isel[lat]=5"
    box = truth.isel(lat=5).sel(time=slice("2024-01-02", "2024-01-03"))
    for url in (f"{base}sel.parquet?{query}", f"{base}isel?{query}&f=parquet"):
        check(pl.read_parquet(url).to_pandas(), box)
        mean = pl.scan_parquet(url).select(pl.col("t").mean()).collect().item()
        assert mean == pytest.approx(float(box.t.mean()), rel=1e-5)
        north = pl.scan_parquet(url).filter(pl.col("lon") > 90).collect()
        assert len(north) == box.isel(lon=box.lon > 90).t.size
    check(pl.scan_ipc(f"{base}sel.feather?{query}").collect().to_pandas(), box)
    with urllib.request.urlopen(f"{base}sel.arrow?{query}") as answer:
        check(pl.read_ipc_stream(answer).to_pandas(), box)


def test_duckdb_by_url(base: str, ducks: duckdb.DuckDBPyConnection, truth: xr.Dataset) -> None:
    """It knows the format by the end of the path, and asks for parts."""
    box = truth.sel(time=slice("2024-01-02", "2024-01-03"))
    url = f"{base}sel.parquet?time=2024-01-02/2024-01-03"
    check(ducks.sql(f"FROM '{url}'").to_arrow_table().to_pandas(), box)
    told = ducks.sql(
        f"SELECT lat, avg(t), count(*) FROM '{url}' WHERE lon < 10 GROUP BY lat ORDER BY lat"
    ).fetchall()
    assert len(told) == ROWS
    part = box.isel(lon=box.lon < 10, lat=-1).t
    assert told[0][1] == pytest.approx(float(part.mean()), rel=1e-5)
    assert told[0][2] == part.size
    named = f"read_parquet('{base}sel?time=2024-01-02&f=parquet')"
    assert ducks.sql(f"SELECT max(time)::TEXT FROM {named}").fetchone() == (
        "2024-01-02 18:00:00+00",
    )


def test_pyarrow_by_url(base: str, truth: xr.Dataset) -> None:
    """A stream batch by batch, a file by its parts; attributes at the fields."""
    with (
        urllib.request.urlopen(f"{base}isel.arrow") as answer,
        pa.ipc.open_stream(answer) as stream,
    ):
        told = json.loads(stream.schema.field("t").metadata[b"attrs"])
        assert told == {"units": "K", "long_name": "Temperatür"}
        assert json.loads(stream.schema.metadata[b"attrs"]) == {"title": "Würfel"}
        rows = [batch.num_rows for batch in stream]
    assert sum(rows) == truth.t.size
    assert len(rows) > 10
    with fsspec.open(f"{base}isel.parquet?time=0:4") as file:
        opened = parquet.ParquetFile(file)
        assert opened.metadata.num_rows == 4 * ROWS * COLUMNS
        assert opened.read_row_group(0, columns=["band"]).num_columns == 1
        check(opened.read().to_pandas(), truth.isel(time=slice(0, 4)))


def test_the_table_leads_back_to_a_dataset(base: str, truth: xr.Dataset) -> None:
    """The schema says which columns are the dimensions of the rows."""
    table = parquet.read_table(fsspec.open(f"{base}isel.parquet?time=0:3").open())
    dims = json.loads(table.schema.metadata[b"dims"])
    assert dims == ["time", "lat", "lon"]
    found = table.to_pandas().assign(time=lambda f: f.time.dt.tz_localize(None))
    back = found.set_index(dims).to_xarray()
    # (pandas puts labels in order.)
    np.testing.assert_array_equal(back.t.sel(lat=truth.lat), truth.t[:3])


@pytest.mark.parametrize("name", ["parquet", "feather"])
def test_a_whole_file_has_a_length_and_ranges(service: Service, name: str) -> None:
    """A HEAD makes it; every part is part of the whole, each time; one tag for all."""
    path = f"/datasets/cube/isel.{name}?time=0:20"
    head = service.client.head(path, headers=PLAIN)
    assert head.headers["accept-ranges"] == "bytes"
    tag, size = head.headers["etag"], int(head.headers["content-length"])
    assert not tag.startswith("W/")
    whole = service.get(path, headers=PLAIN)
    assert (len(whole.content), whole.headers["etag"]) == (size, tag)
    for wanted, start, stop in (("0-99", 0, 100), ("-262144", max(0, size - 262144), size)):
        part = service.get(path, headers={**PLAIN, "Range": f"bytes={wanted}", "If-Range": tag})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert part.content == whole.content[start:stop]
    assert service.get(path, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert service.get(path, headers={"If-None-Match": tag}).status_code == 304
    coded = service.get(path, headers={"Accept-Encoding": "gzip, zstd"})
    assert "content-encoding" not in coded.headers
    posted = service.client.post(
        "/datasets/cube/isel", json={"time": "0:20", "f": name}, headers=PLAIN
    )
    assert posted.content == whole.content


@pytest.mark.parametrize("name", sorted(TYPES))
def test_bytes_do_not_tell_how_they_were_made(
    service: Service, serve: Serve, stores: dict[str, Path], name: str
) -> None:
    """A server that was just started, and one that has read it before, give the same."""
    path = f"/datasets/cube/isel?time=0:9&f={name}"
    first = service.get(path, headers=PLAIN)
    fresh = fresh_service(serve, stores).get(path, headers=PLAIN)
    assert fresh.content == first.content
    assert fresh.headers["etag"] == first.headers["etag"]


_FRESH: list[Service] = []


def fresh_service(serve: Serve, stores: dict[str, Path]) -> Service:
    """Another server over the cube, one for all who ask."""
    if not _FRESH:
        _FRESH.append(serve({"cube": stores["cube"]}))
    return _FRESH[0]


def test_a_stream_has_no_length(service: Service) -> None:
    """It comes in chunks, without ranges, and is never coded: it is compressed inside."""
    path = "/datasets/cube/isel.arrow"
    head = service.client.head(path)
    part = service.get(path, headers={"Range": "bytes=0-9", "Accept-Encoding": "gzip"})
    for answer in (head, part):
        assert answer.status_code == 200
        found = {"content-length", "accept-ranges", "content-encoding"} & set(answer.headers)
        assert not found
    assert head.headers["etag"] == part.headers["etag"]
    known = service.get(path, headers={"If-None-Match": head.headers["etag"]})
    assert known.status_code == 304
    assert pa.ipc.open_stream(part.content).read_all().num_rows == STEPS * ROWS * COLUMNS


@pytest.mark.parametrize(("name", "status"), [("arrow", 200), ("parquet", 413)])
def test_much_takes_little_memory(service: Service, name: str, status: int) -> None:
    """A stream of any length; a file as long as the spool has room for it, or it is refused."""
    service.get(f"/datasets/large/isel?time=0:5&f={name}")
    before, size = peak(service), 0
    with service.client.stream("GET", f"/datasets/large/isel?f={name}") as answer:
        assert answer.status_code == status
        for piece in answer.iter_raw():
            size += len(piece)
    if status == 200:
        assert size > 20 * MIB
    assert peak(service) - before < 96 * MIB
    assert until_zero(service, "sluice_inflight_bytes") == 0


def test_what_is_too_long_for_the_spool_is_refused(service: Service) -> None:
    """With what can be asked for in its place; a HEAD as a GET."""
    path = "/datasets/large/isel?f=feather"
    answer = service.get(path)
    assert answer.status_code == 413
    problem = answer.json()
    assert (problem["limited"], problem["limit"]) == ("spool_bytes", SPOOL_BYTES)
    assert "f=arrow" in problem["detail"]
    assert service.client.head(path).status_code == 413


def test_a_store_that_fails(service: Service) -> None:
    """A whole file is an error, also of a HEAD; a stream breaks off."""
    answer = service.get("/datasets/broken/isel.parquet?time=30:")
    assert answer.status_code == 502
    assert answer.json()["type"].endswith("store-corrupt")
    assert service.client.head("/datasets/broken/isel.feather?time=30:").status_code == 502
    before = counted(service, 'sluice_refused_total{reason="broken"}')
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        service.get("/datasets/broken/isel.arrow")
    assert counted(service, 'sluice_refused_total{reason="broken"}') == before + 1


def test_other_calendars_are_text(service: Service) -> None:
    """As in CSV; the calendar stands at the field."""
    for name in TYPES:
        content = service.get(f"/datasets/series/isel?f={name}").content
        found = read(name, content)
        assert found.time.tolist()[:4] == [
            "2000-02-27T00:00:00",
            "2000-02-28T00:00:00",
            "2000-02-29T00:00:00",
            "2000-02-30T00:00:00",
        ]
        assert found.ok.tolist() == [True, False] * 3
    field = parquet.read_schema(io.BytesIO(content)).field("time")
    assert json.loads(field.metadata[b"attrs"])["calendar"] == "360_day"


def test_what_is_rewritten_has_neither_ranges_nor_a_strong_tag(service: Service) -> None:
    """Parts of two moments would be put together."""
    path = "/datasets/rewritten/isel.parquet?time=0"
    head, whole = service.client.head(path), service.get(path)
    for answer in (head, whole):
        assert answer.status_code == 200
        assert answer.headers["etag"].startswith("W/")
        assert "accept-ranges" not in answer.headers
    assert "content-length" not in head.headers
    assert parquet.read_metadata(io.BytesIO(whole.content)).num_rows == ROWS * COLUMNS


def test_media_types_and_names(service: Service) -> None:
    """By `f`, by the suffix, or by the media type; saved under the suffix."""
    for name, media_type in TYPES.items():
        answers = [
            service.get(f"/datasets/cube/isel?time=0&lat=0&f={name}"),
            service.get(f"/datasets/cube/isel.{name}?time=0&lat=0"),
            service.get("/datasets/cube/isel?time=0&lat=0", headers={"Accept": media_type}),
        ]
        for answer in answers:
            assert answer.headers["content-type"] == media_type
            assert answer.content == answers[0].content
            told = answer.headers["content-disposition"]
            assert re.fullmatch(rf'attachment; filename=".*\.{name}"', told)
    refused = service.get("/datasets/cube/isel?f=parq").json()
    assert refused["did_you_mean"] == "parquet"
    assert service.get("/datasets/cube/isel?f=parquet&bom=true").json()["known"] == ["f=csv"]


def test_explained(service: Service) -> None:
    """Sizes are rough until the file was made; what is no table is refused as CSV is."""
    path = "/datasets/cube/isel?time=0:7&explain=true"
    told = service.get(path).json()["bytes"]
    assert all(told[name]["rough"] for name in TYPES)
    size = int(
        service.client.head("/datasets/cube/isel.parquet?time=0:7").headers["content-length"]
    )
    assert service.get(path).json()["bytes"]["parquet"] == {"size": size, "rough": False}


def test_without_pyarrow(serve: Serve, stores: dict[str, Path], tmp_path: Path) -> None:
    """A server that has none knows the formats, and says what is missing."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as metadata, sys\n"
        "sys.modules['pyarrow'] = None\n"
        "found = metadata.version\n"
        "def version(name):\n"
        "    if name == 'pyarrow':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "metadata.version = version\n"
    )
    service = serve({"cube": stores["cube"]}, PYTHONPATH=str(tmp_path))
    refused = service.get("/datasets/cube/isel.parquet?time=0")
    assert refused.status_code == 406
    assert "sluice-zarr[tables]" in refused.json()["detail"]
    accept = {"Accept": "application/vnd.apache.parquet, text/csv;q=0.1"}
    instead = service.get("/datasets/cube/isel?time=0&lat=0", headers=accept)
    assert instead.headers["content-type"].startswith("text/csv")
    explained = service.get("/datasets/cube/isel?time=0&explain=true").json()["bytes"]
    assert "pyarrow" in explained["arrow"]["refused"]
