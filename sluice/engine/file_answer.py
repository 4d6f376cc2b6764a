"""An answer as a file whose bytes can be had from any place on, as boxes of values are read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Hashable, Iterable, Iterator
from contextlib import aclosing
from typing import Final

from sluice.aliases import Array, record
from sluice.arrays.texts import TextMeter
from sluice.concurrency import ahead
from sluice.encoders.answer_schema import FileContent, FileFormat, UnreadAnswer
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine.boxes import Box, Grid, chunk_boxes, row_boxes
from sluice.engine.plan import Plan
from sluice.engine.slabs import AT_ONCE

_ZEROS: Final = bytes(2**16)
# Of a box of values that is read at once; where rows of chunks are wider, of one of these.
BOX_BYTES: Final = 8 * 2**20


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
        """Where so many bytes from `start` on come from the store; the end where there are less."""
        for name, extent in self.content.extents.items():
            begin, end = max(start, extent.start), extent.start + extent.length
            if name not in self.content.known and begin < end:
                if end - begin >= nbytes:
                    return begin + nbytes
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


def stream_memory(plan: Plan, most_bytes: int = BOX_BYTES) -> int:
    """The most that the `pieces` of a planned file have in memory at once, in bytes.

    That is two boxes of at most `most_bytes` where chunks let it be, and chunks being decoded.
    """
    boxes, decoding = [0], [0]
    for name, variable in plan.reading.pending.items():
        grid = plan.grid(name, variable.dtype.itemsize)
        own, whole = grid.chunks(), math.prod(grid.shape) * grid.itemsize
        box = _largest_box(grid, own, most_bytes)
        boxes.append(box)
        # A box that does not end where chunks end has parts of twice as many.
        chunks = -(-variable.plan.chunks * box // max(1, whole)) * (1 if own is None else 2)
        decoding.append(min(variable.working_bytes, chunks * variable.array.meta.chunk_bytes))
    return AT_ONCE * max(boxes) + max(decoding)


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
    grid = file.plan.grid(name, file.content.itemsizes[name])
    if extent.chunks is None:
        return row_boxes(grid, first, last, most_bytes)
    # Single bytes have a dimension of their own in the file.
    return chunk_boxes(grid, extent.chunks[: len(grid.shape)], first, last, most_bytes)


def _largest_box(grid: Grid, chunks: tuple[int, ...] | None, most_bytes: int) -> int:
    """The bytes of the largest box of a variable that lies in these `chunks` of the file."""
    whole, axis = math.prod(grid.shape) * grid.itemsize, grid.row_dimension
    if chunks is not None:
        return max(min(most_bytes, whole), math.prod(chunks) * grid.itemsize)
    rows = 1 if axis is None else grid.longest[axis]
    return min(whole, max(most_bytes, rows * grid.row_bytes))
