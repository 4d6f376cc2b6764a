"""Standing still: what counts as it, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import threading

from app.server.processes import HEARTBEAT_SECONDS, Heartbeat, Stall, stacks, unnamed_file


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def looks(still: Stall, clock: Clock, count: int, seconds: float, **options: bool) -> bool:
    """The last of looks so long, one every so often."""
    found = False
    for _ in range(round(seconds / HEARTBEAT_SECONDS)):
        clock.now += HEARTBEAT_SECONDS
        found = still.lasts(count, **options)
    return found


def test_a_loop_stands_still_after_so_many_seconds_without_a_turn() -> None:
    """Each turn begins them anew."""
    clock = Clock()
    still = Stall(30, clock=clock)
    assert not looks(still, clock, 1, 29)
    assert not looks(still, clock, 2, 30)
    assert looks(still, clock, 2, 30)


def test_a_loop_that_has_not_begun_does_not_stand_stall() -> None:
    """What is imported before may take as long as it takes."""
    clock = Clock()
    assert not looks(Stall(30, clock=clock), clock, 0, 300)


def test_time_in_which_nothing_could_run_does_not_count() -> None:
    """The process was stopped, or whoever looks was: with it the container or the machine."""
    clock = Clock()
    still = Stall(30, clock=clock)
    assert not looks(still, clock, 1, 20)
    assert not looks(still, clock, 1, 3600, stopped=True)
    for _ in range(3):
        clock.now += 3600
        assert not still.lasts(1)
    assert not looks(still, clock, 1, 6)
    assert looks(still, clock, 1, 2)


def test_without_a_limit_no_loop_stands_stall() -> None:
    """An operator with a debugger may want that."""
    clock = Clock()
    assert not looks(Stall(0, clock=clock), clock, 1, 3600)


async def test_turns_are_counted_while_the_loop_heartbeat() -> None:
    """Whoever has the file sees it, each place for itself; they stay when the loop ends."""
    file = unnamed_file("heartbeats")
    mine, other = Heartbeat(file, 1), Heartbeat(file, 0)
    assert mine.count == other.count == 0
    with mine.counted():
        await asyncio.sleep(0.01)
        assert mine.count == 1
    await asyncio.sleep(0.01)
    assert (mine.count, other.count) == (1, 0)


def test_stacks_tell_of_every_thread() -> None:
    """By its name, with the line on which it is."""
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="somebody who waits")
    thread.start()
    told = stacks()
    go.set()
    thread.join()
    assert "Thread somebody who waits:" in told
    assert "told = stacks()" in told
