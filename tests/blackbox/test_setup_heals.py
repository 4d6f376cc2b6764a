"""`./run` makes `.venv` whole, whatever was there: a Python that fails as it is told stands in."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
DECLARES = ("requirements.txt", "requirements-dev.txt", "pyproject.toml", "setup.py")

# It notes what it is asked; whatever word stands in the file `fails` fails.
PYTHON = """\
#!/bin/bash
top={top}
[ "$1" = -c ] && exit 0
echo "$0 $*" >>"$top/asked"
if [ "$1 $2" = "-m venv" ]; then
  folder=${{@: -1}}
  rm -rf "$folder" && mkdir -p "$folder/bin" && cp "$top/bin/python3" "$folder/bin/python"
fi
echo "Collecting a-package"
! grep -q "$(cat "$top/fails")" <<<"$*"
"""
# What the script may use: no git among it.
PROGRAMS = ("bash", "cat", "cksum", "cp", "dirname", "env", "grep", "mkdir", "rm")


@dataclass(frozen=True)
class Clone:
    """A checkout of which only the set-up is there."""

    top: Path

    def run(
        self, verb: str, *, fails: str = "nothing", first: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What ``./run VERB`` says, with a folder `first` on PATH, where whatever Python is asked
        with the word `fails` fails."""
        (self.top / "asked").write_text("")
        (self.top / "fails").write_text(fails)
        return subprocess.run(
            [self.top / "run", verb],
            env={"PATH": f"{first}:{self.top}/bin" if first else f"{self.top}/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        """What Python was asked since the last run began, as far as the set-up goes."""
        lines = (self.top / "asked").read_text().splitlines()
        kinds = {"-m venv": "venv", "-r requirements.txt": "service"}
        kinds |= {"-r requirements-dev.txt": "development", "-e .": "project"}
        return [kind for line in lines for words, kind in kinds.items() if words in line]


def a_clone(top: Path) -> Clone:
    (top / "bin").mkdir(parents=True)
    for name in ("run", *DECLARES):
        shutil.copy(TOP / name, top / name)
    for name in PROGRAMS:
        (top / "bin" / name).symlink_to(shutil.which(name) or name)
    python = top / "bin" / "python3"
    python.write_text(PYTHON.format(top=top))
    python.chmod(0o755)
    return Clone(top)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A checkout in which nothing was run, on a machine without git."""
    return a_clone(tmp_path / "clone")


ALL = ["venv", "development", "project"]


def test_what_is_whole_is_left_alone(clone: Clone) -> None:
    """Made once; what is pinned anew is installed into it."""
    done = clone.run("setup")
    assert (done.returncode, clone.asked) == (0, ALL), done.stderr
    assert "Installing requirements-dev.txt into .venv" in done.stderr
    assert (clone.run("setup").stderr, clone.asked) == ("", [])
    with (clone.top / "requirements.txt").open("a") as pins:
        pins.write("another==1\n")
    assert clone.run("setup").returncode == 0
    assert clone.asked == ["development", "project"]


@pytest.mark.parametrize("fails", ["venv", "requirements-dev.txt", "e ."])
def test_what_failed_is_made_anew(clone: Clone, fails: str) -> None:
    """Without python3-venv there is no pip, and Ctrl-C may come amid each installation."""
    failed = clone.run("setup", fails=fails)
    assert failed.returncode != 0
    assert ".venv is not whole" in failed.stderr
    assert ("python3-venv" in failed.stderr) == (fails == "venv")
    assert (clone.run("setup").returncode, clone.asked) == (0, ALL)


def test_what_failed_of_new_pins_is_made_anew(clone: Clone) -> None:
    """An update that was interrupted may have left anything, too."""
    assert clone.run("setup").returncode == 0
    with (clone.top / "requirements-dev.txt").open("a") as pins:
        pins.write("another==1\n")
    assert clone.run("setup", fails="requirements-dev.txt").returncode != 0
    assert (clone.run("setup").returncode, clone.asked) == (0, ALL)


def test_what_another_made_is_made_anew(clone: Clone) -> None:
    """A folder that this did not make whole, and one whose Python is gone."""
    (clone.top / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(clone.top / "bin" / "python3", clone.top / ".venv" / "bin" / "python")
    assert (clone.run("setup").returncode, clone.asked) == (0, ALL)
    (clone.top / ".venv" / "bin" / "python").unlink()
    (clone.top / ".venv" / "bin" / "python").symlink_to("gone")
    assert (clone.run("setup").returncode, clone.asked) == (0, ALL)


def test_a_moved_one_is_made_anew(clone: Clone, tmp_path: Path) -> None:
    """The programs in it name the folder that it was made in."""
    assert clone.run("setup").returncode == 0
    moved = a_clone(tmp_path / "moved")
    shutil.copytree(clone.top / ".venv", moved.top / ".venv")
    assert (moved.run("setup").returncode, moved.asked) == (0, ALL)


@pytest.mark.parametrize("verb", ["demo", "serve"])
def test_the_demo_installs_the_service_alone(clone: Clone, verb: str) -> None:
    """The tests add the rest, with which the demo is content as well."""
    assert clone.run(verb).returncode == 0
    assert clone.asked == ["venv", "service", "project"]
    assert clone.run("setup").returncode == 0
    assert clone.asked == ["development", "project"]
    assert clone.run(verb).returncode == 0
    assert clone.asked == []


def test_an_activated_one_does_not_make_itself(clone: Clone) -> None:
    """It comes first on PATH, and would remove itself first."""
    own = clone.top / ".venv" / "bin"
    own.mkdir(parents=True)
    shutil.copy(clone.top / "bin" / "python3", own / "python3")
    assert clone.run("setup", first=own).returncode == 0
    made = (clone.top / "asked").read_text().splitlines()[0]
    assert made.startswith(f"{clone.top}/bin/python3 -m venv")
