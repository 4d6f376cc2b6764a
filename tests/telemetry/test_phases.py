"""Phases: overlapping spans count once, and tasks below find whoever records."""

from __future__ import annotations

import asyncio
from time import perf_counter

from sluice.concurrency import map_concurrently
from sluice.instrumentation import Phases, count_chunks, phase


async def test_overlapping_spans_of_one_phase_count_once() -> None:
    """Twenty fetches at once take as long as one of them, not twenty times that."""
    phases = Phases()

    async def fetch(number: int) -> None:
        with phase("fetch"):
            await asyncio.sleep(0.05)

    began = perf_counter()
    with phases.recording():
        await map_concurrently(range(20), fetch)
    took = perf_counter() - began
    assert 0.05 <= phases.seconds["fetch"] <= took


async def test_spans_after_each_other_add_up() -> None:
    """A phase that is entered again goes on counting."""
    phases = Phases()
    for _ in range(2):
        began = perf_counter()
        await asyncio.sleep(0.02)
        assert phases.since("plan", began) >= began + 0.02
    assert phases.seconds["plan"] >= 0.04


async def test_two_requests_do_not_mix() -> None:
    """What runs at the same time for another request is not counted."""
    mine, other = Phases(), Phases()

    async def record(phases: Phases, name: str) -> None:
        with phases.recording(), phase(name):
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(record(mine, "fetch"))
        group.create_task(record(other, "decode"))
    assert (set(mine.seconds), set(other.seconds)) == ({"fetch"}, {"decode"})


def test_a_span_that_nobody_records_is_nothing() -> None:
    """The library works the same without a service around it, and after a recording's end."""
    phases = Phases()
    with phases.recording():
        pass
    with phase("fetch"):
        pass
    assert phases.seconds == {}


def test_a_failing_span_counts_too() -> None:
    """A phase that ends in an error has taken its time."""
    phases = Phases()
    try:
        with phases.recording(), phase("fetch"):
            raise OSError
    except OSError:
        pass
    assert phases.server_timing().startswith("fetch;dur=")


async def test_what_waits_is_not_work() -> None:
    """The time in which a request waits for a store or another request is told apart."""
    phases = Phases()
    for name in ("open", "plan", "fetch", "encode"):
        phases.seconds[name] = 1.0
    assert phases.working == 2.0


def test_chunks_are_counted_for_the_request_that_needs_them() -> None:
    """Chunks in memory and others add up for whoever records, and for nobody else."""
    phases = Phases()
    with phases.recording():
        count_chunks(3, 1)
        count_chunks(0, 2)
    count_chunks(9, 9)
    assert (phases.hits, phases.misses) == (3, 3)
