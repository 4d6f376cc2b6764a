"""The load: honest answers pass and leave a report, any wrong answer fails, and all of it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from app.settings import Settings
from loadtests.ground import uninterrupted
from tests.api.conftest import serving

ROOT = Path(__file__).parents[2]
SHORT = ("--users", "8", "--time", "4s")
PROBLEM = b'{"type": "about:blank", "title": "Broken", "status": 500}'


def command(sample: Path, out: Path, *arguments: str) -> subprocess.Popen[str]:
    """The load as a process; what it says is in its stdout."""
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests", "--sample", sample, "--out", out, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def load(sample: Path, out: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of a run and what it said."""
    with command(sample, out, *arguments) as process:
        said, _ = process.communicate(timeout=120)
        return process.returncode, said


def test_a_short_run_on_its_own_ground_passes(sample: Path, tmp_path: Path) -> None:
    """Sluice over an S3 server answers both kinds of users; table and report tell of each."""
    status, said = load(sample, tmp_path, *SHORT, "--s3", "moto")
    assert status == 0, said + (tmp_path / "users.log").read_text()
    requests = json.loads((tmp_path / "summary.json").read_text())["requests"]
    assert {"point", "box, NetCDF"} <= {row["name"] for row in requests}
    report = (tmp_path / "report.html").read_text()
    for row in requests:
        assert (row["asked"] > 0, row["failed"]) == (True, 0)
        assert any(line.split("  ")[0] == row["name"] for line in said.splitlines())
        assert row["name"] in report


@contextmanager
def broken(sample: Path, status: int, body: bytes) -> Iterator[str]:
    """The address of a server that describes the sample, and answers all selections wrongly."""
    with serving(Settings(catalog=sample / "catalog.yaml")) as client:
        good = {path: client.get(path).content for path in ("/datasets", "/datasets/sample")}

    class Broken(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = good.get(self.path)
            self.send_response(200 if answer else status)
            content = answer or body
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "reason"), [(500, PROBLEM, "status 500"), (200, b"", "an empty body")]
)
def test_wrong_answers_fail_the_run(
    sample: Path, tmp_path: Path, status: int, body: bytes, reason: str
) -> None:
    """A server that breaks or answers nothing makes it exit with 1 and say what was wrong."""
    with broken(sample, status, body) as address:
        ended, said = load(sample, tmp_path, *SHORT, "--url", address)
    assert ended == 1
    for name in ("point", "box, NetCDF"):
        assert any(f" x {name}: " in line and reason in line for line in said.splitlines()), said
    assert (tmp_path / "report.html").exists()


def test_a_server_that_is_not_there_fails_the_run(sample: Path, tmp_path: Path) -> None:
    """Nothing to ask is a failure, told at once and not after the whole time."""
    started = time.monotonic()
    status, said = load(sample, tmp_path, "--time", "60s", "--url", "http://127.0.0.1:9")
    assert status == 1
    assert "could not ask" in said
    assert "does not describe" in (tmp_path / "users.log").read_text()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("ending", "awaited"), [(signal.SIGINT, "locust"), (signal.SIGTERM, "moto.server")]
)
def test_an_interrupted_run_leaves_nothing_behind(
    sample: Path, tmp_path: Path, ending: signal.Signals, awaited: str
) -> None:
    """Ctrl-C while users ask, or a SIGTERM while things start, ends every process of the run."""
    with command(sample, tmp_path, "--s3", "moto") as process:
        family = wait_for_child(psutil.Process(process.pid), awaited)
        process.send_signal(ending)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    _, alive = psutil.wait_procs(family, timeout=0.1)
    assert alive == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where whoever started the tests has it ignored (``nohup``, CI)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_until_a_process_is_ours_to_end() -> None:
    """What is being started when Ctrl-C comes is started to its end, then interrupted."""
    started = []

    def start() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            started.append("a process")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started


def wait_for_child(process: psutil.Process, word: str) -> list[psutil.Process]:
    """All descendants of `process`, as soon as one of them has `word` in its command."""
    for _ in range(600):
        family = process.children(recursive=True)
        if any(word in " ".join(child.cmdline()) for child in family):
            return family
        time.sleep(0.1)
    raise AssertionError(f"the run started no {word}")
