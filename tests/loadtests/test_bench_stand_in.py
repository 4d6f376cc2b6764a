"""The stand-in for S3: what it answers, how late, and what it has counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from loadtests.bench.machine import stand_in
from loadtests.bench.probes.get_and_decode import signer
from loadtests.bench.stand_in import asked_since, set_delay
from sluice.store import Filesystems


@pytest.fixture(name="endpoint")
def _endpoint(tmp_path: Path) -> Iterator[str]:
    """A stand-in with one object, ``bucket/a b``, of ten bytes."""
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "a b").write_bytes(b"0123456789")
    with stand_in(tmp_path, tmp_path / "log") as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        (None, 200, b"0123456789"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=7-99", 206, b"789"),
        ("bytes=-3", 206, b"789"),
    ],
)
def test_ranges(endpoint: str, wanted: str | None, status: int, body: bytes) -> None:
    """Whole values, closed, open, clipped and suffix ranges, as RFC 9110 section 14 has them."""
    asked = Request(f"{endpoint}/bucket/a%20b", headers={"Range": wanted} if wanted else {})
    with urlopen(asked) as answer:
        assert (answer.status, answer.read()) == (status, body)


def test_head_and_missing(endpoint: str) -> None:
    """A HEAD tells the size alone; a missing key is S3's own 404."""
    with urlopen(Request(f"{endpoint}/bucket/a%20b", method="HEAD")) as answer:
        assert (answer.headers["Content-Length"], answer.read()) == ("10", b"")
    with pytest.raises(HTTPError) as missing:
        urlopen(f"{endpoint}/bucket/none")
    with missing.value as error:
        assert error.code == 404
        assert b"<Code>NoSuchKey</Code>" in error.read()


def test_requests_are_counted_until_asked(endpoint: str) -> None:
    """Counts are by method and key, and start again once they were told."""
    for _ in range(2):
        urlopen(f"{endpoint}/bucket/a%20b").close()
    urlopen(Request(f"{endpoint}/bucket/a%20b", method="HEAD")).close()
    assert asked_since(endpoint) == {"GET /bucket/a b": 2, "HEAD /bucket/a b": 1}
    assert asked_since(endpoint) == {}


def test_delay(endpoint: str) -> None:
    """An answer starts as late as it was told to, until told otherwise."""
    set_delay(endpoint, 0.2)
    start = time.perf_counter()
    urlopen(f"{endpoint}/bucket/a%20b").close()
    assert time.perf_counter() - start >= 0.2
    set_delay(endpoint, 0)
    start = time.perf_counter()
    urlopen(f"{endpoint}/bucket/a%20b").close()
    assert time.perf_counter() - start < 0.2


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
async def test_both_engines_read_it(endpoint: str, engine: Literal["s3fs", "obstore"]) -> None:
    """Values, ranges and missing keys come through s3fs and obstore as from any S3."""
    options = {"endpoint_url": endpoint, "key": "k", "secret": "s"}
    async with Filesystems() as filesystems:
        source = await filesystems.source("s3://bucket", storage_options=options, engine=engine)
        assert await source.get("a b") == b"0123456789"
        assert await source.get("a b", -3) == b"789"
        assert await source.get("none") is None


def test_the_floor_signs_as_botocore_does() -> None:
    """The bare GET's signature is the one that botocore gives the same request."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = signer("http://127.0.0.1:9", "bench", "bench-secret")("/bucket/t2m/c/0/1/2")
    request = AWSRequest("GET", "http://127.0.0.1:9/bucket/t2m/c/0/1/2")
    request.context["payload_signing_enabled"] = False
    request.context["timestamp"] = headers["x-amz-date"]
    request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    theirs = S3SigV4Auth(Credentials("bench", "bench-secret"), "s3", "us-east-1")
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    canonical = theirs.canonical_request(request)
    signature = theirs.signature(theirs.string_to_sign(request, canonical), request)
    assert headers["Authorization"].endswith(f"Signature={signature}")
