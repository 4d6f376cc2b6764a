"""Entity tags, and whether a client has the answer already (RFC 9110 8.8.3 and 13.1.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

_TAG = re.compile(r'(?:W/)?("[^"]*+")')


def entity_tag(*parts: str) -> str:
    """A strong tag of everything that an answer's bytes follow from; other parts, another tag."""
    # Each behind its length: ("ab", "c") and ("a", "bc") are not the same.
    said = "".join([f"{len(part)}:{part}" for part in parts])
    return f'"{blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()}"'


def has_already(if_none_match: Iterable[str], tag: str) -> bool:
    """Whether lines of an ``If-None-Match`` header name `tag`, which exists, or any (``*``)."""
    return any(line.strip() == "*" or tag in _TAG.findall(line) for line in if_none_match)
