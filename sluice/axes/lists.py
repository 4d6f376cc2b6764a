"""Long lists of labels -> positions: by arithmetic on whole arrays where that is certain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array
from sluice.axes.axis import Axis
from sluice.axes.longitude import TURN
from sluice.axes.matching import Inexact
from sluice.axes.scales import Numbers, read_numbers
from sluice.selection import Value

UNKNOWN: Final = -1
# So few labels are found sooner one by one.
_FEW: Final = 8


def find_many(axis: Axis, labels: Sequence[Value], inexact: Inexact | None) -> NDArray[np.int64]:
    """The position of each label; `UNKNOWN` wherever it must be found, or refused, by itself.

    Known are numbers between two labels of a sorted axis whose nearest is asked for, and those
    that are stored labels.
    """
    unknown = np.full(len(labels), UNKNOWN)
    if len(labels) <= _FEW or not (inexact is None or inexact == Inexact("nearest")):
        return unknown
    numbers = read_numbers(labels) if _is_plain(axis) else None
    if numbers is None:
        return unknown
    keys = np.asarray(axis.keys)
    with np.errstate(over="ignore"):  # what becomes infinite is outside every axis
        wanted = np.array(numbers).astype(keys.dtype)
    # The last label is a neighbour of what lies beyond it, too.
    inside = (wanted > keys[0]) & (wanted < keys[-1])
    right = np.where(inside, keys.searchsorted(wanted), 1)
    below, above = (_distances(axis, keys[right - side], wanted) for side in (1, 0))
    known = inside if inexact is not None else inside & (above == 0)
    # A tie goes to the larger label.
    found = np.where(below < above, right - 1, right)
    return np.where(
        known, found if axis.direction == "ascending" else len(keys) - 1 - found, unknown
    )


def _is_plain(axis: Axis) -> bool:
    """Whether the axis has floats of NumPy's own precisions in a strict order."""
    match axis.scale:
        case Numbers(dtype) if dtype.kind == "f" and dtype.itemsize > 2:
            return axis.unique and axis.order is None and len(axis.keys) > 1
        case _:
            return False


def _distances(axis: Axis, labels: Array, wanted: Array) -> NDArray[np.float64]:
    """As `circle.distance`: rounded to the axis' own precision, which decides the ties."""
    apart: NDArray[np.float64] = np.abs(labels.astype("f8") - wanted)
    apart = apart.astype(labels.dtype).astype("f8")
    return np.minimum(apart, np.abs(TURN - apart)) if axis.circular else apart
