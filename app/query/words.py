"""The smallest pieces of a parameter's value: words, quoted words, methods, integers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from app.errors import QueryError
from app.query.selection import Method

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "nearest": "nearest",
        "pad": "pad",
        "ffill": "pad",
        "backfill": "backfill",
        "bfill": "backfill",
    }
)

# Possessive quantifiers: a long hostile value costs one pass, never a backtrack.
_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')
_BARE = re.compile(r'[^",/][^,/]*+')
_METHOD = re.compile(r'([^",/:]*+)::')
_INTEGER = re.compile(r"(-?)(?=[0-9])0*+([0-9]*+)", re.ASCII)

# Farther than any axis reaches, and still an integer of 64 bits.
FARTHEST = 10**18

Separator: TypeAlias = Literal["", ",", "/"]


@dataclass(frozen=True, slots=True)
class Word:
    """One label's text, and whether quotes protect it from being read as syntax."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one value and the one kind of separator that stood between them."""

    words: tuple[Word, ...]
    separator: Separator


def excerpt(text: str) -> str:
    """The text in quotation marks, short enough to stand in an error."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def split_method(name: str, value: str) -> tuple[Method | None, str]:
    """A leading ``method::`` and the rest; an unknown method is a `QueryError`."""
    found = _METHOD.match(value)
    if found is None:
        return None, value
    return read_method(name, found[1]), value[found.end() :]


def read_method(name: str, text: str) -> Method:
    """The method of that name, its synonyms folded; raises `QueryError` naming the known ones."""
    method = METHODS.get(text)
    if method is None:
        raise QueryError(
            f"{name}: {excerpt(text)} is no method; the methods are {', '.join(METHODS)}",
            parameter=name,
            known=list(METHODS),
        )
    return method


def split_words(name: str, value: str) -> Words:
    """The words between commas or slashes, quotes taken off.

    Raises `QueryError` for an empty word, an unclosed quote, both separators in one value, and
    ``::`` outside quotes.
    """
    words: list[Word] = []
    separators: set[str] = set()
    position = 0
    while True:
        word, position = _read_word(name, value, position)
        words.append(word)
        if position == len(value):
            break
        separators.add(value[position])
        position += 1
    if len(separators) > 1:
        raise _unreadable(name, value, "a list (commas) cannot hold an interval (slashes)")
    separator: Separator = "" if not separators else "," if "," in separators else "/"
    return Words(tuple(words), separator)


def _read_word(name: str, value: str, position: int) -> tuple[Word, int]:
    if value.startswith('"', position):
        found = _QUOTED.match(value, position)
        if found is None or value[found.end() : found.end() + 1] not in ("", ",", "/"):
            raise _unreadable(name, value, 'a quoted label ends with ", and "" is a quote in it')
        return Word(found[1].replace('""', '"'), quoted=True), found.end()
    found = _BARE.match(value, position)
    if found is None:
        raise _unreadable(name, value, "a value is empty")
    if "::" in found[0]:
        raise _unreadable(name, value, "a label with :: in it is written in double quotes")
    return Word(found[0], quoted=False), found.end()


def _unreadable(name: str, value: str, reason: str) -> QueryError:
    return QueryError(f"{name}={excerpt(value)}: {reason}", parameter=name)


def read_integer(text: str) -> int | None:
    """A plain integer, or ``None``; no plus, underscore or foreign digit.

    Beyond ±`FARTHEST` it is that: no position, and no step from one to another, is so large.
    """
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    sign, digits = found.groups()
    # Bounded before int(), which refuses 5,000 digits with a ValueError of its own.
    size = int(digits or "0") if len(digits) <= 18 else FARTHEST
    return -size if sign else size
