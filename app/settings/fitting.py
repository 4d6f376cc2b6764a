"""Settings that nobody has chosen, by what the machine or its container allows the processes."""

from __future__ import annotations

from typing import Final

from sluice.cgroup import Allowance, allowance, available_cores

from . import PREFIX, Settings

# What a worker takes before it has read anything: the interpreter, the libraries, a client of S3.
_BASE_BYTES: Final = 160 * 2**20
# Of the rest, where there is a limit; the remainder is for what is counted nowhere.
SHARES: Final = {"chunk_cache_bytes": 0.25, "inflight_bytes": 0.45, "opened_bytes": 0.15}
_REMAINDER: Final = 0.15
_MEGABYTE: Final = 2**20


def fitted(settings: Settings) -> Settings:
    """The settings with a number in place of each that follows the cores and the memory.

    Raises ValueError with one line where the chosen budgets are more than the memory.
    """
    allowed = allowance(settings.cgroup_root)
    return settings.model_copy(update={**_threads(settings), **_budgets(settings, allowed)})


def _threads(settings: Settings) -> dict[str, int]:
    cores = available_cores(settings.cgroup_root)
    threads = settings.threads or min(max(2, 2 * cores), 32)
    return {
        "threads": threads,
        "blocking_threads": settings.blocking_threads or min(16 * threads, 256),
        "decode_threads": settings.decode_threads or cores,
    }


def _budgets(settings: Settings, allowed: Allowance) -> dict[str, int]:
    """The budgets that nobody has chosen: shares of what the chosen ones leave of the memory."""
    if allowed.memory_bytes is None:
        return {}
    chosen = {name: getattr(settings, name) for name in SHARES if _is_chosen(settings, name)}
    _check(chosen, settings.workers, allowed.memory_bytes)
    mine = allowed.memory_bytes // settings.workers
    left = max(mine - _BASE_BYTES, mine // 4) - sum(chosen.values())
    shares = {name: share for name, share in SHARES.items() if name not in chosen}
    whole = sum(shares.values()) + _REMAINDER
    found = {name: max(int(left * share / whole), _MEGABYTE) for name, share in shares.items()}
    # One request must not take all that there is for all of them.
    inflight = {**found, **chosen}["inflight_bytes"]
    for name, parts in (("request_result_bytes", 8), ("under_way_bytes", 4)):
        if not _is_chosen(settings, name):
            found[name] = min(getattr(settings, name), max(inflight // parts, _MEGABYTE))
    return found


def _is_chosen(settings: Settings, name: str) -> bool:
    return name in settings.model_fields_set


def _check(chosen: dict[str, int], workers: int, memory_bytes: int) -> None:
    total = workers * sum(chosen.values())
    if total <= memory_bytes:
        return
    named = " + ".join(f"{PREFIX}{name.upper()} ({value})" for name, value in chosen.items())
    times = f"{workers} workers times " if workers > 1 else ""
    raise ValueError(
        f"{times}{named} is {total} bytes, and the cgroup allows {memory_bytes} (memory.max):"
        " set less, or leave them out and they follow it"
    )
