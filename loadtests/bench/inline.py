"""Inline or pool: from which size on a decode is worth the hop to a thread."""

from __future__ import annotations

from typing import Any, cast

from app.settings import Settings
from loadtests.bench.figures import Claim, Result
from loadtests.bench.stage import Stage

# Forty chunks in one answer must not hold the loop for longer.
MOST_GAP_MS = 50.0
WAYS = {"loop": "on the loop", "between": "between its rounds", "pool": "in the pool"}


def inline(stage: Stage) -> Result:
    """Each way for each codec and size, and the gaps that the defaults let forty chunks make."""
    result = Result("inline", "CPU of a decode, and the loop's longest gap for forty of them")
    found = cast("list[dict[str, Any]]", stage.probe("inline_or_pool", max(5, stage.rounds)))
    for row in found:
        ways = (
            f"{name} {row[f'{way}_us']:7.0f} us, gap {row[f'{way}_gap_ms']:6.1f} ms"
            for way, name in WAYS.items()
        )
        result.notes.append(f"{row['codec']:5} {row['size'] // 1024:5} KiB: {'; '.join(ways)}")
    for way, setting in (("loop", "inline_decode_bytes"), ("between", "single_core_decode_bytes")):
        bound = int(Settings.model_fields[setting].default)
        worst = max(row[f"{way}_gap_ms"] for row in found if row["size"] <= bound)
        said = f"longest gap for 40 chunks of up to {bound // 1024} KiB {WAYS[way]}, ms"
        result.claims.append(Claim(said, worst, "<=", MOST_GAP_MS))
    return result
