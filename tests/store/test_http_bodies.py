"""Bodies come as the values that they are, and in full."""

from __future__ import annotations

import gzip
import zlib

import pytest

from sluice.store.http_bodies import OversizedBody, uncoded

MEMBERS = gzip.compress(b"abc") + gzip.compress(b"") + gzip.compress(b"def")


@pytest.mark.parametrize(
    ("coding", "body", "value"),
    [
        ("gzip", gzip.compress(b"abc"), b"abc"),
        ("gzip", gzip.compress(b""), b""),
        # As gzip, pigz and bgzip write files in pieces (RFC 1952, 2.2).
        ("x-gzip", MEMBERS, b"abcdef"),
        ("deflate", zlib.compress(b"abc"), b"abc"),
        ("identity", b"abc", b"abc"),
    ],
)
def test_a_coded_body_is_decoded_to_its_end(coding: str, body: bytes, value: bytes) -> None:
    """All members of a gzip file belong to the value, whether it has a bound or not."""
    assert uncoded(body, coding, None) == value
    assert uncoded(body, coding, len(value)) == value


def test_the_bound_is_that_of_all_members() -> None:
    """However short each of them is."""
    with pytest.raises(OversizedBody):
        uncoded(MEMBERS, "gzip", 5)


@pytest.mark.parametrize("body", [MEMBERS[:-4], gzip.compress(b"abc")[:-4]])
def test_a_body_that_ends_early_is_none(body: bytes) -> None:
    """The first member's end is not the end of what follows it."""
    with pytest.raises(EOFError):
        uncoded(body, "gzip", None)
