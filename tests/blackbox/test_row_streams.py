"""Large tables: sent while they are read, in constant memory, and never cut off unnoticed."""

from __future__ import annotations

import gzip
import io
import json
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
import zstandard

from .conftest import Serve, Service
from .test_streams import MISSES as READ
from .test_streams import counted, settled, until_some, until_zero

STEPS, ROWS, COLUMNS = 64, 200, 400
CELLS = STEPS * ROWS * COLUMNS
TEXTS, LETTERS = 80_000, 500
# No coding, so that what is measured is the text.
PLAIN = {"Accept-Encoding": "identity"}
MIB = 2**20


def cube(steps: int = STEPS) -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(steps, ROWS, COLUMNS)).round(3).astype("f4")
    values[3, 20:40] = np.nan
    return xr.Dataset(
        {"t": (("time", "lat", "lon"), values, {"units": "K"})},
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(steps) * np.timedelta64(6, "h"),
            "lat": ("lat", np.linspace(90, -90, ROWS), {"units": "degrees_north"}),
            "lon": np.arange(COLUMNS) * 0.9,
        },
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    found = {}
    for name in ("maps", "broken"):
        ds, found[name] = cube(), folder / f"{name}.zarr"
        ds.t.encoding = {"chunks": (1, ROWS, COLUMNS)}
        ds.to_zarr(found[name], zarr_format=2, consolidated=True)
    for chunk in (found["broken"] / "t").glob("6?.0.0"):
        chunk.write_bytes(b"no chunk")
    # Chunks that are long along the rows; none of them is stored.
    found["series"] = absent(folder / "series.zarr", (2000, 400, 400), (2000, 20, 20))
    found["wide"] = absent(folder / "wide.zarr", (2, 40_000, 40_000), (1, 1000, 1000))
    found["wider"] = absent(folder / "wider.zarr", (2, 40_000, 40_000), (1, 4000, 4000))
    found["words"] = words(folder / "words.zarr")
    return found


