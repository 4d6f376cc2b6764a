"""What every scenario stands on: the data, the environments, how long to measure, servers."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench.asks import Ask, Truth, differs, sample
from loadtests.bench.contestants import SLUICE, Contestant, catalog
from loadtests.bench.data import ERA5, prepare
from loadtests.bench.machine import Server, cores, pinned, server, stand_in

CACHE_BYTES = "SLUICE_CHUNK_CACHE_BYTES"
NO_CACHE = {CACHE_BYTES: "0"}
VERIFIED = 10
# The first answer of a contestant that loads everything is a slow one.
PATIENCE_SECONDS = 150
JSON, NETCDF = "application/json", "application/netcdf"


class WrongAnswers(Exception):
    """A contestant that does not answer what it was asked; it is not measured."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Folders, the contestants' interpreter (None: not installed), and how much to measure."""

    folder: Path
    contestants_python: str | None
    rounds: int
    seconds: int
    say: Callable[[str], None]
    stream_bytes: int = 2**32

    @property
    def root(self) -> Path:
        """The folder of the buckets."""
        return self.folder / "data"

    @property
    def python(self) -> str:
        """Our own interpreter."""
        return sys.executable

    @property
    def era5(self) -> str:
        """The path of the hourly fields."""
        return str(prepare(self.root, ERA5, self.say))

    @contextmanager
    def s3(self, *names: str) -> Iterator[str]:
        """The endpoint of the stand-in over these stores."""
        for name in names:
            prepare(self.root, name, self.say)
        with stand_in(self.root, self.folder / "stand_in.log") as endpoint:
            yield endpoint

    @contextmanager
    def sluice(
        self,
        entries: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Server]:
        """Sluice over these catalog entries (None: the hourly fields as files)."""
        written = self.write_catalog(entries or {"era5": {"url": self.era5}})
        command = [sys.executable, "-m", "app", "serve", "--catalog", str(written)]
        command += ["--workers", str(workers)]
        alone = workers == 1
        with server(
            "sluice",
            command,
            self.folder / "sluice.log",
            environment or {},
            ready="/healthz",
            core=cores()[0] if alone else None,
            sleeps=alone,
        ) as started:
            yield started

    def sluice_log(self) -> list[str]:
        """What the last of our servers has logged since it started."""
        text = (self.folder / "sluice.log").read_text(encoding="utf-8")
        return text.rpartition("Started server process")[2].splitlines()

    def write_catalog(self, entries: Mapping[str, Mapping[str, Any]]) -> Path:
        """A catalog file of these entries."""
        written = self.folder / "catalog.yaml"
        written.write_text(catalog(entries), encoding="utf-8")
        return written

    @contextmanager
    def started(self, who: Contestant, **environment: str) -> Iterator[Server]:
        """`who`, over the hourly fields as files."""
        if who.app is None:
            with self.sluice(environment=environment) as found:
                yield found
            return
        python = sys.executable if who.own_venv else self.contestants_python
        if python is None:
            raise WrongAnswers("the contestants' environment is not installed")
        command = [python, "-m", "uvicorn", "--factory", who.app]
        command += ["--log-level", "warning", "--no-access-log"]
        if who.program:
            command = [python, "-m", who.app]
        log = self.folder / f"{who.name}.log"
        told = (
            dict(environment)
            if "BENCH_STORE" in environment
            else {"BENCH_STORE": self.era5, **environment}
        )
        with server(who.name, command, log, told, ready=who.ready, core=cores()[0]) as found:
            yield found

    def probe(self, name: str, *arguments: object) -> dict[str, Any]:
        """What a program of `probes` says, run alone on the contestants' core."""
        words = [sys.executable, "-m", f"loadtests.bench.probes.{name}", *map(str, arguments)]
        run = subprocess.run(
            [*pinned(cores()[0]), *words], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise RuntimeError(f"{name} failed: {run.stderr.strip()[-500:]}")
        found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return found


def fetch(started: Server, path: str) -> bytes:
    """One answer's body; the server is awake while it answers."""
    with (
        started.awake(),
        urllib.request.urlopen(started.address + path, timeout=PATIENCE_SECONDS) as answer,
    ):
        body: bytes = answer.read()
    return body


def verify(started: Server, who: Contestant, kind: str, asked: Sequence[Ask], truth: Truth) -> None:
    """Raises WrongAnswers unless `who` gives the store's own values for a sample of `asked`."""
    for ask in sample(asked, VERIFIED):
        path = who.urls[kind](ask)
        try:
            found = who.reads[kind](fetch(started, path))
        except (OSError, ValueError, KeyError) as error:
            raise WrongAnswers(f"{path}: {error}") from error
        if differs(found, truth.of(ask)):
            raise WrongAnswers(f"{path}: wrong values")


def body_of(stage: Stage, started: Server, path: str, name: str, media_type: str) -> dict[str, str]:
    """Sluice's answer to `path` as the variables that a floor reads."""
    body = stage.folder / name
    body.write_bytes(fetch(started, path))
    return {"BENCH_BODY": str(body), "BENCH_MEDIA_TYPE": media_type}


def sluice_path(kind: str, ask: Ask) -> str:
    """How Sluice is asked."""
    return SLUICE.urls[kind](ask)
