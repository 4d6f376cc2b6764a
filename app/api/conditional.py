"""Entity tags, and whether a client has the answer already (RFC 9110 8.8.3 and 13.1.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

_TAG = re.compile(r'(?:W/)?("[^"]*+")')


def entity_tag(*parts: object) -> str:
    """A strong tag of everything that an answer's bytes follow from; other parts, another tag.

    The parts are texts, numbers, bytes, slices, and tuples and lists of them.
    """
    # As Python spells them, no two are the same: ("ab", "c") is not ("a", "bc").
    return f'"{sha256(repr(parts).encode()).hexdigest()[:32]}"'


def has_already(if_none_match: Iterable[str], tag: str) -> bool:
    """Whether lines of an ``If-None-Match`` header name `tag`, which exists, or any (``*``)."""
    return any(line.strip() == "*" or tag in _TAG.findall(line) for line in if_none_match)
