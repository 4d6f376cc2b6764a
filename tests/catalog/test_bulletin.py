"""The bulletin: what one process posts, every one reads, once and in order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.catalog.bulletin import Bulletin, NewGeneration, News, NewTexts
from app.catalog.configuration import Texts

TEXTS = Texts("datasets: {}\n# two lines, and ü\n", "ops aa")

POSTING = """
import sys
from pathlib import Path
from app.catalog.bulletin import Bulletin, NewGeneration
with Bulletin(Path(sys.argv[1])) as bulletin:
    for number in range(200):
        bulletin.post(NewGeneration(sys.argv[2], str(number)))
"""


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "bulletin"
    Bulletin.begin(path, TEXTS)
    return path


@pytest.fixture
def bulletin(path) -> Iterator[Bulletin]:
    with Bulletin(path) as bulletin:
        yield bulletin


def taken(bulletin: Bulletin) -> list[News]:
    news, reading = bulletin.unread()
    bulletin.take(reading)
    return news


def test_whoever_comes_reads_from_the_beginning(path, bulletin):
    """A process that starts late knows what all others know."""
    bulletin.post(NewGeneration("a", "x"))
    with Bulletin(path) as late:
        assert late.has_news
        assert taken(late) == [NewTexts(TEXTS), NewGeneration("a", "x")]
        assert not late.has_news


def test_news_is_news_until_it_is_taken(bulletin):
    """What was read and not taken, since acting on it failed, is read again."""
    assert bulletin.unread()[0] == bulletin.unread()[0] == [NewTexts(TEXTS)]
    assert bulletin.has_news
    taken(bulletin)
    assert not bulletin.has_news
    assert taken(bulletin) == []
    bulletin.post(NewGeneration("a", "x"))
    assert bulletin.has_news
    assert taken(bulletin) == [NewGeneration("a", "x")]


def test_what_comes_between_reading_and_taking_is_not_lost(path, bulletin):
    """News that is posted while a process acts on older news stays unread."""
    _, reading = bulletin.unread()
    with Bulletin(path) as other:
        other.post(NewGeneration("a", "x"))
    bulletin.take(reading)
    assert bulletin.has_news
    assert taken(bulletin) == [NewGeneration("a", "x")]


def test_processes_that_post_at_once_lose_nothing(path, bulletin):
    """Every line of every process arrives whole, each process' own in order."""
    taken(bulletin)
    command = [sys.executable, "-c", POSTING, str(path)]
    posting = [subprocess.Popen([*command, name]) for name in "abc"]
    read: list[News] = []
    while any(process.poll() is None for process in posting) or bulletin.has_news:
        if bulletin.has_news:
            read += taken(bulletin)
    assert [process.returncode for process in posting] == [0, 0, 0]
    for name in "abc":
        numbers = [item.generation for item in read if item.dataset == name]
        assert numbers == [str(number) for number in range(200)]


def test_each_generation_is_another(bulletin):
    """Tags are made of it, so it does not come again, after a restart neither."""
    taken(bulletin)
    for _ in range(100):
        bulletin.renew("a")
    assert len({item.generation for item in taken(bulletin)}) == 100
