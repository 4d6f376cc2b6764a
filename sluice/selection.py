"""What to select from a dataset, as values: labels or positions by dimension, and variables.

A label is a value as Python has it, or a text that its axis reads: an instant or a period in
ISO 8601 on axes of time, a number on axes of numbers, the label itself on axes of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

import numpy as np

from sluice.aliases import record

Value: TypeAlias = (
    str | int | float | bool | np.bool_ | np.integer | np.floating | np.datetime64 | np.timedelta64
)
Method: TypeAlias = Literal["nearest", "pad", "backfill"]


@record
class Match:
    """Which label stands for one that is not on the axis, and how far away it may be.

    Without a `tolerance` a match may lie up to one step beyond the ends of the axis.
    """

    method: Method
    tolerance: Value | None = None


@record
class Label:
    """One label; an instant or a number drops the dimension, a period keeps it."""

    value: Value
    match: Match | None = None


@record
class Labels:
    """Labels in the order in which they were asked for; keeps the dimension."""

    values: tuple[Value, ...]
    match: Match | None = None


@record
class Interval:
    """Both ends included and named in either order; ``None`` is an open end."""

    start: Value | None
    stop: Value | None
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


Along: TypeAlias = Label | Labels | Interval | Position | Positions | PositionSlice


@record
class Selection:
    """What is wanted along each dimension, and of which variables (``None``: of all).

    The lists of the dimensions in `pointwise` are read together, point by point, instead of
    crossed with each other.
    """

    along: Mapping[str, Along] = field(default_factory=dict)
    variables: tuple[str, ...] | None = None
    pointwise: tuple[str, ...] = ()


@record
class Near:
    """Places on the globe, as longitudes and latitudes in degrees, whose nearest cells are wanted.

    One alone drops the dimensions of the grid, `several` go point by point. A cell may be
    `tolerance_km` away along the great circle; None: about as far as cells are from each other.
    """

    points: tuple[tuple[float, float], ...]
    several: bool = False
    tolerance_km: float | None = None
