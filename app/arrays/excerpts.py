"""What documents say, as it stands in sentences."""

from __future__ import annotations

from typing import Any


def excerpt(value: Any) -> str:
    """A member of a document as it stands in a sentence."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return "not readable"
    return text if len(text) <= 80 else text[:77] + "..."
