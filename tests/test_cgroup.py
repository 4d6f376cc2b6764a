"""Limits of control groups, from folders as the kernel makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.cgroup import Allowance, allowance, available_cores

NOBODY = Path("/nowhere")


def tree(root: Path, files: dict[str, str]) -> Path:
    """These files below `root`, each with the line feed that the kernel writes."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


CASES: list[tuple[dict[str, str], str, Allowance]] = [
    ({}, "", Allowance()),
    # Version 2, in a container: the root is the group's own.
    ({"cpu.max": "150000 100000", "memory.max": "536870912"}, "0::/", Allowance(1.5, 2**29)),
    ({"cpu.max": "max 100000", "memory.max": "max"}, "0::/", Allowance()),
    # The path is that of the host, and not there.
    ({"cpu.max": "50000 100000", "memory.max": "4096"}, "0::/docker/abc", Allowance(0.5, 4096)),
    # Without a namespace: the group's own limits and those above it, of which the least counts.
    (
        {
            "pods/cpu.max": "200000 100000", "pods/memory.max": "4096",
            "pods/mine/cpu.max": "400000 100000", "pods/mine/memory.max": "8192",
            "pods/other/memory.max": "1024",
        },
        "0::/pods/mine", Allowance(2.0, 4096),
    ),
    # Version 1, a folder for each controller.
    (
        {
            "cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "1048576",
        },
        "4:memory:/\n1:cpu:/", Allowance(3.0, 2**20),
    ),
    (
        {
            "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "9223372036854771712",
        },
        "4:memory:/\n1:cpu:/", Allowance(),
    ),
    (
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "cpu,cpuacct/a/cpu.cfs_quota_us": "50000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        },
        "2:cpu,cpuacct:/a\n0::/", Allowance(0.5),
    ),
    # What nobody understands is no limit; nor does a path lead out of the folder.
    ({"cpu.max": "some", "memory.max": "-5"}, "nonsense", Allowance()),
    ({"memory.max": "4096"}, "0::/../../x", Allowance(None, 4096)),
]  # fmt: skip


@pytest.mark.parametrize(("files", "membership", "expected"), CASES)
def test_the_least_limit_counts(
    tmp_path: Path, files: dict[str, str], membership: str, expected: Allowance
) -> None:
    """In both versions, at the group and above it."""
    groups = tmp_path / "membership"
    groups.write_text(membership)
    assert allowance(tree(tmp_path / "root", files), groups) == expected


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    """As on systems that have none."""
    assert allowance(tmp_path / "none", NOBODY) == Allowance()
    assert available_cores(tmp_path / "none") >= 1


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("1000", 1), ("max", None)])
def test_cores_follow_the_quota(tmp_path: Path, quota: str, cores: int | None) -> None:
    """A part of a core is one; never more than the process may run on."""
    there = available_cores(tmp_path / "none")
    found = available_cores(tree(tmp_path / "root", {"cpu.max": f"{quota} 100000"}))
    assert found == (cores or there)
    assert available_cores(tree(tmp_path / "more", {"cpu.max": "99900000 100000"})) == there
