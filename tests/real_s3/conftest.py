"""A real S3 that checks signatures and policies, shared by the tests of this folder."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "radosgw.sh"
PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-authtool", "ceph-mon", "ceph-osd")


@dataclass(frozen=True)
class Keys:
    """The credentials of one user of the gateway."""

    key: str
    secret: str


OWNER = Keys("owner-key", "owner-secret-123")
READER = Keys("reader-key", "reader-secret-456")
NOBODY = Keys("owner-key", "not-the-secret")


@dataclass(frozen=True)
class Radosgw:
    """A running gateway: `owner` may do everything, `reader` what a bucket's policy grants."""

    endpoint: str
    client: Any  # boto3's, as the owner; blocking, for setting the stage only
    owner: Keys = OWNER
    reader: Keys = READER
    nobody: Keys = NOBODY
    _numbers: Iterator[int] = field(default_factory=count)

    def options(self, keys: Keys) -> dict[str, Any]:
        """storage_options of a catalog entry, for either engine."""
        return {"endpoint_url": self.endpoint, "key": keys.key, "secret": keys.secret}

    def make_bucket(self, *, reader_may: tuple[str, ...] = ()) -> str:
        """A new bucket; its policy grants the reader these actions, such as s3:GetObject."""
        name = f"bucket-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        if reader_may:
            statement = {
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
                "Action": list(reader_may),
                "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
            }
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            self.client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
        return name

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write one object."""
        self.client.put_object(Bucket=bucket, Key=key, Body=body)

    def delete(self, bucket: str, key: str) -> None:
        """Remove one object."""
        self.client.delete_object(Bucket=bucket, Key=key)

    def upload_dir(self, folder: Path, bucket: str, prefix: str) -> None:
        """Write all files below `folder` as objects below `prefix`."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(bucket, f"{prefix}/{path.relative_to(folder)}", path.read_bytes())

    def remove_bucket(self, bucket: str) -> None:
        """Remove a bucket with all that it holds."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
            self.delete(bucket, key)
        self.client.delete_bucket(Bucket=bucket)


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radosgw]:
    """One gateway for the session (each worker of a parallel run has its own)."""
    _installed_or_skip()
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    folder, endpoint = _started(tmp_path_factory.mktemp("radosgw"))
    try:
        for name, keys in (("owner", OWNER), ("reader", READER)):
            _script("user", str(folder), name, keys.key, keys.secret)
        # The gateway predates the checksums that newer clients add unasked.
        plain: Any = Config(request_checksum_calculation="when_required")
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=OWNER.key,
            aws_secret_access_key=OWNER.secret,
            region_name="us-east-1",
            config=plain,
        )
        with closing(client):
            yield Radosgw(endpoint, client)
    finally:
        _script("stop", str(folder))


def _installed_or_skip() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing and os.environ.get("CI") == "true" and os.geteuid() == 0:
        _script("install")
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"real S3: {', '.join(missing)} not installed (scripts/radosgw.sh install)")


def _started(folder: Path) -> tuple[Path, str]:
    # A port that is free now may be taken before the gateway binds it: hence another try.
    for attempt in range(3):
        state = folder / str(attempt)
        try:
            return state, _script("start", str(state), str(_free_ports()))
        except subprocess.CalledProcessError:
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def _free_ports() -> int:
    """The first of three neighbouring ports that nobody listens on."""
    for _ in range(100):
        first = random.randrange(20000, 32000, 3)
        if all(map(_is_free, range(first, first + 3))):
            return first
    raise OSError("no free ports on loopback")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _script(*words: str) -> str:
    done = subprocess.run([SCRIPT, *words], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
