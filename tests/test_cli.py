"""The command as a user runs it: a process with arguments, a status and one line on stderr."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.catalog.configuration import Keys, parse_keys

COMMAND = [sys.executable, "-m", "app"]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without settings, plus `extra`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return {**clean, **extra}


def refusal(*arguments: str, **variables: str) -> str:
    """What a refused command says."""
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(**variables), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_wrong_catalog_is_refused_in_one_line(tmp_path: Path) -> None:
    """The CatalogError's sentence is all that is printed, and the status is 2."""
    path = tmp_path / "catalog.yaml"
    path.write_text("datasets: {era5: {url: b, engin: s3fs}}")
    said = refusal("serve", "--catalog", str(path))
    expected = f"{path}: dataset 'era5': engin: unknown field (did you mean 'engine'?)"
    assert said == f"sluice: {expected}\n"


def test_without_a_catalog_it_says_how_to_do_without(tmp_path: Path) -> None:
    """The default one is not there; neither is one that is misspelt."""
    for arguments in ([], ["--catalog", str(tmp_path / "catalogue.yaml")]):
        said = refusal("serve", *arguments, SLUICE_CATALOG=str(tmp_path / "none.yaml"))
        assert "there is no such catalog file" in said
        assert "sluice serve URL" in said


def test_a_wrong_setting_is_refused_in_one_line() -> None:
    """A variable that cannot be a setting's value stops the start."""
    assert "SLUICE_THREADS" in refusal("serve", SLUICE_THREADS="many")


