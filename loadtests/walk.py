"""The walk of one request through the code, and the figures of the tree.

A server runs in a thread of this process and is asked over a real socket; each call of a function
of `sluice/` or `app/` meanwhile is noted, on whatever thread it is made (a coroutine that goes
on after a wait counts as another call). Of requests that can be
repeated, the shortest walk counts: timers of the service fall into the others. All come over one
connection, as those of a page or a program do.

    ./run walk          the two tables
    ./run walk NAME     the calls of one request, in their order
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import tempfile
import threading
import time
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("sluice", "app")
LONG_FUNCTION_LINES: Final = 50
# How long what follows an answer (its measures, its line in the log) may take.
FOLLOWS_SECONDS: Final = 0.03

POINT: Final = (
    "sel?time=2024-01-0{day}T12:00Z&level=850&latitude=nearest::52.5&longitude=nearest::13.4"
    "&variables={variable}"
)
BOX: Final = "sel?time=2024-01-0{day}&level=850&latitude=45/55&longitude=-5/15&variables=v&f=netcdf"
# Each name's requests: days are chunks, so that each of another day is as cold as the first.
ASKED: Final = {
    "first": [POINT.format(day=1, variable="t")],
    "cold": [POINT.format(day=day, variable="u") for day in (2, 3, 4, 5)],
    "netcdf": [BOX.format(day=day) for day in (2, 3, 4, 5)],
    "warm": [POINT.format(day=1, variable="t")] * 8,
}
WORDS: Final = {
    "first": "first request (opens)",
    "cold": "cold chunk",
    "netcdf": "cold box as NetCDF",
    "warm": "warm point",
}


@dataclass
class Walk:
    """The calls of one request, in their order."""

    calls: list[CodeType] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many files they are in."""
        return len({code.co_filename for code in self.calls})

    @property
    def functions(self) -> int:
        """How many functions they are of."""
        return len(set(self.calls))

    @property
    def switches(self) -> int:
        """How often the file changes from one call to the next."""
        return sum(one.co_filename != next.co_filename for one, next in pairwise(self.calls))

    def lines(self) -> Iterator[str]:
        """Each call, as the file and the function."""
        for code in self.calls:
            place = Path(code.co_filename).relative_to(ROOT)
            yield f"{place}:{code.co_firstlineno} {getattr(code, 'co_qualname', code.co_name)}"


