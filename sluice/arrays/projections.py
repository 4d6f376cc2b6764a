"""Which chunks a selection along an axis touches, and what it takes of each: pure arithmetic.

A selection along one axis is a position, a range or a list; `size` is how many positions it has,
`touched` how many chunks these lie in, `projections` the part of it in each of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]
Within: TypeAlias = slice | IntArray

_FIRST: Final = slice(0, 1)


@dataclass(frozen=True, slots=True)
class Projection:
    """The part of an axis' selection in one chunk: ``out[into] = chunk[take]`` along the axis."""

    chunk: int
    take: Within
    into: Within


@dataclass(frozen=True, slots=True)
class PositionAxis:
    """One position along an axis of chunks of `chunk` elements."""

    position: int
    chunk: int
    size: ClassVar = 1
    touched: ClassVar = 1

    @property
    def positions(self) -> range:
        return range(self.position, self.position + 1)

    def projections(self) -> tuple[Projection]:
        number, offset = divmod(self.position, self.chunk)
        return (Projection(number, slice(offset, offset + 1), _FIRST),)


@dataclass(frozen=True, slots=True)
class RangeAxis:
    """An ascending range of positions along an axis of chunks of `chunk` elements."""

    positions: range
    chunk: int

    @property
    def size(self) -> int:
        return len(self.positions)

    @property
    def touched(self) -> int:
        """How many chunks of this axis hold a selected element."""
        if not self.positions:
            return 0
        if self.positions.step >= self.chunk:
            return len(self.positions)
        return self.positions[-1] // self.chunk - self.positions[0] // self.chunk + 1

    def projections(self) -> Iterator[Projection]:
        done, total, step = 0, len(self.positions), self.positions.step
        while done < total:
            first = self.positions[done]
            chunk, offset = divmod(first, self.chunk)
            count = min(total - done, -((offset - self.chunk) // step))
            take = slice(offset, offset + (count - 1) * step + 1, step)
            yield Projection(chunk, take, slice(done, done + count))
            done += count


@dataclass(frozen=True)
class ListAxis:
    """Listed positions (in any order, repeats allowed) along an axis of chunks."""

    positions: IntArray
    chunk: int

    @property
    def size(self) -> int:
        return len(self.positions)

    @property
    def touched(self) -> int:
        """How many chunks of this axis hold a selected element."""
        return len(self._chunks)

    @cached_property
    def _chunks(self) -> IntArray:
        return np.unique(self.positions // self.chunk)

    def projections(self) -> Iterator[Projection]:
        groups = _grouped(self.positions // self.chunk, self._chunks)
        for chunk, into in zip(self._chunks, groups, strict=True):
            yield Projection(int(chunk), self.positions[into] - chunk * self.chunk, into)


AxisSelection: TypeAlias = PositionAxis | RangeAxis | ListAxis


@dataclass(frozen=True, slots=True)
class PointGroup:
    """The points that fall into one chunk of the pointwise axes."""

    chunk: tuple[int, ...]
    take: tuple[IntArray, ...]
    into: IntArray


@dataclass(frozen=True)
class PointAxes:
    """Axes that are read together, element by element: `positions` are equally long lists.

    `chunk` are the lengths of their chunks; `groups` are the points in each touched chunk.
    """

    positions: tuple[IntArray, ...]
    chunk: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.positions[0])

    @property
    def touched(self) -> int:
        """How many chunks of the grid these axes span hold a point."""
        return len(self._groups)

    def groups(self) -> Iterator[PointGroup]:
        for into in self._groups:
            first = into[0]
            chunk = tuple(
                int(p[first]) // c for p, c in zip(self.positions, self.chunk, strict=True)
            )
            take = tuple(
                p[into] - c * size
                for p, c, size in zip(self.positions, chunk, self.chunk, strict=True)
            )
            yield PointGroup(chunk, take, into)

    @cached_property
    def _groups(self) -> list[IntArray]:
        """The numbers of the points of each touched chunk, chunks and points in order."""
        if not self.size:
            return []
        cells = [p // c for p, c in zip(self.positions, self.chunk, strict=True)]
        order = np.lexsort(cells[::-1])
        moved = [cell[order[1:]] != cell[order[:-1]] for cell in cells]
        return np.split(order, np.flatnonzero(np.logical_or.reduce(moved)) + 1)


def _grouped(labels: IntArray, distinct: IntArray) -> Iterator[IntArray]:
    """For each of the sorted `distinct` labels, where it stands in `labels`, in order."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], distinct, side="right").tolist()
    for start, end in itertools.pairwise([0, *ends]):
        yield order[start:end]
