"""What is asked for an answer, in the one way in which everybody could have asked for it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from sluice.axes.axis import Indexer
from sluice.engine.plan import Plan

# Of more positions along one dimension a request tells only some.
_MOST_LISTED: Final = 1000


def canonical_request(plan: Plan, dataset: str) -> str:
    """What is asked for this answer, as it was resolved; its form can be put behind."""
    found, asked = plan.found, plan.selection.variables
    pairs = [] if asked is None else [("variables", ",".join(asked))]
    pairs += [(name, _spelled(found.positions[name])) for name in sorted(found.positions)]
    if found.pointwise:
        pairs.append(("pointwise", ",".join(found.pointwise)))
    # Labels that are not the stored ones have no positions of their own.
    pairs += [(f"{name}_from", str(labels[0])) for name, labels in sorted(found.labels.items())]
    told = "".join(f"{quote(name)}={quote(text, safe=',:/')}&" for name, text in pairs)
    return f"/datasets/{dataset}/isel?{told}"


def _spelled(found: Indexer) -> str:
    """Positions along a dimension; of many, how many, the ends, and what tells them from others."""
    match found:
        case int():
            return str(found)
        case slice():
            ends = [found.start, found.stop, *([] if found.step in (None, 1) else [found.step])]
            return ":".join("" if end is None else str(end) for end in ends)
        case _ if len(found) <= _MOST_LISTED:
            return ",".join(map(str, found.tolist()))
        case _:
            sign = blake2b(found.tobytes(), digest_size=8).hexdigest()
            return f"{found[0]},..,{found[-1]}({len(found)},{sign})"
