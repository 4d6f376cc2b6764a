"""The plan of a selection: what the answer will be, what it costs, and the ways to read it."""

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
from sluice.concurrency import read_ahead
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
from sluice.datasets.indexers import ALL
from sluice.datasets.layout import Keys, StoredVariable
from sluice.datasets.lazy import VariableReadPlan, read_all
from sluice.datasets.relabel import bounds_of
from sluice.engine.boxes import Box, Ends, Grid, chunk_ends
from sluice.engine.costs import AT_ONCE, Costs, Parts, costs_of, least_decoded
from sluice.engine.prepared import PreparedDataset
from sluice.engine.slabs import Budget, Cut, Order, Rows, Slab, cuttings, narrowed, slab_parts
from sluice.selection import Along, Position, PositionSlice, Selection


def _unmeasured() -> None:
    """No meter: the lengths of texts are not limited."""


# Not frozen, which takes four times as long for each field; without slots, for cached properties.
@dataclass(eq=False)
class Plan:
    """All that is known of an answer before anything is read; it never changes.

    `found` are the positions that were selected, and the labels under which the answer has them;
    `reading` is what will be read from the store.
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
        """The keys along each dimension; None where the answer cannot be read in parts."""
        return self.reading.keys

    @property
    def form(self) -> ResultSchema | None:
        """What answers have in common whose texts differ in values alone; None if unknown."""
        # Other labels bring other attributes.
        return None if self.found.labels else self.reading.schema

    @property
    def labels(self) -> Mapping[str, Array]:
        """Labels by dimension where they are not the stored ones: longitudes plus full circles."""
        return self.found.labels

    @property
    def key(self) -> tuple[Hashable, str]:
        """A key of this answer among those of the dataset, however it was asked for.

        First what many answers share (variables and dimensions), then a text of the positions.
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

        See `sluice.datasets.cf_decode.stored_form`. Coordinates that answer under other labels, and
        their bounds, are decoded all the same.
        """
        return self if self.reading.stored else self._stored

    @cached_property
    def _stored(self) -> Plan:
        moving, keys = self.moving, self.keys
        names = [name for name in self.schema.variables if name not in moving]
        labels = {} if keys is None else self.prepared.layout.labels_as_stored(names, keys)
        return replace(self, reading=self.reading.as_stored(moving, labels))

    def read_cached(self) -> xr.Dataset | Plan:
        """What `read` returns, if all of it is small and in memory; else a plan to `load`."""
        found = self.reading.read_cached()
        if isinstance(found, xr.Dataset):
            return relabel(found, self.found.labels) if self.found.labels else found
        return self if found is self.reading else replace(self, reading=found)

    async def read(self, meter: TextMeter | None = None) -> xr.Dataset:
        """The answer as a plain Dataset in memory; `meter` counts its texts as they are read.

        Raises a StoreError where the store fails, LimitError from the `meter`.
        """
        return self._labelled(await self.reading.read(meter))

    async def load(self, meter: TextMeter | None = None) -> xr.Dataset:
        """What `read` returns, for callers that have tried `read_cached`."""
        return self._labelled(await self.reading.load(meter))

    @cached_property
    def whole_costs(self) -> Costs:
        """What it costs to `read` the answer whole; its memory includes the answer."""
        reading = self.reading
        return self.costs(Parts(1, reading.schema.result_bytes, {}, True, reading.text_bytes))

    def slab_costs(self, most_bytes: int, order: Order = "variable") -> Costs:
        """What `slabs` of this size in this order cost, in decoded chunks and memory."""
        layout, reading = self.prepared.layout, self.reading
        if isinstance(order, Rows):
            pending = {n: one for n, one in reading.pending.items() if n in order.names}
            reading = replace(reading, pending=pending)
        parts = slab_parts(layout, reading, self.keys, most_bytes, order)
        return costs_of(layout, reading, parts)

    def costs(self, parts: Parts) -> Costs:
        """What it costs to read the answer in these parts."""
        return costs_of(self.prepared.layout, self.reading, parts)

    def reading_least(self, cost: Callable[[Plan], Costs]) -> Plan:
        """The same plan, with each variable read from the copy that takes the least decoding.

        `cost` says what a plan costs in the way it will be read.
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

        Each has at most half of `most_bytes`, or else one row of chunks. The window of `slab_costs`
        is taken from the `budget` once, before anything is read, and given back at the end or when
        the generator is closed. A `meter` is made for each part, and counts its texts.
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
            found = await held.enter_async_context(aclosing(read_ahead(parts, read)))
            async for slab in found:
                yield slab

    def grid(self, name: Hashable, itemsize: int) -> Grid:
        """The shape of a variable of the answer, and where chunks of the store end in it.

        Each of its values has `itemsize` bytes in the file. Variables in memory have no such ends.
        """
        ends = self._ends.get(name)
        if ends is None:
            ends = self._ends[name] = self._ends_of(name)
        return Grid(self.schema.variables[name].shape, itemsize, ends)

    @cached_property
    def _ends(self) -> dict[Hashable, tuple[Ends | None, ...]]:
        """The ends of chunks of the variables that `grid` was called for."""
        return {}

    def _ends_of(self, name: Hashable) -> tuple[Ends | None, ...]:
        variable, layout = self.schema.variables[name], self.prepared.layout
        keys = self.reading.keys_of(name)
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
        """The values of a part of a variable that is still in the store."""
        keys, layout = self.reading.keys_of(name), self.prepared.layout
        assert keys is not None, "what is read in boxes has keys"
        dims, sizes = self.schema.variables[name].dims, layout.sizes
        prepared = layout.variables[name]
        assert isinstance(prepared, StoredVariable)
        if len(set(dims)) < len(dims):
            # What has a dimension twice is cut in each place alone: there axes go by their numbers.
            keys = {n: keys.get(dim, ALL) for n, dim in enumerate(prepared.dims)}
            sizes = {n: layout.sizes[dim] for n, dim in enumerate(prepared.dims)}
            dims = tuple([n for n, key in keys.items() if not isinstance(key, int)])
            prepared = StoredVariable(tuple(sizes), {}, {}, prepared.array)
        for dim, start, stop in zip(dims, box.starts, box.stops, strict=True):
            keys = narrowed(keys, sizes, {dim: range(start, stop)})
        part = part_of(prepared, keys, dims, self.reading.pending[name])
        return (await part.read(name, passing=True)).values

    async def _part(
        self,
        keys: Keys | None,
        cut: Cut,
        moved: Mapping[Hashable, xr.Variable],
        meter: TextMeter | None,
    ) -> dict[Hashable, xr.Variable]:
        """The variables of a part; those in `moved` were read before."""
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
        # (By this plan, which may be `as_stored`: decoded floats do not hold all integers.)
        own = {n: one for n, one in self.reading.pending.items() if n in names and n not in moving}
        others = [name for name in names if name not in own]
        found = dict(await read_all(own, meter))
        if others:
            read = await self.of(others).read(meter)
            found |= {name: read.variables[name] for name in others}
        return found

    def of(self, names: Iterable[Hashable]) -> Plan:
        """The plan of some of the variables alone."""
        asked = Selection(self.selection.along, tuple(map(str, names)), self.selection.pointwise)
        return plan(self.prepared, asked)

    async def _moved(self) -> Mapping[Hashable, xr.Variable]:
        """The `moving` variables, read; they are few and small."""
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
    along: dict[str, Along] = {}
    positions: dict[str, Indexer] = {}
    for dim, key in (reading.keys or {}).items():
        if isinstance(key, slice):
            along[str(dim)] = PositionSlice(key.start, key.stop, key.step)
            positions[str(dim)] = key
        elif isinstance(key, int):
            along[str(dim)] = Position(key)
            positions[str(dim)] = key
    selection = Selection(along, tuple(map(str, parts)))
    return Plan(prepared, selection, Resolved(positions, {}), reading)
