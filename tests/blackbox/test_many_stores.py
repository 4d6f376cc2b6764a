"""Catalogs for people who have many stores: globs, defaults, and addresses without a file."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import httpx
import numpy as np
import psutil
import pytest
import xarray as xr

from loadtests.ground import free_port, moto, running, serving, wait_until_it_answers
from tests.blackbox.conftest import check, command
from tests.blackbox.processes import says, until

ADMIN, PART = "an-admin's-key", "a-partner's-key"
KEYS = ";".join(
    [
        f"ops {sha256(ADMIN.encode()).hexdigest()} admin",
        f"part {sha256(PART.encode()).hexdigest()} datasets=local-*,one",
    ]
)
S3 = {"key": "k", "secret": "hush-hush", "client_kwargs": {"region_name": "us-east-1"}}
VALUES = np.arange(4.0)


def write(*paths: Path) -> None:
    """A small store at each of these places."""
    dataset = xr.Dataset({"t": ("x", VALUES)}, {"x": np.arange(4)})
    for path in paths:
        dataset.to_zarr(path, zarr_format=2, consolidated=True)


class Bucket:
    """A bucket of an S3 server, with stores that are copies of one on the disk."""

    def __init__(self, endpoint: str, store: Path) -> None:
        self.endpoint, self.store = endpoint, store
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="k",
            aws_secret_access_key="hush-hush",
        )
        self._s3.create_bucket(Bucket="many")

    def put(self, name: str) -> None:
        """Write the store under this name."""
        for file in filter(Path.is_file, self.store.rglob("*")):
            key = f"{name}/{file.relative_to(self.store)}"
            self._s3.put_object(Bucket="many", Key=key, Body=file.read_bytes())

    def close(self) -> None:
        """End its client."""
        self._s3.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where stores and the catalog are."""
    found = tmp_path_factory.mktemp("many")
    write(*(found / "disk" / name for name in ("a.zarr", "b.zarr", "b.zip", "my data.zarr")))
    write(found / "one.zarr", found / "runs" / "today" / "waves.zarr")
    (found / "runs" / "empty").mkdir()
    write(found / "web" / "w.zarr")
    return found


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[Bucket]:
    """A bucket with two stores."""
    with moto(folder) as endpoint:
        bucket = Bucket(endpoint, folder / "one.zarr")
        bucket.put("runs/first.zarr")
        bucket.put("runs/second.zarr")
        yield bucket
        bucket.close()


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    """The address of a web server with index pages of `folder`."""

    class Pages(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    pages = partial(Pages, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), pages) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Served:
    """A server of two workers over a catalog with globs."""

    def __init__(self, address: str, pid: int, log: Path, catalog: Path) -> None:
        self.address, self.pid, self.log, self.catalog = address, pid, log, catalog

    def get(self, path: str, key: str = ADMIN) -> httpx.Response:
        """The answer of one of the workers: each time over a new connection."""
        headers = {"X-API-Key": key}
        return httpx.get(
            self.address + path, headers=headers, timeout=60, trust_env=False, verify=False
        )

    def post(self, path: str) -> httpx.Response:
        """The answer to an admin's POST."""
        headers = {"X-API-Key": ADMIN}
        return httpx.post(
            self.address + path, headers=headers, timeout=60, trust_env=False, verify=False
        )

    def ids(self, key: str = ADMIN) -> set[str]:
        """Which datasets there are, on whose number all workers agree."""
        answers = [self.get("/datasets", key).json() for _ in range(6)]
        assert all(answer == answers[0] for answer in answers)
        return {one["id"] for one in answers[0]["datasets"]}

    def agrees(self, wanted: set[str]) -> Callable[[], bool]:
        """Whether all workers have these datasets by now."""

        def agree() -> bool:
            answers = [self.get("/datasets").json()["datasets"] for _ in range(6)]
            return all({one["id"] for one in answer} == wanted for answer in answers)

        return agree

    def told(self, dataset: str) -> Any:
        """What the list says of one dataset."""
        listed = self.get("/datasets").json()["datasets"]
        return next(one for one in listed if one["id"] == dataset)


