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
    takes_method,
)
from app.query.selection import Query, Selection
from app.query.values import check_length, names_method, read_labels, read_positions


def parse(
    pairs: Sequence[tuple[str, str]],
    *,
    dims: Mapping[str, int],
    coords: Mapping[str, tuple[str, ...]],
    by: By,
    formats: Collection[str],
    variables: Collection[str] | None = None,
    most_labels: int | None = None,
) -> Query:
    """The query that decoded `pairs` (a name may repeat) ask of a dataset of these names.

    `coords` gives each coordinate's dimensions; `variables` names what may be returned besides
    coordinates (``None``: not checked here), `most_labels` bounds the labels or positions of each
    list. Raises `QueryError` for text that means nothing, `SelectionError` for names that this
    dataset has, but not as something to select by, and `LimitError` for a list that is too long.
    """
    names = Names(dims, coords, by)
    options: dict[str, list[str]] = {}
    asked: dict[str, list[str]] = {}
    for name, value in pairs:
        (options if name in PARAMETERS else asked).setdefault(name, []).append(value)
    selections = _selections(names, asked, most_labels)
    wanted = read_variables(options.get("variables"), coords, variables)
    chosen = read_format(options.get("f"), formats)
    check_inexact(options, selections, by)
    method = read_default_method(options.get("method"))
    tolerances = read_tolerances(options.get("tolerance"), dims)
    check_tolerances(tolerances, selections, method)
    pointwise = read_pointwise(options.get("pointwise"), dims, selections)
    explain = read_truth("explain", options.get("explain"))
    default = method if takes_method(selections) else None
    return Query(selections, wanted, chosen, default, tolerances, pointwise, explain)


def _selections(
    names: Names, asked: Mapping[str, list[str]], most: int | None
) -> dict[str, Selection]:
    """What is asked along each dimension, under whichever of its names."""
    selections: dict[str, Selection] = {}
    for parameter, texts in asked.items():
        name, by_label = names.meaning(parameter)
        if name in selections:
            raise QueryError(
                f"{parameter}: {name} is asked for twice", parameter=parameter, dimension=name
            )
        if most is not None:
            check_length(parameter, texts, most)
        if by_label:
            selections[name] = read_labels(parameter, texts)
        elif any(names_method(text) for text in texts):
            raise _no_method(names, parameter)
        else:
            selections[name] = read_positions(parameter, texts)
    return selections


def _no_method(names: Names, parameter: str) -> QueryError | SelectionError:
    name, by = names.target(parameter)
    if by == "position":
        return QueryError(f"{parameter}: positions take no method", parameter=parameter)
    detail = f"{name} has no coordinate, so no method: ask for it by position"
    return SelectionError(detail, parameter=parameter, dimension=name)
