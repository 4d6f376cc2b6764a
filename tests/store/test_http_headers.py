"""Ranges, tags and pauses are read out of header fields as the RFCs have them."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sluice.store.http_headers import check_content_range, moment_of, range_header, sliced, tag_of
from sluice.store.source import Tagged, check_range, get_tagged, resolved
from tests.sources import DictSource

limits = st.one_of(
    st.tuples(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40)),
    st.tuples(st.integers(-40, -1), st.none()),
)


def answered(value: bytes, header: str) -> tuple[bytes, str] | None:
    """Body and Content-Range as RFC 9110, 14 has a server make them; None for 416."""
    stated = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    assert stated is not None, header
    size = len(value)
    if stated[1]:
        first, last = int(stated[1]), min(int(stated[2] or size), size - 1)
    else:
        first, last = max(size - int(stated[2]), 0), size - 1
    if first >= size:
        return None
    return value[first : last + 1], f"bytes {first}-{last}/{size}"


@given(value=st.binary(max_size=30), asked=limits)
def test_a_server_gives_the_slice(value: bytes, asked: tuple[int | None, int | None]) -> None:
    """The header asks for exactly what slicing the whole value gives; 416 means nothing of it."""
    start, end = asked
    assume(end is None or (start or 0) < end)  # sources answer empty ranges themselves
    header = range_header(start, end)
    expected = sliced(value, start, end)
    if header is None:
        assert (start, end) == (None, None)
        return
    answer = answered(value, header)
    if answer is None:
        assert expected == b""
    else:
        assert check_content_range(answer[0], start, end, answer[1]) == expected


@given(value=st.binary(min_size=2, max_size=30), asked=limits, lost=st.integers(1, 30))
def test_a_short_body_is_noticed(
    value: bytes, asked: tuple[int | None, int | None], lost: int
) -> None:
    """A body shorter than its range is no value, nor is the answer to another question."""
    start, end = asked
    first, stop = resolved(start, end, len(value))
    assume(first < stop)
    lost = min(lost, stop - first)
    with pytest.raises(EOFError):
        check_content_range(
            value[first : stop - lost], start, end, f"bytes {first}-{stop - 1}/{len(value)}"
        )
    assume(lost < stop - first)
    shorter = f"bytes {first}-{stop - lost - 1}/{len(value)}"
    with pytest.raises(EOFError):
        check_content_range(value[first : stop - lost], start, end, shorter)


def test_an_unknown_size_is_checked_as_far_as_it_goes() -> None:
    """Where a server does not say how long the value is, start and length still have to fit."""
    assert check_content_range(b"abc", 2, 5, "bytes 2-4/*") == b"abc"
    assert check_content_range(b"abc", -3, None, "bytes 7-9/*") == b"abc"
    for data, content_range in ((b"ab", "bytes 2-4/*"), (b"abc", "bytes 3-5/*")):
        with pytest.raises(EOFError):
            check_content_range(data, 2, 5, content_range)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, -1), (None, -2)])
def test_ends_from_the_end_are_refused(start: int | None, end: int) -> None:
    """What the source protocol does not define is a ValueError."""
    with pytest.raises(ValueError, match="byte range"):
        check_range(start, end)


NOON = "Wed, 25 Nov 2026 12:00:00 GMT"


def at(seconds: int, zone: str = "GMT") -> str:
    return f"Wed, 25 Nov 2026 12:00:{seconds:02} {zone}"


@pytest.mark.parametrize("tag", ['"a"', 'W/"a"', '"' + 32 * "0" + '-3"', "unquoted"])
@pytest.mark.parametrize(
    "dates",
    [
        {},
        {"date": NOON},
        {"last-modified": NOON, "date": at(2)},
        {"last-modified": at(0, "-0000"), "date": at(2)},
        {"last-modified": "Wed, 25 Nov 2020 12:00:00 GMT"},
        {"last-modified": "yesterday", "date": NOON},
    ],
)
def test_tags_of_values_at_rest_are_taken(tag: str, dates: dict[str, str]) -> None:
    """Strong and weak ones, where a value is old or nothing is said of its age."""
    assert tag_of({"etag": tag, **dates}) == tag


@pytest.mark.parametrize(
    "dates",
    [
        {"last-modified": NOON, "date": NOON},
        {"last-modified": NOON, "date": at(1)},
        {"last-modified": at(9), "date": NOON},
        {"last-modified": "Mon, 25 Nov 2999 12:00:00 GMT"},
        {"last-modified": "Mon, 25 Nov 2999 12:00:00 GMT", "date": "now"},
    ],
)
def test_a_value_just_written_has_no_tag(dates: dict[str, str]) -> None:
    """It may be written again within the second that the tag was made of."""
    assert tag_of({"etag": '"a"', **dates}) is None


@pytest.mark.parametrize("headers", [{}, {"etag": ""}, {"etag": '"\udce4"'}, {"etag": '"ä"'}])
def test_what_cannot_be_sent_back_is_no_tag(headers: dict[str, str]) -> None:
    """Tags are printable ASCII (RFC 9110, 8.8.3)."""
    assert tag_of(headers) is None


async def test_a_source_without_tags_gives_the_value() -> None:
    """Whatever tag is shown to it."""
    source = DictSource({"a": b"value"})
    assert await get_tagged(source, "a", '"tag"') == Tagged(b"value", None)
    assert await get_tagged(source, "b", '"tag"') is None


@pytest.mark.parametrize("text", [None, "", "soon", "1 Jan 99999999999999999999 00:00:00 GMT"])
def test_what_names_no_moment_is_none(text: str | None) -> None:
    """A server may send anything: no header fails a read."""
    assert moment_of(text) is None
