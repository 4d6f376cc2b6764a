"""Small values, the store layer alone: what a GET costs its client."""

from __future__ import annotations

from statistics import median

from loadtests.bench.data import SMALL
from loadtests.bench.figures import Claim, Result
from loadtests.bench.stage import Stage

GETS_A_SECOND = 500
# Ours, what it stands on, and how much of that it may cost.
MOST = (("sluice s3fs", "s3fs", 0.15), ("sluice obstore", "obstore", 1.3))


def small_chunks(stage: Stage) -> Result:
    """CPU per GET of 64 KiB, beside s3fs's own `_cat_file` and obstore's own GET."""
    result = Result("small-chunks", "GETs of 64 KiB, 32 at once, nothing decoded")
    with stage.s3(SMALL) as endpoint:
        gets = GETS_A_SECOND * stage.seconds
        found = stage.probe("store_layer", endpoint, stage.rounds, gets)
    result.rows = {name: {"cpu_us": median(costs)} for name, costs in found.items()}
    for ours, below, most in MOST:
        pairs = zip(found[ours], found[below], strict=True)
        cost = median(mine / theirs for mine, theirs in pairs)
        result.claims.append(Claim(f"CPU per GET, {ours} / {below}", cost, "<=", most))
    return result
