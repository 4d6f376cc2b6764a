"""Attack a real server on loopback and print what that cost it; exits with 1 over a limit."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtests.attack import (
    bodies,
    half_open,
    hung_reads,
    references,
    slow_down,
    slow_readers,
    trailers,
    workers,
)
from loadtests.attack.kept import kept
from loadtests.attack.openings import openings
from loadtests.attack.stage import Figure, Stage
from loadtests.attack.texts import texts
from loadtests.ground import ROOT, NotReady

FAILED: Final = 1

# One row an attack: its name, and what makes its figures.
ATTACKS: Final[Mapping[str, Callable[[Stage], Iterable[Figure]]]] = {
    "kept": kept,
    "openings": openings,
    "texts": texts,
    "bodies": bodies.attack,
    "reloads": workers.reloads,
    "swept": workers.swept,
    "scrapes": workers.scrapes,
    "references": references.attack,
    "hung-reads": hung_reads.attack,
    "trailers": trailers.attack,
    "half-open": half_open.attack,
    "slow-clients": slow_readers.attack,
    "slow-down": slow_down.attack,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the attacks, all or those that are named; the exit status."""
    parser = argparse.ArgumentParser("loadtests.attack", description="Attacks, on loopback.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ATTACKS)} (all)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "attack", help="(build/attack)"
    )
    arguments = parser.parse_args(argv)
    unknown = set(arguments.names) - ATTACKS.keys()
    if unknown:
        parser.error(f"there is no attack {', '.join(sorted(unknown))}")
    folder: Path = arguments.out.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    figures: list[Figure] = []
    for name in arguments.names or ATTACKS:
        try:
            found = list(ATTACKS[name](Stage(folder / name)))
        except NotReady as error:
            say(f"attack: {name}: {error}")
            return FAILED
        figures += found
        for figure in found:
            say(row(figure))
    return 0 if all(figure.holds for figure in figures) else FAILED


def row(figure: Figure) -> str:
    """A figure as a line of the table."""
    verdict = "" if figure.holds else "  OVER ITS LIMIT"
    limit = f"of {figure.limit:,.6g} {figure.unit}".rstrip()
    return f"{figure.name:<52} {figure.value:>12,.1f} {limit:<18}{verdict}".rstrip()


def say(line: str) -> None:
    """Print now, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
