"""Programs that are no Python packages: found, or the test is skipped with a line that says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "clients.sh"


def program(name: str) -> str:
    """The path of a program that ``scripts/clients.sh`` knows; CI, as root, installs it."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true" and os.geteuid() == 0:
        subprocess.run([SCRIPT, "install"], check=False)
        found = shutil.which(name)
    if found is None:
        pytest.skip(f"client: {name} is not installed (scripts/clients.sh install)")
    return found


def node_package(name: str) -> Path:
    """The folder of npm's packages with this one; CI installs it where Node.js is."""
    modules = SCRIPT.parent.parent / ".node-clients" / "node_modules"
    if not (modules / name).exists() and os.environ.get("CI") == "true" and shutil.which("npm"):
        subprocess.run([SCRIPT, "node"], check=False)
    if not (modules / name).exists() or shutil.which("node") is None:
        pytest.skip(f"client: {name} is not installed (scripts/clients.sh node)")
    return modules
