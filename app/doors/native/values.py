"""The values of one parameter -> what they ask along a dimension: labels, or positions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sluice.axes.axis import TURN
from sluice.axes.scales import read_number
from sluice.errors import LimitError, QueryError, excerpt
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Method,
    Near,
    Position,
    Positions,
    PositionSlice,
    Value,
)

from .tokens import (
    METHOD_PREFIX,
    Tokens,
    count_tokens,
    is_plain,
    join_repeated,
    read_integer,
    split_tokens,
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "nearest": "nearest",
        "pad": "pad",
        "ffill": "pad",
        "backfill": "backfill",
        "bfill": "backfill",
    }
)

# By how it is written; made once, since most requests name one of these, if any.
_POLICIES: Final[Mapping[str | None, Match | None]] = MappingProxyType(
    {None: None, **{name: Match(method) for name, method in METHODS.items()}}
)
# One bare token, behind a method or not: most values are no more.
_SINGLE = re.compile(r'(?:([^",/:]*+)::)?+((?:[^",/:]++|:(?!:))++)')
# Two bare ends: most intervals are no more.
_SPAN = re.compile(r'((?:[^",/:]++|:(?!:))++)/((?:[^",/:]++|:(?!:))++)')


class Number(str):
    """A number of a JSON document: the digits that were written, of which none is lost.

    What they mean is known to the axis alone: a label of 20 digits, a float32, a text.
    """

    __slots__ = ()


class Items(list[str]):
    """The texts and numbers of a JSON array, which is a list also where it has but one."""

    __slots__ = ()


def check_length(parameter: str, texts: Sequence[str], most: int) -> None:
    """Raise `LimitError` for more than `most` labels or positions, before any is looked at."""
    if len(texts) == 1 and "," not in texts[0]:
        return
    if sum([text.count(",") + 1 for text in texts]) <= most:
        return
    count = sum(map(count_tokens, texts))
    if count > most:
        raise LimitError(
            f"{parameter} lists {count} labels, positions or names; at most {most} are allowed",
            parameter=parameter,
            count=count,
            limit=most,
        )


def read_along(
    asked: Mapping[str, tuple[str, Sequence[str], bool]], most: int | None
) -> dict[str, Along]:
    """What is asked along each dimension: by a parameter, with these texts, by label or not.

    `most` bounds each list. Raises as `check_length`, `read_labels` and `read_positions`.
    """
    along: dict[str, Along] = {}
    for name, (parameter, texts, by_label) in asked.items():
        if most is not None and (len(texts) > 1 or "," in texts[0]):
            check_length(parameter, texts, most)
        read = read_labels if by_label else read_positions
        along[name] = read(parameter, texts)
    return along


def read_labels(parameter: str, texts: Sequence[str]) -> Along:
    """The label, list or interval that the values of a parameter name.

    They are the texts of a URL, or a JSON array. Raises `QueryError` for malformed text and for
    values that do not go together.
    """
    if type(texts) is Items:
        return _read_label_items(parameter, texts)
    if len(texts) == 1:
        return _read_tokens(parameter, texts[0])
    parts = [_read_tokens(parameter, text) for text in join_repeated(texts, ('"', "/", "::"))]
    return _merge_labels(parameter, parts)


def read_positions(parameter: str, texts: Sequence[str]) -> Along:
    """The position, list or slice that the values of a parameter name; see `read_labels`."""
    if type(texts) is Items:
        return _read_position_items(parameter, texts)
    parts = [_read_places(parameter, text) for text in join_repeated(texts, (":",))]
    return _merge_positions(parameter, parts)


def _read_label_items(parameter: str, items: Items) -> Labels:
    """The items as labels, each in the grammar; most are plain, and are what they say."""
    if all(items) and is_plain(" ".join(items)):
        return Labels(tuple(map(str, items)))
    found = _merge_labels(parameter, [_read_tokens(parameter, item) for item in items])
    match found:
        case Label(label, match):
            return Labels((label,), match)
        case Labels():
            return found
        case _:
            raise QueryError(f"{parameter}: a list cannot hold an interval", parameter=parameter)


def _read_position_items(parameter: str, items: Items) -> Positions:
    if not any(mark in item for mark in ",:" for item in items):
        return Positions(tuple([_integer(parameter, item) for item in items]))
    found = _merge_positions(parameter, [_read_places(parameter, item) for item in items])
    match found:
        case Position(index):
            return Positions((index,))
        case Positions():
            return found
        case _:
            raise QueryError(f"{parameter}: a list cannot hold a slice", parameter=parameter)


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


def _policy(name: str, method: str | None) -> Match | None:
    return None if method is None else Match(read_method(name, method))


def names_method(value: str) -> bool:
    """Whether a value begins with a known method, as only labels may."""
    prefix, colons, _ = value.partition("::")
    return bool(colons) and prefix in METHODS


def _merge_labels(name: str, parts: list[Label | Labels | Interval]) -> Label | Labels | Interval:
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


def _merge_positions(
    name: str, parts: list[Position | Positions | PositionSlice]
) -> Position | Positions | PositionSlice:
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


def _read_tokens(name: str, value: str) -> Label | Labels | Interval:
    single = _SINGLE.fullmatch(value)
    if single is not None:
        written, label = single.groups()
        return Label(label, _POLICIES[written] if written in _POLICIES else _policy(name, written))
    span = _SPAN.fullmatch(value)
    if span is not None:
        start, stop = span.groups()
        return Interval(None if start == ".." else start, None if stop == ".." else stop)
    prefix = METHOD_PREFIX.match(value)
    method, rest = (None, value) if prefix is None else (prefix[1], value[prefix.end() :])
    policy = _policy(name, method)
    tokens = split_tokens(name, rest)
    match tokens.separator:
        case "":
            return Label(tokens.texts[0], policy)
        case ",":
            return Labels(tokens.texts, policy)
        case "/":
            if policy is not None:
                raise QueryError(f"{name}: an interval takes no method", parameter=name)
            return _read_interval(name, value, tokens)


def _read_interval(name: str, value: str, tokens: Tokens) -> Interval:
    texts = tokens.texts
    if len(texts) > 3:
        raise QueryError(f"{name}={excerpt(value)}: an interval is a/b or a/b/step", parameter=name)
    step = read_integer(texts[2]) if len(texts) == 3 else 1
    if step is None or step < 1:
        raise QueryError(
            f"{name}={excerpt(value)}: the step is a whole number from 1 up", parameter=name
        )
    start, stop = (_read_end(tokens, place) for place in (0, 1))
    return Interval(start, stop, step)


def _read_end(tokens: Tokens, place: int) -> str | None:
    text = tokens.texts[place]
    return None if text == ".." and place not in tokens.quoted else text


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


# So many places go with their distances into a header.
MOST_PLACES: Final = 100


def read_places(texts: Sequence[str]) -> Near:
    """Places from ``13.4,52.5``, one in each text, or from the two numbers of a JSON array.

    Raises `QueryError` for what is no place on the globe, `LimitError` for too many of them.
    """
    is_pair = isinstance(texts, Items) and not any("," in text for text in texts)
    places = [",".join(texts)] if is_pair else list(texts)
    if len(places) > MOST_PLACES:
        raise LimitError(
            f"at names {len(places)} places; at most {MOST_PLACES} are allowed (for more, give"
            " positions, or labels with pointwise)",
            parameter="at",
            count=len(places),
            limit=MOST_PLACES,
        )
    several = len(places) > 1 or (isinstance(texts, Items) and not is_pair)
    return Near(tuple(map(_read_place, places)), several)


def _read_place(text: str) -> tuple[float, float]:
    wrong = f"at={excerpt(text)}: write the longitude and the latitude in degrees, as 13.4,52.5"
    try:
        lon, lat = (float(read_number(part.strip())) for part in text.split(","))
    except ValueError:
        raise QueryError(wrong, parameter="at") from None
    if abs(lon) > TURN or abs(lat) > TURN / 4:
        raise QueryError(
            f"{wrong}: longitudes are from -360 to 360, latitudes from -90 to 90", parameter="at"
        )
    return lon, lat


def read_km(text: str) -> float:
    """The distance that a tolerance of places names; `QueryError` for another text."""
    try:
        distance = float(read_number(text))
    except ValueError:
        distance = -1.0
    if distance < 0:
        detail = f"tolerance=at:{excerpt(text)}: a distance in km is a number from 0 up"
        raise QueryError(detail, parameter="tolerance")
    return distance
