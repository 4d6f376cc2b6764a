"""A URL's query string -> decoded pairs of names and values, as the URL Standard reads forms."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import unquote_plus

Pairs: TypeAlias = list[tuple[str, str]]


def read_pairs(query_string: bytes) -> Pairs:
    """The pairs in their order; names may repeat, values may be empty, nothing is refused.

    What is no UTF-8 becomes U+FFFD. (URL Standard, "application/x-www-form-urlencoded parsing".)
    """
    text = query_string.decode("latin-1")
    pieces = [piece.partition("=") for piece in text.split("&") if piece]
    if "%" not in text and "+" not in text:
        return [(name, value) for name, _, value in pieces]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pieces]
