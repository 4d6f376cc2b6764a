"""The service from outside: these tests speak HTTP, commands and files, and import none of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtests.ground import ROOT, serving


@dataclass(frozen=True)
class Service:
    """A running ``serve``: a client of it, the process, and the files of its log and catalog."""

    client: httpx.Client
    pid: int
    log: Path
    catalog: Path

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a GET of this path."""
        return self.client.get(path, **options)

    @property
    def address(self) -> tuple[str, int]:
        """Where its socket listens."""
        return self.client.base_url.host, self.client.base_url.port or 80


Entries = Mapping[str, Path | str | Mapping[str, Any]]
Serve = Callable[..., Service]


def write_catalog(folder: Path, entries: Entries) -> Path:
    """A catalog of these entries (an address alone is a whole entry), as a file in `folder`."""
    whole = {
        name: dict(entry) if isinstance(entry, Mapping) else {"url": str(entry)}
        for name, entry in entries.items()
    }
    catalog = folder / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": whole}), encoding="utf-8")
    return catalog


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts the service over these entries, with options and settings; it ends with the module.

    A start takes seconds: one server over all stores of a module is better than one a test.
    """
    with servers(tmp_path_factory) as start:
        yield start


@contextmanager
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """What starts services, which end with the block."""
    with ExitStack() as stack:

        def start(entries: Entries, *options: str, **settings: str) -> Service:
            folder = tmp_path_factory.mktemp("service")
            catalog, log = write_catalog(folder, entries), folder / "server.log"
            pid, address = stack.enter_context(serving(catalog, log, *options, **settings))
            client = httpx.Client(base_url=address, timeout=60, trust_env=False, verify=False)
            return Service(stack.enter_context(client), pid, log, catalog)

        yield start


@pytest.fixture(scope="session")
def edr_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service over the stores of EDR's tests, of which several modules ask the same one."""
    from .edr import write_stores

    with servers(tmp_path_factory) as start:
        entries = write_stores(tmp_path_factory.mktemp("edr"))
        yield start(entries, SLUICE_REQUEST_RESULT_BYTES="4000000")


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What ``python -m app WORDS`` prints, and its status."""
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def check(folder: Path, entries: Entries, *words: str) -> list[dict[str, Any]]:
    """The findings of ``check --format json`` over these entries, with further options."""
    catalog = write_catalog(folder, entries)
    done = command("check", "--format", "json", "--catalog", catalog, *words)
    assert done.returncode in (0, 1), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return found
