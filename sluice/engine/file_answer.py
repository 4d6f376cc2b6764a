"""An answer as a file whose bytes can be read from any place on, box by box."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from typing import Final
from urllib.parse import quote

import numpy as np
import xarray as xr

from sluice.aliases import Array, record
from sluice.arrays.texts import TextMeter
from sluice.axes.axis import Indexer
from sluice.concurrency import in_thread, read_ahead
from sluice.datasets import relabel
from sluice.datasets._xarray import variable_of
from sluice.encoders.answer_schema import FileContent, FileFormat, UnreadAnswer
from sluice.encoders.file_values import Records
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine.boxes import (
    WINDOW_BYTES,
    Box,
    Grid,
    Window,
    chunk_boxes,
    record_rows,
    row_boxes,
)
from sluice.engine.file_costs import BOX_BYTES, as_written, box_bytes, decided_in, most_rows_of
from sluice.engine.plan import Plan

# Of more positions along one dimension a canonical request lists only the ends.
_MOST_LISTED: Final = 1000


@record
class _Part:
    """A box of a variable of the file, or some records of several, and where its bytes begin."""

    boxes: tuple[tuple[Hashable, Box], ...]
    offset: int
    records: bool = False


@record
class FileAnswer:
    """A planned answer as a file: its `content` says what lies where, the `plan` how it is read."""

    plan: Plan
    content: FileContent

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self.content.size

    def place_of(self, start: int, nbytes: int) -> int:
        """Where `nbytes` that come from the store, or those of one box, end behind `start`.

        The end of the file where there are fewer.
        """
        for name, extent in self.content.extents.items():
            begin, end = max(start, extent.start), extent.start + extent.length
            if name not in self.content.known and begin < end:
                enough = min(nbytes, box_bytes(self.plan, name, BOX_BYTES))
                if end - begin >= enough:
                    return begin + enough
                nbytes -= end - begin
        records = self.content.records
        return self.size if records is None else min(self.size, max(start, records.start) + nbytes)

    async def pieces(
        self, start: int, stop: int, most_bytes: int = BOX_BYTES
    ) -> AsyncGenerator[memoryview, None]:
        """The bytes `start` to `stop` (exclusive) of the file.

        Variables are read box by box (see `sluice.engine.boxes`), each of at most `most_bytes` or a
        row of chunks, and one box ahead of the consumer. Closing the generator ends the reading.
        Raises a StoreError where the store fails.
        """
        file = self.content
        window = Window(start, stop, file.between)
        for piece in window.put(0, memoryview(file.head)):
            yield piece
        parts = _parts(self, start, stop, most_bytes)
        async with aclosing(read_ahead(parts, self._read)) as found:
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
        async with aclosing(read_ahead(parts, self._read)) as found:
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

    Reads the variables on whose values the size of the file depends; `meter` counts their texts.
    Raises NotAcceptable where the format cannot hold the answer, and a StoreError.
    """
    plan = as_written(plan, file_format)
    names = dict.fromkeys([*plan.moving, *_to_know(plan, file_format)])
    read = await plan.read_variables(names, meter)
    return await _with_known(plan, file_format, fragments, read)


async def _with_known(
    plan: Plan,
    file_format: FileFormat,
    fragments: FragmentCache,
    read: Mapping[Hashable, xr.Variable],
) -> FileAnswer:
    """The file, with the variables in `read` known."""
    known, pending = {**plan.reading.variables, **read}, plan.reading.pending
    variables = {n: known[n] if n in known else pending[n] for n in plan.schema.variables}

    def chunks(name: Hashable, itemsize: int, must: bool) -> tuple[int, ...] | None:
        if name in known and not must:
            return None
        return plan.grid(name, itemsize).chunks(must)

    coords, attrs = plan.schema.coord_names, plan.reading.attrs
    request = _canonical_request(plan, fragments.name)
    answer = UnreadAnswer(variables, known, coords, attrs, fragments.names, chunks, request)
    # In a thread: headers of thousands of variables and indexes of many chunks take a while.
    return FileAnswer(plan, await in_thread(file_format.content, answer))


def _canonical_request(plan: Plan, dataset: str) -> str:
    """The one spelling of all requests for this answer, to which a format can be appended.

    It is written into files: by positions, so that it does not depend on how they were asked for.
    """
    found, asked = plan.found, plan.selection.variables
    pairs = [] if asked is None else [("variables", ",".join(asked))]
    pairs += [(name, _spelled(found.positions[name])) for name in sorted(found.positions)]
    if found.pointwise:
        pairs.append(("pointwise", ",".join(found.pointwise)))
    # Labels in place of the stored ones do not follow from the positions.
    pairs += [(f"{name}_from", str(labels[0])) for name, labels in sorted(found.labels.items())]
    query = "".join(f"{quote(name)}={quote(text, safe=',:/')}&" for name, text in pairs)
    return f"/datasets/{dataset}/isel?{query}"


