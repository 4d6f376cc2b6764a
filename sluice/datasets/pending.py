"""The answer to a selection before it is read: what it will be, and what it costs."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import replace
from typing import Any

import xarray as xr

from sluice.aliases import Array, DType
from sluice.arrays.plan import ReadPlan
from sluice.arrays.texts import TextMeter
from sluice.concurrency import map_concurrently
from sluice.datasets.as_stored import as_stored
from sluice.datasets.lazy import LazyArray
from sluice.datasets.outline import Outline
from sluice.datasets.variables import variable_of
from sluice.errors import CorruptChunk
from sluice.record import record
from sluice.stored_form import AS_STORED


@record
class PendingVariable:
    """A variable of the answer whose values are still to be read."""

    dims: tuple[Hashable, ...]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]
    array: LazyArray
    plan: ReadPlan

    @property
    def shape(self) -> tuple[int, ...]:
        return self.plan.shape[: len(self.dims)]

    @property
    def dtype(self) -> DType:
        """The dtype of the decoded values."""
        return self.array.dtype

    @property
    def working_bytes(self) -> int:
        """The most that reading it holds beside the values themselves."""
        return self.array.reader.working_bytes(self.array.meta, self.plan)

    @property
    def text_bytes(self) -> int:
        """The likely bytes of its texts, which lie outside of the array; the most if unknown."""
        return self.array.text_bytes(self.plan)

    async def read(self, name: Hashable, meter: TextMeter | None = None) -> xr.Variable:
        """The variable, whose `name` is told of a chunk that does not decode."""
        try:
            return self.holding(await self.array.read(self.plan, meter))
        except CorruptChunk as error:
            raise CorruptChunk(error.detail, variable=str(name)) from error

    def holding(self, values: Array) -> xr.Variable:
        """The variable with its `values`."""
        return variable_of(self.dims, values, self.attrs, self.encoding)


async def read_all(
    pending: Mapping[Hashable, PendingVariable], meter: TextMeter | None = None
) -> dict[Hashable, xr.Variable]:
    """All of these variables, read at once; raises what the first of them raises."""
    read: dict[Hashable, xr.Variable] = {}

    async def read_one(item: tuple[Hashable, PendingVariable]) -> None:
        name, variable = item
        read[name] = await variable.read(name, meter)

    await map_concurrently(pending.items(), read_one)
    return read


@record
class DatasetPlan:
    """The answer to a selection, all but the values that are still in the store.

    `variables` are in memory, `pending` must be read; both stand in `outline`, in their order.
    `attrs` and `encoding` belong to the dataset that is selected from; its variables' own do, too.
    `texts` are the bytes of text, outside of their arrays, of those `variables` that have any.
    """

    outline: Outline
    variables: Mapping[Hashable, xr.Variable]
    pending: Mapping[Hashable, PendingVariable]
    indexes: Mapping[Hashable, xr.Index]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]
    texts: Mapping[Hashable, int]

    @property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return sum([v.plan.chunks for v in self.pending.values()])

    @property
    def chunk_bytes(self) -> int:
        """Decoded size of the touched chunks, in bytes: what the answer costs."""
        return sum([v.plan.chunks * v.array.meta.chunk_bytes for v in self.pending.values()])

    @property
    def working_bytes(self) -> int:
        """The most decoded bytes of chunks that reading has in memory at once."""
        return sum([v.working_bytes for v in self.pending.values()])

    @property
    def text_bytes(self) -> int:
        """The likely bytes of the texts that are still to be read; the most if unknown."""
        return sum([v.text_bytes for v in self.pending.values()])

    def as_stored(self, but: Collection[Hashable] = ()) -> DatasetPlan:
        """The same answer with values as the store packs them, where metadata allows it.

        Their encoding has, under `AS_STORED`, the attributes that decode them. The variables named
        in `but` are decoded in any case. The outline stays that of the decoded answer.
        """
        pending: dict[Hashable, PendingVariable] = {}
        for name, variable in self.pending.items():
            raw = as_stored(variable.array, variable.encoding)
            if raw is None or name in but:
                pending[name] = variable
            else:
                array, decoding = raw
                encoding = {**variable.encoding, AS_STORED: decoding}
                pending[name] = replace(variable, encoding=encoding, array=array)
        return replace(self, pending=pending)

    def at_once(self) -> xr.Dataset | None:
        """What `read` brings, if it is small and each touched chunk is in memory just now."""
        for pending in self.pending.values():
            if not pending.array.holds(pending.plan):
                return None
        return self._holding(
            {name: v.holding(v.array.at_once(v.plan)) for name, v in self.pending.items()}
        )

    async def read(self, meter: TextMeter | None = None) -> xr.Dataset:
        """The answer as a plain Dataset in memory; it shares nothing that can be changed.

        Texts are counted by the `meter`; LimitError as soon as it has had too many. CorruptChunk
        has the fact `variable`.
        """
        known = self.at_once()
        if known is not None:
            return known
        return self._holding(await read_all(self.pending, meter))

    def _holding(self, read: Mapping[Hashable, xr.Variable]) -> xr.Dataset:
        """The answer, of which these variables have been read."""
        # All names first: their order is the answer's.
        variables: dict[Any, Any] = dict.fromkeys(self.outline.variables)
        variables.update(self.variables)
        variables.update(read)
        return xr.Dataset._construct_direct(
            variables,
            set(self.outline.coord_names),
            dict(self.outline.sizes),
            dict(self.attrs),
            dict(self.indexes),
            dict(self.encoding),
        )
