"""The log: whose key it was, who changed the service, and every line as JSON where that is set."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service, command

PARTS = {"time", "level", "logger", "message"}


def key_of(name: str, *rights: str) -> tuple[str, str]:
    """A key and the line that makes it valid."""
    key = f"secret-of-the-{name}"
    return key, " ".join([name, sha256(key.encode()).hexdigest(), *rights])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "line.zarr"
    xr.Dataset({"t": ("x", np.arange(9))}).to_zarr(path, zarr_format=2)
    return path


KEYS = {"reader": key_of("reader"), "boss": key_of("boss", "admin")}


def ask_everything(service: Service) -> None:
    """What readers, admins and others ask."""
    reader, boss = ({"X-API-Key": KEYS[name][0]} for name in ("reader", "boss"))
    at = "/datasets/line/isel?x=1"
    assert service.get(at, headers={**reader, "X-Request-ID": "read"}).status_code == 200
    assert service.get(at, headers={"X-Request-ID": "nobody"}).status_code == 401
    for path in ("/datasets/line/refresh", "/catalog/reload"):
        name = path.rpartition("/")[2]
        for who, status in ((boss, 200), (reader, 403), ({}, 401)):
            headers = {**who, "X-Request-ID": f"{name}{status}"}
            assert service.client.post(path, headers=headers).status_code == status


def until_it_says(service: Service, words: str) -> str:
    give_up = time.monotonic() + 60
    while words not in (text := service.log.read_text()):
        assert time.monotonic() < give_up, text
        time.sleep(0.05)
    return text


def end(service: Service, wanted: Callable[[str], bool]) -> list[str]:
    """The lines of the log, once it has what is `wanted` of it."""
    os.kill(service.pid, signal.SIGTERM)
    give_up = time.monotonic() + 60
    while not wanted(text := service.log.read_text()):
        assert time.monotonic() < give_up, text
        time.sleep(0.05)
    return text.splitlines()


def test_text_has_the_keys_name_and_a_line_for_what_admins_do(serve: Serve, store: Path) -> None:
    """Never the key; at a level that leaves requests out, what admins do is still there."""
    lines = ";".join(line for _, line in KEYS.values())
    for level in ("info", "warning"):
        service = serve({"line": store}, SLUICE_KEYS=lines, SLUICE_LOG_LEVEL=level)
        ask_everything(service)
        text = until_it_says(service, "id=reload401")
        assert not any(key in text for key, _ in KEYS.values())
        actions = [line for line in text.splitlines() if " action=" in line]
        head = re.compile(r"^time=[0-9T:.-]{23}Z level=info action=")
        assert [head.sub("", line).replace(" client=127.0.0.1", "") for line in actions] == [
            "refresh dataset=line key=boss status=200 id=refresh200",
            "refresh dataset=line key=reader status=403 id=refresh403",
            "refresh dataset=line status=401 id=refresh401",
            "reload key=boss status=200 id=reload200",
            "reload key=reader status=403 id=reload403",
            "reload status=401 id=reload401",
        ]
        if level == "warning":
            assert "id=read " not in text
            continue
        text = until_it_says(service, "path=/catalog/reload status=401")
        assert " id=read client=127.0.0.1 key=reader method=GET " in text
        assert " id=nobody client=127.0.0.1 method=GET " in text


def test_as_json_every_line_is_an_object(serve: Serve, store: Path, tmp_path: Path) -> None:
    """The server's own, requests, admins, signals and errors, of the parent and its workers."""
    lines = ";".join(line for _, line in KEYS.values())
    settings = {"SLUICE_KEYS": lines, "SLUICE_LOG_FORMAT": "json", "SLUICE_MISSPELT": "1"}
    service = serve({"line": store}, "--workers", "2", **settings)
    ask_everything(service)
    service.catalog.write_text("nonsense")
    os.kill(service.pid, signal.SIGHUP)
    until_it_says(service, "stays as it was")
    until_it_says(service, '"id": "reload401"')
    found: list[dict[str, Any]] = [
        json.loads(line) for line in end(service, lambda text: "Stopping parent" in text)
    ]
    assert all(found_line.keys() >= PARTS for found_line in found)
    times = [line["time"] for line in found]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text) for text in times)
    by_message = {line["message"]: line for line in found}
    assert by_message["Application startup complete."]["level"] == "info"
    assert by_message["SLUICE_MISSPELT sets nothing"]["level"] == "warning"
    (read,) = [line for line in found if line.get("id") == "read"]
    assert read["key"] == "reader"
    assert (read["status"], read["dataset"], read["cells"]) == (200, "line", 1)
    assert read["message"] == "GET /datasets/line/isel 200"
    actions = [line for line in found if "action" in line]
    assert {line.get("key", line.get("by", "")) for line in actions} == {
        "boss", "reader", "", "SIGHUP",
    }  # fmt: skip


def test_a_start_that_is_refused_says_so_in_an_object(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One line of JSON where the log is JSON, for wrong settings too."""
    monkeypatch.setenv("SLUICE_LOG_FORMAT", "json")
    done = command("serve", "--catalog", tmp_path / "none.yaml")
    assert done.returncode == 2
    assert "none.yaml" in json.loads(done.stderr)["message"]
    monkeypatch.setenv("SLUICE_THREADS", "many")
    done = command("serve", "--catalog", tmp_path / "none.yaml")
    assert "SLUICE_THREADS" in json.loads(done.stderr)["message"]
