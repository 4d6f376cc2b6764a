"""The findings of a check for people and for programs."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

from .datasets import Checked
from .findings import Severity

Format: TypeAlias = Literal["text", "json"]

_HEAD: Final = ("DATASET", "WHERE", "SEVERITY", "WHAT IS WRONG, AND HOW TO MEND IT")
_NARROWEST_TEXT: Final = 30


def report(checked: Sequence[Checked], form: Format, *, width: int) -> str:
    """The findings as a table of at most `width` columns with a summary, or as a JSON document."""
    match form:
        case "text":
            return "\n".join([*_table(checked, width), summary(checked), ""])
        case "json":
            text = json.dumps(_document(checked), indent=2, ensure_ascii=False) + "\n"
            # Halves of surrogate pairs, which UTF-8 does not have, become JSON's escapes.
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
        case _:
            raise AssertionError(form)


def failed(checked: Sequence[Checked], *, strict: bool) -> bool:
    """Whether there is an error; with `strict`, whether there is a warning."""
    counts = _counts(checked)
    return counts[Severity.ERROR] > 0 or (strict and counts[Severity.WARNING] > 0)


def summary(checked: Sequence[Checked]) -> str:
    """One line that counts datasets and findings."""
    counts = _counts(checked)
    told = [_number(counts[severity], severity.value) for severity in Severity if counts[severity]]
    return f"{_number(len(_datasets(checked)), 'dataset')}: {', '.join(told) or 'nothing is wrong'}"


def _datasets(checked: Sequence[Checked]) -> list[str]:
    return [one.id for one in checked if one.served]


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counts(checked: Sequence[Checked]) -> Counter[Severity]:
    return Counter(finding.severity for one in checked for finding in one.findings)


def _table(checked: Sequence[Checked], width: int) -> Iterator[str]:
    rows = [
        (one.id, _printable(found.where), found.severity.value, _printable(found.text))
        for one in checked
        for found in one.findings
    ]
    if not rows:
        return
    names = [[row[column] for row in (_HEAD, *rows)] for column in range(3)]
    widths = [min(max(map(len, column)), max(width // 5, len("SEVERITY"))) for column in names]
    room = max(width - sum(widths) - 2 * len(widths), _NARROWEST_TEXT)
    for row in (_HEAD, *rows):
        yield from _lines(row, [*widths, room])
    yield ""


def _printable(text: str) -> str:
    """`text` without what would move a terminal's cursor, or that UTF-8 does not have."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _lines(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    """One row of the table, wrapped inside its columns."""
    cells = [textwrap.wrap(cell, w) for cell, w in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = (f"{part:<{w}}" for part, w in zip(parts, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _document(checked: Sequence[Checked]) -> dict[str, object]:
    findings = [
        {
            "dataset": one.id,
            "where": found.where or None,
            "severity": found.severity.value,
            "text": found.text,
        }
        for one in checked
        for found in one.findings
    ]
    return {"datasets": _datasets(checked), "findings": findings}
