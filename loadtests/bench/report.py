"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtests.bench.figures import Claim, Figures, Result

# In the order of the columns: the figure's name, the column's title. A table has those it needs.
COLUMNS = {
    "per_s": "req/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "rss_mib": "RSS MiB",
    "threads": "threads",
    "switches": "switch/req",
    "gets": "GET/req",
    "cpu_us": "CPU us/req",
    "first_ms": "first ms",
    "seconds": "s",
    "mb_per_s": "MB/s",
    "above_mib": "MiB above",
    "cpu_s": "CPU s",
}
REACHED, MISSED, UNKNOWN = "reached", "MISSED", "not measured"


def lines(result: Result) -> Iterator[str]:
    """One scenario: its contestants, its targets, its notes."""
    yield f"== {result.scenario}: {result.title}"
    columns = [one for one in COLUMNS if any(one in row for row in result.rows.values())]
    if columns:
        yield f"{'':26}" + "".join(f"{COLUMNS[one]:>12}" for one in columns)
    for name, row in result.rows.items():
        yield f"{name:26}" + "".join(f"{_cell(row, one):>12}" for one in columns)
    for claim in result.claims:
        target = f"{claim.relation} {number(claim.target)}"
        yield f"   {claim.what:52} {number(claim.value):>9}   target {target:>9}   {verdict(claim)}"
    for note in result.notes:
        yield f"   ({note})"


def verdict(claim: Claim) -> str:
    """Whether the target was reached, in a word."""
    if math.isnan(claim.value):
        return UNKNOWN
    return REACHED if claim.reached else MISSED


def number(value: float) -> str:
    """Three digits are all that a shared machine gives."""
    if math.isnan(value):
        return "-"
    if value == 0 or abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def write_json(results: Sequence[Result], about: dict[str, Any], path: Path) -> None:
    """Everything that was found; what is not a number is null."""
    found = [
        {
            **asdict(result),
            "claims": [{**asdict(claim), "verdict": verdict(claim)} for claim in result.claims],
        }
        for result in results
    ]
    whole = json.dumps(_finite({**about, "results": found}), indent=1, allow_nan=False)
    path.write_text(whole + "\n", encoding="utf-8")


def _cell(row: Figures, column: str) -> str:
    return number(row[column]) if column in row else ""


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
