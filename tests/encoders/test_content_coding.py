"""Content codings: what the client likes, and bytes that decode to what was meant."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable

import pytest
import zstandard

from sluice.encoders.formats import compress, compress_pieces, negotiate_coding


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("zstd, gzip", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("zstd;q=0, *", "gzip"),
        ("identity", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", None),
        ("br", None),
        ("gzip;q=banana", None),
        (",,;q=1,;", None),
    ],
)
def test_the_client_gets_the_coding_that_it_likes_best(
    header: str | None, coding: str | None
) -> None:
    """RFC 9110 12.5.3: weights decide, then our own order; what is refused is never sent."""
    assert negotiate_coding(header) == coding


@pytest.mark.parametrize(
    ("name", "decompress"),
    [("gzip", gzip.decompress), ("zstd", zstandard.decompress)],
)
def test_coded_bytes_decode_to_the_content(name: str, decompress: Callable[[bytes], bytes]) -> None:
    """What is sent is what was meant, smaller; and the same bytes at another time."""
    content = b"latitude,longitude\r\n" * 1000
    coded = compress(name, content)
    assert decompress(coded) == content
    assert len(coded) < len(content) / 10
    # A gzip header can hold a date, in whole seconds.
    time.sleep(1.1 if name == "gzip" else 0)
    assert compress(name, content) == coded


@pytest.mark.parametrize(
    ("name", "decompress"),
    [("gzip", gzip.decompress), ("zstd", lambda coded: zstandard.decompress(coded, 10**6))],
)
def test_pieces_are_coded_as_they_come(name: str, decompress: Callable[[bytes], bytes]) -> None:
    """They decode to what they are together, and one more ends them.

    A streamed zstd frame does not know the size of its content.
    """
    pieces: list[bytes | memoryview] = [
        b"",
        *[b"latitude,longitude\r\n" * 1000] * 3,
        memoryview(b"end"),
    ]
    coded = list(compress_pieces(name, pieces))
    assert decompress(b"".join(coded)) == b"".join(pieces)
    assert len(coded) == len(pieces) + 1
