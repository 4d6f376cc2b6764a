"""Which chunks a selection touches, and where each value goes: pure arithmetic, nothing is read.

A plan is made in two steps so that its cost is known before its size matters: the projections of
the axes count the touched chunks, and only `ArrayPlan.reads` spells every chunk out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeAlias

import numpy as np

from sluice.aliases import Array, record
from sluice.arrays.projections import (
    AxisSelection,
    IntArray,
    ListAxis,
    PointAxes,
    PointGroup,
    PositionAxis,
    Projection,
    RangeAxis,
    Within,
)

# What is selected along one axis.
AxisIndexer: TypeAlias = int | slice | IntArray


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """One chunk's part in an answer.

    ``out[into] = chunk.transpose(...)[take]`` places it; `coords` is its place in the chunk grid.
    """

    coords: tuple[int, ...]
    take: tuple[Within, ...]
    into: tuple[Within, ...]


@dataclass(frozen=True)
class ArrayPlan:
    """What one array contributes to an answer.

    `axes` are the selections along its axes, but for those that go together in `points`. `order`
    moves the array's axes to the order of the output's (those of points first), `shape` is the
    answer's shape, `flips` are the axes of the buffer to reverse at the end. The axis of points (if
    there is one) is the answer's axis `points_at`.
    """

    axes: tuple[AxisSelection, ...]
    points: PointAxes | None
    order: tuple[int, ...]
    flips: tuple[int, ...]
    shape: tuple[int, ...]
    points_at: int = 0

    @cached_property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        points = 1 if self.points is None else self.points.touched
        return points * math.prod([axis.touched for axis in self.axes])

    @property
    def buffer_shape(self) -> tuple[int, ...]:
        """The output's shape while it is filled: points first, scalar axes of length one."""
        points = () if self.points is None else (self.points.size,)
        return points + tuple([axis.size for axis in self.axes])

    def reads(self) -> Iterator[ChunkRead]:
        """Every touched chunk once, with the values it gives and where they go."""
        if self.points is None:
            meshed = sum([isinstance(axis, ListAxis) for axis in self.axes]) > 1
            for combination in self._combinations():
                yield _orthogonal_read(combination, meshed)
            return
        projected = [tuple(axis.projections()) for axis in self.axes]
        for group in self.points.groups():
            for combination in itertools.product(*projected):
                yield self._pointwise_read(group, combination)

    def _combinations(self) -> Iterator[tuple[Projection, ...]]:
        """Each combination of the axes' projections, in C order of the chunks."""
        if not self.axes:
            yield ()
            return
        # The first axis, which is often very long, is not listed before the first chunk is known.
        rest = [tuple(axis.projections()) for axis in self.axes[1:]]
        for first in self.axes[0].projections():
            for others in itertools.product(*rest):
                yield (first, *others)

    def _pointwise_read(self, group: PointGroup, rest: tuple[Projection, ...]) -> ChunkRead:
        by_output = (*group.chunk, *(p.chunk for p in rest))
        coords = [0] * len(by_output)
        for axis, chunk in zip(self.order, by_output, strict=True):
            coords[axis] = chunk
        return ChunkRead(
            tuple(coords),
            (*group.take, *(p.take for p in rest)),
            (group.into, *(p.into for p in rest)),
        )

    def finish(self, buffer: Array) -> Array:
        """The filled `buffer` in the shape and direction that was asked for."""
        if self.flips:
            buffer = np.ascontiguousarray(np.flip(buffer, self.flips))
        if not self.points_at:
            return buffer.reshape(self.shape)
        rest = self.shape[: self.points_at] + self.shape[self.points_at + 1 :]
        return np.moveaxis(buffer.reshape(buffer.shape[0], *rest), 0, self.points_at)


@record
class ElementPlan:
    """One element of an array: its chunk, at `coords` in the grid, and its `place` in the chunk.

    As the `ArrayPlan` of that one position, and quicker to make.
    """

    coords: tuple[int, ...]
    place: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    chunks: ClassVar = 1
    shape: ClassVar[tuple[int, ...]] = ()
    points: ClassVar = None

    @property
    def axes(self) -> tuple[AxisSelection, ...]:
        along = zip(self.coords, self.place, self.chunk_shape, strict=True)
        return tuple([PositionAxis(chunk * size + place, size) for chunk, place, size in along])

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(range(len(self.coords)))

    @property
    def buffer_shape(self) -> tuple[int, ...]:
        return (1,) * len(self.coords)

    def reads(self) -> Iterator[ChunkRead]:
        """The one chunk."""
        take = tuple([slice(place, place + 1) for place in self.place])
        yield ChunkRead(self.coords, take, (slice(0, 1),) * len(self.coords))

    def finish(self, buffer: Array) -> Array:
        """The filled `buffer` without its axes."""
        return buffer.reshape(())


