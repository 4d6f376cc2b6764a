"""When an append has to be seen, on a clock of the test's own."""

from __future__ import annotations

from loadtests.soak_appends import Appends, Seen


def appended(now: float) -> Appends:
    """Six hours on top of twelve that were seen; due in 3 s, a fault costs 2 s after its end."""
    appends = Appends(12, in_time=3, heal=2)
    appends.saw(12, now)
    appends.hours = 18
    appends.whole(now)
    return appends


def test_an_append_is_due_some_seconds_after_it() -> None:
    """Before that the old version may be answered."""
    appends = appended(10)
    assert [appends.least(now) for now in (10, 12.9, 13)] == [12, 12, 18]


def test_faults_begin_the_time_anew() -> None:
    """Nothing is due among them; what was due before they began stays due."""
    appends = appended(10)
    appends.faults_begin()
    assert appends.least(100) == 12
    appends.faults_end(100)
    assert [appends.calm_since(then) for then in (101.9, 102)] == [False, True]
    assert [appends.least(now) for now in (104.9, 105)] == [12, 18]
    appends.faults_begin()
    assert appends.least(106) == 18


def test_a_machine_that_stands_still_is_trouble() -> None:
    """The time begins anew, and not before faults that go on are over."""
    appends = appended(10)
    appends.stood_still(12)
    assert [appends.least(now) for now in (16.9, 17)] == [12, 18]
    appends.faults_begin()
    appends.stood_still(20)
    assert not appends.calm_since(1000)


def test_what_was_seen_is_never_unseen() -> None:
    """Once one reader saw a version, all have to, however soon that was."""
    appends = appended(10)
    appends.saw(18, 10.5)
    assert appends.least(10.5) == 18
    # A reader may have it before its writer says so.
    appends.hours = 24
    appends.saw(24, 11)
    appends.whole(11.5)
    assert appends.met == [Seen(0.5, disturbed=False), Seen(0, disturbed=False)]


def test_the_table_tells_late_ones() -> None:
    """By whether there were faults between the append and the answer that had it."""
    appends = appended(10)
    appends.faults_begin()
    appends.saw(18, 14)
    appends.hours = 24
    appends.faults_end(20)
    appends.whole(30)
    appends.saw(24, 30.5)
    _, calm, disturbed = appends.table()
    assert calm.split() == ["without", "faults", "1", "0", "0.50", "0.50"]
    assert disturbed.split() == ["among", "faults", "1", "1", "4.00", "4.00"]
