"""Intervals of longitudes from west to east, also across the ends of an axis.

Labels that are 360 apart name one place, and on a periodic axis the first and the last label are
neighbours. The answer's labels are those that were asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array
from sluice.axes.axis import ROUNDING, TURN, Axis, Indexer, no_overlap
from sluice.axes.label_text import spell_value
from sluice.axes.matching import find, read_longitude
from sluice.axes.scales import in_precision
from sluice.selection import Value


@dataclass(frozen=True, slots=True)
class _Run:
    """Keys `first` to `after` (exclusive), asked for by labels that are `turns` circles less."""

    first: int
    after: int
    turns: int


def arc(axis: Axis, start: Value, stop: Value, step: int) -> tuple[Indexer, Array | None]:
    """Positions from longitude `start` eastward to `stop`, every `step`-th, and their labels.

    The labels rise from the asked west end; ``None`` where they are the stored ones. Each place is
    taken once. Raises `SelectionError` where no column lies inside.
    """
    west, east = _ends(read_longitude(axis, start), read_longitude(axis, stop))
    runs = _disjoint(axis, _runs(axis, west, east))
    if not runs:
        raise no_overlap(axis, f"{spell_value(start)}/{spell_value(stop)}")
    if len(runs) == 1:
        positions = _positions(axis, runs[0], step)
    else:
        positions = np.concatenate([_places(axis, run) for run in runs])[::step]
    if not any(run.turns for run in runs):
        return positions, None
    return positions, _labels(axis, runs)[::step]


def _ends(west: float, east: float) -> tuple[float, float]:
    """The same ends with `east` at most one turn east of `west`."""
    if east < west:
        # The billionth keeps an end that rounding left just west of the other from a full circle.
        east += TURN * math.ceil((west - east) / TURN - 1e-9)
    return west, min(east, west + TURN)


def _runs(axis: Axis, west: float, east: float) -> list[_Run]:
    """The runs of keys inside the arc, from its west end; they may overlap (see `_disjoint`)."""
    low, high = axis.keys[0], axis.keys[-1]
    whole = east - west >= TURN - ROUNDING * (axis.last_step or 0)
    most, least = math.floor((high - west) / TURN), math.ceil((low - east) / TURN)
    runs = []
    # One turn more on either side: an end that is nearly a label is that label.
    for turns in range(most + 1, least - 2, -1):
        first = find(axis, in_precision(west + TURN * turns, axis.narrow))
        last = find(axis, in_precision(east + TURN * turns, axis.narrow))
        # A column at both ends counts for the west end, unless the axis has it twice.
        again = last[0] < last[1] and first[0] == first[1]
        if whole and first[0] == 0 and last[1] == len(axis.keys) and not again:
            return [_Run(0, len(axis.keys), turns)]
        # All the way round, the east end is the west end again.
        runs.append(_Run(first[0], last[0] if whole else last[1], turns))
    return [run for run in runs if run.first < run.after]


def _disjoint(axis: Axis, runs: list[_Run]) -> list[_Run]:
    """The same runs, without the places that an axis such as 0, ..., 360 has twice."""
    kept: list[_Run] = []
    for run in runs:
        if kept:
            kept[-1], run = _apart(axis, kept[-1], run)
        kept.append(run)
    return [run for run in kept if run.first < run.after]


def _apart(axis: Axis, western: _Run, eastern: _Run) -> tuple[_Run, _Run]:
    """Two runs without what both hold; the one under its stored labels keeps it."""
    shift = TURN * (western.turns - eastern.turns)
    if western.turns and not eastern.turns:
        after = find(axis, in_precision(axis.keys[eastern.first] + shift, axis.narrow))[0]
        return _Run(western.first, min(after, western.after), western.turns), eastern
    first = find(axis, in_precision(axis.keys[western.after - 1] - shift, axis.narrow))[1]
    return western, _Run(max(first, eastern.first), eastern.after, eastern.turns)


def _positions(axis: Axis, run: _Run, step: int) -> Indexer:
    """Where the run is stored, from west to east."""
    if axis.order is not None:
        return axis.order[run.first : run.after : step]
    if axis.direction == "ascending":
        return slice(run.first, run.after, step)
    last = len(axis.keys) - 1
    # A stop of -1 would mean the last position again.
    return slice(last - run.first, last - run.after if run.after <= last else None, -step)


def _places(axis: Axis, run: _Run) -> NDArray[np.int64]:
    if axis.order is not None:
        return axis.order[run.first : run.after]
    indexes = np.arange(run.first, run.after, dtype="i8")
    return indexes if axis.direction == "ascending" else len(axis.keys) - 1 - indexes


def _labels(axis: Axis, runs: list[_Run]) -> Array:
    """The labels as they were asked for: the stored ones, whole turns added or taken away."""
    dtype = axis.values.dtype.newbyteorder("=")
    wide = np.dtype("f8" if dtype.kind == "f" else "i8")
    keys = [np.asarray(axis.keys[r.first : r.after]).astype(wide) - TURN * r.turns for r in runs]
    labels = np.concatenate(keys)
    if dtype.kind == "f":
        return labels.astype(dtype)
    limits = np.iinfo(dtype)
    # Unsigned or narrow integers may have no place for the labels west of 0 or east of 360.
    fits = limits.min <= labels.min() and labels.max() <= limits.max
    return labels.astype(dtype) if fits else labels
