"""The values of one parameter -> what they ask along a dimension: labels, or positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sluice.errors import LimitError, QueryError
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Method,
    Position,
    Positions,
    PositionSlice,
    Value,
)
from sluice.wording import excerpt

from .tokens import (
    METHODS,
    Words,
    count_words,
    in_one,
    read_integer,
    read_lone,
    split_method,
    split_words,
)

# Made once: most requests name one of these, if any.
_MATCHES: Final[Mapping[Method | None, Match | None]] = MappingProxyType(
    {
        None: None,
        "nearest": Match("nearest"),
        "pad": Match("pad"),
        "backfill": Match("backfill"),
    }
)


def check_length(parameter: str, texts: Sequence[str], most: int) -> None:
    """Raise `LimitError` for more than `most` labels or positions, before any is looked at."""
    if len(texts) == 1 and "," not in texts[0]:
        return
    if sum([text.count(",") + 1 for text in texts]) <= most:
        return
    count = sum(map(count_words, texts))
    if count > most:
        raise LimitError(
            f"{parameter} lists {count} labels, positions or names; at most {most} are allowed",
            parameter=parameter,
            count=count,
            limit=most,
        )


def read_labels(parameter: str, texts: Sequence[str]) -> Along:
    """The label, list or interval that the values of a parameter name.

    Raises `QueryError` for malformed text and for values that do not go together.
    """
    if len(texts) == 1:
        return _read_words(parameter, texts[0])
    parts = [_read_words(parameter, text) for text in in_one(texts, ('"', "/", "::"))]
    return _merge_labels(parameter, parts)


def read_positions(parameter: str, texts: Sequence[str]) -> Along:
    """The position, list or slice that the values of a parameter name.

    Raises `QueryError` for malformed text and for values that do not go together.
    """
    parts = [_read_places(parameter, text) for text in in_one(texts, (":",))]
    return _merge_positions(parameter, parts)


def names_method(value: str) -> bool:
    """Whether a value begins with a known method, as only labels may."""
    prefix, colons, _ = value.partition("::")
    return bool(colons) and prefix in METHODS


def _merge_labels(name: str, parts: list[Label | Labels | Interval]) -> Along:
    if len(parts) == 1:
        return parts[0]
    labels: list[Value] = []
    matches: set[Match | None] = set()
    for part in parts:
        match part:
            case Label(label, match):
                labels.append(label)
            case Labels(several, match):
                labels.extend(several)
            case Interval():
                raise QueryError(f"{name}: an interval cannot be repeated", parameter=name)
        matches.add(match)
    if len(matches) > 1:
        raise QueryError(f"{name}: a repeated parameter names one method", parameter=name)
    return Labels(tuple(labels), matches.pop())


def _merge_positions(name: str, parts: list[Position | Positions | PositionSlice]) -> Along:
    if len(parts) == 1:
        return parts[0]
    indexes: list[int] = []
    for part in parts:
        match part:
            case Position(index):
                indexes.append(index)
            case Positions(several):
                indexes.extend(several)
            case PositionSlice():
                raise QueryError(f"{name}: a slice cannot be repeated", parameter=name)
    return Positions(tuple(indexes))


def _read_words(name: str, value: str) -> Label | Labels | Interval:
    lone = read_lone(name, value)
    if lone is not None:
        label, method = lone
        return Label(label, _MATCHES[method])
    method, rest = split_method(name, value)
    words = split_words(name, rest)
    match words.separator:
        case "":
            return Label(words.texts[0], _MATCHES[method])
        case ",":
            return Labels(words.texts, _MATCHES[method])
        case "/":
            if method is not None:
                raise QueryError(f"{name}: an interval takes no method", parameter=name)
            return _read_interval(name, value, words)


def _read_interval(name: str, value: str, words: Words) -> Interval:
    texts = words.texts
    if len(texts) > 3:
        raise QueryError(f"{name}={excerpt(value)}: an interval is a/b or a/b/step", parameter=name)
    step = read_integer(texts[2]) if len(texts) == 3 else 1
    if step is None or step < 1:
        raise QueryError(
            f"{name}={excerpt(value)}: the step is a whole number from 1 up", parameter=name
        )
    start, stop = (_read_end(words, place) for place in (0, 1))
    return Interval(start, stop, step)


def _read_end(words: Words, place: int) -> str | None:
    text = words.texts[place]
    return None if text == ".." and place not in words.quoted else text


def _read_places(name: str, value: str) -> Position | Positions | PositionSlice:
    if ":" in value:
        return _read_slice(name, value)
    texts = value.split(",")
    if len(texts) == 2 and texts[0] and not texts[1]:
        return Positions((_integer(name, texts[0]),))
    indexes = tuple(_integer(name, text) for text in texts)
    return Positions(indexes) if len(indexes) > 1 else Position(indexes[0])


def _read_slice(name: str, value: str) -> PositionSlice:
    parts = value.split(":", 3)
    if len(parts) > 3:
        raise QueryError(f"{name}={excerpt(value)}: a slice is start:stop:step", parameter=name)
    numbers = [_integer(name, text) if text else None for text in parts]
    if len(numbers) == 3 and numbers[2] == 0:
        raise QueryError(f"{name}: a step cannot be 0", parameter=name)
    return PositionSlice(*numbers)


def _integer(name: str, text: str) -> int:
    number = read_integer(text)
    if number is None:
        raise QueryError(
            f"{name}: {excerpt(text)} is no position; write 0, -1, 3,5,8 or 0:24:6",
            parameter=name,
        )
    return number
