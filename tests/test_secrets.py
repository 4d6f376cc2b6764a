"""No secret leaves the process: canaries in every place for one, every failure, every way out."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from app.catalog.catalog import load_catalog
from app.catalog.configuration import key_line, parse_keys
from app.settings import Settings
from tests.stores import ArraySpec, StoreSpec, documents_of

# In every secret there is this word, so that one search finds them all, quoted or in part.
MARK = "canary"
KEY = f"{MARK}KeyOfTheClient"
VALUES = np.arange(12.0).reshape(3, 4)
STORE = StoreSpec((ArraySpec("t", ("y", "x"), VALUES, chunks=(1, 4)),), consolidated="root")

# What is broken, metadata or chunks, and how: a status, or a word.
FAULTS = {
    "refused": ("metadata", 403), "failed": ("metadata", 500), "gone": ("metadata", 404),
    "moved": ("metadata", 302), "garbled": ("metadata", "garbled"), "cut": ("metadata", "cut"),
    "chunks-refused": ("chunks", 403), "chunks-failed": ("chunks", 500),
    "chunks-garbled": ("chunks", "garbled"), "chunks-cut": ("chunks", "cut"), "fine": ("", 200),
}  # fmt: skip


class Gossip(BaseHTTPRequestHandler):
    """A store that repeats whatever it was sent, keys and queries, in bodies and headers."""

    protocol_version = "HTTP/1.1"
    documents = documents_of(STORE)

    def do_GET(self) -> None:
        scenario, _, key = self.path.partition("?")[0].strip("/").partition("/")
        broken, how = FAULTS.get(scenario, ("metadata", 404))
        is_metadata = "json" in key or "/c/" not in f"/{key}"
        if broken == ("metadata" if is_metadata else "chunks"):
            self._misbehave(how)
        elif key in self.documents:
            self._send(200, self.documents[key])
        else:
            self._misbehave(404)

    do_HEAD = do_GET

    def _misbehave(self, how: Any) -> None:
        said = f"{self.path} {dict(self.headers)}"
        match how:
            case "garbled":
                self._send(200, json.dumps({"zarr_format": said, said: said}).encode())
            case "cut":
                self._send(200, said.encode(), promised=10**6)
            case _:
                code = {403: "InvalidAccessKeyId", 404: "NoSuchKey"}.get(how, "InternalError")
                body = f"<Error><Code>{code}</Code><Message>{said}</Message></Error>"
                self._send(how, body.encode())

    def _send(self, status: int, body: bytes, promised: int | None = None) -> None:
        start, end = self._range(len(body)) if status == 200 and promised is None else (0, None)
        part = body[start:end]
        self.send_response(206 if end is not None else status)
        if end is not None:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(body)}")
        self.send_header("Content-Length", str(promised or len(part)))
        self.send_header("Location", f"http://127.0.0.1:9/away?token={MARK}InALocation")
        self.send_header("X-Echo", self.path)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):  # whoever asked may have gone
                self.wfile.write(part)
        if promised:
            self.close_connection = True

    def _range(self, length: int) -> tuple[int, int | None]:
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not found:
            return 0, None
        if not found[1]:
            return max(0, length - int(found[2])), length
        return int(found[1]), min(length, int(found[2] or length) + 1)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gossip() -> Iterator[str]:
    """The address of such a store."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gossip)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def entries(gossip: str) -> dict[str, dict[str, object]]:
    """Datasets with secrets in every place that an entry has for one."""
    s3 = {
        "endpoint_url": f"http://{gossip}",
        "key": f"{MARK}S3key",
        "secret": "${CANARY_SECRET}",
        "token": f"{MARK}Token",
    }
    headers = {"Authorization": f"Bearer {MARK}Header", "X-Api-Key": f"{MARK}ApiKey"}
    found: dict[str, dict[str, object]] = {}
    for name in FAULTS:
        url = f"http://user:{MARK}Password@{gossip}/{name}?sig={MARK}Signature&other={MARK}Other"
        found[f"http-{name}"] = {"url": url}
        bare = f"http://{gossip}/{name}"
        found[f"headers-{name}"] = {"url": bare, "storage_options": {"headers": headers}}
        for engine in ("s3fs", "obstore"):
            found[f"{engine}-{name}"] = {
                "url": f"s3://{name}", "engine": engine, "storage_options": s3
            }  # fmt: skip
    nowhere = "http://127.0.0.1:9"
    nested = {"config_kwargs": {"proxies": {"http": f"http://me:{MARK}Proxy@127.0.0.1:9"}}}
    odd: dict[str, dict[str, object]] = {
        "closed": {"url": f"http://user:{MARK}Password@127.0.0.1:9/x?sig={MARK}Signature"},
        "closed-s3": {"url": "s3://b/x", "storage_options": {**s3, "endpoint_url": nowhere}},
        "proxied": {"url": "s3://b/x", "storage_options": {**s3, **nested}},
        "nonsense": {"url": "s3://b/x", "storage_options": {"nonsense": f"{MARK}Value"}},
        "nonsense-http": {"url": f"http://{gossip}/fine", "storage_options": {"no": f"{MARK}No"}},
        "no-host": {
            "url": "s3://b/x",
            "storage_options": {**s3, "endpoint_url": f"http://me:{MARK}@[h"},
        },
        "no-number": {
            "url": "s3://b/x",
            "storage_options": {**s3, "config_kwargs": {"read_timeout": f"{MARK}Number"}},
        },
        "references": {
            "url": "reference://",
            "storage_options": {"fo": f"http://u:{MARK}Password@{gossip}/fine/refs?sig={MARK}Sig"},
        },
        "references-in-place": {
            "url": "reference://",
            "storage_options": {
                "fo": {
                    "version": 1,
                    "refs": {
                        **{
                            key: value.decode()
                            for key, value in Gossip.documents.items()
                            if "json" in key
                        },
                        "t/c/0/0": [f"http://u:{MARK}Password@127.0.0.1:9/y?sig={MARK}Sig", 0, 32],
                    },
                },
                "remote_options": {"headers": headers},
            },
        },
        "cloud": {
            "url": "az://container/x",
            "storage_options": {
                "connection_string": f"AccountName=a;AccountKey={MARK}Account;"
                "BlobEndpoint=http://127.0.0.1:9/a"
            },
        },
    }
    return found | odd


