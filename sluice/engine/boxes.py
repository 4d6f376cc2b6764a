"""How variables are cut into boxes for a file: along chunks of the store, in the order of the file.

A box is a part of a variable, with a start and a stop along each dimension, whose bytes lie
together in the file. The file's own chunks depend on the answer's shape and the store's chunks
alone, so that a file has the same bytes each time, also where it is continued in the middle.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import record
from sluice.datasets.indexers import ALL, Key, Points
from sluice.datasets.layout import Keys, StoredVariable

Ends: TypeAlias = NDArray[np.int64]
# The most in memory at once of a variable that is written row by row: one row of chunks.
WINDOW_BYTES: Final = 64 * 2**20
# The least size of a file's chunks, if the variable is not smaller: each has an entry in an index.
_LEAST_CHUNK_BYTES: Final = 2**20
# The length of a chunk has four bytes in HDF5 (File Format Specification 3.0, III.A.1).
_MOST_CHUNK_BYTES: Final = 2**31


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each of 1-D `values` once, sorted.

    (`np.unique` has a table of hashes, which takes seconds for some runs of 100,000 numbers.)
    """
    ordered = np.sort(values)
    new = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


@record
class ChunkAxis:
    """One axis of a stored array: the `positions` of an answer's rows along it, and its chunks."""

    positions: range | NDArray[np.int64]
    chunk: int

    def changes(self) -> NDArray[np.int64]:
        """The rows whose chunk is another than that of the row before."""
        if isinstance(self.positions, range):
            start, step = self.positions.start, abs(self.positions.step)
            # The distance of the first row from the edge at which its direction enters its chunk.
            inside = start % self.chunk
            first = inside if self.positions.step > 0 else self.chunk - 1 - inside
            last = first + (len(self.positions) - 1) * step
            edges = np.arange(1, last // self.chunk + 1) * self.chunk
            return distinct(-((first - edges) // step))
        numbers = self.positions // self.chunk
        return np.flatnonzero(numbers[1:] != numbers[:-1]) + 1

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the chunks in which these rows lie."""
        if isinstance(self.positions, range):
            return (self.positions.start + rows * self.positions.step) // self.chunk
        return self.positions[rows] // self.chunk


def chunk_axes(
    variable: StoredVariable, keys: Keys, dim: Hashable, sizes: Mapping[Hashable, int]
) -> list[ChunkAxis]:
    """The axes of the variable that become `dim` in the answer; several if it is one of points."""
    found = []
    for own, chunk in zip(variable.dims, variable.array.meta.chunks, strict=False):
        key = keys.get(own, ALL)
        if dim == (key.dim if isinstance(key, Points) else own):
            found.append(ChunkAxis(_positions(key, sizes[own]), max(1, chunk)))
    return found


def chunk_ends(
    variable: StoredVariable, keys: Keys, dim: Hashable, length: int, sizes: Mapping[Hashable, int]
) -> NDArray[np.int64]:
    """After which of the `length` rows along `dim` another chunk begins; the last is `length`."""
    changes = [axis.changes() for axis in chunk_axes(variable, keys, dim, sizes)]
    return distinct(np.concatenate([*changes, [length]]).astype(np.int64))


def _positions(key: Key, size: int) -> range | NDArray[np.int64]:
    match key:
        case int():
            return np.array([key])
        case slice():
            return range(*key.indices(size))
        case Points(_, positions):
            return np.where(positions < 0, positions + size, positions)
        case positions:
            return np.where(positions < 0, positions + size, positions)


@record
class Box:
    """A part of a variable: positions `starts` to `stops` (exclusive), along each dimension.

    Its bytes begin at `offset` among those of the variable.
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    offset: int

    @property
    def slices(self) -> tuple[slice, ...]:
        """The index of the box in the whole variable."""
        return tuple(map(slice, self.starts, self.stops))


@record
class Grid:
    """A variable of an answer: its shape, the bytes of a value, and the ends of the store's chunks.

    `ends` are, for each dimension, the positions after which another chunk begins, and the length
    at the end; None where it may be cut anywhere.
    """

    shape: tuple[int, ...]
    itemsize: int
    ends: tuple[Ends | None, ...]

    @property
    def row_dimension(self) -> int | None:
        """The first dimension of more than one position: the one that rows are counted along."""
        return next((axis for axis, length in enumerate(self.shape) if length > 1), None)

    @property
    def row_bytes(self) -> int:
        """The bytes of one position along the row dimension."""
        axis = self.row_dimension
        return math.prod(self.shape[axis + 1 :] if axis is not None else ()) * self.itemsize

    @property
    def longest(self) -> tuple[int, ...]:
        """The most positions that one chunk of the store has along each dimension."""
        return tuple(
            1 if ends is None else int(np.diff(ends, prepend=0).max(initial=1))
            for ends in self.ends
        )

    def chunks(self, must: bool = False) -> tuple[int, ...] | None:
        """The shape of the file's chunks; None where the variable can be written row by row.

        It can if a row of the store's chunks fits into the window, unless there `must` be chunks.
        Each is as long as the longest chunk of the store along each dimension, or a multiple of it,
        so that no chunk of the store lies in more than two of the file along a dimension.
        """
        axis = self.row_dimension
        if not must and (axis is None or self.longest[axis] * self.row_bytes <= WINDOW_BYTES):
            return None
        lengths = list(self.longest)
        for axis in (*reversed(range(len(lengths))),) * 2:
            missing = -(-_LEAST_CHUNK_BYTES // max(1, math.prod(lengths) * self.itemsize))
            lengths[axis] = min(max(1, self.shape[axis]), lengths[axis] * missing)
        while math.prod(lengths) * self.itemsize > _MOST_CHUNK_BYTES:
            axis = lengths.index(max(lengths))
            lengths[axis] = -(-lengths[axis] // 2)
        return tuple(lengths)


def row_boxes(
    grid: Grid,
    start: int,
    stop: int,
    most_bytes: int,
    window: int = WINDOW_BYTES,
    *,
    soon: bool = False,
) -> Iterator[Box]:
    """The boxes that have the bytes `start` to `stop` (exclusive) of a variable written row by row.

    Each ends where a chunk of the store ends, and has at most `most_bytes`, or one row of chunks; a
    row of chunks that does not fit into the `window` is cut. With `soon` the first box is a single
    row of chunks, so that the first bytes come early.
    """
    axis = grid.row_dimension
    if start >= stop:
        return
    if axis is None:
        yield Box((0,) * len(grid.shape), grid.shape, 0)
        return
    before, after = (0,) * axis, grid.shape[axis + 1 :]
    row_bytes, leading = grid.row_bytes, grid.shape[:axis]
    row, last = start // row_bytes, -(-stop // row_bytes)
    for end in _row_stops(grid, row, last, most_bytes, window, soon):
        starts = (*before, row, *(0 for _ in after))
        yield Box(starts, (*leading, end, *after), row * row_bytes)
        row = end


def _row_stops(
    grid: Grid, row: int, last: int, most_bytes: int, window: int, soon: bool = False
) -> Iterator[int]:
    """The ends of the boxes of `row_boxes` for the rows `row` to `last` (exclusive)."""
    axis, row_bytes = grid.row_dimension, grid.row_bytes
    assert axis is not None
    ends, widest = grid.ends[axis], max(1, window // row_bytes)
    most = max(1, min(most_bytes // row_bytes, widest))
    # (Where there are no chunks it is cut anywhere.)
    early = 1 if soon and ends is not None else most
    while row < last:
        row, early = min(_row_end(ends, row, early), row + widest, last), most
        yield row


def record_rows(
    grids: Iterable[Grid], start: int, stop: int, most_rows: int
) -> Iterator[tuple[int, int]]:
    """Parts of the rows `start` to `stop` (exclusive) of variables that are written together.

    Each ends at the end of a chunk of the variable with the longest chunks, and has at most
    `most_rows`, or the rows of one chunk.
    """
    found = [grid.ends[0] for grid in grids if grid.ends[0] is not None]
    ends = min(found, key=len) if found else None
    while start < stop:
        end = min(_row_end(ends, start, most_rows), stop)
        yield start, end
        start = end


def _row_end(ends: Ends | None, row: int, most: int) -> int:
    """The end of a box from `row` on: the last end of a chunk within `most` rows, or the next."""
    if ends is None:
        return row + most
    # (The method takes a quarter of the time of the function, and files have thousands of boxes.)
    following = ends.searchsorted(row, "right")
    return int(ends[max(following, ends.searchsorted(row + most, "right") - 1)])


def box_stops(grid: Grid, chunks: Sequence[int] | None, most_bytes: int) -> tuple[Ends | None, ...]:
    """Where the boxes of a whole variable end along each dimension; None where it is not cut.

    It is written in these `chunks`, or row by row where they are None.
    """
    stops: list[Ends | None] = [None] * len(grid.shape)
    total = math.prod(grid.shape) * grid.itemsize
    if chunks is None:
        axis = grid.row_dimension
        if axis is not None:
            rows = _row_stops(grid, 0, grid.shape[axis], most_bytes, WINDOW_BYTES) if total else ()
            stops[axis] = np.array([*rows], np.int64)
        return tuple(stops)
    counts = [-(-n // chunk) for n, chunk in zip(grid.shape, chunks, strict=True)]
    most, behind = max(1, most_bytes // (math.prod(chunks) * grid.itemsize)), math.prod(counts)
    for axis, (count, chunk, n) in enumerate(zip(counts, chunks, grid.shape, strict=True)):
        behind //= max(1, count)
        # As `_run`: the first axis along which a box holds several chunks is the last that is cut.
        step = max(1, most // max(1, behind)) * chunk
        stops[axis] = np.append(np.arange(step, n, step), n).astype(np.int64)
        if behind <= most:
            break
    return tuple(stops)


def chunk_boxes(
    grid: Grid, chunks: Sequence[int], start: int, stop: int, most_bytes: int
) -> Iterator[Box]:
    """The boxes that have the bytes `start` to `stop` (exclusive) of a variable written in chunks.

    Each is of whole chunks that follow each other: at most `most_bytes` of them, or one.
    """
    counts = [-(-n // chunk) for n, chunk in zip(grid.shape, chunks, strict=True)]
    chunk_bytes = math.prod(chunks) * grid.itemsize
    number, last = start // chunk_bytes, -(-stop // chunk_bytes) if start < stop else 0
    most = max(1, most_bytes // chunk_bytes)
    while number < last:
        place, run, axis = _run(counts, number, min(most, last - number))
        behind = math.prod(counts[axis + 1 :])
        starts = [p * chunk for p, chunk in zip(place, chunks, strict=True)]
        stops = [min(n, s + chunk) for n, s, chunk in zip(grid.shape, starts, chunks, strict=True)]
        stops[axis] = min(grid.shape[axis], starts[axis] + run * chunks[axis])
        stops[axis + 1 :] = grid.shape[axis + 1 :]
        yield Box(tuple(starts), tuple(stops), number * chunk_bytes)
        number += run * behind


def _run(counts: Sequence[int], number: int, most: int) -> tuple[list[int], int, int]:
    """The place of the chunk `number`, and the longest box of at most `most` chunks from it on.

    Returns the place, how many chunks the box has along an axis, and that axis; along the axes
    before it has one chunk, along those behind all.
    """
    place = [int(p) for p in np.unravel_index(number, counts)]
    for axis in range(len(counts)):
        behind = math.prod(counts[axis + 1 :])
        if number % behind == 0 and behind <= most:
            return place, min(most // behind, counts[axis] - place[axis]), axis
    raise AssertionError("one chunk is always a box")


_ZEROS: Final = bytes(2**16)


class Window:
    """The bytes `place` to `stop` (exclusive) of a file, put together of pieces that come in order.

    Between these lie known bytes (`between`, each with its place) or zeros.
    """

    def __init__(self, place: int, stop: int, between: Iterable[tuple[int, bytes]] = ()) -> None:
        self._place = place
        self._stop = stop
        self._between = deque(between)

    def put(self, offset: int, piece: memoryview) -> Iterator[memoryview]:
        """The part of a piece at `offset` that is in the window, after all that lies before it."""
        while self._between and self._between[0][0] < offset:
            place, known = self._between.popleft()
            yield from self._put(place, memoryview(known))
        yield from self._put(offset, piece)

    def _put(self, offset: int, piece: memoryview) -> Iterator[memoryview]:
        while self._place < min(offset, self._stop):
            yield self._taken(memoryview(_ZEROS)[: min(offset, self._stop) - self._place])
        part = piece[max(self._place - offset, 0) : max(self._stop - offset, 0)]
        if part:
            yield self._taken(part)

    def _taken(self, part: memoryview) -> memoryview:
        self._place += len(part)
        return part
