"""Inline or pool: from which size on a decode is worth the hop to a thread."""

from __future__ import annotations

from typing import Any, cast

from app.settings import Settings
from loadtests.bench.figures import Claim, Result
from loadtests.bench.stage import Stage

# Forty chunks in one answer must not hold the loop for longer.
MOST_GAP_MS = 50.0


def inline(stage: Stage) -> Result:
    """Both ways for each codec and size, and the gap that the default lets forty chunks make."""
    result = Result("inline", "CPU of a decode, and the loop's longest gap for forty of them")
    found = cast("list[dict[str, Any]]", stage.probe("inline_or_pool", max(5, stage.rounds)))
    bound = int(Settings.model_fields["inline_decode_bytes"].default)
    for row in found:
        cost = f"on the loop {row['loop_us']:7.0f} us, in the pool {row['pool_us']:7.0f} us"
        gaps = f"gap {row['loop_gap_ms']:6.1f} ms, {row['pool_gap_ms']:6.1f} ms"
        result.notes.append(f"{row['codec']:5} {row['size'] // 1024:5} KiB: {cost}; {gaps}")
    inline_rows = [row for row in found if row["size"] <= bound]
    worst = max(row["loop_gap_ms"] for row in inline_rows)
    said = f"longest gap for 40 chunks of up to {bound // 1024} KiB, ms"
    result.claims.append(Claim(said, worst, "<=", MOST_GAP_MS))
    return result
