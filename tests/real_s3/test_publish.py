"""The job that publishes the sample: a real S3 holds it afterwards, and Sluice answers from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from app.settings import Settings
from demo.sample import write_sample
from tests.api.conftest import serving
from tests.s3 import s3_server

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "deploy" / "catalog.yaml"
ASKED = re.compile(r"^\$ curl .*'http://127\.0\.0\.1:8000(/datasets/sample/[^']*)'$", re.M)


@dataclass(frozen=True)
class Server:
    """An S3 server and keys that it takes."""

    endpoint: str
    key: str
    secret: str

    def variables(self, **others: str) -> dict[str, str]:
        """What the compose file sets for the job and the service."""
        names = {
            "S3_ENDPOINT": self.endpoint,
            "S3_ACCESS_KEY": self.key,
            "S3_SECRET_KEY": self.secret,
            "SLUICE_CATALOG": str(CATALOG),
        }
        return {**names, **others}


@pytest.fixture(scope="module")
def moto() -> Iterator[Server]:
    """The S3 of the compose file's stand-in, in this process."""
    with s3_server() as address:
        yield Server(address, "example-access-key", "example-secret-key")


@pytest.fixture(scope="module", params=["moto", "radosgw"])
def s3(request: pytest.FixtureRequest) -> Server:
    """An S3 server with no bucket in it."""
    found = request.getfixturevalue(request.param)
    if isinstance(found, Server):
        return found
    return Server(found.endpoint, found.owner.key, found.owner.secret)


def publish(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The job as its container runs it."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("SLUICE_", "S3_", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "demo.publish"],
        cwd=ROOT,
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def published(s3: Server) -> Server:
    """The server with the sample in it; the job has been run twice, as by two starts."""
    for said in ("written", "is there already"):
        done = publish(s3.variables())
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr == f"publish: s3://samples/analyses.zarr: {said}\n"
    return s3


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of the same sample on the disk, as the demo has it."""
    folder = tmp_path_factory.mktemp("local")
    write_sample(folder / "analyses.zarr")
    title = yaml.safe_load(CATALOG.read_text())["datasets"]["sample"]["title"]
    entry = {"url": "analyses.zarr", "title": title}
    (folder / "catalog.yaml").write_text(yaml.safe_dump({"datasets": {"sample": entry}}))
    return folder / "catalog.yaml"


def test_the_quickstarts_requests_are_answered_from_the_bucket(
    published: Server, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each curl line of the quickstart gets byte for byte what the sample on the disk answers."""
    paths = ASKED.findall((ROOT / "docs" / "quickstart.md").read_text())
    assert len(paths) >= 3
    for name, value in published.variables().items():
        monkeypatch.setenv(name, value)
    with serving(Settings()) as composed, serving(Settings(catalog=local)) as demo:
        for path in paths:
            remote = composed.get(path)
            expected = demo.get(path)
            assert remote.status_code == expected.status_code, remote.text
            assert remote.headers["Content-Type"] == expected.headers["Content-Type"]
            if "explain" in path:
                # The forecast follows from what each server has measured.
                assert {**remote.json(), "forecast": None} == {**expected.json(), "forecast": None}
            else:
                assert remote.content == expected.content
            assert remote.status_code == (422 if "52.51" in path else 200)
        assert composed.get("/datasets").content == demo.get("/datasets").content
        point = composed.get(next(path for path in paths if "nearest" in path)).json()
    assert point["data_vars"]["t"]["data"] == 266.5625


@pytest.mark.parametrize("s3", ["radosgw"], indirect=True)
def test_wrong_keys_end_the_job_with_a_line(published: Server) -> None:
    """Where the server checks keys the job fails with the address, and tells no secret."""
    done = publish(published.variables(S3_SECRET_KEY="not-the-secret"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("publish: s3://samples/analyses.zarr: ")
    assert done.stderr.count("\n") == 1
    assert "not-the-secret" not in done.stderr


def test_no_server_ends_the_job_with_a_line() -> None:
    """Where nothing listens the job fails with the address and no traceback."""
    nowhere = Server("http://127.0.0.1:1", "key", "secret")
    done = publish(nowhere.variables(AWS_MAX_ATTEMPTS="1"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("publish: s3://samples/analyses.zarr: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_variable_is_refused_before_anything_is_written(moto: Server) -> None:
    """The catalog's own sentence, which names the variable, and the status of wrong usage."""
    variables = moto.variables()
    del variables["S3_SECRET_KEY"]
    done = publish(variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert "S3_SECRET_KEY" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_job_that_broke_off_is_made_good(moto: Server) -> None:
    """A store without its root document is no store: the next run writes it whole."""
    assert publish(moto.variables()).returncode == 0
    with closing(client_of(moto)) as client:
        where = {"Bucket": "samples", "Key": "analyses.zarr/zarr.json"}
        lost = {"Bucket": "samples", "Key": "analyses.zarr/t/c/0/0/0/0"}
        whole = client.get_object(**where)["Body"].read()
        for item in (where, lost):
            client.delete_object(**item)
        assert publish(moto.variables()).stderr.endswith("written\n")
        assert client.get_object(**where)["Body"].read() == whole
        assert client.head_object(**lost)["ContentLength"] > 0


def client_of(server: Server) -> Any:
    """boto3's client, for a look into the server's buckets."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
    )
