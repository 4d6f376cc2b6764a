"""A query string as pairs, as the URL Standard reads forms."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.doors.native.routes import read_pairs


@given(st.text(st.sampled_from("ab=&%+:,2Fé;\x00 "), max_size=30).map(str.encode))
def test_any_query_string_is_read_as_the_standard_library_reads_it(query_string: bytes) -> None:
    """Whatever a client sends, names and values are those of a well-known reading of forms."""
    text = query_string.decode()
    assert read_pairs(query_string) == parse_qsl(text, keep_blank_values=True)


@pytest.mark.parametrize(
    ("query_string", "pairs"),
    [
        (b"", []),
        (b"lat=52.5&time=2020-01-01T00:00Z", [("lat", "52.5"), ("time", "2020-01-01T00:00Z")]),
        (b"time=2020-01-01T00%3A00%2B01:00", [("time", "2020-01-01T00:00+01:00")]),
        (b"a=1&&a=2&b", [("a", "1"), ("a", "2"), ("b", "")]),
        (b"sel%5Blat%5D=x+y%20z=1", [("sel[lat]", "x y z=1")]),
        (b"a=%ff%zz", [("a", "\ufffd%zz")]),
        ("Größe=ä+%C3%A4".encode(), [("Größe", "ä ä")]),
        ("ö=é".encode(), [("ö", "é")]),
        (b"a=\xff", [("a", "\ufffd")]),
    ],
)
def test_pairs_come_decoded_and_in_order(query_string: bytes, pairs: list[tuple[str, str]]) -> None:
    """Percent signs and pluses are decoded, empty pieces passed over, repetitions kept."""
    assert read_pairs(query_string) == pairs