@pytest.mark.parametrize("arguments", [[], ["serve", "--workers", "0"], ["serv"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """Wrong arguments print the usage and exit with the usual status."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: sluice")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "argument --port: '99999' is not a whole number from 0 to 65535"),
        (["--port", "http"], "argument --port: 'http' is not a whole number from 0 to 65535"),
        (["--workers", "0"], "argument --workers: '0' is not a whole number from 1 up"),
        (["--workers", "two"], "argument --workers: 'two' is not a whole number from 1 up"),
        (["--fd", "9" * 20], f"argument --fd: {'9' * 20} is not a socket that listens"),
    ],
)
def test_a_wrong_number_is_named_with_its_argument(arguments: list[str], says: str) -> None:
    """Whoever writes a number that cannot be reads which argument it was and what it may be."""
    done = subprocess.run([*COMMAND, "serve", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"sluice serve: error: {says}"


def test_an_unknown_verb_is_named() -> None:
    """`./run` says that it does not know a verb before it lists those that it does."""
    script = Path(__file__).parent.parent / "run"
    done = subprocess.run([script, "nosuch"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no verb 'nosuch'")
    assert "./run serve" in done.stderr


def test_a_catalog_without_a_bottom_has_no_traceback(tmp_path: Path) -> None:
    """Brackets beyond counting are refused in one line as well."""
    path = tmp_path / "catalog.yaml"
    path.write_text(f"datasets: {'[' * 3000}{']' * 3000}")
    assert "nested too deeply" in refusal("serve", "--catalog", str(path))


@pytest.mark.parametrize("arguments", [["--help"], ["health", "--url", "http://127.0.0.1:1"]])
def test_help_and_health_load_no_engine(arguments: list[str]) -> None:
    """`--help` and `health` answer at once: nothing heavy is imported for them."""
    probe = (
        "import sys; from app.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "heavy = {'xarray', 'zarr', 'fsspec', 'fastapi', 'uvicorn', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "imported" not in done.stderr


def health(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The verb that asks a server whether it lives, run as its container runs it."""
    return subprocess.run(
        [*COMMAND, "health", *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
    )


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that answers every path with `status`: its port, and the paths that it was asked."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_health_asks_the_server_of_the_settings(host: str) -> None:
    """Status 0 and a line when /healthz answers; every interface is asked by way of loopback."""
    with answering(200) as (port, asked):
        done = health(SLUICE_HOST=host, SLUICE_PORT=str(port))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"http://127.0.0.1:{port}/healthz: healthy\n"
    assert asked == ["/healthz"]


def test_health_asks_another_server_by_its_address() -> None:
    """`--url` goes before the settings, and no proxy of the environment stands between."""
    with answering(200) as (port, asked):
        url = f"http://127.0.0.1:{port}/below/"
        done = health("--url", url, http_proxy="http://127.0.0.1:1", SLUICE_PORT="1")
    assert done.returncode == 0, done.stderr
    assert asked == ["/below/healthz"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[::1"])
def test_no_health_is_status_1_and_one_line(url: str) -> None:
    """Where nothing answers, or the address is none, the status is 1 and the line names it."""
    done = health("--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"sluice: {url}/healthz: ")
    assert done.stderr.count("\n") == 1


def test_an_unhealthy_answer_is_status_1() -> None:
    """A server that answers with a failure is not healthy."""
    with answering(503) as (port, _):
        done = health("--url", f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert "503" in done.stderr


@pytest.mark.parametrize("given", ["999", "0", "one"])
def test_a_descriptor_that_does_not_listen_is_refused(given: str) -> None:
    """Nothing is open there, or something else than a listening socket."""
    done = subprocess.run(
        [*COMMAND, "serve", "--fd", given], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "sluice serve: error: argument --fd: " in done.stderr


def test_a_key_is_told_once_beside_the_line_that_makes_it_valid() -> None:
    """The key goes to the terminal, the line to the file: ``sluice key NAME >>keys``."""
    arguments = ["key", "team", "--metrics", "--datasets", "a,b"]
    done, again = (
        subprocess.run([*COMMAND, *arguments], env=environment(), capture_output=True, text=True)
        for _ in range(2)
    )
    assert done.returncode == 0
    (key,) = Keys(parse_keys(done.stdout, "stdout"))
    assert (key.name, key.rights, key.datasets) == ("team", frozenset({"metrics"}), frozenset("ab"))
    secret = done.stderr.strip()
    assert Keys([key]).find(secret.encode()) is key
    assert secret not in done.stdout
    assert secret != again.stderr.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-team"],
        ["two words"],
        ["team", "--datasets", "/etc"],
        ["team", "--datasets", ""],
        ["team", "--datasets", ","],
    ],
)
def test_a_key_that_could_not_be_read_back_is_refused(arguments: list[str]) -> None:
    """One line says why, and there is no key."""
    done = subprocess.run(
        [*COMMAND, "key", *arguments], env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("team geheim", "SLUICE_KEYS: line 1: the second word is not a SHA-256"),
        (f"team {'0' * 64} datasets=none", "key 'team': there is no dataset 'none'"),
    ],
)
def test_wrong_keys_are_refused_in_one_line(tmp_path: Path, keys: str, says: str) -> None:
    """As a wrong catalog is, and before anything is served."""
    path = tmp_path / "catalog.yaml"
    path.write_text("datasets: {cube: {url: cube.zarr}}")
    assert says in refusal("serve", "--catalog", str(path), SLUICE_KEYS=keys)


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_answers_until_it_is_ended(tmp_path: Path, workers: int) -> None:
    """The server starts with one worker or several, lists the catalog and ends when asked to."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("datasets: {cube: {url: cube.zarr, title: A cube}}")
    arguments = ["serve", "--catalog", str(catalog), "--port", "0", "--workers", str(workers)]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(SLUICE_THREAD="5"),
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        try:
            lines = []
            for line in server.stderr:
                lines.append(line)
                said = "".join(lines)
                running = re.search(r"running on (http://127\.0\.0\.1:\d+)", said)
                if running and said.count("startup complete") == workers:
                    break
            assert running
            address = running[1]
            with urllib.request.urlopen(f"{address}/datasets", timeout=60) as answer:
                assert answer.read() == b'{"datasets":[{"id":"cube","title":"A cube"}]}'
        finally:
            server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
    assert "SLUICE_THREAD sets nothing; did you mean SLUICE_THREADS?" in said
    assert "Traceback" not in said + rest
