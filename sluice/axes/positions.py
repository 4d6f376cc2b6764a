"""Positions as Python writes them -> positions on a dimension of a known size."""

from __future__ import annotations

from sluice.errors import QueryError, SelectionError
from sluice.selection import PositionSlice

# Farther than any axis reaches, and still an integer of 64 bits.
FARTHEST = 10**18


def in_range(name: str, index: int, size: int) -> int:
    """`index` counted from the start; `SelectionError` where there is no such position."""
    if -size <= index < size:
        return index + size if index < 0 else index
    told = f"{index} is not one" if abs(index) < FARTHEST else "one so far away is none"
    raise SelectionError(f"{name} has {size} positions; {told} of them", dimension=name, size=size)


def python_slice(name: str, asked: PositionSlice, size: int) -> slice:
    """The same slice with its ends on the axis; refused where it selects nothing."""
    if asked.step == 0:
        raise QueryError(f"{name}: a step cannot be 0", parameter=name)
    start, stop, step = slice(asked.start, asked.stop, asked.step).indices(size)
    if not range(start, stop, step):
        raise SelectionError(
            f"{name} has {size} positions; the slice selects none", dimension=name, size=size
        )
    # A stop of -1 would mean the last position again.
    return slice(start, stop if stop >= 0 else None, step)
