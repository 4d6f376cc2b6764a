"""A planned answer in parts: along which dimension it is cut, where, and what that costs.

A part ends where a chunk of the store ends, so that chunks are decoded once; only where variables
have chunks of different lengths and are read together, where positions go back and forth, or where
a row of chunks is too large for memory, some of them are decoded again: see `sluice.engine.costs`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import (
    Hashable,
    Iterator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.aliases import record
from sluice.datasets.indexers import ALL, Key, Points
from sluice.datasets.layout import Keys, Layout, ResultSchema, StoredVariable
from sluice.datasets.lazy import length_of
from sluice.datasets.read_plan import DatasetReadPlan
from sluice.engine.boxes import WINDOW_BYTES, Ends, chunk_ends
from sluice.engine.costs import AT_ONCE, Parts

T = TypeVar("T")

_NONE: Final = np.empty(0, np.int64)
# As long as any row of chunks.
_UNCUT: Final = 2**63


@record
class Rows:
    """The order of a table: all rows along `dim` together, of some variables.

    Where a row of chunks is larger than a window of so many bytes, it is cut within them.
    """

    dim: Hashable | None
    names: tuple[Hashable, ...]
    window_bytes: int = WINDOW_BYTES


Order: TypeAlias = Literal["variable", "row"] | Rows


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
    first dimension together, as with `Rows`. Without `keys` the answer is one part.
    """
    names = order.names if isinstance(order, Rows) else tuple(schema.variables)
    if keys is None or not names:
        yield Cut(names)
    elif order == "variable":
        for name in names:
            dims = schema.variables[name].dims
            first = dims[0] if dims and dims.count(dims[0]) == 1 else None
            yield from _along(layout, schema, keys, most_bytes, Rows(first, (name,), _UNCUT))
    else:
        rows = order if isinstance(order, Rows) else Rows(_leading(schema), names)
        yield from _along(layout, schema, keys, most_bytes, rows)


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
    rows: Rows,
) -> Iterator[Cut]:
    """The `rows` in parts; variables that do not have the dimension stand in the first part."""
    dim, names = rows.dim, rows.names
    along = [name for name in names if dim is not None and dim in schema.variables[name].dims]
    if dim is None or not along:
        yield Cut(names)
        return
    row_bytes = max(1, sum([_row_bytes(schema, name, dim) for name in along]))
    most_rows = max(1, most_bytes // row_bytes)
    ends = _ends(layout, schema, keys, dim, along, most_rows)
    start = 0
    for stop in _joined(ends, most_rows, max(most_rows, rows.window_bytes // row_bytes)):
        yield Cut(names if start == 0 else tuple(along), dim, start, stop)
        start = stop
    if start == 0:
        yield Cut(names)


def _row_bytes(schema: ResultSchema, name: Hashable, dim: Hashable) -> int:
    variable = schema.variables[name]
    lengths = [n for d, n in zip(variable.dims, variable.shape, strict=True) if d != dim]
    return math.prod(lengths) * variable.dtype.itemsize


def _joined(ends: Ends, most_rows: int, longest: int) -> Iterator[int]:
    """The `ends` of parts that have at most so many rows, or one that is longer.

    What is longer than the `longest` is cut into equal parts.
    """
    start, last = 0, int(ends[-1]) if len(ends) else 0
    while start < last:
        following = int(np.searchsorted(ends, start, "right"))
        fitting = int(np.searchsorted(ends, start + most_rows, "right")) - 1
        end = int(ends[max(following, fitting)])
        parts = -(-(end - start) // longest)
        for number in range(1, parts + 1):
            yield start + (end - start) * number // parts
        start = end


def _ends(
    layout: Layout,
    schema: ResultSchema,
    keys: Keys,
    dim: Hashable,
    along: list[Hashable],
    most_rows: int,
) -> Ends:
    """After which rows along `dim` another chunk begins, of the variable with the longest ones."""
    size = schema.sizes[dim]
    found: list[NDArray[np.int64]] = []
    for name in along:
        prepared = layout.variables[name]
        if isinstance(prepared, StoredVariable):
            ends = chunk_ends(prepared, keys, dim, size, layout.sizes)
            found.append(ends if size else _NONE)
    if found:
        return min(found, key=len)
    # What is in memory has no chunks: it can be cut anywhere.
    return np.append(np.arange(most_rows, size, most_rows), size) if size else _NONE


def slab_parts(
    layout: Layout,
    reading: DatasetReadPlan,
    keys: Keys | None,
    most_bytes: int,
    order: Order,
) -> Parts:
    """The parts of `cuts` for who judges what they cost; reads nothing.

    Texts count as `most_bytes` at most: how long they are is known once they are read.
    """
    schema = reading.schema
    ends: dict[Hashable, list[int]] = defaultdict(list)
    dims: dict[Hashable, Hashable] = {}
    largest = count = 0
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
        largest, count = max(largest, nbytes), count + 1
    stops = {name: {dim: np.array(ends[name])} for name, dim in dims.items()}
    texts = min(reading.text_bytes, most_bytes)
    return Parts(count, largest, stops, order != "variable" or keys is None, texts)


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