def environment(**extra: str) -> dict[str, str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("SLUICE_")}
    return {**clean, "CANARY_SECRET": f"{MARK}FromTheEnvironment", **extra}


def check_silent(what: str, told: str) -> None:
    at = told.lower().find(MARK)
    assert at < 0, f"{what}: …{told[max(0, at - 1500) : at + 200]}…"


async def everything_asked(address: str, ids: list[str]) -> str:
    """All that comes back for requests of every kind, with a right key and with a wrong one."""
    told: list[str] = []
    paths = [
        f"/datasets/{name}{rest}" for name in ids for rest in ("", "/isel?y=0", "/isel?x=0:2&f=csv")
    ]
    async with httpx.AsyncClient(
        base_url=address, timeout=120, trust_env=False, verify=False
    ) as client:

        async def ask(method: str, path: str, **how: Any) -> None:
            answer = await client.request(method, path, **how)
            told.append(f"{answer.status_code} {dict(answer.headers)} {answer.text}")

        async with asyncio.TaskGroup() as asking:
            for path in [
                "/datasets",
                "/readyz",
                "/catalog/status",
                *paths,
                "/metrics",
                "/openapi.json",
                "/docs",
            ]:
                asking.create_task(ask("GET", path, headers={"X-API-Key": KEY}))
            for name in ids:
                body = {"headers": {"Authorization": f"Bearer {KEY}"}, "json": {"y": 1}}
                asking.create_task(ask("POST", f"/datasets/{name}/isel", **body))
            wrong = {"X-API-Key": f"{MARK}Wrong"}
            asking.create_task(ask("GET", "/datasets", headers=wrong))
            asking.create_task(ask("GET", paths[0], headers={"Authorization": f"Basic {MARK}"}))
            asking.create_task(ask("GET", f"/datasets?key={MARK}Query"))
        await ask("GET", "/metrics", headers={"X-API-Key": KEY})
        await ask("GET", "/catalog/status", headers={"X-API-Key": KEY})
    return "\n".join(told)


