"""Large NetCDF answers: sent while they are read, with a length, from any byte on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service
from .processes import says, until

WHOLE = "/datasets/{name}/isel?f=netcdf"
# No coding: lengths and ranges are of the file itself.
PLAIN = {"Accept-Encoding": "identity"}
# Rows of chunks of the second are far larger than may be in memory for a variable in one piece.
# So many maps are more than the sockets of both sides and the server hold.
LONG = 600
CHUNKS = {"maps": (1, 200, 400), "series": (60, 50, 50)}


def cube() -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(60, 200, 400)) * 10
    values[3:5, 20:40] = np.nan
    return xr.Dataset(
        {"t": (("time", "lat", "lon"), values, {"units": "K"}), "crs": ((), 4326)},
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(60) * np.timedelta64(6, "h"),
            "lat": np.linspace(90, -90, 200),
            "lon": np.arange(400) * 0.9,
            "name": ("time", [f"step {n}" for n in range(60)]),
        },
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    found = {}
    for name, chunks in CHUNKS.items():
        ds, found[name] = cube().drop_vars("name"), folder / f"{name}.zarr"
        ds.t.encoding = {"chunks": chunks, "dtype": "i2", "scale_factor": 0.01, "_FillValue": -999}
        ds.to_zarr(found[name], zarr_format=2, consolidated=True)
    ds, found["texts"] = cube(), folder / "texts.zarr"
    ds.t.encoding = {"chunks": CHUNKS["maps"]}
    ds.to_zarr(found["texts"], zarr_format=2, consolidated=True)
    found["broken"] = folder / "broken.zarr"
    ds = cube().drop_vars("name")
    ds.t.encoding = {"chunks": CHUNKS["maps"]}
    ds.to_zarr(found["broken"], zarr_format=2, consolidated=True)
    long = xr.Dataset({"t": (("time", "lat", "lon"), np.ones((LONG, 200, 400), "i2"))})
    long.t.encoding, found["long"] = {"chunks": CHUNKS["maps"]}, folder / "long.zarr"
    long.to_zarr(found["long"], zarr_format=2, consolidated=True)
    for chunk in (found["broken"] / "t").glob("5?.0.0"):
        chunk.write_bytes(b"no chunk")
    return found


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    rewritten = {"rewritten": {"url": str(stores["maps"]), "rewritten": True}}
    return serve({**stores, **rewritten}, SLUICE_CHUNK_CACHE_BYTES="0")


def content_of(service: Service, name: str, headers: dict[str, str] | None = None) -> bytes:
    answer = service.get(WHOLE.format(name=name), headers={**PLAIN, **(headers or {})})
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("name", ["maps", "series", "texts"])
def test_a_streamed_file_is_the_store(
    service: Service, stores: dict[str, Path], name: str, tmp_path: Path
) -> None:
    file = tmp_path / "answer.nc"
    file.write_bytes(content_of(service, name))
    with xr.open_dataset(file) as ours, xr.open_zarr(stores[name]) as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())
    with (
        xr.open_dataset(file, decode_cf=False) as ours,
        xr.open_zarr(stores[name], decode_cf=False) as theirs,
    ):
        np.testing.assert_array_equal(ours.t.values, theirs.t.values)
        assert ours.t.dtype == theirs.t.dtype


@pytest.mark.parametrize("name", ["maps", "series"])
def test_the_length_is_known_before_anything_is_read(service: Service, name: str) -> None:
    head = service.client.head(WHOLE.format(name=name), headers=PLAIN)
    answer = service.get(WHOLE.format(name=name), headers=PLAIN)
    assert head.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-length"] == str(len(answer.content))
    assert head.headers["accept-ranges"] == answer.headers["accept-ranges"] == "bytes"
    assert head.headers["etag"] == answer.headers["etag"]


def test_a_length_that_follows_from_texts_is_told_by_head_once_it_is_known(
    service: Service,
) -> None:
    path = WHOLE.format(name="texts") + "&isel[time]=0:7"
    head = service.client.head(path, headers=PLAIN)
    assert head.status_code == 200
    assert "content-length" not in head.headers
    length = service.get(path, headers=PLAIN).headers["content-length"]
    assert service.client.head(path, headers=PLAIN).headers["content-length"] == length


@pytest.mark.parametrize("name", ["maps", "series", "texts"])
@pytest.mark.parametrize("part", ["0-0", "5-1004", "1000000-1999999", "9000000-", "-1", "-70000"])
def test_any_part_is_part_of_the_whole(service: Service, name: str, part: str) -> None:
    whole = content_of(service, name)
    first, _, last = part.partition("-")
    start = int(first) if first else len(whole) - int(last)
    stop = min(int(last) + 1, len(whole)) if first and last else len(whole)
    headers = {**PLAIN, "Range": f"bytes={part}"}
    answer = service.get(WHOLE.format(name=name), headers=headers)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"
    assert answer.content == whole[start:stop]


def test_a_part_of_a_small_file_and_of_a_client_that_takes_codings(service: Service) -> None:
    path = "/datasets/maps/isel?f=netcdf&time=0&lat=0"
    whole = service.get(path, headers=PLAIN).content
    answer = service.get(path, headers={"Range": "bytes=100-199", "Accept-Encoding": "gzip"})
    assert answer.status_code == 206
    assert "content-encoding" not in answer.headers
    assert answer.content == whole[100:200]


def test_if_range_sends_the_whole_of_another_answer(service: Service) -> None:
    path, part = WHOLE.format(name="maps"), {**PLAIN, "Range": "bytes=0-9"}
    tag = service.client.head(path, headers=PLAIN).headers["etag"]
    assert service.get(path, headers={**part, "If-Range": tag}).status_code == 206
    assert service.get(path, headers={**part, "If-Range": '"another"'}).status_code == 200
    answer = service.get(path, headers={**part, "If-None-Match": tag})
    assert answer.status_code == 304


def test_if_match_is_for_the_very_same_answer(service: Service) -> None:
    """As `curl -H 'If-Match: …' -r` asks for the rest of a file; parts are of it or not at all."""
    path, part = WHOLE.format(name="maps"), {**PLAIN, "Range": "bytes=0-9"}
    tag = service.client.head(path, headers=PLAIN).headers["etag"]
    for given in (tag, "*", f'"another", {tag}'):
        assert service.get(path, headers={**part, "If-Match": given}).status_code == 206
    for given in ('"another"', f"W/{tag}", "nonsense"):
        answer = service.get(path, headers={**part, "If-Match": given})
        assert (answer.status_code, answer.json()["etag"]) == (412, tag)
        assert answer.json()["type"].endswith("other-version")
    # A client that has the answer is told so only if it is the one that it asks for.
    both = {**PLAIN, "If-Match": '"another"', "If-None-Match": tag}
    assert service.get(path, headers=both).status_code == 412
    rewritten = service.get(WHOLE.format(name="rewritten"), headers={**PLAIN, "If-Match": tag})
    assert rewritten.status_code == 412


def test_a_part_behind_the_end_is_a_problem(service: Service) -> None:
    path = WHOLE.format(name="maps")
    size = service.client.head(path, headers=PLAIN).headers["content-length"]
    answer = service.get(path, headers={**PLAIN, "Range": f"bytes={size}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"
    assert answer.json()["type"].endswith("no-range")


def test_what_is_rewritten_in_place_has_a_weak_tag_and_no_parts(service: Service) -> None:
    path, part = WHOLE.format(name="rewritten"), {**PLAIN, "Range": "bytes=0-9"}
    answer = service.get(path, headers=part)
    assert answer.status_code == 200
    assert answer.headers["etag"].startswith('W/"')
    assert "accept-ranges" not in answer.headers
    again = service.get(path, headers={"If-None-Match": answer.headers["etag"], **PLAIN})
    assert again.status_code == 304


def test_a_posted_question_is_answered_alike(service: Service) -> None:
    answer = service.client.post("/datasets/series/isel", json={"f": "netcdf"}, headers=PLAIN)
    assert answer.content == content_of(service, "series")


def test_a_store_that_fails_at_once_is_an_error(service: Service) -> None:
    answer = service.get("/datasets/broken/isel?f=netcdf&time=50:60", headers=PLAIN)
    assert answer.status_code == 502
    assert answer.json()["type"].endswith("store-corrupt")


def counted(service: Service, line: str) -> float:
    """The value of a line of the metrics; 0 where there is none."""
    for row in service.get("/metrics").text.splitlines():
        if row.startswith(f"{line} "):
            return float(row.split()[-1])
    return 0.0


def test_a_store_that_fails_later_breaks_the_connection_off(service: Service) -> None:
    broken = 'sluice_refused_total{reason="broken"}'
    before = counted(service, broken)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        service.get(WHOLE.format(name="broken"), headers={**PLAIN, "X-Request-ID": "mine"})
    # The client may see it before the log does.
    until(says(service.log, "answer broken off id=mine"), "a line of the log")
    assert counted(service, broken) == before + 1
    # Others are answered on.
    assert service.get("/datasets/broken/isel?f=netcdf&time=0", headers=PLAIN).status_code == 200


@pytest.fixture
def half_taken(service: Service) -> Iterator[socket.socket]:
    """A connection whose client has taken the beginning of an answer, and no more."""
    with socket.socket() as connection:
        # Else the kernels on both sides take several megabytes.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        connection.connect(service.address)
        connection.sendall(f"GET {WHOLE.format(name='long')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(2**12).startswith(b"HTTP/1.1 200")
        yield connection


MISSES = 'sluice_chunk_lookups_total{outcome="miss"}'


def settled(service: Service, line: str) -> float:
    """The value of a metric once it stays, for longer than it may take to be told."""
    found = [counted(service, line)]
    while len(found) < 40 or found[-1] != found[-40]:
        time.sleep(0.05)
        found.append(counted(service, line))
    return found[-1]


@pytest.fixture
def misses(service: Service) -> float:
    """Chunks that were read before, of requests that have ended."""
    return settled(service, MISSES)


def until_some(service: Service, line: str) -> float:
    """The value of a metric once it is not 0, or 0."""
    for _ in range(400):
        if found := counted(service, line):
            return found
        time.sleep(0.05)
    return 0.0


def until_zero(service: Service, line: str) -> float:
    """The value of a metric once it is 0, or what it stays at."""
    for _ in range(400):
        if not counted(service, line):
            break
        time.sleep(0.05)
    return counted(service, line)


def test_what_nobody_takes_is_not_read(
    service: Service, misses: float, half_taken: socket.socket
) -> None:
    assert until_some(service, "sluice_inflight_bytes") > 0
    assert settled(service, MISSES) - misses < LONG / 2
    assert counted(service, "sluice_inflight_bytes") > 0


def test_a_client_that_leaves_takes_its_memory_along(
    service: Service, half_taken: socket.socket
) -> None:
    assert until_some(service, "sluice_inflight_bytes") > 0
    half_taken.close()
    assert until_zero(service, "sluice_inflight_bytes") == 0
