"""The smallest pieces of a value: tokens, quoted tokens, what separates them, integers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sluice.axes.resolve import FARTHEST
from sluice.errors import QueryError, excerpt

# Possessive quantifiers: a long hostile value costs one pass, never a backtrack.
_QUOTED = r'"(?:[^"]++|"")*+"'
_BARE = r'(?!")[^,/]*+'
_TOKENS = re.compile(rf"(?:(?:{_QUOTED}|{_BARE})[,/])*+(?:{_QUOTED}|{_BARE})")
_TOKEN = re.compile(rf"(?:({_QUOTED})|({_BARE}))([,/]|\Z)")
METHOD_PREFIX = re.compile(r'([^",/:]*+)::')
# What makes a value more than one bare token.
_MARKS = re.compile(r'[",/]|::')
_INTEGER = re.compile(r"(-?)(?=[0-9])0*+([0-9]*+)", re.ASCII)

Separator: TypeAlias = Literal["", ",", "/"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one value, quotes taken off, and the one kind of separator between them.

    `quoted` are the places of the tokens that quotes protect from being read as syntax.
    """

    texts: tuple[str, ...]
    separator: Separator
    quoted: frozenset[int] = frozenset()


def is_plain(text: str) -> bool:
    """Whether nothing in a text means more than itself, wherever it stands in a value."""
    return not _MARKS.search(text)


def split_tokens(name: str, value: str) -> Tokens:
    """The tokens between commas or slashes, quotes taken off; one token and a comma are a list.

    Raises `QueryError` for an empty token, an unclosed quote, both separators in one value, and
    ``::`` outside quotes.
    """
    if value and not _MARKS.search(value):
        return Tokens((value,), "")
    texts, separators, quoted = _split_quoted(name, value) if '"' in value else _split_bare(value)
    if len(separators) > 1:
        raise _unreadable(name, value, "a list (commas) cannot hold an interval (slashes)")
    separator: Separator = "" if not separators else "," if "," in separators else "/"
    if separator == "," and len(texts) == 2 and not texts[1] and 1 not in quoted:
        del texts[1]
    bare = [text for place, text in enumerate(texts) if place not in quoted] if quoted else texts
    if "" in bare:
        raise _unreadable(name, value, "a value is empty")
    if "::" in value and any("::" in text for text in bare):
        raise _unreadable(name, value, "a label with :: in it is written in double quotes")
    return Tokens(tuple(texts), separator, frozenset(quoted))


def _split_bare(value: str) -> tuple[list[str], set[str], set[int]]:
    """Tokens, separators and no quoted places of a value without quotes; many times faster."""
    separators = {separator for separator in ",/" if separator in value}
    return value.split("," if "," in separators else "/"), separators, set()


def _split_quoted(name: str, value: str) -> tuple[list[str], set[str], set[int]]:
    if not _TOKENS.fullmatch(value):
        raise _unreadable(name, value, 'a quoted label ends with ", and "" is a quote in it')
    found: list[tuple[str, str, str]] = _TOKEN.findall(value)
    if len(found) > 1 and not found[-2][2]:
        # The end, found once more behind the last token.
        found.pop()
    texts = [quoted[1:-1].replace('""', '"') if quoted else bare for quoted, bare, _ in found]
    places = {place for place, (quoted, _, _) in enumerate(found) if quoted}
    return texts, {separator for _, _, separator in found if separator}, places


def count_tokens(value: str) -> int:
    """How many tokens a list holds, behind a method or not; 1 for malformed text."""
    if "," not in value:
        return 1
    if '"' not in value:
        return value.count(",") + (not value.endswith(","))
    method = METHOD_PREFIX.match(value)
    rest = value[method.end() :] if method else value
    # The end is found once more: behind the last token, or behind the comma of a list of one.
    return _TOKEN.subn("", rest)[1] - 1 if _TOKENS.fullmatch(rest) else 1


def join_repeated(texts: Sequence[str], marks: Sequence[str]) -> Sequence[str]:
    """The texts of a repeated parameter as one list, which is read many times faster.

    Only where neither empty tokens nor `marks`, which mean something else than a list, are in them.
    """
    if len(texts) == 1:
        return texts
    joined = ",".join(texts)
    odd = ",," in f",{joined}," or any(mark in joined for mark in marks)
    return texts if odd else [joined]


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