ReadPlan: TypeAlias = "ArrayPlan | ElementPlan"


def plan_element(
    shape: Sequence[int], chunks: Sequence[int], position: Sequence[int]
) -> ElementPlan:
    """The element at `position` (negative: from the end); IndexError if it is out of range."""
    coords, place = [], []
    for at, size, chunk in zip(position, shape, chunks, strict=True):
        if not -size <= at < size:
            raise _out_of_bounds(size)
        number, offset = divmod(at if at >= 0 else at + size, chunk)
        coords.append(number)
        place.append(offset)
    return ElementPlan(tuple(coords), tuple(place), tuple(chunks))


def plan_orthogonal(
    shape: Sequence[int], chunks: Sequence[int], key: Sequence[AxisIndexer]
) -> ArrayPlan:
    """Each axis selected on its own: integers drop their axis, lists and slices keep it.

    Positions must lie in ``0 <= position < size`` (lists and integers may be negative, as in
    Python); anything else is an IndexError.
    """
    axes: list[AxisSelection] = []
    flips: list[int] = []
    out: list[int] = []
    for number, (size, chunk, wanted) in enumerate(zip(shape, chunks, key, strict=True)):
        axis, flipped = _axis(size, chunk, wanted)
        axes.append(axis)
        if flipped:
            flips.append(number)
        if not isinstance(wanted, int | np.integer):
            out.append(axis.size)
    return ArrayPlan(tuple(axes), None, tuple(range(len(axes))), tuple(flips), tuple(out))


def plan_pointwise(
    shape: Sequence[int], chunks: Sequence[int], key: Sequence[AxisIndexer], *, at: int = 0
) -> ArrayPlan:
    """Arrays in `key` (of shapes that broadcast) are read together, the rest on their own.

    As in NumPy's advanced indexing with the arrays first: the answer has the broadcast shape of
    the arrays, then one axis per slice. One-dimensional points can stand `at` another axis.
    """
    pointed = [i for i, k in enumerate(key) if isinstance(k, np.ndarray)]
    others = [i for i, k in enumerate(key) if not isinstance(k, np.ndarray)]
    lists = np.broadcast_arrays(*(np.asarray(key[i], dtype=np.int64) for i in pointed))
    points = PointAxes(
        tuple([_checked(a.reshape(-1), shape[i]) for a, i in zip(lists, pointed, strict=True)]),
        tuple([chunks[i] for i in pointed]),
    )
    axes, flips, kept = [], [], []
    for number, i in enumerate(others):
        axis, flipped = _axis(shape[i], chunks[i], key[i])
        axes.append(axis)
        if flipped:
            flips.append(number + 1)
        if isinstance(key[i], slice):
            kept.append(axis.size)
    out = (*kept[:at], *lists[0].shape, *kept[at:])
    return ArrayPlan(tuple(axes), points, (*pointed, *others), tuple(flips), out, at)


def _axis(size: int, chunk: int, wanted: AxisIndexer) -> tuple[AxisSelection, bool]:
    """The selection of one axis in ascending form, and whether the answer must be reversed."""
    chunk = max(chunk, 1)  # a zero-length axis may declare chunks of length zero
    if isinstance(wanted, slice):
        positions = range(*wanted.indices(size))
        if positions.step < 0:
            return RangeAxis(positions[::-1], chunk), True
        return RangeAxis(positions, chunk), False
    if isinstance(wanted, np.ndarray):
        return ListAxis(_checked(wanted, size), chunk), False
    position = wanted + size if wanted < 0 else wanted
    if not 0 <= position < size:
        raise _out_of_bounds(size)
    return PositionAxis(position, chunk), False


def _checked(positions: IntArray, size: int) -> IntArray:
    """`positions` counted from the front, or an IndexError."""
    positions = np.asarray(positions, dtype=np.int64)
    if positions.size and (positions.min() < -size or positions.max() >= size):
        raise _out_of_bounds(size)
    return np.where(positions < 0, positions + size, positions)


def _out_of_bounds(size: int) -> IndexError:
    from zarr.errors import BoundsCheckError  # the IndexError that xarray's users know

    return BoundsCheckError(f"positions must lie within -{size} and {size - 1}")


def _orthogonal_read(combination: tuple[Projection, ...], meshed: bool) -> ChunkRead:
    coords = tuple([p.chunk for p in combination])
    take = tuple([p.take for p in combination])
    into = tuple([p.into for p in combination])
    if meshed:
        # NumPy would read several lists element by element; an open mesh keeps them orthogonal.
        return ChunkRead(coords, _mesh(take), _mesh(into))
    return ChunkRead(coords, take, into)


def _mesh(key: tuple[Within, ...]) -> tuple[IntArray, ...]:
    return np.ix_(*(np.arange(k.start, k.stop, k.step) if isinstance(k, slice) else k for k in key))
