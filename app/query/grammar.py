"""Request parameters -> `Query`; pure text, no dataset is touched.

Which words a dimension takes follows from the path (labels on ``sel``, positions on ``isel``) and
from whether the dimension has an index coordinate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.errors import QueryError, SelectionError
from app.query.options import (
    check_tolerances,
    read_default_method,
    read_format,
    read_tolerances,
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

By: TypeAlias = Literal["label", "position"]


@dataclass(frozen=True, slots=True)
class Names:
    """What a bare parameter name can mean for one dataset on one path."""

    dims: Mapping[str, int]
    coords: Mapping[str, tuple[str, ...]]
    by: By

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters that are no dimension; on ``isel`` nothing is inexact."""
        exact = ("variables", "f")
        return (*exact, "method", "tolerance") if self.by == "label" else exact

    def takes_labels(self, dim: str) -> bool:
        """Whether `dim` is asked for by label here: on ``sel``, with an index coordinate."""
        return self.by == "label" and dim in self.coords

    def check_dimension(self, name: str) -> None:
        """Raise what is wrong with selecting along `name`, if anything is."""
        dims = self.coords.get(name)
        if name in self.dims and (dims is None or dims == (name,) or self.by == "position"):
            return
        if dims is None:
            known = [*self.parameters, *self.dims]
            raise QueryError(
                f"unknown parameter {excerpt(name)}; known are {', '.join(known)}",
                parameter=name,
                known=known,
            )
        raise SelectionError(_not_an_index(name, dims), parameter=name, coordinate_dims=list(dims))


def _not_an_index(name: str, dims: tuple[str, ...]) -> str:
    match len(dims):
        case 0:
            return f"{name} is a scalar coordinate: there is nothing to select along it"
        case 1:
            return f"{name} is not an index coordinate; select along its dimension {dims[0]}"
        case _:
            along = ", ".join(dims)
            return f"{name} is not an index coordinate (it has {len(dims)} dimensions: {along})"


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
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in names.parameters:
            names.check_dimension(name)
        values.setdefault(name, []).append(value)
    wanted = read_variables(values.pop("variables", None), coords, variables)
    chosen = read_format(values.pop("f", None), formats)
    method = read_default_method(values.pop("method", None)) if by == "label" else None
    tolerances = read_tolerances(values.pop("tolerance", None), dims) if by == "label" else {}
    selections = {name: _selection(names, name, texts) for name, texts in values.items()}
    check_tolerances(tolerances, selections, method)
    return Query(selections, wanted, chosen, method, tolerances)


def _selection(names: Names, name: str, texts: list[str]) -> Selection:
    if names.takes_labels(name):
        return _merge_labels(name, [_read_labels(name, text) for text in texts])
    return _merge_positions(name, [_read_positions(names, name, text) for text in texts])


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


def _no_labels(names: Names, name: str) -> QueryError | SelectionError:
    if names.by == "position":
        return QueryError(f"{name}: positions take no method", parameter=name)
    detail = f"{name} has no coordinate, so no method: ask for it by position"
    return SelectionError(detail, parameter=name, dimension=name)


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
