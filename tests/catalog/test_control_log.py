"""The control log: what one process posts, every one reads, once and in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.catalog.configuration import FileTexts
from app.catalog.control_log import ControlLog, NewEpoch, News, NewTexts
from app.server.processes import unnamed_file

TEXTS = FileTexts("datasets: {}\n# two lines, and ü\n", "ops aa")

POSTING = """
import sys
from app.catalog.control_log import ControlLog, NewEpoch
with ControlLog(int(sys.argv[1])) as control_log:
    for number in range(200):
        control_log.post(NewEpoch(sys.argv[2], str(number)))
"""


@pytest.fixture
def file() -> Iterator[int]:
    file = unnamed_file("control-log")
    ControlLog.begin(file, TEXTS)
    yield file
    os.close(file)


@pytest.fixture
def control_log(file: int) -> Iterator[ControlLog]:
    with ControlLog(file) as control_log:
        yield control_log


def taken(control_log: ControlLog) -> list[News]:
    news, reading = control_log.unread()
    control_log.take(reading)
    return news


def test_whoever_comes_reads_from_the_beginning(file: int, control_log: ControlLog) -> None:
    """A process that starts late knows what all others know."""
    control_log.post(NewEpoch("a", "x"))
    with ControlLog(file) as late:
        assert late.has_news
        assert taken(late) == [NewTexts(TEXTS), NewEpoch("a", "x")]
        assert not late.has_news


def test_news_is_news_until_it_is_taken(control_log: ControlLog) -> None:
    """What was read and not taken, since acting on it failed, is read again."""
    assert control_log.unread()[0] == control_log.unread()[0] == [NewTexts(TEXTS)]
    told = [control_log.has_news]
    taken(control_log)
    told.append(control_log.has_news)
    assert told == [True, False]
    assert taken(control_log) == []
    control_log.post(NewEpoch("a", "x"))
    assert control_log.has_news
    assert taken(control_log) == [NewEpoch("a", "x")]


def test_what_comes_between_reading_and_taking_is_not_lost(
    file: int, control_log: ControlLog
) -> None:
    """News that is posted while a process acts on older news stays unread."""
    _, reading = control_log.unread()
    with ControlLog(file) as other:
        other.post(NewEpoch("a", "x"))
    control_log.take(reading)
    assert control_log.has_news
    assert taken(control_log) == [NewEpoch("a", "x")]


def test_processes_that_post_at_once_lose_nothing(file: int, control_log: ControlLog) -> None:
    """Every line of every process arrives whole, each process' own in order."""
    taken(control_log)
    command = [sys.executable, "-c", POSTING, str(file)]
    posting = [subprocess.Popen([*command, name], pass_fds=[file]) for name in "abc"]
    read: list[News] = []
    while any(process.poll() is None for process in posting) or control_log.has_news:
        if control_log.has_news:
            read += taken(control_log)
    assert [process.returncode for process in posting] == [0, 0, 0]
    for name in "abc":
        renewed = [item for item in read if isinstance(item, NewEpoch)]
        numbers = [item.epoch for item in renewed if item.dataset == name]
        assert numbers == [str(number) for number in range(200)]


def test_each_generation_is_another(control_log: ControlLog) -> None:
    """Tags are made of it, so it does not come again, after a restart neither."""
    taken(control_log)
    for _ in range(100):
        control_log.invalidate("a")
    read = taken(control_log)
    assert len({item.epoch for item in read if isinstance(item, NewEpoch)}) == 100


# Writes on until there is no more room in its files, which ends in the middle of a line.
FILLING = """
import resource
import sys
from app.catalog.control_log import ControlLog, NewEpoch
from app.errors import NotTold
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
refused = 0
with ControlLog(int(sys.argv[1])) as control_log:
    while refused < 3:
        try:
            control_log.post(NewEpoch("a", "x"))
        except NotTold as error:
            refused += 1
            print(error)
"""


def test_what_cannot_be_written_whole_is_told_to_nobody(file: int, control_log: ControlLog) -> None:
    """Its writer hears of it, half a line is passed over, and later news is read."""
    taken(control_log)
    command = [sys.executable, "-c", FILLING, str(file)]
    done = subprocess.run(command, pass_fds=[file], capture_output=True, text=True, check=True)
    first, *others = done.stdout.splitlines()
    assert "there is no room for all of it" in first
    assert all("File too large" in line for line in others)
    news = taken(control_log)
    assert len(news) > 100
    assert set(news) == {NewEpoch("a", "x")}
    assert not control_log.has_news
    control_log.post(NewEpoch("b", "y"))
    assert taken(control_log) == [NewEpoch("b", "y")]
    with ControlLog(file) as late:
        assert taken(late)[-1] == NewEpoch("b", "y")
    assert control_log.latest_texts() == TEXTS
