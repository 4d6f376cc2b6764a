"""Entity tags, and whether a client has the answer already (RFC 9110 8.8.3 and 13.1.2)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from hashlib import blake2b

_TAG = re.compile(r'(?:W/)?("[^"]*+")')


def entity_tag(told: str, places: str) -> str:
    """A strong tag of everything that an answer's bytes follow from; other parts, another tag.

    `told` is the `digest` of what many answers have in common. `places` is told by each of them, in
    signs that a tag may have.
    """
    return f'"{told}.{places}"'


def spelled(said: Hashable) -> bytes:
    """Texts, numbers and tuples of them as Python spells them: ("ab", "c") is not ("a", "bc")."""
    return repr(said).encode()


def digest(spelled: bytes) -> str:
    """A few signs in place of a long text; no two texts have the same."""
    return blake2b(spelled, digest_size=16).hexdigest()


def has_already(if_none_match: Iterable[str], tag: str) -> bool:
    """Whether lines of an ``If-None-Match`` header name `tag`, which exists, or any (``*``)."""
    return any(line.strip() == "*" or tag in _TAG.findall(line) for line in if_none_match)
