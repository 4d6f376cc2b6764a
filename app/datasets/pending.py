"""The answer to a selection before it is read: what it will be, and what it costs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from app.arrays.plan import ReadPlan
from app.datasets.lazy import LazyArray
from app.datasets.outline import Outline
from app.datasets.variables import variable_of
from app.record import record
from app.store.fan_out import spread


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
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the decoded values."""
        return self.array.dtype

    @property
    def in_memory(self) -> bool:
        """Whether reading it asks no store."""
        return self.array.reader.holds(self.array.meta, self.plan)

    @property
    def working_bytes(self) -> int:
        """The most that reading it holds beside the values themselves."""
        return self.array.reader.working_bytes(self.array.meta, self.plan)

    async def read(self) -> xr.Variable:
        """The variable in memory."""
        values = await self.array.read(self.plan)
        return variable_of(self.dims, values, self.attrs, self.encoding)


@record
class DatasetPlan:
    """The answer to a selection, all but the values that are still in the store.

    `variables` are in memory, `pending` must be read; both stand in `outline`, in their order.
    `attrs` and `encoding` belong to the dataset that is selected from; its variables' own do, too.
    """

    outline: Outline
    variables: Mapping[Hashable, xr.Variable]
    pending: Mapping[Hashable, PendingVariable]
    indexes: Mapping[Hashable, xr.Index]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]

    @property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return sum([v.plan.chunks for v in self.pending.values()])

    @property
    def chunk_bytes(self) -> int:
        """Decoded size of the touched chunks, in bytes: what the answer costs."""
        return sum([v.plan.chunks * v.array.meta.chunk_bytes for v in self.pending.values()])

    @property
    def in_memory(self) -> bool:
        """Whether reading the answer asks no store: each touched chunk is in memory just now."""
        return all(v.in_memory for v in self.pending.values())

    @property
    def working_bytes(self) -> int:
        """The most decoded bytes of chunks that reading has in memory at once."""
        return sum([v.working_bytes for v in self.pending.values()])

    async def read(self) -> xr.Dataset:
        """The answer as a plain Dataset in memory; it shares nothing that can be changed."""
        # All names first: their order is the answer's.
        variables: dict[Any, Any] = dict.fromkeys(self.outline.variables)
        variables.update(self.variables)

        async def read_one(item: tuple[Hashable, PendingVariable]) -> None:
            variables[item[0]] = await item[1].read()

        await spread(self.pending.items(), read_one)
        return xr.Dataset._construct_direct(
            variables,
            set(self.outline.coord_names),
            dict(self.outline.sizes),
            dict(self.attrs),
            dict(self.indexes),
            dict(self.encoding),
        )
