"""The report of a check: a table for people, a document for programs, a verdict for scripts."""

from __future__ import annotations

import json

import pytest

from app.catalog.checking.datasets import Checked
from app.catalog.checking.findings import Finding, Severity
from app.catalog.checking.report import failed, report, summary

ERROR = Finding(Severity.ERROR, "", "it cannot be opened: nobody knows why it would not.")
WARNING = Finding(Severity.WARNING, "latitude", "it has no units.")
NOTE = Finding(Severity.NOTE, "x", "it is selected by position.")
THREE = (Checked("era5", (ERROR,)), Checked("cube", (WARNING, NOTE)), Checked("fine", ()))


def test_a_table_is_aligned_and_ends_with_its_summary() -> None:
    """One row for each finding, wrapped inside its column; then one line that counts."""
    assert report(THREE, "text", width=60) == (
        "DATASET  WHERE     SEVERITY  WHAT IS WRONG, AND HOW TO MEND\n"
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
def test_warnings_fail_only_strictly(
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
