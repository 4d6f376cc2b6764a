"""The service over S3: the same answers as from the disk, by either engine, and honest failures."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.api.conftest import serving
from tests.s3 import KEYS, s3_client, s3_server

CATALOG = """
datasets:
  local: {{url: "{stores}/v3.zarr"}}
  s3fs: {{url: "s3://{bucket}/v3.zarr", storage_options: {options}}}
  obstore: {{url: "s3://{bucket}/v3.zarr", engine: obstore, storage_options: {options}}}
  nobucket: {{url: "s3://no-such-bucket/v3.zarr", storage_options: {options}}}
"""

QUERIES = [
    "isel?time=0&level=-1&latitude=3&longitude=5",
    "sel?time=2020-01-02&latitude=nearest::52.5&longitude=nearest::13.4",
    "isel?variables=t,mask&level=0&f=netcdf",
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 in this process."""
    with s3_server() as address:
        yield address


@contextmanager
def uploaded(endpoint: str, stores: Path, name: str) -> Iterator[Any]:
    """A client of that S3, in which a bucket of this name holds the v3 store."""
    with s3_client(endpoint) as s3:
        s3.create_bucket(Bucket=name)
        for path in sorted(p for p in (stores / "v3.zarr").rglob("*") if p.is_file()):
            s3.put_object(Bucket=name, Key=str(path.relative_to(stores)), Body=path.read_bytes())
        yield s3


@contextmanager
def reading(endpoint: str, bucket: str, stores: Path, folder: Path) -> Iterator[httpx.Client]:
    """A client of a server that reads the bucket by both engines."""
    options = {**KEYS, "endpoint_url": endpoint, "client_kwargs": {"region_name": "us-east-1"}}
    path = folder / "catalog.yaml"
    path.write_text(CATALOG.format(stores=stores, bucket=bucket, options=options))
    with serving(Settings(catalog=path, failed_open_seconds=0)) as client:
        yield client
    # An unclosed session would warn now, and warnings are errors.
    gc.collect()


@pytest.fixture(scope="module")
def client(
    endpoint: str, stores: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server over a bucket that stays."""
    folder = tmp_path_factory.mktemp("stays")
    with (
        uploaded(endpoint, stores, "stays"),
        reading(endpoint, "stays", stores, folder) as client,
    ):
        yield client


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
@pytest.mark.parametrize("query", QUERIES)
def test_s3_answers_as_the_disk_does(client: httpx.Client, engine: str, query: str) -> None:
    """Where a store lies makes no difference to what is answered."""
    answer = client.get(f"/datasets/{engine}/{query}")
    assert answer.status_code == 200, answer.text
    local = client.get(f"/datasets/local/{query}")
    # NetCDF files carry nothing that differs between two writes.
    assert answer.content == local.content


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
def test_a_bucket_that_goes_away_is_502(
    endpoint: str, stores: Path, tmp_path: Path, engine: str
) -> None:
    """A store that vanishes after it was opened is a failure, never an answer of fill values."""
    name = f"goes-{engine}"
    query = f"/datasets/{engine}/isel?level=0&variables=t"
    with (
        uploaded(endpoint, stores, name) as s3,
        reading(endpoint, name, stores, tmp_path) as client,
    ):
        assert client.get(f"{query}&time=0").status_code == 200
        for entry in s3.list_objects_v2(Bucket=name)["Contents"]:
            s3.delete_object(Bucket=name, Key=entry["Key"])
        s3.delete_bucket(Bucket=name)
        # An hour in a chunk that is not in memory.
        answer = client.get(f"{query}&time=30")
    assert answer.status_code == 502, answer.text
    assert name not in answer.text


def test_a_missing_bucket_is_502_and_no_secret_is_told(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the client nor the log is told a key, and the client not even the bucket."""
    with caplog.at_level(logging.DEBUG, "app"):
        answer = client.get("/datasets/nobucket/sel")
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:sluice:problem:store-missing"
    assert "no-such-bucket" not in answer.text
    assert "no-such-bucket" in caplog.text
    assert "hush" not in answer.text + caplog.text
