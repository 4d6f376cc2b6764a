"""The command as a user runs it: a process with arguments, a status and one line on stderr."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request

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
