"""Budgets, turns, deadlines and clients that leave, seen from outside, over a slow store."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from app.settings import Settings
from loadtests.bench.machine import stand_in
from loadtests.bench.stand_in import asked_since, set_delay
from tests.api.conftest import serving
from tests.api.test_chunk_cache import sample_of
from tests.api.test_problems import check

STEPS = 40
SERIES = "/datasets/slow/isel?y=0&x=0"
POINT = f"{SERIES}&time=0"
# The last of a series that anybody reads: not in memory before its end.
LAST = f"{SERIES}&time={STEPS - 1}"
FILE = "/datasets/big/isel?f=netcdf"
TEXT = "/datasets/big/isel?f=json&time=0:4"
PLAIN = {"Accept-Encoding": "identity"}
# How many the store is asked at once; how late it answers.
AT_ONCE = 4
LATE = 0.2


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store of forty chunks and one that is large, behind a server that counts what is asked."""
    folder = tmp_path_factory.mktemp("store")
    small = np.arange(STEPS * 16, dtype="float32").reshape(STEPS, 4, 4)
    large = np.random.default_rng(1).normal(size=(8, 1000, 1000)).astype("float32")
    for name, values in (("slow", small), ("big", large)):
        ds = xr.Dataset({"v": (("time", "y", "x"), values)})
        chunks = {"v": {"chunks": (1, *values.shape[1:])}}
        ds.to_zarr(folder / "bucket" / f"{name}.zarr", zarr_format=2, encoding=chunks)
    with stand_in(folder, folder / "log") as endpoint:
        yield endpoint


@pytest.fixture
def serve(endpoint: str, tmp_path: Path) -> Callable[..., Any]:
    """A server over that store, which answers late once its metadata and a point are in memory."""

    @contextmanager
    def serve(late: float = LATE, **settings: Any) -> Iterator[httpx.Client]:
        catalog = tmp_path / "catalog.yaml"
        entries = [f"  {n}: {{url: '{endpoint}/bucket/{n}.zarr'}}\n" for n in ("slow", "big")]
        catalog.write_text("datasets:\n" + "".join(entries))
        set_delay(endpoint, 0)
        with serving(Settings(catalog=catalog, store_concurrency=AT_ONCE, **settings)) as client:
            client.get("/datasets/big").raise_for_status()
            client.get(POINT).raise_for_status()
            set_delay(endpoint, late)
            asked_since(endpoint)
            yield client

    return serve


class Asked:
    """How many chunks the store was asked for since the test began."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._count = 0

    def __call__(self) -> int:
        self._count += sum(asked_since(self._endpoint).values())
        return self._count


@pytest.fixture
def asked(endpoint: str) -> Asked:
    return Asked(endpoint)


def until(true: Callable[[], object]) -> None:
    """Wait for what must become true."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def idle(client: httpx.Client) -> None:
    """Wait until no request holds memory or waits for it."""
    for name in ("sluice_inflight_bytes", "sluice_queue_length"):
        until(partial(lambda name: sample_of(client, name) == 0, name))


def begun(client: httpx.Client, path: str, header: str = "X: y") -> socket.socket:
    """A connection on which `path` was asked for, and nothing read."""
    url = client.base_url
    connection = socket.create_connection((url.host, url.port), timeout=30)
    lines = [f"GET {path} HTTP/1.1", "Host: x", "X-Request-ID: leaver", header, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


@contextmanager
def meanwhile(client: httpx.Client, path: str) -> Iterator[Future[httpx.Response]]:
    """The answer to `path`, which another connection asks for."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(httpx.get, client.base_url.join(path), timeout=60)


def test_a_client_that_leaves_ends_what_it_began(
    serve: Callable[..., Any], asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    """The store is asked for a few of forty chunks; the log has a line, and no error."""
    with serve() as client, caplog.at_level(logging.INFO):
        with begun(client, SERIES):
            until(asked)
        until(lambda: "id=leaver" in caplog.text)
        idle(client)
        time.sleep(2 * LATE)  # what the store would be asked next
        assert asked() <= 3 * AT_ONCE
    (line,) = [line for line in caplog.text.splitlines() if "id=leaver" in line]
    assert " status=0 " in line
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


def encoding_seconds() -> float:
    """The processor time that was spent on writing long answers until now."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("encode")]
    clocks = [time.pthread_getcpuclockid(thread.ident) for thread in threads if thread.ident]
    return sum(time.clock_gettime(clock) for clock in clocks)


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="threads have no clocks")
@pytest.mark.parametrize("format", ["csv", "json", "netcdf"])
def test_nobody_writes_for_a_client_that_left(
    serve: Callable[..., Any], endpoint: str, caplog: pytest.LogCaptureFixture, format: str
) -> None:
    """A long answer is written as long as somebody waits; then its memory is free."""
    with serve(decode_threads=1) as client, caplog.at_level(logging.INFO):
        set_delay(endpoint, 0)
        path = f"/datasets/big/isel?time=0:2&f={format}"
        headers = {"Accept-Encoding": "gzip"}
        client.get(path, headers=headers).raise_for_status()
        whole = encoding_seconds()
        with begun(client, path, "Accept-Encoding: gzip"):
            until(lambda: encoding_seconds() > whole)
        until(lambda: "id=leaver" in caplog.text)
        spent = encoding_seconds() - whole
        assert spent < whole / 2
        idle(client)
        assert encoding_seconds() - whole == spent


