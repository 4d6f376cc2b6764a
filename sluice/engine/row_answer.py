"""An answer as a table that is written while it is read: one slab of rows after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np
import xarray as xr

from sluice.aliases import Array, record
from sluice.arrays.texts import TextMeter
from sluice.encoders.json_encoder import finest
from sluice.encoders.tables import RowFormat, RowWriter, TableLayout, layout_of
from sluice.engine.boxes import WINDOW_BYTES
from sluice.engine.costs import AT_ONCE, MOST_TIMES, Costs
from sluice.engine.learned import Sampler
from sluice.engine.plan import Plan
from sluice.engine.slabs import Rows, cuttings

# The size of two slabs, which are in memory at once; a row of chunks may have more.
SLABS_BYTES: Final = 16 * 2**20
# The most bytes of chunks that are decoded for one slab, if possible: so rows come soon and often.
_DECODED_BYTES: Final = 512 * 2**20
# Small variables, of such a part of that together, are read once and kept.
_KEPT_PART: Final = 64
# How many times as large a window may become where chunks would be decoded too often.
_MOST_WINDOWS: Final = 4
# So many instants are looked at in less than a millisecond.
_FEW_INSTANTS: Final = 2**16


@record
class RowAnswer:
    """A planned answer as the rows of a table, read in slabs.

    layout: the columns of the table.
    order, most_bytes: how the slabs are cut (see `Plan.slabs`).
    costs: what reading costs.
    instants: variables of instants that are read twice: first to find how many digits they need.
    writing_bytes: the memory that the format's writer takes.
    """

    plan: Plan
    layout: TableLayout
    order: Rows
    costs: Costs
    most_bytes: int
    instants: tuple[Hashable, ...]
    writing_bytes: int = 0

    @property
    def memory_bytes(self) -> int:
        """The most that the `pieces` have in memory at once."""
        return self.costs.window_bytes + self.writing_bytes

    @property
    def most_times(self) -> int:
        """How often the chunk is decoded that is decoded most often; see `Costs`."""
        return self.costs.most_times

    async def pieces(
        self,
        rows: RowFormat,
        meter: Callable[[], TextMeter | None] = lambda: None,
        sampler: Sampler | None = None,
    ) -> AsyncGenerator[Iterator[bytes], None]:
        """The bytes of each slab, as iterators whose steps take a few milliseconds.

        Together they are what the format writes for the whole answer. Each slab's texts are counted
        by a `meter` of its own; the `sampler` sees what was read. Closing the generator ends the
        reading. Raises a StoreError where the store fails, LimitError from a meter.
        """
        found = await self._read_finest()
        whole: dict[Hashable, xr.Variable] = {}
        writer = rows.writer(self.layout, found)
        async with aclosing(self.plan.slabs(self.most_bytes, self.order, meter=meter)) as slabs:
            async for slab in slabs:
                cut, variables = slab.cut, slab.variables
                if sampler is not None:
                    await sampler.see(slab)
                if cut.first:
                    whole = {name: variables[name] for name in cut.whole}
                    writer = rows.writer(self.layout, await self._finest(whole) | found)
                variables = {**variables, **{n: cut.rows(v) for n, v in whole.items()}}
                text = writer.slab(variables, cut.ranges)
                if cut.first:
                    text = chain(_head(writer, variables, self.plan.reading.attrs), text)
                yield text
        yield writer.end()
        if sampler is not None:
            sampler.done()

    async def _finest(self, whole: Mapping[Hashable, xr.Variable]) -> dict[Hashable, Array]:
        """For each variable of instants in memory the value that needs the most digits.

        All values are written with as many.
        """
        if self.costs.parts == 1:
            return {}
        known = {**self.plan.reading.variables, **whole}
        names = [n for n in self.order.names if n in known and known[n].dtype.kind == "M"]
        return {name: await _finest_of(np.asarray(known[name].data)) for name in names}

    async def _read_finest(self) -> dict[Hashable, Array]:
        """The same for the `instants` in the store, which are read for that, slab by slab."""
        found: dict[Hashable, Array] = {}
        if self.instants:
            order = replace(self.order, names=self.instants)
            async with aclosing(self.plan.slabs(self.most_bytes, order)) as slabs:
                async for slab in slabs:
                    for name, variable in slab.variables.items():
                        both = [found[name]] if name in found else []
                        both.append(await _finest_of(variable.values))
                        found[name] = finest(np.concatenate(both))
        return found


def _head(
    writer: RowWriter,
    variables: Mapping[Hashable, xr.Variable],
    attrs: Mapping[Hashable, object],
) -> Iterator[bytes]:
    """What comes before the first row, written when it is consumed."""
    yield writer.head(variables, attrs)


async def _finest_of(values: Array) -> Array:
    few = values.size <= _FEW_INSTANTS
    return finest(values) if few else await asyncio.to_thread(finest, values)


def rows_of(
    plan: Plan,
    rows: RowFormat,
    most_bytes: int = SLABS_BYTES,
    decoded_bytes: int = _DECODED_BYTES,
    window_bytes: int = WINDOW_BYTES,
) -> RowAnswer:
    """The planned answer as rows in this format, in slabs of at most half of `most_bytes`.

    Slabs are smaller where more than `decoded_bytes` of chunks would be decoded for each. Rows of
    chunks are cut within windows of `window_bytes`, or up to four times as much where chunks would
    be decoded too often otherwise. Reads nothing; raises what `layout_of` raises.
    """
    layout = layout_of(plan.schema, rows.name)

    def answer(one: Plan) -> RowAnswer:
        return _in_windows(one, layout, most_bytes, decoded_bytes, window_bytes)

    least = answer(plan.reading_least(lambda one: answer(one).costs))
    return replace(least, writing_bytes=rows.memory_bytes)


def _in_windows(
    plan: Plan, layout: TableLayout, most_bytes: int, decoded_bytes: int, window_bytes: int
) -> RowAnswer:
    """The answer in the smallest windows in which no chunk is decoded too often."""
    names = tuple(c.variable for c in layout.columns if c.variable is not None)
    kept = min(most_bytes // AT_ONCE, decoded_bytes // _KEPT_PART)
    slabs = -(-plan.chunk_bytes // decoded_bytes)
    if slabs > 1:
        most_bytes = max(1, min(most_bytes, AT_ONCE * plan.schema.result_bytes // slabs))
    first, window = None, window_bytes
    while window <= _MOST_WINDOWS * window_bytes:
        answer = _rows_of(plan, layout, Rows(layout.dims, names, window, kept), most_bytes)
        if answer.most_times <= MOST_TIMES:
            return answer
        first = first or answer
        window = -(-window * answer.most_times // MOST_TIMES)
    assert first is not None
    return first


def _rows_of(plan: Plan, layout: TableLayout, order: Rows, most_bytes: int) -> RowAnswer:
    costs, instants = plan.slab_costs(most_bytes, order), tuple[Hashable, ...]()
    if costs.parts > 1:
        parts = cuttings(
            plan.prepared.layout, plan.reading, plan.keys, most_bytes // AT_ONCE, order
        )
        along = [n for n in next(parts).along if plan.schema.variables[n].dtype.kind == "M"]
        instants = tuple([n for n in along if n in plan.reading.pending or n in plan.moving])
    if instants:
        costs = costs.after(plan.slab_costs(most_bytes, replace(order, names=instants)))
    return RowAnswer(plan, layout, order, costs, most_bytes, instants)
