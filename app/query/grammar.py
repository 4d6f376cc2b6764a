"""Request parameters -> `Query`; pure text, no dataset is touched.

Which words a dimension takes follows from the path (labels on ``sel``, positions on ``isel``), or
from ``sel[...]`` and ``isel[...]`` around its name on either, and from whether the dimension has an
index coordinate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from app.errors import QueryError, SelectionError
from app.query.names import PARAMETERS, By, Names
from app.query.options import (
    check_inexact,
    check_tolerances,
    read_default_method,
    read_format,
    read_pointwise,
    read_tolerances,
    read_truth,
    read_variables,
)
from app.query.selection import (
    Interval,
    Label,
    Labels,
    Method,
    Position,
    Positions,
    PositionSlice,
    Query,
    Selection,
)
from app.query.words import (
    METHODS,
    Word,
    excerpt,
    read_integer,
    split_method,
    split_words,
)


def parse(
    pairs: Sequence[tuple[str, str]],
    *,
    dims: Mapping[str, int],
    coords: Mapping[str, tuple[str, ...]],
    by: By,
    formats: Collection[str],
    variables: Collection[str] | None = None,
) -> Query:
    """The query that decoded `pairs` (a name may repeat) ask of a dataset of these names.

    `coords` gives each coordinate's dimensions; `variables` names what may be returned besides
    coordinates (``None``: not checked here). Raises `QueryError` for text that means nothing and
    `SelectionError` for names that this dataset has, but not as something to select by.
    """
    names = Names(dims, coords, by)
    options: dict[str, list[str]] = {}
    asked: dict[str, list[str]] = {}
    for name, value in pairs:
        (options if name in PARAMETERS else asked).setdefault(name, []).append(value)
    selections = _selections(names, asked)
    wanted = read_variables(options.get("variables"), coords, variables)
    chosen = read_format(options.get("f"), formats)
    check_inexact(options, selections, by)
    method = read_default_method(options.get("method"))
    tolerances = read_tolerances(options.get("tolerance"), dims)
    check_tolerances(tolerances, selections, method)
    pointwise = read_pointwise(options.get("pointwise"), dims, selections)
    explain = read_truth("explain", options.get("explain"))
    return Query(selections, wanted, chosen, method, tolerances, pointwise, explain)


def _selections(names: Names, asked: Mapping[str, list[str]]) -> dict[str, Selection]:
    """What is asked along each dimension, under whichever of its names."""
    selections: dict[str, Selection] = {}
    for parameter, texts in asked.items():
        name, by_label = names.meaning(parameter)
        if name in selections:
            raise QueryError(
                f"{parameter}: {name} is asked for twice", parameter=parameter, dimension=name
            )
        if by_label:
            parts = [_read_labels(parameter, text) for text in texts]
            selections[name] = _merge_labels(parameter, parts)
        else:
            places = [_read_positions(names, parameter, text) for text in texts]
            selections[name] = _merge_positions(parameter, places)
    return selections


def _merge_labels(name: str, parts: list[Label | Labels | Interval]) -> Selection:
    if len(parts) == 1:
        return parts[0]
    texts: list[str] = []
    methods: set[Method | None] = set()
    for part in parts:
        match part:
            case Label(text, method):
                texts.append(text)
            case Labels(several, method):
                texts.extend(several)
            case Interval():
                raise QueryError(f"{name}: an interval cannot be repeated", parameter=name)
        methods.add(method)
    if len(methods) > 1:
        raise QueryError(f"{name}: a repeated parameter names one method", parameter=name)
    return Labels(tuple(texts), methods.pop())


def _merge_positions(name: str, parts: list[Position | Positions | PositionSlice]) -> Selection:
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


def _read_labels(name: str, value: str) -> Label | Labels | Interval:
    method, rest = split_method(name, value)
    words = split_words(name, rest)
    match words.separator:
        case "":
            return Label(words.words[0].text, method)
        case ",":
            return Labels(tuple(word.text for word in words.words), method)
        case "/":
            if method is not None:
                raise QueryError(f"{name}: an interval takes no method", parameter=name)
            return _read_interval(name, value, words.words)


def _read_interval(name: str, value: str, words: tuple[Word, ...]) -> Interval:
    if len(words) > 3:
        raise QueryError(f"{name}={excerpt(value)}: an interval is a/b or a/b/step", parameter=name)
    step = read_integer(words[2].text) if len(words) == 3 else 1
    if step is None or step < 1:
        raise QueryError(
            f"{name}={excerpt(value)}: the step is a whole number from 1 up", parameter=name
        )
    return Interval(_read_end(words[0]), _read_end(words[1]), step)


def _read_end(word: Word) -> str | None:
    return None if word.text == ".." and not word.quoted else word.text


def _read_positions(names: Names, name: str, value: str) -> Position | Positions | PositionSlice:
    prefix, colons, _ = value.partition("::")
    if colons and prefix in METHODS:
        raise _no_labels(names, name)
    if ":" in value:
        return _read_slice(name, value)
    indexes = tuple(_integer(name, text) for text in value.split(","))
    return Positions(indexes) if len(indexes) > 1 else Position(indexes[0])


def _no_labels(names: Names, parameter: str) -> QueryError | SelectionError:
    name, by = names.target(parameter)
    if by == "position":
        return QueryError(f"{parameter}: positions take no method", parameter=parameter)
    detail = f"{name} has no coordinate, so no method: ask for it by position"
    return SelectionError(detail, parameter=parameter, dimension=name)


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
