"""Inexact matches: which label stands for one that is not on the axis, and when none does."""

from __future__ import annotations

from typing import Any, assert_never

from app.errors import SelectionError
from app.query.axes import ROUNDING, Axis
from app.query.circle import distance, neighbours
from app.query.refusals import outside
from app.query.selection import Method
from app.query.words import excerpt


def match_inexactly(axis: Axis, text: str, key: Any, method: Method) -> int:
    """The position of the label that `method` takes for `key`, which `text` names.

    Raises `SelectionError` where the axis has no distances or order, and for a key more than one
    step beyond its ends.
    """
    _check_method(axis, method)
    first, after = axis.find(key)
    if first != after:
        return axis.position(first)
    _check_domain(axis, text, key, first)
    chosen = _choose(axis, key, first, method)
    if not 0 <= chosen < len(axis.keys):
        raise outside(axis, text, f"no label to {method} {excerpt(text)} from")
    return axis.position(chosen)


def _check_method(axis: Axis, method: Method) -> None:
    if not axis.scale.metric:
        raise SelectionError(
            f"{axis.name} has no distances, so no method {method}; name its labels exactly",
            dimension=axis.name,
        )
    if axis.direction == "unsorted" or not axis.unique:
        state = "unsorted" if axis.direction == "unsorted" else "not unique"
        raise SelectionError(
            f"the labels of {axis.name} are {state}, so no method {method} applies",
            dimension=axis.name,
        )


def _check_domain(axis: Axis, text: str, key: Any, place: int) -> None:
    """Refuse a key more than one step beyond the label at that end; a circle has no ends."""
    if 0 < place < len(axis.keys) or axis.circular:
        return
    if len(axis.keys):
        end, step = (0, axis.first_step) if place == 0 else (-1, axis.last_step)
        if step is not None and abs(axis.key(end) - key) <= step * (1 + ROUNDING):
            return
    raise outside(axis, text, f"{excerpt(text)} is more than one step outside")


def _choose(axis: Axis, key: Any, place: int, method: Method) -> int:
    """The index into `keys` that pandas would choose for a key between ``place - 1`` and it."""
    below, above = neighbours(axis, place)
    # pad takes the label before and backfill the one after in the store's order, as pandas does.
    before, behind = (below, above) if axis.direction == "ascending" else (above, below)
    match method:
        case "pad":
            return before
        case "backfill":
            return behind
        case "nearest":
            return _nearest(axis, key, below, above)
        case _:
            assert_never(method)


def _nearest(axis: Axis, key: Any, below: int, above: int) -> int:
    if below < 0:
        return above
    if above >= len(axis.keys):
        return below
    # A tie goes to the larger label, as in pandas on indexes of either direction; to the eastern
    # one across a seam.
    return below if distance(axis, key, below) < distance(axis, key, above) else above