def entries(bucket: Bucket, web: str) -> dict[str, Mapping[str, Any]]:
    """Entries that stand for many stores, and one that stands for one."""
    inherited = {"storage_options": {"client_kwargs": None}}
    return {
        "one": {"url": "one.zarr", "license": "own", "storage_options": None},
        "local-{stem}": {
            "url": "disk/*.z*",
            "title": "Store {stem}",
            "description": "From {parent}",
            "storage_options": None,
        },
        "{parent}-waves": {"url": "runs/*/waves.zarr", "storage_options": None},
        "s3-{stem}": {"url": "s3://many/runs/*.zarr"},
        "obstore-{stem}": {"url": "s3://many/r?ns/*.zarr", "engine": "obstore"},
        "web-{stem}": {"url": f"{web}/web/*.zarr", "storage_options": None},
        "no-{stem}": {"url": f"{web}/nowhere/*.zarr", "storage_options": None},
        "gone-{stem}": {"url": "s3://not-there/*.zarr", **inherited},
    }


def write_catalog(folder: Path, bucket: Bucket, datasets: Mapping[str, Any]) -> Path:
    """The catalog with what all have in common."""
    defaults = {
        "license": "CC-BY-4.0",
        "attribution": "${WHO}",
        "refresh_seconds": 1,
        "storage_options": {**S3, "endpoint_url": bucket.endpoint},
    }
    catalog = folder / "catalog.yaml"
    catalog.write_text(json.dumps({"defaults": defaults, "datasets": datasets}))
    return catalog


@pytest.fixture(scope="module")
def served(folder: Path, bucket: Bucket, web: str) -> Iterator[Served]:
    """The server."""
    catalog, log = write_catalog(folder, bucket, entries(bucket, web)), folder / "server.log"
    settings = {"SLUICE_KEYS": KEYS, "WHO": "Somebody", "SLUICE_STORE_ATTEMPTS": "1"}
    with serving(catalog, log, "--workers", "2", **settings) as (pid, address):
        until(says(log, "startup complete", 2), "two workers")
        yield Served(address, pid, log, catalog)


BROUGHT = {"one", "local-a", "local-b", "today-waves", "web-w"} | {
    f"{engine}-{name}" for engine in ("s3", "obstore") for name in ("first", "second")
}


def test_each_store_that_a_glob_finds_is_a_dataset(served: Served) -> None:
    """On disks, on S3 by either engine, and on a web server with index pages."""
    assert served.ids() == BROUGHT
    for dataset in sorted(BROUGHT):
        answer = served.get(f"/datasets/{dataset}/sel?f=json")
        assert answer.status_code == 200, answer.text
        assert answer.json()["data_vars"]["t"]["data"] == VALUES.tolist()


def test_entries_say_what_people_want_to_know(served: Served) -> None:
    """Their own words before those that all have, in the list and in the description."""
    assert served.told("one") == {
        "id": "one",
        "title": None,
        "license": "own",
        "attribution": "Somebody",
    }
    told = {
        "id": "local-a",
        "title": "Store a",
        "description": "From disk",
        "license": "CC-BY-4.0",
        "attribution": "Somebody",
    }
    assert served.told("local-a") == told
    assert served.get("/datasets/local-a").json().items() >= told.items()


def test_what_is_left_out_is_in_the_log(served: Served, folder: Path) -> None:
    """Which stores, and why; and which globs cannot be listed. No secret is told."""
    disk = folder / "disk"
    until(says(served.log, "glob 'local-{stem}': 2 found and not served"), "a line")
    said = served.log.read_text()
    assert f"{disk}/b.zip: the id 'local-b' is that of {disk}/b.zarr" in said
    assert f"{disk}/my data.zarr: 'local-my data' is no id: an id is a string of" in said
    assert "glob 'no-{stem}': cannot be listed" in said
    assert "cannot be listed: the server has no index page for it" in said
    assert "glob 'gone-{stem}': cannot be listed" in said
    assert "hush" not in said


def test_the_document_describes_what_is_answered(served: Served) -> None:
    """The fields of `/datasets` and of a dataset are those of the OpenAPI document."""
    document = served.get("/openapi.json").json()
    for path in ("/datasets", "/datasets/{dataset_id}"):
        answer = document["paths"][path]["get"]["responses"]["200"]
        schema = answer["content"]["application/json"]["schema"]
        assert {"description", "license", "attribution"} <= set(fields(document, schema))


def fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties of an object, or of those in its one list."""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = document["components"]["schemas"][name]
    properties: Mapping[str, Any] = schema["properties"]
    return (
        fields(document, properties["datasets"]["items"])
        if "datasets" in properties
        else properties
    )


def test_a_key_opens_what_its_patterns_match(served: Served) -> None:
    """Also what was not there when the key was made; all else is unknown to its holder."""
    assert served.ids(PART) == {"one", "local-a", "local-b"}
    assert served.get("/datasets/s3-first", PART).status_code == 404


def test_stores_come_and_go(served: Served, folder: Path, bucket: Bucket) -> None:
    """In all workers, and without a reload."""
    bucket.put("runs/third.zarr")
    write(folder / "disk" / "c.zarr")
    (folder / "disk" / "a.zarr").rename(folder / "a.zarr")
    wanted = BROUGHT - {"local-a"} | {"local-c", "s3-third", "obstore-third"}
    until(served.agrees(wanted), "the new ones")
    assert served.get("/datasets/local-c/sel", PART).status_code == 200
    assert served.get("/datasets/local-a/sel").status_code == 404
    (folder / "a.zarr").rename(folder / "disk" / "a.zarr")
    until(served.agrees(wanted | {"local-a"}), "the one that is back")


def test_a_listing_that_fails_keeps_the_last(served: Served, folder: Path) -> None:
    """The datasets stay, the log tells, and the next good listing counts."""
    before = served.ids()
    (s3,) = [one for one in psutil.Process().children() if "moto.server" in one.cmdline()]
    s3.kill()
    (folder / "disk").rename(folder / "elsewhere")
    until(says(served.log, "glob 'local-{stem}': cannot be listed"), "a line")
    until(says(served.log, "glob 's3-{stem}': cannot be listed"), "a line")
    until(says(served.log, "glob 'obstore-{stem}': cannot be listed"), "a line")
    assert served.ids() == before
    (folder / "elsewhere").rename(folder / "disk")
    until(says(served.log, "glob 'local-{stem}': it can be listed again"), "a line")
    assert served.ids() == before


def test_a_reload_lists_before_it_serves(
    served: Served, folder: Path, bucket: Bucket, web: str
) -> None:
    """What a new glob brings is there with the answer; SIGHUP does the same soon after."""
    changed = entries(bucket, web)
    changed["new-{stem}"] = changed.pop("local-{stem}")
    changed["local-{stem}"] = {"url": "disk/c*", "storage_options": None}
    write_catalog(folder, bucket, changed)
    found = served.post("/catalog/reload").json()
    assert set(found["added"]) == {"new-a", "new-b", "new-c"}
    assert set(found["removed"]) == {"local-a", "local-b"}
    before = served.ids()
    del changed["new-{stem}"]
    write_catalog(folder, bucket, changed)
    os.kill(served.pid, signal.SIGHUP)
    wanted = {one for one in before if not one.startswith("new-")}
    until(served.agrees(wanted), "what was reloaded")


def test_ten_thousand_and_one(tmp_path: Path) -> None:
    """The last one is left out, in the order of names, and the log says so."""
    for number in range(10_001):
        (tmp_path / "stores" / f"n{number:05}.zarr").mkdir(parents=True)
    catalog, log = tmp_path / "catalog.yaml", tmp_path / "server.log"
    catalog.write_text('datasets: {"{stem}": {url: "stores/*.zarr"}}')
    with serving(catalog, log) as (_, address):
        listed = httpx.get(f"{address}/datasets", timeout=60, trust_env=False, verify=False).json()[
            "datasets"
        ]
        assert [one["id"] for one in listed] == [f"n{number:05}" for number in range(10_000)]
        until(says(log, "more than the 10000 datasets that globs may bring"), "a line")
        assert "n10000.zarr and what follows it" in log.read_text()


def test_addresses_need_no_file(folder: Path, tmp_path: Path) -> None:
    """Ids are the stems; the second of one stem has a number; relative paths and globs are read."""
    write(tmp_path / "two" / "one.zarr")
    port, log = free_port(), tmp_path / "server.log"
    here = os.path.relpath(folder / "one.zarr")
    stores = [here, str(tmp_path / "two" / "one.zarr"), f"{folder}/runs/*/waves.zarr"]
    words = [sys.executable, "-m", "app", "serve", *stores, "--port", str(port), "--workers", "2"]
    with running(words, log) as server:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/healthz", log)
        for _ in range(4):
            answer = httpx.get(
                f"http://127.0.0.1:{port}/datasets", trust_env=False, verify=False, timeout=60
            )
            found = [one["id"] for one in answer.json()["datasets"]]
            assert found == ["one", "one-2", "waves"]
        for name in found:
            url = f"http://127.0.0.1:{port}/datasets/{name}/sel"
            answer = httpx.get(url, timeout=60, trust_env=False, verify=False)
            assert answer.json()["data_vars"]["t"]["data"] == VALUES.tolist()


def test_the_check_looks_at_what_globs_bring(folder: Path, tmp_path: Path) -> None:
    """Each store as a dataset, and what is left out or not found as findings of the glob."""
    write(*(tmp_path / name for name in ("x.zarr", "x.zip", "y.zarr")))
    globs = {
        "{stem}": {"url": str(tmp_path / "*.z*")},
        "e-{stem}": {"url": str(tmp_path / "none*")},
        "m-{stem}": {"url": str(tmp_path / "gone" / "*")},
    }
    found = {(one["dataset"], one["severity"]): one["text"] for one in check(tmp_path, globs)}
    assert found == {
        ("{stem}", "warning"): f"left out: {tmp_path}/x.zip: the id 'x' is that of"
        f" {tmp_path}/x.zarr.",
        ("e-{stem}", "warning"): "no store matches it. Look at url.",
        ("m-{stem}", "error"): f"it cannot be listed: There is no folder {tmp_path}/gone.",
    }
    done = command("check", "--catalog", tmp_path / "catalog.yaml")
    assert done.stdout.splitlines()[-1] == "2 datasets: 1 error, 2 warnings"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"default": {}, "datasets": {"a": {"url": "x"}}}, "did you mean 'defaults'?"),
        ({"defaults": {"url": "x"}, "datasets": {"a": {"url": "x"}}}, "defaults: url: each"),
        ({"defaults": {"titel": "x"}, "datasets": {"a": {"url": "x"}}}, "defaults: titel: unknown"),
        ({"defaults": [], "datasets": {"a": {"url": "x"}}}, "defaults: must be a mapping"),
        ({"datasets": {"a": {"url": "d/*.zarr"}}}, "dataset 'a': url: a * brings many datasets"),
        ({"datasets": {"{stem}": {"url": "d/x.zarr"}}}, "dataset '{stem}': url: an id with braces"),
        ({"datasets": {"{name}": {"url": "d/*.zarr"}}}, "known are {stem}, {parent}"),
        ({"datasets": {"a{": {"url": "d/*.zarr"}}}, "dataset 'a{': id: braces in an id"),
        ({"datasets": {"{stem}": {"url": "d/**/x"}}}, "url: ** is not served"),
        ({"datasets": {"{stem}": {"url": "s3://*/x"}}}, "url: a bucket, host or first folder"),
        ({"datasets": {"{stem}": {"url": "/*.zarr"}}}, "url: the root of the file system"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, document: Any, says: str) -> None:
    """In one line, before anything is served."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(json.dumps(document))
    done = command("serve", "--catalog", catalog)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing://x"], "the command line: dataset 'x': url: nothing:// is unknown"),
        (["--catalog", "c.yaml", "x.zarr"], "by a --catalog or by URLs, not by both"),
        (["s3://bucket/.zarr/-"], "the command line: no id can be made of s3://bucket/.zarr/-"),
    ],
)
def test_wrong_addresses_are_refused(words: list[str], says: str) -> None:
    """As a wrong catalog is."""
    done = command("serve", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr


def test_the_version_is_told() -> None:
    """One line with the number."""
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("sluice ")


def test_the_name_of_a_key_is_one_word() -> None:
    """What is wrong with another is said of the name."""
    done = command("key", "two words")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'two words' cannot be a key's name: a name is one word" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_said_and_nothing_starts(tmp_path: Path, workers: str) -> None:
    """One line that names the address, and a status that is not 0."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("datasets: {a: {url: x.zarr}}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("--port", str(port), "--workers", workers)
        done = command("serve", "--catalog", catalog, *words)
    assert done.returncode == 3
    said = f"sluice: 127.0.0.1:{port} cannot be listened on: Address already in use\n"
    assert (done.stdout, done.stderr) == ("", said)
