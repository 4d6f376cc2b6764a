"""The bulletin: what one process posts, every one reads, once and in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.catalog.configuration import Texts
from app.catalog.control_log import Bulletin, NewGeneration, News, NewTexts
from app.server.processes import unnamed_file

TEXTS = Texts("datasets: {}\n# two lines, and ü\n", "ops aa")

POSTING = """
import sys
from app.catalog.bulletin import Bulletin, NewGeneration
with Bulletin(int(sys.argv[1])) as bulletin:
    for number in range(200):
        bulletin.post(NewGeneration(sys.argv[2], str(number)))
"""


@pytest.fixture
def file() -> Iterator[int]:
    file = unnamed_file("bulletin")
    Bulletin.begin(file, TEXTS)
    yield file
    os.close(file)


@pytest.fixture
def bulletin(file: int) -> Iterator[Bulletin]:
    with Bulletin(file) as bulletin:
        yield bulletin


def taken(bulletin: Bulletin) -> list[News]:
    news, reading = bulletin.unread()
    bulletin.take(reading)
    return news


def test_whoever_comes_reads_from_the_beginning(file: int, bulletin: Bulletin) -> None:
    """A process that starts late knows what all others know."""
    bulletin.post(NewGeneration("a", "x"))
    with Bulletin(file) as late:
        assert late.has_news
        assert taken(late) == [NewTexts(TEXTS), NewGeneration("a", "x")]
        assert not late.has_news


def test_news_is_news_until_it_is_taken(bulletin: Bulletin) -> None:
    """What was read and not taken, since acting on it failed, is read again."""
    assert bulletin.unread()[0] == bulletin.unread()[0] == [NewTexts(TEXTS)]
    told = [bulletin.has_news]
    taken(bulletin)
    told.append(bulletin.has_news)
    assert told == [True, False]
    assert taken(bulletin) == []
    bulletin.post(NewGeneration("a", "x"))
    assert bulletin.has_news
    assert taken(bulletin) == [NewGeneration("a", "x")]


def test_what_comes_between_reading_and_taking_is_not_lost(file: int, bulletin: Bulletin) -> None:
    """News that is posted while a process acts on older news stays unread."""
    _, reading = bulletin.unread()
    with Bulletin(file) as other:
        other.post(NewGeneration("a", "x"))
    bulletin.take(reading)
    assert bulletin.has_news
    assert taken(bulletin) == [NewGeneration("a", "x")]


def test_processes_that_post_at_once_lose_nothing(file: int, bulletin: Bulletin) -> None:
    """Every line of every process arrives whole, each process' own in order."""
    taken(bulletin)
    command = [sys.executable, "-c", POSTING, str(file)]
    posting = [subprocess.Popen([*command, name], pass_fds=[file]) for name in "abc"]
    read: list[News] = []
    while any(process.poll() is None for process in posting) or bulletin.has_news:
        if bulletin.has_news:
            read += taken(bulletin)
    assert [process.returncode for process in posting] == [0, 0, 0]
    for name in "abc":
        renewed = [item for item in read if isinstance(item, NewGeneration)]
        numbers = [item.generation for item in renewed if item.dataset == name]
        assert numbers == [str(number) for number in range(200)]


def test_each_generation_is_another(bulletin: Bulletin) -> None:
    """Tags are made of it, so it does not come again, after a restart neither."""
    taken(bulletin)
    for _ in range(100):
        bulletin.renew("a")
    read = taken(bulletin)
    assert len({item.generation for item in read if isinstance(item, NewGeneration)}) == 100


# Writes on until there is no more room in its files, which ends in the middle of a line.
FILLING = """
import resource
import sys
from app.catalog.bulletin import Bulletin, NewGeneration
from app.errors import NotTold
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
refused = 0
with Bulletin(int(sys.argv[1])) as bulletin:
    while refused < 3:
        try:
            bulletin.post(NewGeneration("a", "x"))
        except NotTold as error:
            refused += 1
            print(error)
"""


def test_what_cannot_be_written_whole_is_told_to_nobody(file: int, bulletin: Bulletin) -> None:
    """Its writer hears of it, half a line is passed over, and later news is read."""
    taken(bulletin)
    command = [sys.executable, "-c", FILLING, str(file)]
    done = subprocess.run(command, pass_fds=[file], capture_output=True, text=True, check=True)
    first, *others = done.stdout.splitlines()
    assert "there is no room for all of it" in first
    assert all("File too large" in line for line in others)
    news = taken(bulletin)
    assert len(news) > 100
    assert set(news) == {NewGeneration("a", "x")}
    assert not bulletin.has_news
    bulletin.post(NewGeneration("b", "y"))
    assert taken(bulletin) == [NewGeneration("b", "y")]
    with Bulletin(file) as late:
        assert taken(late)[-1] == NewGeneration("b", "y")
    assert bulletin.latest_texts() == TEXTS
