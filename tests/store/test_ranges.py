"""Ranges: what is asked for in a header, and what an answer has to be."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sluice.store.ranges import check_range, covered, range_header, resolved, sliced

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
        assert covered(answer[0], start, end, answer[1]) == expected


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
        covered(value[first : stop - lost], start, end, f"bytes {first}-{stop - 1}/{len(value)}")
    assume(lost < stop - first)
    shorter = f"bytes {first}-{stop - lost - 1}/{len(value)}"
    with pytest.raises(EOFError):
        covered(value[first : stop - lost], start, end, shorter)


def test_an_unknown_size_is_checked_as_far_as_it_goes() -> None:
    """Where a server does not say how long the value is, start and length still have to fit."""
    assert covered(b"abc", 2, 5, "bytes 2-4/*") == b"abc"
    assert covered(b"abc", -3, None, "bytes 7-9/*") == b"abc"
    for data, content_range in ((b"ab", "bytes 2-4/*"), (b"abc", "bytes 3-5/*")):
        with pytest.raises(EOFError):
            covered(data, 2, 5, content_range)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, -1), (None, -2)])
def test_ends_from_the_end_are_refused(start: int | None, end: int) -> None:
    """What the source protocol does not define is a ValueError."""
    with pytest.raises(ValueError, match="byte range"):
        check_range(start, end)
