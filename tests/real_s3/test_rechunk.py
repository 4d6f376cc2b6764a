"""A copy in other chunks, written to a real S3 and read from there: killed half-way, too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from botocore.exceptions import ClientError

from app.settings import Settings
from loadtests.ground import ROOT
from tests.api.conftest import serving
from tests.blackbox.processes import until
from tests.real_s3.conftest import Radosgw

CHUNKS = "time=48,latitude=12,longitude=12"
POINT = "latitude=nearest::10&longitude=nearest::20"
MAPS, SERIES = "maps.zarr", "copies/series.zarr"
RECORD = f"{SERIES}/sluice-rechunk.json"
# A chunk of the first block.
FIRST = f"{SERIES}/t2m/c/0/0/0"


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 maps of 90 x 180."""
    values = np.random.default_rng(3).normal(size=(48, 90, 180)).astype("f4")
    labels = {
        "time": np.datetime64("2024-01-01", "ns") + np.arange(48) * np.timedelta64(1, "h"),
        "latitude": np.linspace(90, -90, 90),
        "longitude": np.arange(180) * 2.0,
    }
    ds = xr.Dataset({"t2m": (("time", "latitude", "longitude"), values)}, labels)
    path = tmp_path_factory.mktemp("maps") / MAPS
    ds.to_zarr(path, zarr_format=3, consolidated=False, encoding={"t2m": {"chunks": (1, 90, 180)}})
    return path


def entry(radosgw: Radosgw, bucket: str, engine: str) -> dict[str, Any]:
    return {
        "url": f"s3://{bucket}/{MAPS}",
        "engine": engine,
        "storage_options": radosgw.options(radosgw.owner),
        "also": [f"s3://{bucket}/{SERIES}"],
    }


def begun(catalog: Path, bucket: str) -> subprocess.Popen[str]:
    """The command, on its way."""
    words = [
        "rechunk",
        "maps",
        "--chunks",
        CHUNKS,
        "--catalog",
        str(catalog),
        "--memory",
        "2MiB",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "app", *words, f"s3://{bucket}/{SERIES}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def content(radosgw: Radosgw, bucket: str, key: str) -> bytes | None:
    try:
        body: bytes = radosgw.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError:
        return None
    return body


def test_a_killed_copy_goes_on_and_answers(radosgw: Radosgw, maps: Path, tmp_path: Path) -> None:
    """What is written stays, nothing is stamped before all is there, and answers are the same."""
    bucket = radosgw.make_bucket()
    radosgw.upload_dir(maps, bucket, MAPS)
    catalog = tmp_path / "catalog.yaml"
    names = {"maps": "s3fs", "obstore": "obstore"}
    entries = {name: entry(radosgw, bucket, engine) for name, engine in names.items()}
    catalog.write_text(yaml.safe_dump({"datasets": {**entries, "alone": {"url": str(maps)}}}))

    def some() -> bool:
        found = content(radosgw, bucket, RECORD)
        return found is not None and json.loads(found)["done"].get("t2m", 0) >= 2

    with begun(catalog, bucket) as killed:
        until(lambda: some() or killed.poll() is not None, "two blocks")
        assert killed.poll() is None, killed.communicate()
        killed.send_signal(signal.SIGKILL)
    assert b"sluice_copy_of" not in (content(radosgw, bucket, f"{SERIES}/zarr.json") or b"")
    written = radosgw.client.head_object(Bucket=bucket, Key=FIRST)["LastModified"]
    with begun(catalog, bucket) as again:
        said, told = again.communicate()
    assert again.returncode == 0, told
    assert "a copy of 'maps'" in said
    assert content(radosgw, bucket, RECORD) is None
    assert radosgw.client.head_object(Bucket=bucket, Key=FIRST)["LastModified"] == written
    with serving(Settings(catalog=catalog, failed_open_seconds=0)) as client:
        for name in names:
            told_of = client.get(f"/datasets/{name}/sel?{POINT}&explain=true").json()
            assert (told_of["copies"], told_of["chunks"]) == ({"t2m": "series"}, 1)
            for asked in (POINT, "latitude=-20/20&longitude=10/60", "time=2024-01-02T05:00"):
                ours, theirs = (
                    client.get(f"/datasets/{one}/sel?{asked}&f=csv") for one in (name, "alone")
                )
                assert ours.status_code == 200
                assert ours.content == theirs.content