def started(catalog: Path, out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A command of ours, at its most talkative, with all that it says in one file."""
    variables = environment(
        SLUICE_LOG_LEVEL="debug",
        SLUICE_KEYS=key_line("reader", KEY, ["metrics"], []),
        SLUICE_FAILED_OPEN_SECONDS="0",
        AWS_EC2_METADATA_DISABLED="true",
    )
    command = [sys.executable, "-X", "dev", "-m", "app", *arguments, "--catalog", str(catalog)]
    with out.open("w") as file:
        return subprocess.Popen(command, env=variables, stdout=file, stderr=file)


def test_no_secret_is_told(gossip: str, tmp_path: Path) -> None:
    """Neither in answers nor in the log at its most talkative, nor in metrics and reports."""
    catalog, log = tmp_path / "catalog.yaml", tmp_path / "log"
    described = entries(gossip)
    catalog.write_text(yaml.safe_dump({"datasets": described}))
    reports = {form: tmp_path / form for form in ("text", "json")}
    checks = [started(catalog, out, "check", "--format", form) for form, out in reports.items()]
    server = started(catalog, log, "serve", "--port", "0")
    try:
        while "startup complete" not in log.read_text():
            assert server.poll() is None, log.read_text()
        found = re.search(r"running on (http://\S+)", log.read_text())
        assert found is not None
        told = asyncio.run(everything_asked(found[1], [*described]))
    finally:
        server.terminate()
        assert [checking.wait(120) for checking in checks] == [1, 1]
        server.wait(60)
    # The stores did repeat what they were sent, and all that is in order was answered.
    assert "InvalidAccessKeyId: /chunks-refused" in log.read_text()
    assert len(re.findall("^200 .+data_vars", told, re.MULTILINE)) >= 12
    check_silent("answers", told)
    for out in (log, *reports.values()):
        said = out.read_text()
        check_silent(out.name, said)
        assert "Traceback" not in said
        assert "Unclosed" not in said


def test_no_repr_tells_a_secret(
    gossip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends up in a debugger or in a message about something else."""
    monkeypatch.setenv("CANARY_SECRET", f"{MARK}FromTheEnvironment")
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(yaml.safe_dump({"datasets": entries(gossip)}))
    keys = key_line("reader", KEY, [], [])
    check_silent("repr of the catalog", repr(load_catalog(catalog)))
    settings = Settings(catalog=catalog, keys=f"reader {MARK}")
    check_silent("repr of the settings", repr(settings) + str(settings))
    held = repr(parse_keys(keys, "keys"))
    check_silent("repr of a key", held)
    assert keys.split()[1] not in held + repr(Settings(keys=keys))


@pytest.mark.parametrize(
    "variables",
    [
        {"SLUICE_KEYS": f"reader {MARK}PlainKey"},
        {"SLUICE_KEYS": f"{MARK}PlainKey"},
        {"SLUICE_THREADS": f"{MARK}InTheWrongPlace"},
    ],
)
def test_a_refusal_to_start_repeats_nothing(tmp_path: Path, variables: dict[str, str]) -> None:
    """A secret that stands in the wrong variable stays there."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("datasets: {cube: {url: cube.zarr}}")
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--catalog", str(catalog)],
        env=environment(**variables),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    check_silent("refusal", done.stdout + done.stderr)
