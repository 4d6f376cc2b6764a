"""A store that says that it is slow is waited for, and one that is elsewhere is found or named."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from loadtests.attack.odd_web import Manner, OddWeb, Visit, odd_web

from .conftest import Serve, Service, check, command, write_catalog

ENGINES = ("http", "s3fs", "obstore")
REGION = "eu-west-3"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"


@dataclass(frozen=True)
class Ground:
    """The service, and the web server from which it reads."""

    service: Service
    web: OddWeb

    def ask(self, dataset: str, position: int) -> httpx.Response:
        """One value, of a chunk of its own."""
        return self.service.get(f"/datasets/{dataset}/isel?x={position}&variables=a")


def entry(web: OddWeb, engine: str, bucket: str = "bucket") -> dict[str, Any]:
    """The one store, as this engine reads it."""
    if engine == "http":
        return {"url": f"{web.address}/{bucket}/store.zarr", "zarr_format": 2}
    options: dict[str, Any] = {"endpoint_url": web.address, "key": "any", "secret": "any"}
    options["client_kwargs"] = {"region_name": "us-east-1"}
    where = {"url": f"s3://{bucket}/store.zarr", "zarr_format": 2}
    return {**where, "engine": engine, "storage_options": options}


@pytest.fixture(scope="module")
def ground(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A store of 64 chunks in two buckets, in ways of which one only answers other regions."""
    root = tmp_path_factory.mktemp("web")
    data = xr.Dataset({"a": ("x", np.arange(64.0))}, {"x": np.arange(64)})
    for bucket in ("bucket", *(f"far{status}" for status in REDIRECTS)):
        (root / bucket).mkdir()
        data.to_zarr(root / bucket / "store.zarr", zarr_format=2, encoding={"a": {"chunks": (1,)}})
    with odd_web(root) as web:
        entries = {engine: entry(web, engine) for engine in ENGINES}
        for status in REDIRECTS:
            for engine in ("s3fs", "obstore"):
                entries[f"{engine}-{status}"] = entry(web, engine, f"far{status}")
            web.manners[f"/far{status}/"] = elsewhere(status)
        for way in NOWHERE:
            for engine in ("s3fs", "obstore"):
                entries[f"{engine}-nowhere-{way}"] = entry(web, engine, f"nowhere-{way}")
        settings = {"SLUICE_STORE_FAILURES": "3", "SLUICE_STORE_READ_SECONDS": "20"}
        service = serve(entries, SLUICE_CHUNK_CACHE_BYTES="0", **settings)
        yield Ground(service, web)


def slow(share: float, seed: int = 3) -> Manner:
    """A `SlowDown` to this share of the requests."""
    drawn = random.Random(seed)

    def answer(visit: Visit) -> None:
        if drawn.random() < share:
            visit.whole(503, SLOW_DOWN)
        else:
            visit.file()

    return answer


def later(
    *headers: tuple[str, str], times: int = 1, status: int = 503, body: bytes = b""
) -> Manner:
    """The same to the first `times` requests, with these headers."""
    left = [times]

    def answer(visit: Visit) -> None:
        if left[0] > 0:
            left[0] -= 1
            visit.whole(status, body, *headers)
        else:
            visit.file()

    return answer


# What S3 answers where a bucket is another region's, by status.
REDIRECTS: dict[int, tuple[str, bool]] = {
    301: ("PermanentRedirect", True),
    307: ("TemporaryRedirect", True),
    400: ("AuthorizationHeaderMalformed", False),
}


def elsewhere(status: int) -> Manner:
    """A server of another region: who signs for a wrong one is told so."""
    code, in_header = REDIRECTS[status]
    region = "" if in_header else f"<Region>{REGION}</Region>"
    body = f"<Error><Code>{code}</Code><Message>Elsewhere.</Message>{region}</Error>".encode()
    headers = [("x-amz-bucket-region", REGION)] if in_header else []

    def answer(visit: Visit) -> None:
        if f"/{REGION}/s3/" in visit.headers.get("Authorization", ""):
            visit.file()
        else:
            visit.whole(status, body, ("Content-Type", "application/xml"), *headers)

    return answer


def redirecting(status: int, body: bytes, location: bool) -> Manner:
    """A redirect that names no region in its head, maybe to where it comes from."""

    def answer(visit: Visit) -> None:
        where = [("Location", f"http://{visit.headers['Host']}{visit.path}")] if location else []
        visit.whole(status, body, ("Content-Type", "application/xml"), *where)

    return answer


