"""Settings that nobody has chosen follow the cores and the memory of the cgroup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings, fitted

BUDGETS = ("chunk_cache_bytes", "inflight_bytes", "opened_bytes")
MIB = 2**20


def with_limits(folder: Path, memory: int | None, cpu: str = "max", **chosen: Any) -> Settings:
    """Fitted settings in a cgroup with so many MiB of memory and this quota."""
    (folder / "cpu.max").write_text(f"{cpu} 100000\n")
    (folder / "memory.max").write_text(f"{'max' if memory is None else memory * MIB}\n")
    return fitted(Settings(cgroup_root=folder, **chosen))


def total(settings: Settings) -> int:
    """What all workers may take by their budgets."""
    budgets: list[int] = [getattr(settings, name) for name in BUDGETS]
    return settings.workers * sum(budgets)


def test_threads_follow_the_quota(tmp_path: Path) -> None:
    """One core: one thread to decode, two for files; what is chosen stays."""
    one = with_limits(tmp_path, None, "100000")
    assert (one.decode_threads, one.threads, one.blocking_threads) == (1, 2, 32)
    chosen = with_limits(tmp_path, None, "100000", decode_threads=3, threads=5, blocking_threads=7)
    assert (chosen.decode_threads, chosen.threads, chosen.blocking_threads) == (3, 5, 7)


def test_without_a_limit_of_memory_the_documented_defaults_stand(tmp_path: Path) -> None:
    """Whatever the machine has."""
    found = with_limits(tmp_path, None)
    assert all(getattr(found, name) == getattr(Settings(), name) for name in BUDGETS)


@pytest.mark.parametrize("memory", [256, 512, 1024, 65536])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_budgets_are_shares_of_the_memory(tmp_path: Path, memory: int, workers: int) -> None:
    """Together they leave room for the interpreter, and grow with the limit."""
    found = with_limits(tmp_path, memory, workers=workers)
    assert total(found) < memory * MIB
    assert found.request_result_bytes * 4 <= max(found.inflight_bytes, 8 * MIB)
    if memory == 65536:
        assert total(found) > memory * MIB * 3 // 4
        assert found.request_result_bytes == 64 * MIB


def test_what_is_chosen_stays_and_the_rest_is_shared(tmp_path: Path) -> None:
    """A large cache leaves little for others, and the sum stays within the limit."""
    plain = with_limits(tmp_path, 1024)
    found = with_limits(tmp_path, 1024, chunk_cache_bytes=700 * MIB, request_result_bytes=5 * MIB)
    assert found.chunk_cache_bytes == 700 * MIB
    assert found.request_result_bytes == 5 * MIB
    assert found.inflight_bytes < plain.inflight_bytes
    assert total(found) < 1024 * MIB
    assert fitted(found) == found


def test_budgets_that_cannot_fit_are_refused_in_a_line(tmp_path: Path) -> None:
    """By name and size, with the limit; workers count."""
    with_limits(tmp_path, 512, chunk_cache_bytes=200 * MIB, inflight_bytes=300 * MIB)
    with pytest.raises(ValueError, match=r"SLUICE_CHUNK_CACHE_BYTES .*memory\.max") as refused:
        with_limits(tmp_path, 512, chunk_cache_bytes=300 * MIB, inflight_bytes=300 * MIB)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="3 workers times SLUICE_OPENED_BYTES"):
        with_limits(tmp_path, 512, opened_bytes=200 * MIB, workers=3)