def _spelled(found: Indexer) -> str:
    """Positions along a dimension; of many the ends, how many they are, and a digest."""
    match found:
        case int():
            return str(found)
        case slice():
            ends = [found.start, found.stop, *([] if found.step in (None, 1) else [found.step])]
            return ":".join("" if end is None else str(end) for end in ends)
        case _ if len(found) <= _MOST_LISTED:
            return ",".join(map(str, found.tolist()))
        case _:
            digest = blake2b(found.tobytes(), digest_size=8).hexdigest()
            return f"{found[0]},..,{found[-1]}({len(found)},{digest})"


async def file_size(
    plan: Plan, file_format: FileFormat, fragments: FragmentCache, *, in_memory: bool = False
) -> int | None:
    """The size of the planned answer as a file; None where that depends on values in the store.

    With `in_memory`, values in the chunk cache are used. Reads nothing.
    """
    plan = as_written(plan, file_format)
    names = [] if file_format.deflated else _to_know(plan, file_format)
    if file_format.deflated or (names and not in_memory):
        return None
    read = _moved(plan)
    for name in names:
        one = plan.reading.pending[name]
        values = one.array.read_cached(one.plan)
        if values is None:
            return None
        read[name] = variable_of(one.dims, values, one.attrs, one.encoding)
    return (await _with_known(plan, file_format, fragments, read)).size


def _moved(plan: Plan) -> dict[Hashable, xr.Variable]:
    """The plan's `moving` variables without reading: bounds that are in the store become zeros."""
    names = plan.moving
    if not names:
        return {}
    part = plan.of(names)
    pending = part.reading.pending
    zeros = {
        name: xr.Variable(
            one.dims,
            np.zeros(part.schema.variables[name].shape, one.dtype),
            one.attrs,
            one.encoding,
        )
        for name, one in pending.items()
    }
    moved = relabel(part.reading.holding(zeros), plan.labels)
    return {name: moved.variables[name] for name in names}


def _to_know(plan: Plan, file_format: FileFormat) -> list[Hashable]:
    """The variables that must be read before the file has a size."""
    if not plan.reading.divisible:
        return list(plan.reading.pending)
    moving = plan.moving
    return [name for name in decided_in(plan, file_format) if name not in moving]


def _parts(file: FileAnswer, start: int, stop: int, most_bytes: int) -> Iterator[_Part]:
    """The boxes that have the bytes `start` to `stop` of the file, in the order of the file."""
    soon = stop - start > most_bytes
    for name, extent in file.content.extents.items():
        first = max(start - extent.start, 0)
        last = min(stop - extent.start, extent.length)
        for box in _boxes(file, name, first, last, most_bytes, soon):
            yield _Part(((name, box),), extent.start + box.offset)
            soon = soon and name in file.content.known
    if file.content.records is not None:
        yield from _record_parts(file, file.content.records, start, stop, most_bytes)


def _record_parts(
    file: FileAnswer, records: Records[Hashable], start: int, stop: int, most_bytes: int
) -> Iterator[_Part]:
    """The rows that have the bytes `start` to `stop` of the file, of all variables with records."""
    first = max(start - records.start, 0) // records.nbytes
    last = min(-(-(stop - records.start) // records.nbytes), records.count)
    itemsizes = file.content.itemsizes
    grids = {name: file.plan.grid(name, itemsizes[name]) for name in records.places}
    most_rows = most_rows_of(file.plan, grids, most_bytes)
    for begin, end in record_rows(grids.values(), first, last, most_rows):
        boxes = tuple((name, _rows(grid, begin, end)) for name, grid in grids.items())
        yield _Part(boxes, records.start + begin * records.nbytes, records=True)


def _rows(grid: Grid, start: int, stop: int) -> Box:
    """All of a variable from row to row along its first dimension."""
    rest = grid.shape[1:]
    return Box((start, *(0 for _ in rest)), (stop, *rest), 0)


def _boxes(
    file: FileAnswer, name: Hashable, first: int, last: int, most_bytes: int, soon: bool
) -> Iterator[Box]:
    extent, itemsize = file.content.extents[name], file.content.itemsizes[name]
    grid = file.plan.grid(name, itemsize)
    pending = file.plan.reading.pending.get(name)
    # Values can take more room in memory than in the file.
    held = itemsize if pending is None else max(itemsize, pending.dtype.itemsize)
    most_bytes = box_bytes(file.plan, name, most_bytes) * itemsize // held
    if extent.chunks is None:
        window = WINDOW_BYTES * itemsize // held
        return row_boxes(grid, first, last, most_bytes, window, soon=soon)
    # Single bytes have a dimension of their own in the file.
    return chunk_boxes(grid, extent.chunks[: len(grid.shape)], first, last, most_bytes)
