"""What documents say, as it stands in sentences."""

from __future__ import annotations

import json
from typing import Any


def excerpt(value: Any) -> str:
    """A member of a document as it stands in a sentence: text in quotes, all else as JSON."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError, TypeError):
        return "not readable"
    return text if len(text) <= 80 else text[:77] + "..."
