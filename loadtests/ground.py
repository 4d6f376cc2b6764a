"""What the load stands on: an S3 server with the sample in it, and Sluice reading it.

Each is a process of its own on loopback that ends with its block, also when that is interrupted.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RADOSGW = ROOT / "scripts" / "radosgw.sh"
RADOSGW_PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-authtool", "ceph-mon", "ceph-osd")
KEY, SECRET = "load-key", "load-secret-123"
BUCKET = "load"
STORE_NAME = "analyses.zarr"
PATIENCE_SECONDS = 60
GRACE_SECONDS = 20
CATALOG_TEXT = """\
datasets:
  sample:
    url: s3://{bucket}/{store}
    storage_options: {{endpoint_url: "{endpoint}", key: {key}, secret: {secret}}}
    zarr_format: 3
    title: Synthetic hourly analyses
    cache_control: "public, max-age=60"
"""


class NotReady(Exception):
    """Something that the load stands on did not start; the sentence says what, and its log."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The endpoint of a running S3 server that holds the sample, and what kind of server it is."""

    endpoint: str
    server: str


def write_truth(store: Path, folder: Path) -> None:
    """Each decoded variable of `store` as ``NAME.npy`` in `folder`, unless an earlier run did."""
    if folder.exists():
        return
    import numpy as np
    import xarray as xr

    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with xr.open_zarr(store, chunks=None) as ds:
        for name, variable in ds.items():
            np.save(unfinished / f"{name}.npy", variable.values)
    unfinished.rename(folder)


@contextmanager
def bucket(kind: str, store: Path, folder: Path) -> Iterator[Bucket]:
    """An S3 server of this `kind` (radosgw, moto, or auto: the first that is here) with `store`.

    radosgw checks signatures as a real S3 does; moto takes any. Logs go to `folder`.
    """
    if kind == "auto":
        kind = "radosgw" if all(map(shutil.which, RADOSGW_PROGRAMS)) else "moto"
    with (radosgw if kind == "radosgw" else moto)(folder) as endpoint:
        upload(store, endpoint)
        yield Bucket(endpoint, kind)


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """The endpoint of a moto server."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    endpoint = f"http://127.0.0.1:{port}"
    with running(command, folder / "s3.log") as server:
        wait_until_it_answers(server, f"{endpoint}/moto-api/", folder / "s3.log")
        yield endpoint


@contextmanager
def radosgw(folder: Path) -> Iterator[str]:
    """The endpoint of a Ceph gateway with one user."""
    state = folder / "radosgw"
    shutil.rmtree(state, ignore_errors=True)
    log = folder / "s3.log"
    try:
        port = free_port(neighbours=3)
        finish([str(RADOSGW), "start", str(state), str(port)], log)
        finish([str(RADOSGW), "user", str(state), "load", KEY, SECRET], log)
        yield f"http://127.0.0.1:{port}"
    finally:
        if state.exists():
            subprocess.run([RADOSGW, "stop", state], check=False)


def upload(store: Path, endpoint: str) -> None:
    """Every file of `store` as an object of the bucket, which is made."""
    import boto3
    from botocore.config import Config

    # The gateway predates the checksums that newer clients add unasked.
    plain: Any = Config(request_checksum_calculation="when_required")
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=plain,
    )
    with closing(client):
        client.create_bucket(Bucket=BUCKET)
        for path in sorted(path for path in store.rglob("*") if path.is_file()):
            key = f"{STORE_NAME}/{path.relative_to(store).as_posix()}"
            client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())


@contextmanager
def sluice(endpoint: str, folder: Path, workers: int) -> Iterator[tuple[int, str]]:
    """The process id and the address of a server of so many `workers` over the bucket."""
    catalog, log = folder / "catalog.yaml", folder / "server.log"
    words = {"bucket": BUCKET, "store": STORE_NAME, "key": KEY, "secret": SECRET}
    catalog.write_text(CATALOG_TEXT.format(endpoint=endpoint, **words), encoding="utf-8")
    with serving(catalog, log, "--workers", str(workers)) as served:
        yield served


@contextmanager
def threadpool(endpoint: str, folder: Path) -> Iterator[tuple[int, str]]:
    """The process id and the address of `loadtests.threadpool` over the bucket."""
    port, log = free_port(), folder / "server.log"
    options = {"endpoint_url": endpoint, "key": KEY, "secret": SECRET}
    told = {
        "LOAD_STORE": f"s3://{BUCKET}/{STORE_NAME}",
        "LOAD_STORE_OPTIONS": json.dumps(options),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "loadtests.threadpool:create_app"]
    quiet = ["--port", str(port), "--log-level", "warning"]
    with running([*command, *quiet], log, **told) as server:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/datasets", log)
        yield server.pid, f"http://127.0.0.1:{port}"


@contextmanager
def serving(
    catalog: Path, log: Path, *options: str, descriptors: str = "", **environment: str
) -> Iterator[tuple[int, str]]:
    """The process id and the address of a server over this catalog, once it answers.

    It may have no more file `descriptors` than are given.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
    command += [sys.executable, "-m", "app", "serve", "--catalog", str(catalog)]
    with running([*command, "--port", str(port), *options], log, **environment) as server:
        wait_until_it_answers(server, f"{address}/healthz", log)
        yield server.pid, address


@contextmanager
def running(
    command: Sequence[str], log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` in a session of its own until the block ends; its output goes to `log`.

    Ctrl-C reaches us alone, so that we end everything in order; what the command started in turn
    ends with it.
    """
    with ExitStack() as stack:
        with log.open("ab") as output, uninterrupted():
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(end, process)
        yield process


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back what would end us until the block is over: half started, a process is left behind.

    That interrupts the main thread alone. (Were the signals blocked, what we start would inherit
    that.)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    endings = (signal.SIGINT, signal.SIGTERM)
    before = {
        ending: signal.signal(ending, lambda number, frame: came.append(number))
        for ending in endings
    }
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)
        for number in came:
            signal.raise_signal(number)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask `process` to end, wait a little, then kill it and what is left of its session."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def finish(command: Sequence[str], log: Path) -> None:
    """Run `command` to its end; raises NotReady when that is not a good one."""
    with running(command, log) as process:
        if process.wait() != 0:
            raise NotReady(f"{Path(command[0]).name} failed; its log is {log}")


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Returns when `url` answers; raises NotReady when it will not."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise NotReady(f"nothing answers at {url}; the server's log is {log}")


def free_port(neighbours: int = 1) -> int:
    """A port of loopback on which nothing listens, nor on the next ones."""
    for _ in range(100):
        first = random.randrange(20000, 32000)
        if all(map(_is_free, range(first, first + neighbours))):
            return first
    raise NotReady("no free port on loopback")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