MOVED = (
    b"<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message>"
    b"<Endpoint>bucket.s3.eu-west-3.amazonaws.com</Endpoint></Error>"
)
# With words of what the log says where s3fs reads.
NOWHERE: dict[str, tuple[Manner, str]] = {
    "unnamed": (redirecting(301, b"", False), "another region"),
    "endpoint": (redirecting(301, MOVED, False), f"the region {REGION}"),
    "itself": (redirecting(307, b"", True), "its redirects lead nowhere"),
    "itself-moved": (redirecting(301, MOVED, True), "its redirects lead nowhere"),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_half_of_the_answers_may_be_slow_down(engine: str, ground: Ground) -> None:
    """Every request is answered all the same, the first opening included, and no circuit opens."""
    ground.web.manners["/bucket/"] = slow(0.5)
    answers = [ground.ask(engine, position) for position in range(12)]
    answers.append(ground.service.get(f"/datasets/{engine}/isel?x=20:40&variables=a"))
    del ground.web.manners["/bucket/"]
    assert [answer.status_code for answer in answers] == [200] * 13
    assert answers[-1].json()["data_vars"]["a"]["data"] == list(range(20, 40))
    assert "circuit open" not in ground.service.log.read_text()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_slow_store_is_not_broken(engine: str, ground: Ground, tmp_path: Path) -> None:
    """Neither where half of its answers are `SlowDown`, nor where all are: `check` is patient."""
    ground.web.manners["/bucket/"] = slow(0.5)
    found = check(tmp_path, {"it": entry(ground.web, engine)})
    assert "error" not in {finding["severity"] for finding in found}, found
    assert "slow" not in json.dumps(found)
    ground.web.manners["/bucket/"] = slow(1.0)
    catalog = write_catalog(tmp_path, {"it": entry(ground.web, engine)})
    done = command("check", "--format", "json", "--patience", "4", "--catalog", catalog)
    del ground.web.manners["/bucket/"]
    severities = [finding["severity"] for finding in json.loads(done.stdout)["findings"]]
    assert (done.returncode, severities) == (0, ["warning"]), done.stdout
    assert "slow just now" in done.stdout


BUSY = {
    "503": (503, b""),
    "503 of a proxy": (503, b"<html>busy</html>"),
    "503 of S3": (503, SLOW_DOWN.replace(b"SlowDown", b"ServiceUnavailable")),
    "429": (429, b""),
}


@pytest.mark.parametrize(
    ("engine", "said"),
    [(engine, said) for engine in ("http", "s3fs") for said in BUSY]
    # obstore does not show the header: there a 503 without S3's word for slow is one of many.
    + [("obstore", "429")],
)
def test_busy_is_slow(engine: str, said: str, ground: Ground) -> None:
    """Eight times in a row, with the header that tells of a pause."""
    status, body = BUSY[said]
    key = "/bucket/store.zarr/a/49"
    ground.ask(engine, 51)
    pause = ("Retry-After", "0")
    ground.web.manners[key] = later(pause, times=8, status=status, body=body)
    answer = ground.ask(engine, 49)
    del ground.web.manners[key]
    assert (answer.status_code, answer.json()["data_vars"]["a"]["data"]) == (200, 49.0)


# With the least seconds until the next try.
PAUSES: dict[str, tuple[list[tuple[str, str]], float]] = {
    "seconds": ([("Retry-After", "2")], 2.0),
    "a date": ([("Retry-After", formatdate(1000, usegmt=True))], 0.0),
    "nonsense": ([("Retry-After", "soon")], 0.0),
}


@pytest.mark.parametrize("engine", ["http", "s3fs"])
@pytest.mark.parametrize("said", list(PAUSES))
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(status: int, said: str, engine: str, ground: Ground) -> None:
    """No other try comes before the time that the store wants."""
    headers, least = PAUSES[said]
    key = "/bucket/store.zarr/a/50"
    ground.ask(engine, 51)
    ground.web.manners[key] = later(*headers, status=status)
    ground.web.moments.pop(key, None)
    answer = ground.ask(engine, 50)
    del ground.web.manners[key]
    assert (answer.status_code, answer.json()["data_vars"]["a"]["data"]) == (200, 50.0)
    first, second = ground.web.moments[key]
    assert second - first >= least


@pytest.mark.parametrize("engine", ["http", "s3fs"])
def test_a_date_to_come_is_obeyed_too(engine: str, ground: Ground) -> None:
    """As HTTP writes it: in whole seconds, by the server's clock."""
    key = "/bucket/store.zarr/a/52"
    ground.ask(engine, 51)
    ground.web.manners[key] = later(("Retry-After", formatdate(time.time() + 3, usegmt=True)))
    ground.web.moments.pop(key, None)
    assert ground.ask(engine, 52).status_code == 200
    del ground.web.manners[key]
    first, second = ground.web.moments[key]
    assert second - first > 1


@pytest.mark.parametrize("engine", ["http", "s3fs"])
def test_what_is_too_late_is_told_at_once(engine: str, ground: Ground) -> None:
    """An hour is beyond the deadline: a 502 that says when to come back, and no second try."""
    key = "/bucket/store.zarr/a/53"
    ground.ask(engine, 51)
    ground.web.manners[key] = later(("Retry-After", "3600"), times=5)
    ground.web.asked.pop(key, None)
    answer = ground.ask(engine, 53)
    del ground.web.manners[key]
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:sluice:problem:store-slow"
    assert int(answer.headers["retry-after"]) >= 3600
    assert ground.web.asked[key] == 1


@pytest.mark.parametrize("status", list(REDIRECTS))
def test_s3fs_follows_a_bucket_to_its_region(status: int, ground: Ground) -> None:
    """Whatever the entry says; the metadata and the chunks."""
    answer = ground.ask(f"s3fs-{status}", 7)
    assert answer.status_code == 200, ground.service.log.read_text()[-2000:]
    assert answer.json()["data_vars"]["a"]["data"] == 7.0


@pytest.mark.parametrize("status", list(REDIRECTS))
def test_obstore_says_what_to_write_into_the_entry(status: int, ground: Ground) -> None:
    """With the region where its words have it."""
    assert ground.ask(f"obstore-{status}", 7).status_code == 502
    lines = ground.service.log.read_text().splitlines()
    told = [line for line in lines if f"obstore-{status}" in line and "region_name" in line]
    assert told, lines[-3:]
    if status == 400:
        assert REGION in told[-1]


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
@pytest.mark.parametrize("way", list(NOWHERE))
def test_a_redirect_that_leads_nowhere_is_told(way: str, engine: str, ground: Ground) -> None:
    """After a few requests, in the words of an operator, and with the region where it is named."""
    manner, words = NOWHERE[way]
    bucket = f"nowhere-{way}"
    ground.web.manners[f"/{bucket}"] = manner
    before = ground.web.asked.total()
    assert ground.ask(f"{engine}-{bucket}", 7).status_code == 502
    asked = ground.web.asked.total() - before
    lines = ground.service.log.read_text().splitlines()
    told = [line for line in lines if f"{engine}-{bucket}" in line and "(" in line][-1]
    told = told.partition("reading")[2]
    assert asked <= 25, told
    for strange in ("Exception", "exception", "Error:", "message=", "circle", "recursion"):
        assert strange not in told
    if engine == "s3fs" or way.startswith("itself"):
        assert words in told


def test_the_store_is_where_it_was(ground: Ground, tmp_path: Path) -> None:
    """Nothing of all that stays: the same questions are answered by all engines."""
    ground.web.manners = {key: m for key, m in ground.web.manners.items() if "far" in key}
    for engine in ENGINES:
        assert ground.ask(engine, 53).json()["data_vars"]["a"]["data"] == 53.0


@pytest.mark.parametrize("way", ["late", "slow-down"])
def test_check_calls_a_slow_store_slow(way: str, tmp_path: Path) -> None:
    """Each read brings something, and all of them together more than the patience: a warning."""
    data = xr.Dataset({f"v{n}": ("x", np.arange(4.0)) for n in range(40)})
    data.to_zarr(tmp_path / "bucket/store.zarr", zarr_format=2)
    drawn = random.Random(3)

    def answer(visit: Visit) -> None:
        if way == "slow-down" and drawn.random() < 0.5:
            visit.whole(503, SLOW_DOWN)
            return
        time.sleep(0.5)
        visit.file()

    with odd_web(tmp_path) as web:
        web.manners["/bucket/store.zarr/v"] = answer
        catalog = write_catalog(tmp_path, {"a": entry(web, "http")})
        found = command("check", "--catalog", str(catalog), "--format", "json", "--patience", "4")
    assert found.returncode == 0, found.stdout + found.stderr
    findings = json.loads(found.stdout)["findings"]
    assert "error" not in {finding["severity"] for finding in findings}, findings
    assert any("4 seconds were not enough" in one["text"] for one in findings), findings
