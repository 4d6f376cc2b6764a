"""A planned answer in parts: along which dimension it is cut, where, and what that costs.

A part ends where a chunk of the store ends, so that chunks are decoded once; only where variables
have chunks of different lengths and are read together, or where positions go back and forth, some
of them are decoded again: `costs_of` tells how often.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import (
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.aliases import record
from sluice.datasets.indexers import ALL, Key, Points, length_of
from sluice.datasets.layout import Keys, Layout, ResultSchema, StoredVariable
from sluice.datasets.lazy import VariableReadPlan
from sluice.datasets.read_plan import DatasetReadPlan
from sluice.engine.boxes import chunk_axes, chunk_ends

Order: TypeAlias = Literal["variable", "row"]
T = TypeVar("T")

# The one that is read, and the one that its reader has.
AT_ONCE: Final = 2
_NONE: Final = np.empty(0, np.int64)


class Budget(Protocol):
    """Memory that many readers share."""

    def window(self, nbytes: int) -> AbstractAsyncContextManager[object]:
        """So many bytes for as long as the block lasts, entered when they are there."""


@record
class Cut:
    """The rows from `start` to `stop` of some variables along `dim`; all of them where it is None.

    Variables that lack the dimension are whole, and stand in the first cut alone.
    """

    names: tuple[Hashable, ...]
    dim: Hashable | None = None
    start: int = 0
    stop: int = 0


@record
class Slab:
    """A part of an answer in memory: where it lies (see `Cut`), and its variables."""

    cut: Cut
    variables: Mapping[Hashable, xr.Variable]


def cuts(
    layout: Layout, schema: ResultSchema, keys: Keys | None, most_bytes: int, order: Order
) -> Iterator[Cut]:
    """The parts of an answer in their order, of at most `most_bytes` where chunks let it be.

    With `order` "variable" each variable comes after the other, with "row" all rows along the
    first dimension together. Without `keys` the answer is one part.
    """
    names = tuple(schema.variables)
    if keys is None or not names:
        yield Cut(names)
    elif order == "row":
        dim = _leading(schema)
        along = [name for name in names if dim is not None and dim in schema.variables[name].dims]
        yield from _along(layout, schema, keys, most_bytes, dim, names, along)
    else:
        for name in names:
            dims = schema.variables[name].dims
            first = dims[0] if dims and dims.count(dims[0]) == 1 else None
            yield from _along(layout, schema, keys, most_bytes, first, (name,), [name])


@record
class VariableCost:
    """What one variable costs in decoded chunks when it is read in parts.

    It touches `chunks`, each of `chunk_bytes` decoded; they are `decoded` so often in all parts
    together, and `most_times` the one that is decoded most often.
    """

    chunks: int
    chunk_bytes: int
    decoded: int
    most_times: int


@record
class SlabCosts:
    """What it costs to read an answer in `slabs` parts, variable by variable.

    `window_bytes` is the most that is in memory at once: two parts, and chunks being decoded.
    """

    slabs: int
    window_bytes: int
    variables: Mapping[Hashable, VariableCost]

    @property
    def chunks(self) -> int:
        """How many chunks are touched."""
        return sum([cost.chunks for cost in self.variables.values()])

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of the touched chunks."""
        return sum([cost.chunks * cost.chunk_bytes for cost in self.variables.values()])

    @property
    def decoded_chunks(self) -> int:
        """How many chunks are decoded; one counts each time."""
        return sum([cost.decoded for cost in self.variables.values()])

    @property
    def decoded_bytes(self) -> int:
        """Bytes of all chunks that are decoded."""
        return sum([cost.decoded * cost.chunk_bytes for cost in self.variables.values()])

    @property
    def most_times(self) -> int:
        """How often the chunk is decoded that is decoded most often."""
        return max([cost.most_times for cost in self.variables.values()], default=0)


def _leading(schema: ResultSchema) -> Hashable | None:
    """The first dimension of the variable with the most of them; None where there is none."""
    most: tuple[Hashable, ...] = max((v.dims for v in schema.variables.values()), key=len)
    twice = [v for v in schema.variables.values() if most and v.dims.count(most[0]) > 1]
    return most[0] if most and not twice else None


