"""Stores on S3 that grow and go while they are served, by either engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import S3Store
from zarr.storage import ObjectStore

from app.settings import Settings
from tests.api.conftest import serving
from tests.api.growing import append, hours, write
from tests.api.test_changing_stores import SERIES, is_as_long, readers, series_length, until
from tests.s3 import KEYS, s3_client, s3_server

# moto warns of the old value of each key that is written anew, whenever that is collected.
pytestmark = pytest.mark.filterwarnings("ignore:S3 key was not disposed of in time")

ENGINES = ("s3fs", "obstore")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 in this process."""
    with s3_server() as address:
        with s3_client(address) as s3:
            s3.create_bucket(Bucket="growing")
        yield address


@pytest.fixture
def bucket(endpoint: str) -> S3Store:
    """The bucket, empty, as its writer has it."""
    store = S3Store(
        "growing",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=KEYS["key"],
        secret_access_key=KEYS["secret"],
        client_options={"allow_http": True},
    )
    empty(store)
    return store


def empty(bucket: S3Store) -> None:
    for page in obstore.list(bucket):
        for entry in page:
            obstore.delete(bucket, entry["path"])


@pytest.fixture
def client(endpoint: str, bucket: S3Store, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server that reads the bucket by both engines."""
    write(ObjectStore(bucket), hours(0, 12), zarr_format=3, consolidated=True)
    options: dict[str, Any] = {
        **KEYS,
        "endpoint_url": endpoint,
        "client_kwargs": {"region_name": "us-east-1"},
    }
    fields = f"url: s3://growing, storage_options: {options}, refresh_seconds: 0.2"
    entries = [f"  {engine}: {{engine: {engine}, {fields}}}" for engine in ENGINES]
    path = tmp_path / "catalog.yaml"
    path.write_text("\n".join(["datasets:", *entries]))
    with serving(Settings(catalog=path, failed_open_seconds=0.2)) as client:
        yield client


def test_an_append_is_seen_whole_under_load(client: httpx.Client, bucket: S3Store) -> None:
    """Readers of both engines meet no error and no mixed answer, and see it without being told."""
    # Opened before the writer begins: a first open in the middle of an append lists the store.
    assert {series_length(client, engine) for engine in ENGINES} == {12}
    paths = [f"/datasets/{engine}/{SERIES}" for engine in ENGINES]
    with readers(client.base_url, paths) as wrong:
        for first, end in ((12, 15), (15, 40)):
            append(ObjectStore(bucket), first, end, zarr_format=3, consolidated=True)
            for engine in ENGINES:
                until(partial(is_as_long, client, engine, end), f"{engine} {end}")
    assert wrong == []


@pytest.mark.parametrize("engine", ENGINES)
def test_metadata_that_is_gone_is_502_cached_chunks_included(
    client: httpx.Client, bucket: S3Store, engine: str
) -> None:
    """A bucket that was emptied is found out by the next look, and healed when it is filled."""
    assert series_length(client, engine) == 12
    empty(bucket)
    path = f"/datasets/{engine}/{SERIES}"
    until(lambda: client.get(path).status_code == 502, "gone")
    write(ObjectStore(bucket), hours(0, 12), zarr_format=3, consolidated=True)
    until(lambda: client.get(path).status_code == 200, "back")
