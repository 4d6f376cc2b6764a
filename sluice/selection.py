"""What a client asked for, as values: per dimension one selection, and what to answer with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from sluice.record import record

Method: TypeAlias = Literal["nearest", "pad", "backfill"]


@record
class Label:
    """One label; an instant or a number drops the dimension, a period keeps it."""

    text: str
    method: Method | None = None


@record
class Labels:
    """Labels in the order in which they were asked for; keeps the dimension."""

    texts: tuple[str, ...]
    method: Method | None = None


@record
class Interval:
    """Both ends included and named in either order; ``None`` is an open end."""

    start: str | None
    stop: str | None
    step: int = 1


@record
class Position:
    """One position, counted from the end when negative; drops the dimension."""

    index: int


@record
class Positions:
    """Positions in the order in which they were asked for; keeps the dimension."""

    indexes: tuple[int, ...]


@record
class PositionSlice:
    """A Python slice: the end excluded, ends beyond the axis clipped, any step but 0."""

    start: int | None
    stop: int | None
    step: int | None = None


Selection: TypeAlias = Label | Labels | Interval | Position | Positions | PositionSlice


@record
class Query:
    """A parsed request: selections by dimension, and what to return in which format.

    `method` is for every `Label` and `Labels` that names none, and ``None`` where all do;
    `tolerances` are the texts of the largest distances, by dimension; `variables` is ``None`` for
    all. The lists of the dimensions in `pointwise` are read together, point by point. `explain`
    asks what it would cost instead.
    """

    selections: Mapping[str, Selection]
    variables: tuple[str, ...] | None = None
    format: str | None = None
    method: Method | None = None
    tolerances: Mapping[str, str] = field(default_factory=dict)
    pointwise: tuple[str, ...] = ()
    explain: bool = False
