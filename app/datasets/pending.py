"""The answer to a selection before it is read: what it will be, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from app.arrays.plan import ArrayPlan
from app.datasets.lazy import LazyArray
from app.store.fan_out import spread


@dataclass(frozen=True, slots=True)
class PendingVariable:
    """A variable of the answer whose values are still to be read."""

    dims: tuple[Hashable, ...]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]
    array: LazyArray
    plan: ArrayPlan

    @property
    def shape(self) -> tuple[int, ...]:
        return self.plan.shape[: len(self.dims)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the decoded values."""
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        """Decoded size of the values, in bytes."""
        return self.array.result_bytes(self.plan)

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
        return xr.Variable(self.dims, values, self.attrs, self.encoding, fastpath=True)


@dataclass(frozen=True)
class DatasetPlan:
    """The answer to a selection, all but the values that are still in the store.

    `attrs` and `encoding` belong to the dataset that is selected from; its variables' own do, too.
    """

    variables: dict[Hashable, xr.Variable | PendingVariable]
    coord_names: set[Hashable]
    indexes: dict[Hashable, xr.Index]
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]

    @cached_property
    def sizes(self) -> dict[Hashable, int]:
        """The dimensions of the answer."""
        sizes: dict[Hashable, int] = {}
        for variable in self.variables.values():
            if variable.dims:
                sizes.update(zip(variable.dims, variable.shape, strict=True))
        return sizes

    @cached_property
    def pending(self) -> dict[Hashable, PendingVariable]:
        """The variables that must be read."""
        return {n: v for n, v in self.variables.items() if isinstance(v, PendingVariable)}

    @property
    def cells(self) -> int:
        """How many values must be read."""
        return sum([math.prod(v.shape) for v in self.pending.values()])

    @cached_property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return sum([v.plan.chunks for v in self.pending.values()])

    @cached_property
    def chunk_bytes(self) -> int:
        """Decoded size of the touched chunks, in bytes: what the answer costs."""
        return sum([v.plan.chunks * v.array.meta.chunk_bytes for v in self.pending.values()])

    @cached_property
    def result_bytes(self) -> int:
        """Decoded size of the answer, in bytes."""
        return sum([v.nbytes for v in self.variables.values()])

    @property
    def in_memory(self) -> bool:
        """Whether reading the answer asks no store: each touched chunk is in memory just now."""
        return all(v.in_memory for v in self.pending.values())

    @cached_property
    def working_bytes(self) -> int:
        """The most decoded bytes of chunks that reading has in memory at once."""
        return sum([v.working_bytes for v in self.pending.values()])

    async def read(self) -> xr.Dataset:
        """The answer as a plain Dataset in memory; it shares nothing that can be changed."""
        variables: dict[Any, Any] = dict(self.variables)

        async def read_one(item: tuple[Hashable, PendingVariable]) -> None:
            variables[item[0]] = await item[1].read()

        await spread(self.pending.items(), read_one)
        return xr.Dataset._construct_direct(
            variables,
            set(self.coord_names),
            dict(self.sizes),
            dict(self.attrs),
            dict(self.indexes),
            dict(self.encoding),
        )
