"""Which part of an answer a request asks for."""

from __future__ import annotations

import pytest

from app.api.streaming import ByteRange, asked_range
from app.errors import RangeNotSatisfiable

TAG = '"abc.0"'


@pytest.mark.parametrize(
    ("given", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-499", 0, 100),
        ("bytes=10-19", 10, 20),
        ("bytes=99-", 99, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        (f"bytes=1-{2**64 - 1}", 1, 100),
        (f"bytes=1-{'9' * 5000}", 1, 100),
        (f"bytes=-{'9' * 5000}", 0, 100),
        (f"bytes={'0' * 5000}5-6", 5, 7),
        ("Bytes = 5 - 6 ", 5, 7),
        ("bytes=,5-6,", 5, 7),
    ],
)
def test_one_range_is_cut_to_what_is_there(given: str, start: int, stop: int) -> None:
    assert asked_range(given, None, TAG, 100) == ByteRange(start, stop, 100)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "lines=0-1",
        "bytes=0-1,4-5",
    ],
)
def test_without_one_range_that_can_be_read_the_whole_is_sent(given: str | None) -> None:
    assert asked_range(given, None, TAG, 100) is None


@pytest.mark.parametrize(
    "given", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={'9' * 40}-{'9' * 41}"]
)
def test_a_range_behind_the_end_is_not_satisfiable(given: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        asked_range(given, None, TAG, 100)


def test_no_range_of_nothing_is_satisfiable() -> None:
    with pytest.raises(RangeNotSatisfiable):
        asked_range("bytes=0-0", None, TAG, 0)


@pytest.mark.parametrize(
    ("if_range", "partial"),
    [
        (TAG, True),
        ('W/"abc.0"', False),
        ('"other"', False),
        ("Sat, 01 Jan 2000 00:00:00 GMT", False),
    ],
)
def test_a_part_is_sent_of_the_very_answer_that_the_client_has(
    if_range: str, partial: bool
) -> None:
    assert (asked_range("bytes=1-2", if_range, TAG, 100) is not None) == partial


def test_a_part_says_where_it_lies() -> None:
    assert ByteRange(10, 20, 100).content_range == "bytes 10-19/100"