def _along(
    layout: Layout,
    schema: ResultSchema,
    keys: Keys,
    most_bytes: int,
    dim: Hashable | None,
    names: tuple[Hashable, ...],
    along: Iterable[Hashable],
) -> Iterator[Cut]:
    """`names` in parts along `dim`; those that are not `along` it stand in the first part."""
    along = list(along)
    if dim is None or not along:
        yield Cut(names)
        return
    row_bytes = sum([_row_bytes(schema, name, dim) for name in along])
    most_rows = max(1, most_bytes // max(1, row_bytes))
    ends = _ends(layout, schema, keys, dim, along, most_rows)
    start = 0
    for stop in _joined(ends, most_rows):
        yield Cut(names if start == 0 else tuple(along), dim, start, stop)
        start = stop
    if start == 0:
        yield Cut(names)


def _row_bytes(schema: ResultSchema, name: Hashable, dim: Hashable) -> int:
    variable = schema.variables[name]
    lengths = [n for d, n in zip(variable.dims, variable.shape, strict=True) if d != dim]
    return math.prod(lengths) * variable.dtype.itemsize


def _joined(ends: Sequence[int], most_rows: int) -> Iterator[int]:
    """The `ends` of parts that have at most so many rows, or one that is longer."""
    start = last = 0
    for end in ends:
        if last > start and end - start > most_rows:
            yield last
            start = last
        last = end
    if last > start:
        yield last


def _ends(
    layout: Layout,
    schema: ResultSchema,
    keys: Keys,
    dim: Hashable,
    along: list[Hashable],
    most_rows: int,
) -> Sequence[int]:
    """After which rows along `dim` another chunk begins, of the variable with the longest ones."""
    size = schema.sizes[dim]
    found: list[NDArray[np.int64]] = []
    for name in along:
        prepared = layout.variables[name]
        if isinstance(prepared, StoredVariable):
            ends = chunk_ends(prepared, keys, dim, size, layout.sizes)
            found.append(ends if size else _NONE)
    if found:
        return min(found, key=len).tolist()  # type: ignore[no-any-return]
    # What is in memory has no chunks: it can be cut anywhere.
    return [*range(most_rows, size, most_rows), size] if size else []


def costs_of(
    layout: Layout,
    reading: DatasetReadPlan,
    keys: Keys | None,
    most_bytes: int,
    order: Order,
) -> SlabCosts:
    """What an answer costs that is read in the parts of `cuts`; reads nothing.

    Texts count as `most_bytes` at most: how long they are is known once they are read.
    """
    schema = reading.schema
    ends: dict[Hashable, list[int]] = defaultdict(list)
    dims: dict[Hashable, Hashable] = {}
    largest = slabs = 0
    for cut in cuts(layout, schema, keys, most_bytes // AT_ONCE, order):
        nbytes = 0
        for name in cut.names:
            variable = schema.variables[name]
            if cut.dim is not None and cut.dim in variable.dims:
                dims[name] = cut.dim
                ends[name].append(cut.stop)
                nbytes += (cut.stop - cut.start) * _row_bytes(schema, name, cut.dim)
            else:
                nbytes += math.prod(variable.shape) * variable.dtype.itemsize
        largest, slabs = max(largest, nbytes), slabs + 1
    variables = {
        name: _variable_cost(layout, keys or {}, name, plan, dims.get(name), ends[name])
        for name, plan in reading.pending.items()
    }
    working = [plan.working_bytes for plan in reading.pending.values()]
    at_once = max(working, default=0) if order == "variable" and keys is not None else sum(working)
    window = min(AT_ONCE, slabs) * largest + at_once + min(reading.text_bytes, most_bytes)
    return SlabCosts(slabs, window, variables)


def _variable_cost(
    layout: Layout,
    keys: Keys,
    name: Hashable,
    plan: VariableReadPlan,
    dim: Hashable | None,
    ends: list[int],
) -> VariableCost:
    """The cost of a variable that is cut after the rows `ends` along `dim`; whole where None."""
    chunks, nbytes = plan.plan.chunks, plan.array.meta.chunk_bytes
    prepared = layout.variables[name]
    if dim is None or not chunks or not isinstance(prepared, StoredVariable):
        return VariableCost(chunks, nbytes, chunks, min(chunks, 1))
    axes = chunk_axes(prepared, keys, dim, layout.sizes)
    # Chunk and part are the same from one of these rows to the next.
    begins = np.unique(np.concatenate([[0], ends[:-1], *[axis.changes() for axis in axes]]))
    begins = begins.astype(np.int64)
    parts = np.searchsorted(ends, begins, side="right")
    found, places = np.unique(
        np.stack([axis.numbers(begins) for axis in axes]), axis=1, return_inverse=True
    )
    distinct = found.shape[1]
    pairs = np.unique(parts * distinct + places.reshape(-1))
    times = int(np.bincount(pairs % distinct).max())
    return VariableCost(chunks, nbytes, chunks // distinct * pairs.size, times)


def narrowed(keys: Keys, sizes: Mapping[Hashable, int], cut: Cut) -> Keys:
    """`keys` for the rows of `cut` alone."""
    if cut.dim is None:
        return keys
    part: dict[Hashable, Key] = dict(keys)
    for dim, key in keys.items():
        if isinstance(key, Points) and key.dim == cut.dim:
            part[dim] = Points(key.dim, key.positions[cut.start : cut.stop])
    if not any(isinstance(key, Points) and key.dim == cut.dim for key in keys.values()):
        part[cut.dim] = _part(keys.get(cut.dim, ALL), sizes[cut.dim], cut)
    return part


def _part(key: Key, size: int, cut: Cut) -> Key:
    match key:
        case slice():
            rows = range(*key.indices(size))[cut.start : cut.stop]
            # A stop of -1 would mean the last position again.
            return slice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
        case np.ndarray():
            return key[cut.start : cut.stop]
        case _:
            assert length_of(key, size) is not None
            return key
