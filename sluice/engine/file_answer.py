"""An answer as a file whose bytes can be had from any place on, as boxes of values are read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

import numpy as np

from sluice.aliases import Array, record
from sluice.arrays.texts import TextMeter
from sluice.axes.resolve import canonical_request
from sluice.concurrency import ahead
from sluice.datasets.lazy import VariableReadPlan
from sluice.encoders.answer_schema import FileContent, FileFormat, UnreadAnswer
from sluice.encoders.file_values import Records
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine.boxes import (
    WINDOW_BYTES,
    Box,
    Ends,
    Grid,
    Window,
    box_stops,
    chunk_boxes,
    record_rows,
    row_boxes,
)
from sluice.engine.costs import Costs, Parts
from sluice.engine.estimates import deciding_excess
from sluice.engine.plan import Plan
from sluice.errors import LimitError

# Of a box of values that is read at once; where rows of chunks are wider, of one of these.
BOX_BYTES: Final = 8 * 2**20
# Of the chunks that such a box touches, decoded.
BOX_CHUNK_BYTES: Final = 256 * 2**20
# So many values that decide how they are written are read before the first byte.
MOST_DECIDING_CELLS: Final = 4 * 2**20
# Of a text or another object of Python, beside the array that it is in.
_OBJECT_BYTES: Final = 64


@record
class _Part:
    """A box of a variable of the file, or some records of several, and where its bytes begin."""

    boxes: tuple[tuple[Hashable, Box], ...]
    offset: int
    records: bool = False


@record
class FileAnswer:
    """A planned answer as a file: what it has where, and how its values are read."""

    plan: Plan
    content: FileContent

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self.content.size

    def place_of(self, start: int, nbytes: int) -> int:
        """Where so many bytes from `start` on come from the store, or all those of a box; the end
        where there are less.
        """
        for name, extent in self.content.extents.items():
            begin, end = max(start, extent.start), extent.start + extent.length
            if name not in self.content.known and begin < end:
                enough = min(nbytes, _box_bytes(self.plan, name, BOX_BYTES))
                if end - begin >= enough:
                    return begin + enough
                nbytes -= end - begin
        records = self.content.records
        return self.size if records is None else min(self.size, max(start, records.start) + nbytes)

    async def pieces(
        self, start: int, stop: int, most_bytes: int = BOX_BYTES
    ) -> AsyncGenerator[memoryview, None]:
        """The bytes from `start` to `stop`.

        Variables are read box by box (see `sluice.engine.boxes`), each of at most `most_bytes`
        where the store's chunks let it be; the next one while somebody has the last. Whoever stops
        asking has ended what is read. Raises a StoreError where the store does not do its part.
        """
        window, file = Window(start, stop), self.content
        for piece in window.put(0, memoryview(file.head)):
            yield piece
        parts = _parts(self, start, stop, most_bytes)
        async with aclosing(ahead(parts, self._read)) as found:
            async for part, values in found:
                offset = part.offset
                for stored in self._stored(part, values):
                    for piece in window.put(offset, stored):
                        yield piece
                    offset += len(stored)
        for piece in window.put(stop, memoryview(b"")):
            yield piece

    async def values(
        self, most_bytes: int = BOX_BYTES
    ) -> AsyncGenerator[tuple[Hashable, Array], None]:
        """Each variable and its values, box by box, in the order of the file; see `pieces`."""
        parts = _parts(self, 0, self.size, most_bytes)
        async with aclosing(ahead(parts, self._read)) as found:
            async for part, (values,) in found:
                yield part.boxes[0][0], values

    def _stored(self, part: _Part, values: Sequence[Array]) -> Iterator[memoryview]:
        """The bytes of a part, whose values these are."""
        file, names = self.content, [name for name, _ in part.boxes]
        if not part.records:
            return file.stored(names[0], values[0])
        assert file.records is not None
        return iter([file.records.stored([*map(file.in_file, names, values)])])

    async def _read(self, part: _Part) -> tuple[_Part, list[Array]]:
        found: list[Array] = []
        for name, box in part.boxes:
            known = self.content.known.get(name)
            if known is not None:
                # An array, also where it is one value.
                found.append(np.asarray(known[box.slices], known.dtype))
            else:
                found.append(await self.plan.box(name, box))
        return part, found


async def file_of(
    plan: Plan, file_format: FileFormat, fragments: FragmentCache, meter: TextMeter | None = None
) -> FileAnswer:
    """The planned answer as a file.

    Reads the variables of which the file has to know values before it has a size; `meter` counts
    their texts. Raises what the format has against the answer, and a StoreError.
    """
    plan = _as_written(plan, file_format)
    return await _with_known(plan, file_format, fragments, _to_know(plan, file_format), meter)


async def _with_known(
    plan: Plan,
    file_format: FileFormat,
    fragments: FragmentCache,
    names: Iterable[Hashable],
    meter: TextMeter | None,
) -> FileAnswer:
    """The file, for which the variables of these `names` are read."""
    read = await plan.read_variables(names, meter)
    known, pending = {**plan.reading.variables, **read}, plan.reading.pending
    variables = {n: known[n] if n in known else pending[n] for n in plan.schema.variables}

    def chunks(name: Hashable, itemsize: int, must: bool) -> tuple[int, ...] | None:
        if name in known and not must:
            return None
        return plan.grid(name, itemsize).chunks(must)

    coords, attrs = plan.schema.coord_names, plan.reading.attrs
    request = canonical_request(plan.found, plan.selection.variables, fragments.name)
    answer = UnreadAnswer(variables, known, coords, attrs, fragments, chunks, request)
    # Headers of thousands of variables, and indexes of many chunks, take their time.
    return FileAnswer(plan, await asyncio.to_thread(file_format.content, answer))


async def file_size(plan: Plan, file_format: FileFormat, fragments: FragmentCache) -> int | None:
    """The length of the planned answer as a file; None where that follows from values."""
    plan = _as_written(plan, file_format)
    if file_format.deflated or _to_know(plan, file_format):
        return None
    return (await _with_known(plan, file_format, fragments, (), None)).size


def file_costs(plan: Plan, file_format: FileFormat) -> Costs:
    """What the `pieces` of the whole planned file cost, and have in memory; reads nothing."""
    plan = _as_written(plan, file_format)
    costs, decided = box_costs(plan, file_format), _decided(plan, file_format)
    if not decided:
        return costs
    held = sum(_held_bytes(plan.reading.pending[name]) for name in decided)
    return replace(costs, window_bytes=costs.window_bytes + held)


def cells_excess(plan: Plan, file_format: FileFormat) -> LimitError | None:
    """What is raised where too much must be in memory before the file has a size; None where not.

    Reads nothing. Raises what the format has against the answer.
    """
    if plan.schema.cells <= MOST_DECIDING_CELLS:
        return None
    plan = _as_written(plan, file_format)
    cells = {n: math.prod(plan.schema.variables[n].shape) for n in _decided(plan, file_format)}
    found = sum(cells.values())
    if found <= MOST_DECIDING_CELLS:
        return None
    return deciding_excess(max(cells, key=cells.__getitem__), found, MOST_DECIDING_CELLS)


def _held_bytes(variable: VariableReadPlan) -> int:
    """What a variable takes in memory whose values decide: objects of Python, or arrays of them."""
    dtype = variable.dtype
    each = 4 * dtype.itemsize if dtype.kind in "fiu" else dtype.itemsize + _OBJECT_BYTES
    return math.prod(variable.shape) * each


def box_costs(
    plan: Plan, file_format: FileFormat | None = None, most_bytes: int = BOX_BYTES
) -> Costs:
    """What it costs to read all variables in boxes of at most so many bytes."""
    stops: dict[Hashable, dict[Hashable, Ends]] = {}
    count = largest = 0
    chunked = None if file_format is None else file_format.chunked
    grows = set(() if file_format is None else file_format.grows)
    rows: dict[Hashable, Grid] = {}
    for name, variable in plan.reading.pending.items():
        grid = plan.grid(name, variable.dtype.itemsize)
        grown = not grows.isdisjoint(variable.dims)
        if grown and chunked is False:
            rows[name] = grid
            continue
        own = None if chunked is False else grid.chunks(grown or chunked is True)
        found = box_stops(grid, own, _box_bytes(plan, name, most_bytes))
        cut = {
            dim: ends for dim, ends in zip(variable.dims, found, strict=True) if ends is not None
        }
        lengths = [
            n if ends is None else int(np.diff(ends, prepend=0).max(initial=0))
            for n, ends in zip(grid.shape, found, strict=True)
        ]
        stops[name], count = cut, count + math.prod([len(ends) for ends in cut.values()])
        largest = max(largest, math.prod(lengths) * grid.itemsize)
    if rows:
        ends = _record_ends(plan, rows, most_bytes)
        stops |= {name: {plan.schema.variables[name].dims[0]: ends} for name in rows}
        longest = int(np.diff(ends, prepend=0).max(initial=0))
        # Records are put together from the rows of each: twice in memory.
        record_bytes = sum(map(_row_bytes, rows.values()))
        count, largest = count + len(ends), max(largest, 2 * longest * record_bytes)
    return plan.costs(Parts(count, largest, stops, together=False))


def _record_ends(plan: Plan, grids: Mapping[Hashable, Grid], most_bytes: int) -> Ends:
    """After which rows a part ends of variables that are written row by row together."""
    most_rows = _most_rows(plan, grids, most_bytes)
    length = next(iter(grids.values())).shape[0]
    parts = record_rows(grids.values(), 0, length, most_rows)
    return np.array([stop for _, stop in parts], np.int64)


def _most_rows(plan: Plan, grids: Mapping[Hashable, Grid], most_bytes: int) -> int:
    """How many rows of all of them are read at once, where the store's chunks let it be."""
    rows = [most_bytes // max(1, sum(map(_row_bytes, grids.values())))]
    for name, grid in grids.items():
        rows.append(_box_bytes(plan, name, most_bytes) // max(1, _row_bytes(grid)))
    return max(1, min(rows))


def _row_bytes(grid: Grid) -> int:
    """The bytes of one position along the first dimension."""
    return math.prod(grid.shape[1:]) * grid.itemsize


def _box_bytes(plan: Plan, name: Hashable, most_bytes: int) -> int:
    """The most bytes of a box of the variable: less than `most_bytes` where it is of many chunks.

    So there is progress to be seen, and a window, however little is taken of each chunk.
    """
    variable = plan.reading.pending.get(name)
    if variable is None:
        return most_bytes
    work = variable.plan.chunks * variable.array.meta.chunk_bytes
    if work <= BOX_CHUNK_BYTES:
        return most_bytes
    values = math.prod(variable.shape) * BOX_CHUNK_BYTES // work
    return max(1, min(most_bytes, values * variable.dtype.itemsize))


def _as_written(plan: Plan, file_format: FileFormat) -> Plan:
    return plan.as_stored() if file_format.stored else plan


def _to_know(plan: Plan, file_format: FileFormat) -> list[Hashable]:
    """The variables that must be read before the file has a size."""
    names = plan.reading.pending if plan.keys is None else _decided(plan, file_format)
    return list(dict.fromkeys([*plan.moving, *names]))


def _decided(plan: Plan, file_format: FileFormat) -> list[Hashable]:
    """The variables whose values decide what the file says of them."""
    pending = plan.reading.pending.items()
    return [name for name, one in pending if file_format.decided_by_values(name, one)]


def _parts(file: FileAnswer, start: int, stop: int, most_bytes: int) -> Iterator[_Part]:
    """The boxes that have the bytes from `start` to `stop`, in the order of the file."""
    for name, extent in file.content.extents.items():
        first = max(start - extent.start, 0)
        last = min(stop - extent.start, extent.length)
        for box in _boxes(file, name, first, last, most_bytes):
            yield _Part(((name, box),), extent.start + box.offset)
    if file.content.records is not None:
        yield from _record_parts(file, file.content.records, start, stop, most_bytes)


def _record_parts(
    file: FileAnswer, records: Records[Hashable], start: int, stop: int, most_bytes: int
) -> Iterator[_Part]:
    """The rows that have the bytes from `start` to `stop`, of all variables that have records."""
    first = max(start - records.start, 0) // records.nbytes
    last = min(-(-(stop - records.start) // records.nbytes), records.count)
    itemsizes = file.content.itemsizes
    grids = {name: file.plan.grid(name, itemsizes[name]) for name in records.places}
    most_rows = _most_rows(file.plan, grids, most_bytes)
    for begin, end in record_rows(grids.values(), first, last, most_rows):
        boxes = tuple((name, _rows(grid, begin, end)) for name, grid in grids.items())
        yield _Part(boxes, records.start + begin * records.nbytes, records=True)


def _rows(grid: Grid, start: int, stop: int) -> Box:
    """All of a variable from row to row along its first dimension."""
    rest = grid.shape[1:]
    return Box((start, *(0 for _ in rest)), (stop, *rest), 0)


def _boxes(
    file: FileAnswer, name: Hashable, first: int, last: int, most_bytes: int
) -> Iterator[Box]:
    extent, itemsize = file.content.extents[name], file.content.itemsizes[name]
    grid = file.plan.grid(name, itemsize)
    pending = file.plan.reading.pending.get(name)
    # Values can take more room in memory than in the file.
    held = itemsize if pending is None else max(itemsize, pending.dtype.itemsize)
    most_bytes = _box_bytes(file.plan, name, most_bytes) * itemsize // held
    if extent.chunks is None:
        return row_boxes(grid, first, last, most_bytes, WINDOW_BYTES * itemsize // held)
    # Single bytes have a dimension of their own in the file.
    return chunk_boxes(grid, extent.chunks[: len(grid.shape)], first, last, most_bytes)
