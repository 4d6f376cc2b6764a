"""The side-by-side benchmark: ``python -m loadtests.bench [SCENARIO ...]``."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from loadtests.bench.drive import driver
from loadtests.bench.figures import Result
from loadtests.bench.machine import cores
from loadtests.bench.plot import write_svg
from loadtests.bench.report import lines, write_json
from loadtests.bench.stage import Stage
from loadtests.ground import ROOT, NotReady

# Where each scenario is: module, function.
SCENARIOS = MappingProxyType(
    {
        "point": ("race", "point"),
        "series": ("race", "series"),
        "box": ("race", "box"),
        "stations": ("race", "stations"),
        "cold": ("cold", "cold"),
        "small-chunks": ("small_chunks", "small_chunks"),
        "open": ("opening", "opening"),
        "burst": ("burst", "burst"),
        "mixed": ("mixed", "mixed"),
        "inline": ("inline", "inline"),
        "memory": ("memory", "memory"),
        "two-workers": ("workers", "two_workers"),
        "threads": ("threads", "threads"),
        "page": ("page", "page"),
        "stream": ("stream", "stream"),
        "wide": ("wide", "wide"),
        "fair": ("fair", "fair"),
        "doors": ("doors", "doors"),
    }
)
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenarios that are named, or all; print and write what they found."""
    arguments = parser().parse_args(argv)
    unknown = set(arguments.scenarios) - set(SCENARIOS)
    if unknown:
        parser().error(f"no scenario {', '.join(sorted(unknown))}; there are {_names()}")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    server_core, asking_core = cores()
    folder: Path = arguments.out.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(
        folder, arguments.contestants, arguments.rounds, arguments.seconds, say, arguments.bytes
    )
    say(f"bench: contestants on core {server_core}, {driver()} on core {asking_core}")
    try:
        results = _run_all(arguments.scenarios or list(SCENARIOS), stage)
    except KeyboardInterrupt:
        say("bench: interrupted; everything that was started has ended")
        return INTERRUPTED
    _write(results, stage)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser("loadtests.bench", description="Sluice beside the others.")
    found.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{_names()} (all)")
    found.add_argument("--rounds", type=_positive, default=5, help="interleaved rounds (5)")
    found.add_argument("--seconds", type=_positive, default=1, help="of each turn (1)")
    found.add_argument("--bytes", type=_positive, default=2**32, help="of `stream` (4 GiB)")
    found.add_argument("--contestants", metavar="PYTHON", help="the contestants' interpreter")
    found.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="(build/bench)")
    return found


def _run_all(names: Sequence[str], stage: Stage) -> list[Result]:
    results = []
    for name in names:
        start = time.monotonic()
        try:
            result = _scenario(name)(stage)
        except NotReady as error:
            result = Result(name, "not measured", notes=[str(error)])
        result.notes.append(f"{time.monotonic() - start:.0f} s")
        results.append(result)
        for line in lines(result):
            say(line)
    return results


def _scenario(name: str) -> Callable[[Stage], Result]:
    module, function = SCENARIOS[name]
    found: Callable[[Stage], Result] = getattr(import_module(f"loadtests.bench.{module}"), function)
    return found


def _write(results: Sequence[Result], stage: Stage) -> None:
    about = {
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "rounds": stage.rounds,
        "seconds": stage.seconds,
        "driver": driver(),
    }
    name = results[0].scenario if len(results) == 1 else "bench"
    write_json(results, about, stage.folder / f"{name}.json")
    write_svg(results, stage.folder / f"{name}.svg")
    say(f"bench: written to {stage.folder / name}.json and .svg")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _names() -> str:
    return ", ".join(SCENARIOS)


def say(line: str) -> None:
    """Print now, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
