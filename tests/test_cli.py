"""The command as a user runs it: a process with arguments, a status and one line on stderr."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

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


def test_a_wrong_catalog_is_refused_in_one_line(tmp_path):
    """The CatalogError's sentence is all that is printed, and the status is 2."""
    path = tmp_path / "catalog.yaml"
    path.write_text("datasets: {era5: {url: b, engin: s3fs}}")
    said = refusal("serve", "--catalog", str(path))
    expected = f"{path}: dataset 'era5': engin: unknown field (did you mean 'engine'?)"
    assert said == f"sluice: {expected}\n"


def test_a_wrong_setting_is_refused_in_one_line():
    """A variable that cannot be a setting's value stops the start."""
    assert "SLUICE_THREADS" in refusal("serve", SLUICE_THREADS="many")


@pytest.mark.parametrize("arguments", [[], ["serve", "--workers", "0"], ["serv"]])
def test_wrong_usage_exits_with_2(arguments):
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
    ],
)
def test_a_wrong_number_is_named_with_its_argument(arguments, says):
    """Whoever writes a number that cannot be reads which argument it was and what it may be."""
    done = subprocess.run([*COMMAND, "serve", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"sluice serve: error: {says}"


def test_an_unknown_verb_is_named():
    """`./run` says that it does not know a verb before it lists those that it does."""
    script = Path(__file__).parent.parent / "run"
    done = subprocess.run([script, "nosuch"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no verb 'nosuch'")
    assert "./run serve" in done.stderr


def test_a_catalog_without_a_bottom_has_no_traceback(tmp_path):
    """Brackets beyond counting are refused in one line as well."""
    path = tmp_path / "catalog.yaml"
    path.write_text(f"datasets: {'[' * 3000}{']' * 3000}")
    assert "nested too deeply" in refusal("serve", "--catalog", str(path))


def test_help_loads_no_engine():
    """`--help` answers at once: nothing heavy is imported for it."""
    probe = (
        "import sys; from app.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'xarray', 'zarr', 'fsspec', 'fastapi', 'uvicorn', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_answers_until_it_is_ended(tmp_path, workers):
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
        try:
            lines = []
            for line in server.stderr:
                lines.append(line)
                said = "".join(lines)
                running = re.search(r"running on (http://127\.0\.0\.1:\d+)", said)
                if running and said.count("startup complete") == workers:
                    break
            address = running[1]
            with urllib.request.urlopen(f"{address}/datasets", timeout=60) as answer:
                assert answer.read() == b'{"datasets":[{"id":"cube","title":"A cube"}]}'
        finally:
            server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
    assert "SLUICE_THREAD sets nothing; did you mean SLUICE_THREADS?" in said
    assert "Traceback" not in said + rest