def test_what_another_waits_for_is_not_ended(serve: Callable[..., Any], asked: Asked) -> None:
    """Two ask for the same chunks and one leaves: the other gets all, each asked for once."""
    with serve() as client, begun(client, SERIES) as leaver:
        until(asked)
        with begun(client, SERIES) as stayer:
            for _ in range(3):  # by then, the server knows of the second
                client.get("/healthz")
            leaver.close()
            answer = HTTPResponse(stayer)
            answer.begin()
            data = json.loads(answer.read())["data_vars"]["v"]["data"]
        assert data == list(range(0, 16 * STEPS, 16))
        assert asked() == STEPS - 1  # one is in memory


def test_a_client_that_leaves_the_queue_is_forgotten(
    serve: Callable[..., Any], asked: Asked
) -> None:
    """It takes no memory when its turn would come, and the store is not asked for it."""
    with serve(inflight_bytes=1) as client, meanwhile(client, SERIES) as answer:
        until(asked)
        with begun(client, FILE):
            until(lambda: sample_of(client, "sluice_queue_length") == 1)
        assert answer.result().status_code == 200
        idle(client)
        assert asked() == STEPS - 1


def test_the_deadline_ends_a_request(serve: Callable[..., Any], asked: Asked) -> None:
    """504 with the limit, counted; the store is not asked on."""
    # Time enough for an open on a busy machine, and for half of the series.
    with serve(request_seconds=5 * LATE) as client:
        body = check(client.get(SERIES), 504)
        assert body["type"].endswith("deadline")
        assert body["limit_seconds"] == 5 * LATE
        idle(client)
        time.sleep(2 * LATE)
        assert 0 < asked() <= 6 * AT_ONCE
        assert sample_of(client, "sluice_refused_total", reason="deadline") == 1
        assert client.get(POINT).status_code == 200


def test_the_deadline_holds_for_an_open_too(serve: Callable[..., Any], endpoint: str) -> None:
    """A dataset whose store does not answer keeps nobody longer than that."""
    with serve(request_seconds=1, late=4, opened_datasets=1) as client:
        for path in ("/datasets/big", "/datasets/big/isel?time=0&y=0&x=0"):
            assert check(client.get(path), 504)["type"].endswith("deadline")
        set_delay(endpoint, 0)
        assert client.get("/datasets/big").status_code == 200


def test_a_client_with_too_many_requests_is_told_so(
    serve: Callable[..., Any], asked: Asked
) -> None:
    """429 and when to ask again; what is small and in memory is answered all the same."""
    with serve(client_requests=1) as client, meanwhile(client, SERIES) as first:
        until(asked)
        refused = client.get(LAST)
        assert check(refused, 429)["limit"] == 1
        assert refused.headers["retry-after"] == "1"
        assert client.get(POINT).status_code == 200
        assert first.result().status_code == 200
        assert client.get(LAST).status_code == 200
        assert sample_of(client, "sluice_refused_total", reason="client") == 1


def test_an_ipv6_network_counts_as_one(serve: Callable[..., Any], asked: Asked) -> None:
    """Another address of the same 64 bits has no requests of its own; another network has."""
    with serve(client_requests=1) as client:

        def ask(address: str) -> httpx.Response:
            answer: httpx.Response = client.get(LAST, headers={"X-Forwarded-For": address})
            return answer

        with ThreadPoolExecutor(1) as threads:
            url, headers = client.base_url.join(SERIES), {"X-Forwarded-For": "2001:db8:0:1::a"}
            first = threads.submit(httpx.get, url, headers=headers, timeout=60)
            until(asked)
            check(ask("2001:db8:0:1::b"), 429)
            assert ask("2001:db8:0:2::a").status_code == 200
            assert first.result().status_code == 200


def test_who_does_not_fit_waits_and_is_served(serve: Callable[..., Any], asked: Asked) -> None:
    """One after the other where there is memory for one; the wait is counted."""
    with serve(inflight_bytes=1) as client, ThreadPoolExecutor(4) as threads:
        url = client.base_url.join(SERIES)
        answers = list(threads.map(lambda n: httpx.get(url, timeout=60, verify=False), range(4)))
        assert {answer.status_code for answer in answers} == {200}
        assert sample_of(client, "sluice_queue_seconds_count") == 3
        idle(client)
        assert asked() == STEPS - 1