class Recorder:
    """Notes the calls of our own functions, of all threads that begin while it is installed."""

    def __init__(self, root: Path = ROOT) -> None:
        self._inside = tuple(f"{root / package}{os.sep}" for package in PACKAGES)
        self._calls: list[CodeType] | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Threads that begin in the block are looked at."""
        threading.setprofile(self._note)
        try:
            yield
        finally:
            threading.setprofile(None)

    @contextmanager
    def walk(self) -> Iterator[Walk]:
        """The calls within the block."""
        walk = Walk()
        self._calls = walk.calls
        try:
            yield walk
        finally:
            self._calls = None

    def _note(self, frame: FrameType, event: str, arg: object) -> None:
        calls = self._calls
        if calls is not None and event == "call":
            code = frame.f_code
            # Comprehensions are functions before Python 3.12, and generators have no name.
            if code.co_filename.startswith(self._inside) and not code.co_name.endswith("comp>"):
                calls.append(code)


def walks(sample: Path) -> dict[str, Walk]:
    """The shortest walk of each kind of request to a new server over the `sample`."""
    recorder = Recorder()
    with (
        tempfile.TemporaryDirectory() as folder,
        recorder.installed(),
        _serving(sample, Path(folder)) as port,
        closing(HTTPConnection("127.0.0.1", port, timeout=60)) as client,
    ):
        found = {}
        for name, paths in ASKED.items():
            each = [_walk(recorder, client, f"/datasets/sample/{path}") for path in paths]
            found[name] = min(each, key=lambda walk: len(walk.calls))
    return found


def _walk(recorder: Recorder, client: HTTPConnection, path: str) -> Walk:
    with recorder.walk() as walk:
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
        time.sleep(FOLLOWS_SECONDS)
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body.decode()}")
    # Nothing of this one falls into the next one.
    time.sleep(0.2)
    return walk


@contextmanager
def _serving(sample: Path, folder: Path) -> Iterator[int]:
    """The port of a server in a thread, as `serve` runs it, until the block ends."""
    from app.server.connections import ConnectionLimits
    from app.server.workers import Config, Server

    catalog = folder / "catalog.yaml"
    catalog.write_text(f'datasets: {{sample: {{url: "{sample.absolute()}"}}}}', encoding="utf-8")
    os.environ["SLUICE_CATALOG"] = str(catalog)
    config = Config(
        "app.api.app:create_app_from_environment",
        limits=ConnectionLimits(),
        factory=True,
        port=0,
        log_level="warning",
        access_log=False,
    )
    server = Server(config)
    listener = config.listener()
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server ended while it started")
            time.sleep(0.05)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass(frozen=True)
class Tree:
    """The figures of the modules of both packages."""

    modules: int
    lines: int
    longest: tuple[str, int]
    long_functions: int
    any_count: int

    @classmethod
    def read(cls, root: Path = ROOT) -> Tree:
        """Those of a checkout."""
        paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
        lengths = {
            str(path.relative_to(root)): len(path.read_text().splitlines()) for path in paths
        }
        return cls(
            modules=len(paths),
            lines=sum(lengths.values()),
            longest=max(lengths.items(), key=lambda item: item[1]),
            long_functions=sum(map(_long_functions, paths)),
            any_count=sum(map(_any_count, paths)),
        )

    @property
    def any_per_thousand(self) -> float:
        """How often `Any` is written in a thousand lines."""
        return self.any_count / self.lines * 1000


def _long_functions(path: Path) -> int:
    """How many are too long, their docstrings aside."""
    found = 0
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            documented = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1
            lines -= len(documented.split("\n")) if documented is not None else 0
            found += lines > LONG_FUNCTION_LINES
    return found


def _any_count(path: Path) -> int:
    with path.open("rb") as file:
        tokens = tokenize.tokenize(file.readline)
        return sum(token.type == tokenize.NAME and token.string == "Any" for token in tokens)


def walk_table(found: dict[str, Walk]) -> str:
    """The walks as a Markdown table."""
    rows = [
        (WORDS[name], walk.files, walk.functions, len(walk.calls), walk.switches)
        for name, walk in found.items()
    ]
    head = "| one request (local store) | files | functions | calls | switches between files |"
    lines = [head, "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)


def tree_table(tree: Tree) -> str:
    """The figures of the tree as a Markdown table."""
    name, length = tree.longest
    rows = [
        ("modules", str(tree.modules)),
        ("lines", str(tree.lines)),
        ("longest module", f"{length} (`{name}`)"),
        (f"functions over {LONG_FUNCTION_LINES} lines", str(tree.long_functions)),
        ("`Any` per 1,000 lines", f"{tree.any_per_thousand:.1f}"),
    ]
    lines = ["| `sluice/` and `app/` | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {words} | {figure} |" for words, figure in rows)])


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was asked for; the exit status."""
    parser = argparse.ArgumentParser("./run walk", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", choices=list(ASKED), help="the calls of this request")
    parser.add_argument("--sample", type=Path, default=ROOT / ".sample", help="(.sample)")
    arguments = parser.parse_args(argv)
    found = walks(_sample(arguments.sample))
    if arguments.name:
        said = "\n".join(found[arguments.name].lines())
    else:
        said = f"{walk_table(found)}\n\n{tree_table(Tree.read())}"
    sys.stdout.write(f"{said}\n")
    return 0


def _sample(folder: Path) -> Path:
    """The demo's sample store in `folder`, written where it is not there yet."""
    from demo.sample import write_sample

    store = folder / "analyses.zarr"
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_sample(store)
    return store


if __name__ == "__main__":
    sys.exit(main())
