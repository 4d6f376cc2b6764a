"""The foreign readers of NetCDF files that ``scripts/readers.sh`` installs: found, or a skip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "readers.sh"
FOREIGN = Path(__file__).parent / "foreign"


def needed(*names: str) -> None:
    """Skips the test, in so many words, unless all are there; CI, as root, installs them."""
    missing = _missing()
    if missing.intersection(names) and os.environ.get("CI") == "true" and os.geteuid() == 0:
        subprocess.run([SCRIPT, "install"], check=False)
        _missing.cache_clear()
        missing = _missing()
    gone = missing.intersection(names)
    if gone:
        pytest.skip(
            f"readers: {', '.join(sorted(gone))} not installed (scripts/readers.sh install)"
        )


@cache
def _missing() -> frozenset[str]:
    found = subprocess.run([SCRIPT, "missing"], capture_output=True, text=True, check=True)
    return frozenset(found.stdout.split())


def run(*words: str | Path) -> str:
    """What a program prints; it must succeed."""
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def copies(path: Path) -> list[Path]:
    """The file as nccopy and as ncks copy it."""
    needed("nccopy", "ncks")
    made = [path.with_suffix(".nccopy.nc"), path.with_suffix(".ncks.nc")]
    run("nccopy", path, made[0])
    run("ncks", "-O", "-h", path, made[1])
    return made


def in_r(package: str, path: Path, *names: str) -> dict[str, str]:
    """Name -> values, joined by bars, as this package of R reads them."""
    needed("Rscript", package)
    printed = run(shutil.which("Rscript") or "", FOREIGN / f"{package}.R", path, *names)
    rows = [line.split("\t") for line in printed.splitlines() if line.startswith("=\t")]
    return {name: values for _, name, values, *_ in rows}


def in_old_python(path: Path) -> dict[str, Any]:
    """What h5py 2 and netCDF4 1 read, by library: variable ("": the file) -> values and attrs."""
    python = subprocess.run([SCRIPT, "python"], capture_output=True, text=True, check=False)
    if python.returncode:
        pytest.skip(f"readers: no old Python ({python.stderr.strip().splitlines()[-1:]})")
    read: dict[str, Any] = json.loads(
        run(python.stdout.strip(), "-W", "ignore", FOREIGN / "old_python.py", path)
    )
    return read


def seen(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """All that the C library tells of a file: dimensions, variables and attributes, with types."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        dims = {name: (len(dim), dim.isunlimited()) for name, dim in file.dimensions.items()}
        variables = {
            name: (str(v.dtype), v.dimensions, repr(np.asarray(v[...]).tolist()), attributes(v))
            for name, v in file.variables.items()
        }
        return dims, variables, attributes(file)


def attributes(holder: Any) -> dict[str, tuple[str, str]]:
    """Name -> type and value of the attributes of a netCDF4 file or variable."""
    found = {name: holder.getncattr(name) for name in holder.ncattrs()}
    return {
        name: (str(getattr(value, "dtype", type(value).__name__)), repr(np.asarray(value).tolist()))
        for name, value in found.items()
    }
