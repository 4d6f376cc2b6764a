"""An answer as a table that is written while it is read: a slab of rows after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import chain
from typing import Final

import numpy as np
import xarray as xr

from sluice.aliases import Array, record
from sluice.arrays.texts import TextMeter
from sluice.encoders.json_encoder import finest
from sluice.encoders.tables import RowFormat, TableLayout, TableWriter, layout_of
from sluice.engine.costs import AT_ONCE, Costs
from sluice.engine.plan import Plan
from sluice.engine.slabs import Rows

# Of two slabs of values, which are in memory at once; a row of chunks may have more.
SLABS_BYTES: Final = 16 * 2**20
# Of chunks that are decoded for one slab, if it need not be more: so rows come soon, and often.
_DECODED_BYTES: Final = 512 * 2**20
# What the text of one step of writing takes, and the fields that are kept between slabs.
_TEXT_BYTES: Final = 8 * 2**20
# So many are looked at in less than a millisecond.
_FEW_INSTANTS: Final = 2**16


@record
class RowAnswer:
    """A planned answer as the rows of a table, in this order of slabs, which have these costs."""

    plan: Plan
    layout: TableLayout
    order: Rows
    costs: Costs
    most_bytes: int

    @property
    def memory_bytes(self) -> int:
        """The most that the `pieces` have in memory at once."""
        return self.costs.window_bytes + _TEXT_BYTES

    @property
    def most_times(self) -> int:
        """How often the chunk is decoded that is decoded most often."""
        return self.costs.most_times

    async def pieces(
        self,
        rows: RowFormat,
        meter: Callable[[], TextMeter | None] = lambda: None,
        see: Callable[[Mapping[Hashable, xr.Variable], Iterable[Hashable]], None] | None = None,
    ) -> AsyncGenerator[Iterator[bytes], None]:
        """The text of each slab, to be written in pieces of a few milliseconds before the next one.

        Together they are what the format makes of the whole. A slab's texts are counted by a
        `meter` of its own; what was read is shown to `see`. Whoever stops asking has ended what is
        read. Raises a StoreError where the store does not do its part, LimitError from a meter.
        """
        writer = TableWriter(self.layout, rows, await self._finest())
        whole: dict[Hashable, xr.Variable] = {}
        async with aclosing(self.plan.slabs(self.most_bytes, self.order, meter=meter)) as slabs:
            async for slab in slabs:
                cut, first = slab.cut, not whole
                if first:
                    whole = {n: v for n, v in slab.variables.items() if cut.dim not in v.dims}
                variables = {**whole, **slab.variables}
                if see is not None:
                    see(slab.variables, self.plan.reading.pending.keys() & slab.variables.keys())
                text = writer.slab(variables, cut.dim, cut.start, cut.stop)
                yield chain([writer.head(variables)], text) if cut.start == 0 else text

    async def _finest(self) -> Mapping[Hashable, Array]:
        """The instants of each variable that has them in several slabs which need most digits.

        Those of variables, not of labels, are read for that: how they are written follows from
        all of them.
        """
        found: dict[Hashable, Array] = {}
        schema, reading, dim = self.plan.schema, self.plan.reading, self.order.dim
        names = []
        for name in self.order.names if self.costs.parts > 1 else ():
            variable = schema.variables[name]
            if variable.dtype.kind == "M" and dim in variable.dims:
                if name in reading.pending or name in self.plan.moving:
                    names.append(name)
                else:
                    found[name] = await _finest_of(np.asarray(reading.variables[name].data))
        if names:
            order = Rows(dim, tuple(names), self.order.window_bytes)
            async with aclosing(self.plan.slabs(self.most_bytes, order)) as slabs:
                async for slab in slabs:
                    for name, variable in slab.variables.items():
                        both = [found[name]] if name in found else []
                        both.append(await _finest_of(variable.values))
                        found[name] = finest(np.concatenate(both))
        return found


async def _finest_of(values: Array) -> Array:
    few = values.size <= _FEW_INSTANTS
    return finest(values) if few else await asyncio.to_thread(finest, values)


def rows_of(
    plan: Plan,
    rows: RowFormat,
    most_bytes: int = SLABS_BYTES,
    decoded_bytes: int = _DECODED_BYTES,
) -> RowAnswer:
    """The planned answer as such rows, in slabs of at most half of `most_bytes` if they can.

    Slabs are cut along the first dimension that has more than one position. Where the chunks of all
    have more than `decoded_bytes` there are as many slabs as have so much each. Reads nothing;
    raises what `table_layout` raises.
    """
    layout = layout_of(plan.schema, rows.name)
    lengths = zip(layout.dims, layout.shape, strict=True)
    dim = next((name for name, length in lengths if length != 1), None)
    names = tuple(c.variable for c in layout.columns if c.variable is not None)
    order, slabs = Rows(dim, names), -(-plan.chunk_bytes // decoded_bytes)
    if slabs > 1:
        most_bytes = max(1, min(most_bytes, AT_ONCE * plan.schema.result_bytes // slabs))
    return RowAnswer(plan, layout, order, plan.slab_costs(most_bytes, order), most_bytes)