def words(path: Path) -> Path:
    """Many chunks of the same long texts."""
    group = zarr.create_group(path, zarr_format=2)
    with warnings.catch_warnings(action="ignore"):
        array = group.create_array("word", shape=(TEXTS,), chunks=(1000,), dtype=str)
    array.attrs["_ARRAY_DIMENSIONS"] = ["row"]
    array[:1000] = np.array([f"{number:0{LETTERS}d}" for number in range(1000)], dtype=object)
    for number in range(1, TEXTS // 1000):
        (path / "word" / str(number)).hardlink_to(path / "word" / "0")
    zarr.consolidate_metadata(path, zarr_format=2)
    return path


def absent(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Path:
    """A store none of whose chunks is there."""
    group = zarr.create_group(path, zarr_format=2)
    array = group.create_array("t", shape=shape, chunks=chunks, dtype="f4", fill_value=0)
    array.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
    zarr.consolidate_metadata(path, zarr_format=2)
    return path


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    # More than the text of a map of 40,000 by 40,000 cells.
    settings = {"SLUICE_STREAM_RESULT_BYTES": str(2**40)}
    # Less than the texts of an answer.
    settings["SLUICE_REQUEST_TEXT_BYTES"] = str(8 * MIB)
    return serve(stores, SLUICE_CHUNK_CACHE_BYTES="0", **settings)


def peak(service: Service) -> int:
    """The most memory that the server's process has had, in bytes."""
    status = Path(f"/proc/{service.pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def taken(service: Service, path: str, headers: dict[str, str] | None = None) -> tuple[int, int]:
    """How many bytes and line feeds an answer has, of which nothing is kept."""
    size = lines = 0
    with service.client.stream("GET", path, headers={**PLAIN, **(headers or {})}) as answer:
        assert answer.status_code == 200
        assert "content-length" not in answer.headers
        assert answer.headers["transfer-encoding"] == "chunked"
        for piece in answer.iter_bytes():
            size += len(piece)
            lines += piece.count(b"\n")
    return size, lines


@pytest.mark.parametrize(("name", "header"), [("csv", 1), ("ndjson", 0)])
def test_much_text_takes_little_memory(service: Service, name: str, header: int) -> None:
    """Some hundred megabytes of text are sent through some tens of memory."""
    taken(service, "/datasets/maps/isel?f=csv&time=:8")
    before = peak(service)
    size, lines = taken(service, f"/datasets/maps/isel?f={name}")
    assert lines == CELLS + header
    assert size > 200 * MIB
    assert peak(service) - before < 64 * MIB


@pytest.mark.parametrize(
    "question", ["isel?time=:16", "isel?time=9:1:-2&lon=399,0,5", "sel?lat=20/-20"]
)
def test_a_streamed_table_is_the_store(
    service: Service, stores: dict[str, Path], question: str
) -> None:
    """Row by row as pandas has it."""
    path = f"/datasets/maps/{question}&f=csv"
    found = pd.read_csv(io.BytesIO(service.get(path, headers=PLAIN).content), parse_dates=["time"])
    with xr.open_zarr(stores["maps"]) as ds:
        if ":16" in question:
            ds = ds.isel(time=slice(16))
        elif "9:1" in question:
            ds = ds.isel(time=slice(9, 1, -2), lon=[399, 0, 5])
        elif "lat" in question:
            ds = ds.sel(lat=slice(20, -20))
        expected = ds.t.load().to_dataframe().reset_index()
    assert found.columns.tolist() == ["time", "lat", "lon", "t"]
    assert (found.time.dt.tz_localize(None) == expected.time).all()
    np.testing.assert_array_equal(found.lat, expected.lat)
    np.testing.assert_array_equal(found.t.astype("f4"), expected.t)


def test_lines_are_the_rows_of_csv(service: Service) -> None:
    """The same values under the same names, asked for by a POST or a media type."""
    path = "/datasets/maps/isel?time=2:5"
    table = pd.read_csv(io.BytesIO(service.get(f"{path}&f=csv", headers=PLAIN).content))
    accept = {**PLAIN, "Accept": "application/x-ndjson"}
    lines = service.get(path, headers=accept)
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert re.fullmatch(r'attachment; filename=".*\.ndjson"', lines.headers["content-disposition"])
    posted = service.client.post(
        "/datasets/maps/isel", json={"time": "2:5", "f": "ndjson"}, headers=PLAIN
    )
    assert posted.content == lines.content
    rows = [json.loads(line) for line in lines.content.splitlines()]
    assert len(rows) == len(table) == 3 * ROWS * COLUMNS
    assert rows[ROWS * COLUMNS + 20 * COLUMNS]["t"] is None
    values = np.array([row["t"] for row in rows], "f8")
    np.testing.assert_array_equal(values, table.t)
    assert [row["time"] for row in rows[:: ROWS * COLUMNS]] == table.time.unique().tolist()


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_stream_has_the_coding_that_is_asked_for(service: Service, coding: str) -> None:
    """Packed while it is written, to the end."""
    path = "/datasets/maps/isel?f=csv&time=:10"
    plain = service.get(path, headers=PLAIN)
    with service.client.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
        assert answer.headers["content-encoding"] == coding
        assert "content-length" not in answer.headers
        assert answer.headers["etag"] != plain.headers["etag"]
        packed = b"".join(answer.iter_raw())
    assert len(packed) < len(plain.content) / 3
    if coding == "gzip":
        assert gzip.decompress(packed) == plain.content
    else:
        assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == plain.content


def test_no_length_and_no_ranges(service: Service) -> None:
    """A table has no length before its last row; a range of it is all of it."""
    path = "/datasets/maps/isel?f=csv&time=:2"
    head = service.client.head(path, headers=PLAIN)
    part = service.get(path, headers={**PLAIN, "Range": "bytes=0-9"})
    for answer in (head, part):
        assert answer.status_code == 200
        assert {"content-length", "accept-ranges"}.isdisjoint(answer.headers)
    assert head.headers["etag"] == part.headers["etag"]
    known = service.get(path, headers={**PLAIN, "If-None-Match": head.headers["etag"]})
    assert known.status_code == 304
    assert part.content.count(b"\r\n") == 2 * ROWS * COLUMNS + 1


def test_a_small_table_has_its_length(service: Service) -> None:
    """It is made before it is sent."""
    answer = service.get("/datasets/maps/isel?f=csv&time=0&lat=0", headers=PLAIN)
    assert answer.headers["content-length"] == str(len(answer.content))


def test_a_store_that_fails_at_once_is_an_error(service: Service) -> None:
    """Nothing was sent yet."""
    answer = service.get("/datasets/broken/isel?f=csv&time=60:", headers=PLAIN)
    assert answer.status_code == 502
    assert answer.json()["type"].endswith("store-corrupt")


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_a_store_that_fails_later_breaks_the_connection_off(
    service: Service, name: str, coding: str
) -> None:
    """There is no end of the chunks that are sent, whatever is in them, after many of them."""
    before = counted(service, 'sluice_refused_total{reason="broken"}')
    headers = {"Accept-Encoding": coding}
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        service.get(f"/datasets/broken/isel?time=24:&f={name}", headers=headers)
    assert counted(service, 'sluice_refused_total{reason="broken"}') == before + 1
    assert until_zero(service, "sluice_inflight_bytes") == 0


@pytest.fixture
def unread(service: Service) -> float:
    """How many chunks were read before the test."""
    return settled(service, READ)


@pytest.fixture
def half_taken(service: Service, unread: float) -> Iterator[socket.socket]:
    """A connection whose client has taken the beginning of a table, and no more."""
    with socket.socket() as connection:
        # Else the kernels on both sides take several megabytes.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        connection.connect(service.address)
        connection.sendall(b"GET /datasets/maps/isel?f=csv HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(2**12).startswith(b"HTTP/1.1 200")
        yield connection


def test_the_first_byte_comes_before_the_last_chunk_is_read(
    service: Service, unread: float, half_taken: socket.socket
) -> None:
    """What nobody takes is not read; who leaves takes all along."""
    assert until_some(service, "sluice_inflight_bytes") > 0
    half_taken.close()
    assert until_zero(service, "sluice_inflight_bytes") == 0
    assert 0 < counted(service, READ) - unread < STEPS


def test_chunks_that_are_long_along_the_rows_are_refused(service: Service) -> None:
    """Those would be decoded for each slab of rows; another format has them once."""
    path = "/datasets/series/isel?f=csv"
    answer = service.get(path)
    assert answer.status_code == 413
    problem = answer.json()
    assert problem["limited"] == "decoded_times"
    assert problem["estimate"] == 20
    assert problem["limit"] == 4
    assert "f=netcdf" in problem["detail"]
    assert problem["dimension"] == "time"
    assert 0 < problem["positions"] < 2000
    assert service.client.head("/datasets/series/isel?f=netcdf", headers=PLAIN).status_code == 200
    fits = f"{path}&time=:{problem['positions']}"
    assert service.client.head(fits, headers=PLAIN).status_code == 200


@pytest.mark.parametrize("question", ["isel?", "isel?time=1", "isel?time=1:2"])
@pytest.mark.parametrize(("name", "most"), [("wide", 300 * MIB), ("wider", 600 * MIB)])
def test_rows_of_maps_that_no_memory_holds(
    service: Service, name: str, most: int, question: str
) -> None:
    """A map of 6 GiB is cut along its rows, one time after the other."""
    path = f"/datasets/{name}/{question}&f=csv&variables=t"
    before, size = peak(service), 0
    with service.client.stream("GET", path, headers=PLAIN) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > 4 * MIB:
                break
    assert peak(service) - before < most
    assert until_zero(service, "sluice_inflight_bytes") == 0


@pytest.mark.parametrize("which", ["first", "again"])
def test_more_texts_than_an_answer_may_have_are_streamed(service: Service, which: str) -> None:
    """Slab by slab they are few, before any was read and once their length is known."""
    before = peak(service)
    size, lines = taken(service, "/datasets/words/isel?f=csv")
    assert lines == TEXTS + 1
    assert size > TEXTS * LETTERS > 8 * MIB
    assert peak(service) - before < 128 * MIB


def test_options_of_csv(service: Service) -> None:
    """Units and a byte order mark on request; other formats have neither."""
    path = "/datasets/maps/isel?time=0:2"
    plain = service.get(f"{path}&f=csv", headers=PLAIN)
    marked = service.get(f"{path}&f=csv&bom=true&header=units", headers=PLAIN)
    assert plain.headers["etag"] != marked.headers["etag"]
    first, _, rest = marked.content.partition(b"\r\n")
    assert first == "\ufefftime,lat (degrees_north),lon,t (K)".encode()
    assert rest == plain.content.partition(b"\r\n")[2]
    for query, name in (("f=ndjson&bom=true", "bom"), ("header=units", "header")):
        refused = service.get(f"{path}&{query}")
        assert refused.status_code == 400
        assert refused.json()["parameter"] == name
        assert refused.json()["known"] == ["f=csv"]
    assert service.get(f"{path}&f=csv&header=both").json()["known"] == ["names", "units"]


def test_lists_by_column(service: Service) -> None:
    """For charts: whole, as JSON, within its limit."""
    answer = service.get("/datasets/maps/isel?lat=0&lon=3:5&f=columns")
    told = answer.json()
    assert told["units"] == {"lat": "degrees_north", "t": "K"}
    assert list(told["columns"]) == ["time", "lon", "lat", "t"]
    assert {len(column) for column in told["columns"].values()} == {2 * STEPS}
    assert "content-disposition" not in answer.headers
    assert answer.headers["content-type"].endswith("+json")
    assert service.get("/datasets/maps/isel?f=columns").status_code == 413
