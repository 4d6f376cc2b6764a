"""A container's limits: the service takes what it is allowed, or says why it does not start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Serve, command, write_catalog

MIB = 2**20


def limits(folder: Path, version: int, memory: int) -> Path:
    """A cgroup of one core and so many bytes, as the kernel shows it."""
    names = {"cpu.max": "100000 100000", "memory.max": str(memory)}
    if version == 1:
        names = {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}
        names["memory/memory.limit_in_bytes"] = str(memory)
    for name, text in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize("version", [1, 2])
def test_the_service_takes_what_it_is_allowed(serve: Serve, tmp_path: Path, version: int) -> None:
    """Its first line says how much that is."""
    root = limits(tmp_path, version, 512 * MIB)
    service = serve({"a": "a.zarr"}, SLUICE_CGROUP_ROOT=str(root))
    said = re.search(r"1 x 1 decode threads, 2 threads a .*; MiB: (.*)", service.log.read_text())
    assert said is not None, service.log.read_text()
    assert 200 < sum(map(int, re.findall(r"\d+", said[1]))) < 400


def test_a_start_that_cannot_fit_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings and the limit by name; each worker counts."""
    monkeypatch.setenv("SLUICE_CGROUP_ROOT", str(limits(tmp_path, 2, 512 * MIB)))
    monkeypatch.setenv("SLUICE_CHUNK_CACHE_BYTES", str(300 * MIB))
    catalog = write_catalog(tmp_path, {"a": "a.zarr"})
    done = command("serve", "--workers", "2", "--catalog", catalog)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "SLUICE_CHUNK_CACHE_BYTES" in line
    assert "2 workers" in line
    assert "memory.max" in line
