"""The walk of a request: the calls that are made, and the figures of a tree."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from demo.sample import write_sample
from loadtests import walk


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's sample."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder / "analyses.zarr")
    return folder


def run(*arguments: str) -> str:
    """What the command prints, in a process of its own."""
    command = [sys.executable, "-m", "loadtests.walk", *arguments]
    done = subprocess.run(command, cwd=walk.ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_request_goes_a_longer_way_than_a_warm_point(sample: Path) -> None:
    """Every row has its figures: files, functions, calls, switches."""
    printed = run("--sample", str(sample))
    found = re.findall(r"^\| ([\w ()]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", printed, re.M)
    rows = {words: tuple(map(int, figures)) for words, *figures in found}
    assert set(rows) == set(walk.WORDS.values())
    warm = rows.pop(walk.WORDS["warm"])
    for row in rows.values():
        assert all(one > other for one, other in zip(row, warm, strict=True))
    assert re.search(rf"^\| modules \| {walk.Tree.read().modules} \|$", printed, re.M)


def test_the_calls_of_a_request_begin_at_its_connection(sample: Path) -> None:
    """In their order, through the library and back to the connection."""
    lines = run("warm", "--sample", str(sample)).splitlines()
    files = [line.partition(":")[0] for line in lines]
    assert files[0].endswith("/protocol.py")
    assert "sluice/engine/plan.py" in files
    assert any(name.startswith("sluice/encoders/") for name in files)
    assert sum(line.endswith("Outgoing.write") for line in lines) == 2  # the head, and the body


def test_calls_are_noted_within_the_block_and_on_other_threads(tmp_path: Path) -> None:
    """Those of our own files, and no others."""
    module = tmp_path / "sluice" / "toy.py"
    module.parent.mkdir()
    text = "def one(): return two()\ndef two(): return [int(x) for x in '12']\n"
    module.write_text(text)
    functions: dict[str, object] = {}
    exec(compile(text, str(module), "exec"), functions)
    one = functions["one"]
    assert callable(one)
    recorder = walk.Recorder(tmp_path)
    with recorder.installed():
        begun, go_on = threading.Event(), threading.Event()

        def work() -> None:
            one()
            begun.set()
            go_on.wait()
            one()

        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
        with recorder.walk() as found:
            go_on.set()
            thread.join()
    assert [code.co_name for code in found.calls] == ["one", "two"]
    assert (found.files, found.functions, found.switches) == (1, 2, 0)


def test_the_tree_is_measured(tmp_path: Path) -> None:
    """Modules, lines, the longest, long functions, and Any where it is no part of a text."""
    short, long = tmp_path / "app" / "short.py", tmp_path / "sluice" / "long.py"
    for path in (short, long):
        path.parent.mkdir()
    short.write_text("from typing import Any\n\nx: Any = 'Any'  # Any\n")
    long.write_text("def f():\n" + 50 * "    x = 1\n")
    tree = walk.Tree.read(tmp_path)
    assert (tree.modules, tree.lines, tree.longest) == (2, 54, ("sluice/long.py", 51))
    assert (tree.long_functions, tree.any_count) == (1, 2)
    assert tree.any_per_thousand == pytest.approx(2 / 54 * 1000)
