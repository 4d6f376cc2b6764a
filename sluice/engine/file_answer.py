"""An answer as a file whose bytes can be had from any place on, as boxes of values are read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Hashable, Iterable, Iterator
from contextlib import aclosing
from typing import Final

import numpy as np

from sluice.aliases import Array, record
from sluice.arrays.texts import TextMeter
from sluice.concurrency import ahead
from sluice.encoders.answer_schema import FileContent, FileFormat, UnreadAnswer
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine.boxes import Box, Ends, box_stops, chunk_boxes, row_boxes
from sluice.engine.costs import Costs, Parts
from sluice.engine.plan import Plan

_ZEROS: Final = bytes(2**16)
# Of a box of values that is read at once; where rows of chunks are wider, of one of these.
BOX_BYTES: Final = 8 * 2**20
# Of the chunks that such a box touches, decoded.
BOX_CHUNK_BYTES: Final = 256 * 2**20


@record
class _Part:
    """A box of a variable of the file, and where its bytes begin."""

    name: Hashable
    box: Box
    offset: int


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
        return self.size

    async def pieces(
        self, start: int, stop: int, most_bytes: int = BOX_BYTES
    ) -> AsyncGenerator[memoryview, None]:
        """The bytes from `start` to `stop`.

        Variables are read box by box (see `sluice.engine.boxes`), each of at most `most_bytes`
        where the store's chunks let it be; the next one while somebody has the last. Whoever stops
        asking has ended what is read. Raises a StoreError where the store does not do its part.
        """
        window, file = _Window(start, stop), self.content
        for piece in window.put(0, memoryview(file.head)):
            yield piece
        parts = _parts(self, start, stop, most_bytes)
        async with aclosing(ahead(parts, self._read)) as found:
            async for part, values in found:
                offset = part.offset
                for stored in file.stored(part.name, values):
                    for piece in window.put(offset, stored):
                        yield piece
                    offset += len(stored)
        for piece in window.put(stop, memoryview(b"")):
            yield piece

    async def _read(self, part: _Part) -> tuple[_Part, Array]:
        known = self.content.known.get(part.name)
        if known is not None:
            return part, known[part.box.slices]
        return part, await self.plan.box(part.name, part.box)


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

    def chunks(name: Hashable, itemsize: int) -> tuple[int, ...] | None:
        return None if name in known else plan.grid(name, itemsize).chunks()

    coords, attrs = plan.schema.coord_names, plan.reading.attrs
    answer = UnreadAnswer(variables, known, coords, attrs, fragments, chunks)
    # Headers of thousands of variables, and indexes of many chunks, take their time.
    return FileAnswer(plan, await asyncio.to_thread(file_format.content, answer))


async def file_size(plan: Plan, file_format: FileFormat, fragments: FragmentCache) -> int | None:
    """The length of the planned answer as a file; None where that follows from values."""
    plan = _as_written(plan, file_format)
    if _to_know(plan, file_format):
        return None
    return (await _with_known(plan, file_format, fragments, (), None)).size


def file_costs(plan: Plan, file_format: FileFormat) -> Costs:
    """What the `pieces` of the whole planned file cost, and have in memory; reads nothing."""
    return box_costs(_as_written(plan, file_format))


def box_costs(plan: Plan, most_bytes: int = BOX_BYTES) -> Costs:
    """What it costs to read all variables in boxes of at most so many bytes."""
    stops: dict[Hashable, dict[Hashable, Ends]] = {}
    count = largest = 0
    for name, variable in plan.reading.pending.items():
        grid = plan.grid(name, variable.dtype.itemsize)
        found = box_stops(grid, grid.chunks(), _box_bytes(plan, name, most_bytes))
        cut = {
            dim: ends for dim, ends in zip(variable.dims, found, strict=True) if ends is not None
        }
        lengths = [
            n if ends is None else int(np.diff(ends, prepend=0).max(initial=0))
            for n, ends in zip(grid.shape, found, strict=True)
        ]
        stops[name], count = cut, count + math.prod([len(ends) for ends in cut.values()])
        largest = max(largest, math.prod(lengths) * grid.itemsize)
    return plan.costs(Parts(count, largest, stops, together=False))


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
    pending = plan.reading.pending
    names = [n for n, v in pending.items() if file_format.decided_by_values(n, v)]
    return list(dict.fromkeys([*plan.moving, *(pending if plan.keys is None else names)]))


class _Window:
    """The bytes of a file from `place` to `stop`, of which pieces come in order.

    What lies between the pieces is zero.
    """

    def __init__(self, place: int, stop: int) -> None:
        self._place = place
        self._stop = stop

    def put(self, offset: int, piece: memoryview) -> Iterator[memoryview]:
        """What the window has of a piece that lies at `offset`, and of what is before it."""
        while self._place < min(offset, self._stop):
            yield self._taken(memoryview(_ZEROS)[: min(offset, self._stop) - self._place])
        part = piece[max(self._place - offset, 0) : max(self._stop - offset, 0)]
        if part:
            yield self._taken(part)

    def _taken(self, part: memoryview) -> memoryview:
        self._place += len(part)
        return part


def _parts(file: FileAnswer, start: int, stop: int, most_bytes: int) -> Iterator[_Part]:
    """The boxes that have the bytes from `start` to `stop`, in the order of the file."""
    for name, extent in file.content.extents.items():
        first = max(start - extent.start, 0)
        last = min(stop - extent.start, extent.length)
        for box in _boxes(file, name, first, last, most_bytes):
            yield _Part(name, box, extent.start + box.offset)


def _boxes(
    file: FileAnswer, name: Hashable, first: int, last: int, most_bytes: int
) -> Iterator[Box]:
    extent = file.content.extents[name]
    most_bytes = _box_bytes(file.plan, name, most_bytes)
    grid = file.plan.grid(name, file.content.itemsizes[name])
    if extent.chunks is None:
        return row_boxes(grid, first, last, most_bytes)
    # Single bytes have a dimension of their own in the file.
    return chunk_boxes(grid, extent.chunks[: len(grid.shape)], first, last, most_bytes)
