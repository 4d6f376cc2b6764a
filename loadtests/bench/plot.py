"""A picture of the claims: a bar for each, and the line that it must reach."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from loadtests.bench.figures import Claim, Result
from loadtests.bench.report import number, verdict

WIDTH, LABELS, BARS, ROW = 980, 430, 420, 20
# The scale is logarithmic; a bar that is off it ends at its edge.
LEAST, MOST = 0.01, 10.0
COLOURS = {"reached": "#2a7f62", "MISSED": "#b8402a", "not measured": "#999999"}


def write_svg(results: Sequence[Result], path: Path) -> None:
    """Each claim's share of its target, on a logarithmic scale."""
    claims = [(result.scenario, claim) for result in results for claim in result.claims]
    height = ROW * (len(claims) + 3)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>'
    )
    path.write_text("\n".join([head, *_parts(claims, height), "</svg>\n"]), encoding="utf-8")


def _parts(claims: Sequence[tuple[str, Claim]], height: int) -> Iterator[str]:
    for share in (0.01, 0.1, 1.0, 10.0):
        x, colour = _x(share), "#333" if share == 1 else "#ddd"
        yield f'<line x1="{x}" y1="{ROW}" x2="{x}" y2="{height - ROW}" stroke="{colour}"/>'
        title = "target" if share == 1 else f"{share:g} of it"
        yield f'<text x="{x}" y="{ROW - 6}" text-anchor="middle">{title}</text>'
    for row, (scenario, claim) in enumerate(claims, start=1):
        yield from _bar(ROW * row + 4, f"{scenario}: {claim.what}", claim)


def _bar(y: int, what: str, claim: Claim) -> Iterator[str]:
    said = f"{number(claim.value)} ({claim.relation} {number(claim.target)})"
    end, line = _x(claim.share), y + 11
    yield f'<text x="{LABELS - 8}" y="{line}" text-anchor="end">{escape(what)}</text>'
    size = f'width="{max(1, end - LABELS):.0f}" height="{ROW - 6}"'
    yield f'<rect x="{LABELS}" y="{y}" {size} fill="{COLOURS[verdict(claim)]}"/>'
    yield f'<text x="{LABELS + BARS + 8}" y="{line}">{escape(said)}</text>'


def _x(share: float) -> float:
    clipped = min(MOST, max(LEAST, share))
    part = (math.log(clipped) - math.log(LEAST)) / (math.log(MOST) - math.log(LEAST))
    return round(LABELS + BARS * part, 1)
