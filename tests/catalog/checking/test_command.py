"""``sluice check`` as a user runs it, and its report: a table, a document, a status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

from app.catalog.checking.command import failed, report, summary
from app.catalog.checking.datasets import Checked
from app.catalog.checking.findings import Finding, Severity
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
    """Nothing to fix, nothing to read."""
    done = run("--catalog", folder / "fine.yaml", "--strict")
    assert (done.returncode, done.stdout) == (0, "1 dataset: nothing is wrong\n")
    assert done.stderr == ""


def test_warnings_fail_only_strictly(folder: Path) -> None:
    """A warning is shown and the status stays 0, unless it is asked to be strict."""
    done = run("--catalog", folder / "warned.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "DATASET  WHERE  SEVERITY  WHAT IS WRONG, AND HOW TO FIX IT\n"
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


ERROR = Finding(Severity.ERROR, "", "it cannot be opened: nobody knows why it would not.")
WARNING = Finding(Severity.WARNING, "latitude", "it has no units.")
NOTE = Finding(Severity.NOTE, "x", "it is selected by position.")
THREE = (Checked("era5", (ERROR,)), Checked("cube", (WARNING, NOTE)), Checked("fine", ()))


def test_a_table_is_aligned_and_ends_with_its_summary() -> None:
    """One row for each finding, wrapped inside its column; then one line that counts."""
    assert report(THREE, "text", width=60) == (
        "DATASET  WHERE     SEVERITY  WHAT IS WRONG, AND HOW TO FIX\n"
        "                             IT\n"
        "era5               error     it cannot be opened: nobody\n"
        "                             knows why it would not.\n"
        "cube     latitude  warning   it has no units.\n"
        "cube     x         note      it is selected by position.\n"
        "\n"
        "3 datasets: 1 error, 1 warning, 1 note\n"
    )


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_table_fits_its_terminal(width: int) -> None:
    """However long names and texts are, no line is wider than the terminal."""
    long = Finding(Severity.NOTE, "n" * 60, f"{'word ' * 40}{'x' * 300}")
    lines = report([Checked("d" * 128, (long,))], "text", width=width).splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("checked", "line"),
    [
        ((), "0 datasets: nothing is wrong"),
        ((Checked("a", ()),), "1 dataset: nothing is wrong"),
        ((Checked("a", (ERROR, ERROR, WARNING)),), "1 dataset: 2 errors, 1 warning"),
    ],
)
def test_the_summary_counts_what_there_is(checked: tuple[Checked, ...], line: str) -> None:
    """Kinds of findings that did not occur are left out; a clean catalog says so."""
    assert summary(checked) == line
    assert report(checked, "text", width=80).splitlines()[-1] == line


@pytest.mark.parametrize(
    ("findings", "fails", "fails_strictly"),
    [((), False, False), ((NOTE,), False, False), ((NOTE, WARNING), False, True)],
)
def test_a_report_with_warnings_fails_only_strictly(
    findings: tuple[Finding, ...], fails: bool, fails_strictly: bool
) -> None:
    """Errors always fail, warnings on demand, notes never."""
    checked = [Checked("a", findings)]
    assert (failed(checked, strict=False), failed(checked, strict=True)) == (fails, fails_strictly)
    with_error = [*checked, Checked("b", (ERROR,))]
    assert failed(with_error, strict=False)
    assert failed(with_error, strict=True)


def test_a_document_holds_every_finding() -> None:
    """Programs get the same rows; what concerns the whole dataset has no `where`."""
    document = json.loads(report(THREE, "json", width=80))
    assert document["datasets"] == ["era5", "cube", "fine"]
    assert document["findings"] == [
        {"dataset": "era5", "where": None, "severity": "error", "text": ERROR.text},
        {"dataset": "cube", "where": "latitude", "severity": "warning", "text": WARNING.text},
        {"dataset": "cube", "where": "x", "severity": "note", "text": NOTE.text},
    ]
