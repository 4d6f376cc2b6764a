"""A planned answer in parts: along which dimension it is cut, where, and how the parts are read.

A part ends where a chunk of the store ends, so that chunks are decoded once; only where variables
have chunks of different lengths, and are read together, some of them are decoded again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import suppress
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.datasets.indexers import ALL, Key, Points, length_of
from sluice.datasets.layout import Keys, Layout, ResultSchema, StoredVariable
from sluice.record import record

Order: TypeAlias = Literal["variable", "row"]
T = TypeVar("T")

# The one that is read, and the one that its reader has.
AT_ONCE: Final = 2


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
    ends = _ends(layout, schema, keys, dim, along)
    start = 0
    for stop in _joined(ends, max(1, most_bytes // max(1, row_bytes))):
        yield Cut(names if start == 0 else tuple(along), dim, start, stop)
        start = stop
    if start == 0:
        yield Cut(names)


def _row_bytes(schema: ResultSchema, name: Hashable, dim: Hashable) -> int:
    variable = schema.variables[name]
    lengths = [n for d, n in zip(variable.dims, variable.shape, strict=True) if d != dim]
    return math.prod(lengths) * variable.dtype.itemsize


def _joined(ends: NDArray[np.int64], most_rows: int) -> Iterator[int]:
    """The `ends` of parts that have at most so many rows, or one that is longer."""
    start = last = 0
    for end in ends.tolist():
        if last > start and end - start > most_rows:
            yield last
            start = last
        last = end
    if last > start:
        yield last


def _ends(
    layout: Layout, schema: ResultSchema, keys: Keys, dim: Hashable, along: list[Hashable]
) -> NDArray[np.int64]:
    """After which rows along `dim` another chunk begins, of the variable with the longest ones."""
    size = schema.sizes[dim]
    found = [
        ends for name in along if (ends := _chunk_ends(layout, keys, name, dim, size)) is not None
    ]
    # What is in memory has no chunks: it can be cut anywhere.
    return min(found, key=len) if found else np.arange(1, size + 1)


def _chunk_ends(
    layout: Layout, keys: Keys, name: Hashable, dim: Hashable, size: int
) -> NDArray[np.int64] | None:
    prepared = layout.variables[name]
    if not isinstance(prepared, StoredVariable):
        return None
    changes = np.zeros(max(0, size - 1), bool)
    for own, chunk in zip(prepared.dims, prepared.array.meta.chunks, strict=False):
        key = keys.get(own, ALL)
        if dim == (key.dim if isinstance(key, Points) else own):
            numbers = _positions(key, layout.sizes[own]) // max(1, chunk)
            changes |= numbers[1:] != numbers[:-1]
    return np.append(np.flatnonzero(changes) + 1, size) if size else np.empty(0, np.int64)


def _positions(key: Key, size: int) -> NDArray[np.int64]:
    match key:
        case int():
            return np.array([key])
        case slice():
            return np.arange(*key.indices(size))
        case Points(_, positions):
            return positions
        case positions:
            return np.where(positions < 0, positions + size, positions)


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


async def ahead(
    parts: Iterable[T], read: Callable[[T], Awaitable[Slab]]
) -> AsyncGenerator[Slab, None]:
    """What is read of `parts`, in their order; the next one while somebody has the last.

    Whoever stops asking has ended what is read.
    """
    running: list[asyncio.Task[Slab]] = []
    try:
        for part in parts:
            running.append(asyncio.ensure_future(_made(read, part)))
            if len(running) == AT_ONCE:
                slab = await running[0]
                del running[0]
                yield slab
        while running:
            slab = await running[0]
            del running[0]
            yield slab
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _made(read: Callable[[T], Awaitable[Slab]], part: T) -> Slab:
    return await read(part)
