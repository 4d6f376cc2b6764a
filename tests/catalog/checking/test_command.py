"""``sluice check`` as a user runs it: a process with arguments, a table and a status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

from tests.catalog.stores import GRID, write_store


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return subprocess.run(
        [sys.executable, "-m", "app", "check", *map(str, arguments)],
        env={**clean, "COLUMNS": "80", **variables},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores that are good and less good, and a catalog for each."""
    folder = tmp_path_factory.mktemp("check")
    write_store(folder / "grid.zarr", GRID)
    write_store(folder / "plain.zarr", xr.Dataset({"v": ("lat", [1.0, 2.0])}, {"lat": [3.0, 4.0]}))
    grid, plain, gone = "grid: {url: grid.zarr}", "plain: {url: plain.zarr}", "gone: {url: gone}"
    for name, entries in {
        "fine": [grid],
        "warned": [grid, plain],
        "broken": [grid, plain, gone],
        "secret": ["a: {url: 'http://u:${CANARY}@127.0.0.1:9/x?sig=${CANARY}'}"],
    }.items():
        (folder / f"{name}.yaml").write_text(f"datasets: {{{', '.join(entries)}}}")
    return folder


def test_a_fine_catalog_is_one_line_and_0(folder: Path) -> None:
    """Nothing to mend, nothing to read."""
    done = run("--catalog", folder / "fine.yaml", "--strict")
    assert (done.returncode, done.stdout) == (0, "1 dataset: nothing is wrong\n")
    assert done.stderr == ""


def test_warnings_fail_only_strictly(folder: Path) -> None:
    """A warning is shown and the status stays 0, unless it is asked to be strict."""
    done = run("--catalog", folder / "warned.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "DATASET  WHERE  SEVERITY  WHAT IS WRONG, AND HOW TO MEND IT\n"
        "plain    lat    warning   it looks like latitude, but it has no units, so\n"
        "                          programs cannot know: set units='degrees_north',\n"
        "                          standard_name='latitude'.\n"
        "\n"
        "2 datasets: 1 warning\n"
    )
    assert run("--catalog", folder / "warned.yaml", "--strict").returncode == 1


def test_errors_fail_and_programs_can_read_them(folder: Path) -> None:
    """The same findings as JSON, with the same status; the setting may name the catalog."""
    done = run("--format", "json", SLUICE_CATALOG=str(folder / "broken.yaml"))
    assert (done.returncode, done.stderr) == (1, "")
    findings = json.loads(done.stdout)["findings"]
    assert [(f["dataset"], f["severity"]) for f in findings] == [
        ("plain", "warning"),
        ("gone", "error"),
    ]


def test_the_servers_limit_counts(folder: Path) -> None:
    """The check holds chunks against the limit that the server would run with."""
    done = run("--catalog", folder / "fine.yaml", SLUICE_REQUEST_CHUNK_BYTES="1000")
    assert done.returncode == 1
    assert "SLUICE_REQUEST_CHUNK_BYTES to at least 10944" in " ".join(done.stdout.split())


def test_a_secret_of_the_environment_is_not_printed(folder: Path) -> None:
    """Neither the table nor the document nor stderr shows what a variable held."""
    for form in ("text", "json"):
        done = run("--catalog", folder / "secret.yaml", "--format", form, CANARY="hush-canary")
        assert done.returncode == 1
        assert "127.0.0.1:9" in done.stdout
        assert "hush-canary" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("datasets: {a: {url: '${GONE}'}}", "the environment variable GONE is not set"),
        ("datasets: {a: {}}", "dataset 'a': url: this field is required"),
    ],
)
def test_a_wrong_catalog_is_2_and_one_line(tmp_path: Path, text: str, says: str) -> None:
    """What keeps the server from starting is no finding but wrong usage."""
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    done = run("--catalog", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


@pytest.mark.parametrize("arguments", [["--format", "xml"], ["--patience", "0"], ["surplus"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    """Arguments that mean nothing are named with the usage."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "sluice check: error:" in done.stderr or "sluice: error:" in done.stderr