def test_a_light_request_passes_a_heavy_backlog(
    serve: Callable[..., Any], endpoint: str, asked: Asked
) -> None:
    """The store is asked for its one chunk before all of theirs; what is in memory never waits."""
    heavy = [f"{SERIES}&time={start}:{start + 8}" for start in (1, 9, 17, 25)]
    light = f"{SERIES}&time=39"
    whose = {light: "192.0.2.2"}
    # Room for one of the heavy ones, and for nobody beside it.
    patience = {"store_attempt_seconds": 60, "store_read_seconds": 60}
    with serve(inflight_bytes=700, **patience) as client, ThreadPoolExecutor(8) as threads:
        set_delay(endpoint, 50)

        def ask(path: str) -> httpx.Response:
            address = whose.get(path, "192.0.2.1")
            headers = {"X-Forwarded-For": address}
            return httpx.get(client.base_url.join(path), headers=headers, timeout=60, verify=False)

        with begun(client, heavy[0], "X-Forwarded-For: 192.0.2.1"):
            until(lambda: asked() == AT_ONCE)
            answers = []
            for number, path in enumerate([*heavy[1:], light], 1):
                answers.append(threads.submit(ask, path))
                until(
                    partial(lambda most: sample_of(client, "sluice_queue_length") == most, number)
                )
            for address in ("192.0.2.1", "192.0.2.2"):
                headers = {"X-Forwarded-For": address}
                assert client.get(POINT, headers=headers).status_code == 200
            assert sample_of(client, "sluice_queue_length") == len(answers)
            set_delay(endpoint, 0)
        assert {answer.result().status_code for answer in answers} == {200}
    steps = [int(key.split("/")[-1].split(".")[0]) for key in asked_since(endpoint)]
    assert steps[0] == 39
    assert sorted(steps[1:]) == list(range(9, 33))


def test_no_turn_in_time_is_503(serve: Callable[..., Any], asked: Asked) -> None:
    """With when to ask again; what is small and in memory does not wait; then all is as before."""
    with serve(inflight_bytes=1, queue_seconds=LATE) as client, meanwhile(client, SERIES) as first:
        until(asked)
        refused = client.get(f"{SERIES}&time=1:3")
        assert check(refused, 503)["retry_after"] == 1
        assert refused.headers["retry-after"] == "1"
        assert client.get(POINT).status_code == 200
        assert first.result().status_code == 200
        assert client.get(f"{SERIES}&time=1:3").status_code == 200
        assert sample_of(client, "sluice_refused_total", reason="overload") == 1
        idle(client)


def test_a_full_queue_is_503(serve: Callable[..., Any], asked: Asked) -> None:
    """At once; a HEAD, which reads nothing, does not wait either."""
    with serve(inflight_bytes=1, queue_requests=0) as client, meanwhile(client, SERIES) as first:
        until(asked)
        assert client.head(f"{SERIES}&time=1:3").status_code == 200
        check(client.get(f"{SERIES}&time=1:3"), 503)
        assert first.result().status_code == 200


def test_an_answer_counts_until_its_client_has_it(serve: Callable[..., Any], endpoint: str) -> None:
    """A client that does not read holds the memory of its answer, and of no other form of it."""
    set_delay(endpoint, 0)
    with serve() as client:
        set_delay(endpoint, 0)
        size = int(client.get(TEXT, headers=PLAIN).headers["content-length"])
        assert size > 30 * 2**20
        with begun(client, TEXT):
            until(lambda: sample_of(client, "sluice_inflight_bytes") == size)
        idle(client)


def test_a_file_counts_as_what_is_in_memory_of_it(serve: Callable[..., Any], endpoint: str) -> None:
    """A client that does not read holds a few rows of chunks, until it leaves."""
    set_delay(endpoint, 0)
    with serve() as client:
        set_delay(endpoint, 0)
        size = int(client.head(FILE, headers=PLAIN).headers["content-length"])
        with begun(client, FILE):
            until(lambda: 0 < sample_of(client, "sluice_inflight_bytes") < size)
        idle(client)


def test_large_answers_are_whole(serve: Callable[..., Any], endpoint: str) -> None:
    """In pieces or not, many at once: the same bytes, within a budget for one."""
    with serve(inflight_bytes=2**25) as client:
        set_delay(endpoint, 0)
        paths = [f"/datasets/big/isel?time={n}&f=netcdf" for n in range(8)]
        found: dict[str, xr.Dataset] = {}

        def ask(path: str) -> None:
            content = httpx.get(client.base_url.join(path), timeout=60, verify=False).content
            found[path] = xr.open_dataset(content, engine="h5netcdf").load()

        threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        values = np.random.default_rng(1).normal(size=(8, 1000, 1000)).astype("float32")
        for number, path in enumerate(paths):
            np.testing.assert_array_equal(found[path]["v"], values[number])
        idle(client)
