"""The service over a real, signature-checking S3: answers as from the disk, or says why not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import xarray as xr
import yaml

from app.settings import Settings
from demo.sample import write_sample
from tests.api.conftest import serving
from tests.real_s3.conftest import Keys, Radosgw

POINT = "sel?time=2024-01-02T12:00Z&level=850&latitude=nearest::52.5&longitude=nearest::13.4"
BOX = "sel?time=2024-01-02T12:00Z&latitude=30/60&longitude=0/40&f=netcdf"
CHUNK = "t/c/0/0/0/0"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's own sample store."""
    folder = tmp_path_factory.mktemp("sample") / "analyses.zarr"
    write_sample(folder)
    return folder


@pytest.fixture(params=["s3fs", "obstore"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def served(tmp_path: Path, **entries: dict[str, Any]) -> Iterator[httpx.Client]:
    """A server over a catalog of these entries."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(yaml.safe_dump({"datasets": entries}))
    with serving(Settings(catalog=catalog, failed_open_seconds=0)) as client:
        yield client


def entry(radosgw: Radosgw, bucket: str, engine: str, keys: Keys) -> dict[str, Any]:
    url = f"s3://{bucket}/analyses.zarr"
    return {"url": url, "engine": engine, "storage_options": radosgw.options(keys)}


def test_sample_answers_as_from_the_disk(
    radosgw: Radosgw, sample: Path, engine: str, tmp_path: Path
) -> None:
    """The same catalog with the sample in a bucket gives byte for byte the same answers."""
    bucket = radosgw.make_bucket()
    radosgw.upload_dir(sample, bucket, "analyses.zarr")
    remote = entry(radosgw, bucket, engine, radosgw.owner)
    with served(tmp_path, local={"url": str(sample)}, remote=remote) as client:
        for query in (POINT, BOX, "isel?time=0&level=0"):
            local = client.get(f"/datasets/local/{query}")
            assert local.status_code == 200
            assert client.get(f"/datasets/remote/{query}").content == local.content


def test_wrong_keys_are_a_502_that_tells_no_secret(
    radosgw: Radosgw, sample: Path, engine: str, tmp_path: Path
) -> None:
    """Refused credentials are the store's refusal, with neither key nor bucket in the answer."""
    bucket = radosgw.make_bucket()
    radosgw.upload_dir(sample, bucket, "analyses.zarr")
    with served(tmp_path, refused=entry(radosgw, bucket, engine, radosgw.nobody)) as client:
        answer = client.get(f"/datasets/refused/{POINT}")
    assert answer.status_code == 502
    assert answer.json()["type"].endswith("store-refused")
    for secret in (radosgw.nobody.key, radosgw.nobody.secret, bucket):
        assert secret not in answer.text


def test_reader_without_listing_reads_but_never_guesses(
    radosgw: Radosgw, sample: Path, engine: str, tmp_path: Path
) -> None:
    """With s3:GetObject alone present chunks are read; a missing one is 502, not a fill value."""
    bucket = radosgw.make_bucket(reader_may=("s3:GetObject",))
    radosgw.upload_dir(sample, bucket, "analyses.zarr")
    with served(tmp_path, sample=entry(radosgw, bucket, engine, radosgw.reader)) as client:
        first = "isel?time=0&level=0&latitude=0&longitude=0&variables=t"
        # Another chunk: what was read once stays in memory.
        other = first.replace("time=0", "time=-1")
        assert client.get(f"/datasets/sample/{other}").status_code == 200
        radosgw.delete(bucket, f"analyses.zarr/{CHUNK}")
        answer = client.get(f"/datasets/sample/{first}")
    assert answer.status_code == 502
    assert answer.json()["type"].endswith("store-refused")


def test_missing_chunk_is_a_fill_value(
    radosgw: Radosgw, sample: Path, engine: str, tmp_path: Path
) -> None:
    """Where the store says "no such key" the answer is what xarray makes of a missing chunk."""
    bucket = radosgw.make_bucket()
    radosgw.upload_dir(sample, bucket, "analyses.zarr")
    radosgw.delete(bucket, f"analyses.zarr/{CHUNK}")
    holed = tmp_path / "holed.zarr"
    shutil.copytree(
        sample,
        holed,
        ignore=lambda folder, names: [n for n in names if f"{folder}/{n}".endswith(CHUNK)],
    )
    where = {"time": 0, "level": 0, "latitude": 0, "longitude": 0}
    expected = float(xr.open_zarr(holed, chunks=None)["t"].isel(where))
    assert expected != float(xr.open_zarr(sample, chunks=None)["t"].isel(where))
    with served(tmp_path, sample=entry(radosgw, bucket, engine, radosgw.owner)) as client:
        answer = client.get("/datasets/sample/isel", params={**where, "variables": "t"})
    assert answer.json()["data_vars"]["t"]["data"] == expected


def test_bucket_that_is_not_there_or_no_longer(
    radosgw: Radosgw, sample: Path, engine: str, tmp_path: Path
) -> None:
    """A missing bucket is 502, also when it goes after the open; a chunk of it is no fill value."""
    bucket = radosgw.make_bucket()
    radosgw.upload_dir(sample, bucket, "analyses.zarr")
    missing = entry(radosgw, "no-such-bucket", engine, radosgw.owner)
    present = entry(radosgw, bucket, engine, radosgw.owner)
    with served(tmp_path, missing=missing, present=present) as client:
        answers = [client.get(f"/datasets/missing/{POINT}")]
        assert client.get(f"/datasets/present/{POINT}").status_code == 200
        radosgw.remove_bucket(bucket)
        # Another chunk: what was read once stays in memory.
        answers.append(client.get("/datasets/present/isel?time=0&level=0&latitude=0&longitude=0"))
    for answer in answers:
        assert answer.status_code == 502
        assert answer.json()["type"].endswith("store-missing")
