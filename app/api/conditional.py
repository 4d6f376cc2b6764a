"""Entity tags, and whether a client has the answer already (RFC 9110 8.8.3 and 13.1.2)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from functools import lru_cache
from hashlib import blake2b

_TAG = re.compile(r'(?:W/)?("[^"]*+")')


def entity_tag(said: Hashable, places: str) -> str:
    """A strong tag of everything that an answer's bytes follow from; other parts, another tag.

    What `said` has, texts, numbers and tuples of them, many answers have in common. `places` is
    told by each of them, in signs that a tag may have.
    """
    return f'"{_told_by_many(said)}.{places}"'


@lru_cache(maxsize=1024)
def _told_by_many(said: Hashable) -> str:
    # As Python spells them, no two are the same: ("ab", "c") is not ("a", "bc").
    return blake2b(repr(said).encode(), digest_size=16).hexdigest()


def has_already(if_none_match: Iterable[str], tag: str) -> bool:
    """Whether lines of an ``If-None-Match`` header name `tag`, which exists, or any (``*``)."""
    return any(line.strip() == "*" or tag in _TAG.findall(line) for line in if_none_match)
