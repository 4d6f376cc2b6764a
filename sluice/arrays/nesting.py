"""Attributes that are nested deeper than anything that reads them later can follow.

JSON sets no limit (RFC 8259, section 9, lets readers set one); Python's own recursion, formats and
clients do. What is nested deeper becomes the text of its JSON, as in a format that lacks nesting.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sluice.aliases import Document

# Deeper than attributes and codecs are meant to be, and far from Python's recursion limit.
MOST_LEVELS: Final = 32


def levels_exceed(value: Any, most: int = MOST_LEVELS) -> bool:
    """Whether objects and lists in `value` are nested more than `most` levels deep."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def shallow(attributes: Document) -> dict[str, Any]:
    """`attributes` with the JSON text in place of each value that is nested too deeply."""
    return {
        name: _json_text(value)
        if isinstance(value, dict | list) and levels_exceed(value)
        else value
        for name, value in attributes.items()
    }


def _inside(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


class _Written(str):
    """A part of a JSON text, as it stands there."""

    __slots__ = ()


def _json_text(value: Any) -> str:
    """``json.dumps(value)``, however deep it is nested: without recursion."""
    parts: list[str] = []
    left: list[Any] = [value]
    while left:
        match left.pop():
            case _Written() as text:
                parts.append(text)
            case dict() | list() as outer:
                left += reversed(_opened(outer))
            case scalar:
                parts.append(json.dumps(scalar))
    return "".join(parts)


def _opened(value: dict[str, Any] | list[Any]) -> list[Any]:
    """The brackets, names and separators of an object or list, and between them its values."""
    if isinstance(value, dict):
        start, end = "{", "}"
        members = [[_Written(f"{json.dumps(name)}: "), item] for name, item in value.items()]
    else:
        start, end = "[", "]"
        members = [[item] for item in value]
    opened: list[Any] = [_Written(start)]
    for number, member in enumerate(members):
        opened += [_Written(", "), *member] if number else member
    return [*opened, _Written(end)]
