"""The plan of a selection: what the answer will be and cost, and whether and how it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import xarray as xr

from sluice.aliases import Array
from sluice.arrays.texts import TextMeter
from sluice.axes.axis import Indexer
from sluice.axes.resolve import Resolved, resolve
from sluice.concurrency import ahead
from sluice.datasets import (
    DatasetReadPlan,
    ResultSchema,
    plan_isel,
    plan_parts,
    plan_positions,
    pointwise_indexers,
    relabel,
)
from sluice.datasets.copies import part_of
from sluice.datasets.layout import Keys, StoredVariable
from sluice.datasets.lazy import VariableReadPlan, read_all
from sluice.datasets.relabel import bounds_of
from sluice.engine.boxes import Box, Ends, Grid, chunk_ends
from sluice.engine.costs import AT_ONCE, Costs, Parts, costs_of, least_decoded
from sluice.engine.prepared import PreparedDataset
from sluice.engine.slabs import Budget, Cut, Order, Rows, Slab, cuttings, narrowed, slab_parts
from sluice.selection import Along, Position, PositionSlice, Selection


def _unmeasured() -> None:
    """No meter: texts may be as long as they are."""


# Not frozen, which would take four times as long for each field; and no slots, for what is found
# once.
@dataclass(eq=False)
class Plan:
    """All that is known of an answer before anything is read; nothing of it changes.

    `found` are the positions that the selection means, and the labels under which the answer shows
    them; `reading` is what the store is asked for.
    """

    prepared: PreparedDataset
    selection: Selection
    found: Resolved
    reading: DatasetReadPlan

    @property
    def schema(self) -> ResultSchema:
        """The variables of the answer: their dimensions, shapes, types and sizes."""
        return self.reading.schema

    @cached_property
    def keys(self) -> Keys | None:
        """What is asked of each dimension, where that can be told in parts; else None."""
        return self.reading.keys

    @property
    def form(self) -> ResultSchema | None:
        """What answers with the same text around their values have in common; None if unknown."""
        # Other labels bring other attributes.
        return None if self.found.labels else self.reading.schema

    @property
    def labels(self) -> Mapping[str, Array]:
        """Labels by dimension where they are not the stored ones: they wrap round the globe."""
        return self.found.labels

    @property
    def key(self) -> tuple[Hashable, str]:
        """What tells this answer from every other one of the dataset, however it was asked for.

        First what many answers share (variables and dimensions), then where that leads this one.
        """
        names, places = self.found.places
        return (self.selection.variables, names), places

    @property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return self.reading.chunks

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of the touched chunks."""
        return self.reading.chunk_bytes

    @property
    def working_bytes(self) -> int:
        """The most decoded bytes of chunks that reading has in memory at once."""
        return self.reading.working_bytes

    @property
    def text_bytes(self) -> int:
        """The likely bytes of the texts that are still to be read; the most if unknown."""
        return self.reading.text_bytes

    def as_stored(self) -> Plan:
        """The same plan, read as the store packs its values where metadata alone allows it.

        See `sluice.datasets.cf_decode.stored_form`. What answers under other labels is decoded:
        coordinates, and bounds that move with them.
        """
        return self if self.reading.stored else self._stored

    @cached_property
    def _stored(self) -> Plan:
        moving, keys = self.moving, self.keys
        names = [name for name in self.schema.variables if name not in moving]
        labels = {} if keys is None else self.prepared.layout.labels_as_stored(names, keys)
        return replace(self, reading=self.reading.as_stored(moving, labels))

    def read_cached(self) -> xr.Dataset | Plan:
        """What `read` brings, if all of it is small and in memory just now; else what to `load`."""
        found = self.reading.read_cached()
        if isinstance(found, xr.Dataset):
            return relabel(found, self.found.labels) if self.found.labels else found
        return self if found is self.reading else replace(self, reading=found)

    async def read(self, meter: TextMeter | None = None) -> xr.Dataset:
        """The answer as a plain Dataset in memory; `meter` counts its texts as they come.

        Raises a StoreError where the store does not do its part, LimitError from the `meter`.
        """
        return self._labelled(await self.reading.read(meter))

    async def load(self, meter: TextMeter | None = None) -> xr.Dataset:
        """What `read` brings, for who has called `read_cached`."""
        return self._labelled(await self.reading.load(meter))

    @cached_property
    def whole_costs(self) -> Costs:
        """What it costs to `read` the answer whole, its values among the memory; reads nothing."""
        reading = self.reading
        return self.costs(Parts(1, reading.schema.result_bytes, {}, True, reading.text_bytes))

    def slab_costs(self, most_bytes: int, order: Order = "variable") -> Costs:
        """What `slabs` of this size in this order cost: how often chunks are decoded, and memory.

        Reads nothing.
        """
        layout, reading = self.prepared.layout, self.reading
        if isinstance(order, Rows):
            pending = {n: one for n, one in reading.pending.items() if n in order.names}
            reading = replace(reading, pending=pending)
        parts = slab_parts(layout, reading, self.keys, most_bytes, order)
        return costs_of(layout, reading, self.keys, parts)

    def costs(self, parts: Parts) -> Costs:
        """What it costs to read the answer in these parts."""
        return costs_of(self.prepared.layout, self.reading, self.keys, parts)

    def reading_least(self, cost: Callable[[Plan], Costs]) -> Plan:
        """The same plan, with each variable read from the copy that takes the least decoding.

        That is as `cost` says, for who does not read the answer whole.
        """
        reading = least_decoded(
            self.prepared.layout, self.reading, lambda one: cost(replace(self, reading=one))
        )
        return self if reading is self.reading else replace(self, reading=reading)

    async def slabs(
        self,
        most_bytes: int,
        order: Order = "variable",
        *,
        budget: Budget | None = None,
        meter: Callable[[], TextMeter | None] = _unmeasured,
    ) -> AsyncGenerator[Slab, None]:
        """The answer in parts, of which no more than two are in memory: see `sluice.engine.slabs`.

        Each has at most half of `most_bytes`, but for what one row of chunks takes. The `budget` is
        asked once, before anything is read, for the window of `slab_costs`, and has it back when
        the last part was taken, or whoever asks stops (closes the generator). A `meter` is made for
        each part, and counts its texts.
        """
        async with AsyncExitStack() as held:
            if budget is not None:
                window = self.slab_costs(most_bytes, order).window_bytes
                await held.enter_async_context(budget.window(window))
            layout, keys = self.prepared.layout, self.keys
            moved = {} if keys is None else await self._moved()
            ways = cuttings(layout, self.reading, keys, most_bytes // AT_ONCE, order)

            async def read(cut: Cut) -> Slab:
                return Slab(cut, await self._part(keys, cut, moved, meter()))

            parts = chain.from_iterable(way.cuts() for way in ways)
            found = await held.enter_async_context(aclosing(ahead(parts, read)))
            async for slab in found:
                yield slab

    def grid(self, name: Hashable, itemsize: int) -> Grid:
        """The shape of a variable of the answer, and where chunks of the store end in it.

        Each of its values has `itemsize` bytes. What is in memory can be cut anywhere.
        """
        ends = self._ends.get(name)
        if ends is None:
            ends = self._ends[name] = self._ends_of(name)
        return Grid(self.schema.variables[name].shape, itemsize, ends)

    @cached_property
    def _ends(self) -> dict[Hashable, tuple[Ends | None, ...]]:
        """Where chunks end, of variables that somebody has asked for."""
        return {}

    def _ends_of(self, name: Hashable) -> tuple[Ends | None, ...]:
        variable, layout, keys = self.schema.variables[name], self.prepared.layout, self.keys
        prepared = layout.variables[name]
        if keys is None or not isinstance(prepared, StoredVariable):
            return (None,) * len(variable.shape)
        return tuple(
            [
                chunk_ends(prepared, keys, dim, length, layout.sizes)
                for dim, length in zip(variable.dims, variable.shape, strict=True)
            ]
        )

    async def box(self, name: Hashable, box: Box) -> Array:
        """The values of a part of a variable that is not in memory."""
        keys, layout = self.keys, self.prepared.layout
        assert keys is not None, "what is read in boxes has keys"
        dims = self.schema.variables[name].dims
        for dim, start, stop in zip(dims, box.starts, box.stops, strict=True):
            keys = narrowed(keys, layout.sizes, {dim: range(start, stop)})
        prepared = layout.variables[name]
        assert isinstance(prepared, StoredVariable)
        part = part_of(prepared, keys, dims, self.reading.pending[name])
        return (await part.read(name, passing=True)).values

    async def _part(
        self,
        keys: Keys | None,
        cut: Cut,
        moved: Mapping[Hashable, xr.Variable],
        meter: TextMeter | None,
    ) -> dict[Hashable, xr.Variable]:
        """The variables of a part; those that were `moved` are in memory."""
        if keys is None:
            whole = await self.read(meter)
            return {name: whole.variables[name] for name in cut.names}
        layout = self.prepared.layout
        part_keys = narrowed(keys, layout.sizes, cut.ranges)
        known = {name: cut.of(name, moved[name]) for name in cut.names if name in moved}
        pending: dict[Hashable, VariableReadPlan] = {}
        for name in cut.names:
            prepared = layout.variables[name]
            if name in known:
                continue
            if isinstance(prepared, StoredVariable):
                own = keys if name in cut.whole else part_keys
                dims, planned = self.schema.variables[name].dims, self.reading.pending[name]
                pending[name] = part_of(prepared, own, dims, planned)
            else:
                known[name] = cut.of(name, self.reading.variables[name])
        known |= await read_all(pending, meter, passing=True)
        return {name: known[name] for name in cut.names}

    async def read_variables(
        self, names: Iterable[Hashable], meter: TextMeter | None = None
    ) -> Mapping[Hashable, xr.Variable]:
        """Some variables of the answer, as `read` brings them."""
        names, moving = tuple(names), self.moving
        # Not decoded where they are read as they are stored: floats do not hold all integers.
        own = {n: one for n, one in self.reading.pending.items() if n in names and n not in moving}
        others = [name for name in names if name not in own]
        found = dict(await read_all(own, meter))
        if others:
            read = await self.of(others).read(meter)
            found |= {name: read.variables[name] for name in others}
        return found

    def of(self, names: Iterable[Hashable]) -> Plan:
        """The same of some variables alone."""
        asked = Selection(self.selection.along, tuple(map(str, names)), self.selection.pointwise)
        return plan(self.prepared, asked)

    async def _moved(self) -> Mapping[Hashable, xr.Variable]:
        """The coordinates that answer under other labels, and their bounds: few, and small."""
        return await self.read_variables(self.moving)

    @property
    def moving(self) -> list[str]:
        """The coordinates that answer under other labels, and their bounds."""
        variables = self.prepared.dataset.variables
        names = [name for name in self.found.labels if name in self.schema.sizes]
        for name in tuple(names):
            bounds = bounds_of(variables[name])
            if bounds is not None and bounds in self.schema.variables:
                names.append(bounds)
        return names

    def _labelled(self, result: xr.Dataset) -> xr.Dataset:
        return relabel(result, self.found.labels) if self.found.labels else result


def plan(prepared: PreparedDataset, selection: Selection) -> Plan:
    """How `selection` is read from a dataset; reads nothing.

    Raises `QueryError` for a label that an axis cannot hold, `SelectionError` for what is not
    there.
    """
    found = resolve(selection, prepared.axes, prepared.sizes)
    if not found.pointwise:
        reading = plan_positions(prepared.layout, found.positions, selection.variables)
    else:
        indexers = pointwise_indexers(prepared.dataset, found.positions, found.pointwise)
        reading = plan_isel(prepared.layout, indexers, keep=selection.variables)
    return Plan(prepared, selection, found, reading)


def plan_of_parts(
    prepared: PreparedDataset, parts: Mapping[Hashable, Mapping[Hashable, int | slice]]
) -> Plan:
    """How single variables are read, each in a part of its own; see `plan_parts`."""
    reading = plan_parts(prepared.layout, parts)
    along, positions = dict[str, Along](), dict[str, Indexer]()
    for dim, key in (reading.keys or {}).items():
        if isinstance(key, slice):
            along[str(dim)] = PositionSlice(key.start, key.stop, key.step)
            positions[str(dim)] = key
        elif isinstance(key, int):
            along[str(dim)] = Position(key)
            positions[str(dim)] = key
    selection = Selection(along, tuple(map(str, parts)))
    return Plan(prepared, selection, Resolved(positions, {}), reading)
