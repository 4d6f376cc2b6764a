"""A planned answer in parts (slabs): along which dimensions it is cut, and where.

A part ends where a chunk of the store ends, so that chunks are decoded once. Some are decoded again
where variables with chunks of different lengths are read together, where positions go back and
forth, and where a row of chunks is too large for memory: see `sluice.engine.costs`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Container, Hashable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from itertools import product
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.aliases import record
from sluice.datasets.indexers import ALL, Key, Points
from sluice.datasets.layout import Keys, Layout, ResultSchema, StoredVariable
from sluice.datasets.lazy import length_of
from sluice.datasets.read_plan import DatasetReadPlan
from sluice.engine.boxes import WINDOW_BYTES, Ends, chunk_ends
from sluice.engine.costs import AT_ONCE, MOST_TIMES, Parts, Stops

# A window that no row of chunks exceeds.
_UNCUT: Final = 2**63
# A text beside its letters: an object of Python.
_OBJECT_BYTES: Final = 64
# Lengths of texts before any was read: short ones, so that a row of chunks is not cut needlessly,
# and long ones, so that not too many rows go into one part.
_SHORT_TEXT_BYTES: Final = 16
_LONG_TEXT_BYTES: Final = 1024
# The part of an answer along each dimension that is cut.
Ranges: TypeAlias = Mapping[Hashable, range]


@record
class Rows:
    """The order of a table: rows of the variables `names`, in C order along `dims`.

    A row of chunks of more than `window_bytes` is cut; if one position of the first dimension still
    has more, each of its positions is cut along the next dimension, and so on. The smallest
    variables, of at most `kept_bytes` together with their chunks, are read once and kept.
    """

    dims: tuple[Hashable, ...]
    names: tuple[Hashable, ...]
    window_bytes: int = WINDOW_BYTES
    kept_bytes: int = 0


Order: TypeAlias = Literal["variable", "row"] | Rows


class Budget(Protocol):
    """Memory that many readers share."""

    def window(self, nbytes: int) -> AbstractAsyncContextManager[object]:
        """A block that has `nbytes` while it lasts, and is entered when they are free."""


@record
class Cut:
    """One part of the variables `names`: the `ranges` of the dimensions that they are cut along.

    Variables in `whole` are not cut; they are in the `first` part alone.
    """

    names: tuple[Hashable, ...]
    ranges: Ranges
    whole: frozenset[Hashable]
    first: bool

    def of(self, name: Hashable, variable: xr.Variable) -> xr.Variable:
        """The part of a variable in memory, or all of one that is not cut."""
        return variable if name in self.whole else self.rows(variable)

    def rows(self, variable: xr.Variable) -> xr.Variable:
        """This part's rows of a variable in memory."""
        cut = {d: slice(r.start, r.stop) for d, r in self.ranges.items() if d in variable.dims}
        return variable.isel(cut) if cut else variable


@record
class Slab:
    """A part of an answer in memory: where it lies (see `Cut`), and its variables."""

    cut: Cut
    variables: Mapping[Hashable, xr.Variable]


@record
class Cutting:
    """How variables are cut: at each position of the `outer` dimensions, and at `ends` along `dim`.

    `outer` has the lengths of these dimensions. Without a `dim` there is one part. Only the
    variables in `along` are cut.
    """

    names: tuple[Hashable, ...]
    along: tuple[Hashable, ...] = ()
    outer: Mapping[Hashable, int] = field(default_factory=dict)
    dim: Hashable | None = None
    ends: tuple[int, ...] = ()

    def cuts(self) -> Iterator[Cut]:
        """The parts in their order."""
        first, whole = True, frozenset(self.names) - frozenset(self.along)
        if self.dim is None:
            yield Cut(self.names, {}, whole, first)
            return
        parts = [range(*ends) for ends in zip((0, *self.ends), self.ends, strict=False)]
        for place in product(*map(range, self.outer.values())):
            ranges = {d: range(p, p + 1) for d, p in zip(self.outer, place, strict=True)}
            for part in parts:
                names = self.names if first else self.along
                yield Cut(names, {**ranges, self.dim: part}, whole, first)
                first = False

    def stops(self, dims: Collection[Hashable]) -> Stops:
        """Where a variable of these dimensions is cut."""
        stops = {d: np.arange(1, n + 1) for d, n in self.outer.items() if d in dims}
        if self.dim is not None and self.dim in dims:
            stops[self.dim] = np.array(self.ends)
        return stops

    def repeats(self, dims: Collection[Hashable]) -> int:
        """How often a variable is read: once for each position of `outer` dimensions it lacks."""
        return math.prod([n for d, n in self.outer.items() if d not in dims])


def cuttings(
    layout: Layout, reading: DatasetReadPlan, keys: Keys | None, most_bytes: int, order: Order
) -> Iterator[Cutting]:
    """How an answer is cut, in the order of its parts, of at most `most_bytes` or a row of chunks.

    With `order` "variable" one variable comes after the other; with "row" the rows of all variables
    along the first dimension come together, as with `Rows`. Without `keys` there is one part.
    """
    schema = reading.schema
    names = order.names if isinstance(order, Rows) else tuple(schema.variables)
    if keys is None or not names:
        yield Cutting(names)
    elif order == "variable":
        for name in names:
            dims = schema.variables[name].dims
            first = dims[:1] if dims and dims.count(dims[0]) == 1 else ()
            yield _cutting(layout, reading, keys, most_bytes, Rows(first, (name,), _UNCUT))
    else:
        rows = order if isinstance(order, Rows) else Rows(_leading(schema), names)
        yield _cutting(layout, reading, keys, most_bytes, rows)


def _leading(schema: ResultSchema) -> tuple[Hashable, ...]:
    """The first dimension of the variable with the most of them; empty where there is none."""
    most: tuple[Hashable, ...] = max((v.dims for v in schema.variables.values()), key=len)
    twice = [v for v in schema.variables.values() if most and v.dims.count(most[0]) > 1]
    return most[:1] if most and not twice else ()


def _cutting(
    layout: Layout, reading: DatasetReadPlan, keys: Keys, most_bytes: int, rows: Rows
) -> Cutting:
    """How the `rows` are cut: along as many dimensions as the window requires."""
    schema, kept = reading.schema, _kept(reading, rows)
    cut = [name for name in rows.names if name not in kept]
    dims = [d for d in rows.dims if schema.sizes[d] != 1] or rows.dims[:1]
    if any(schema.sizes[d] == 0 for d in dims):
        return Cutting(rows.names)
    outer: dict[Hashable, int] = {}
    along: list[Hashable] = []
    dim, row_bytes = None, 1
    for depth, dim in enumerate(dims):
        outer = {d: schema.sizes[d] for d in dims[:depth]}
        along = [n for n in cut if _is_cut(reading, n, outer, dim, rows.window_bytes)]
        row_bytes = max(1, sum([_part_bytes(reading, name, {*outer, dim}) for name in along]))
        if row_bytes <= rows.window_bytes:
            break
    if not dims or not along:
        return Cutting(rows.names)
    at_most = sum([_part_bytes(reading, n, {*outer, dim}, _LONG_TEXT_BYTES) for n in along])
    most_rows = max(1, most_bytes // max(1, at_most))
    ends = _ends(layout, schema, keys, dim, along, most_rows)
    stops = tuple(_joined(ends, most_rows, max(most_rows, rows.window_bytes // row_bytes)))
    return Cutting(rows.names, tuple(along), outer, dim, stops)


def _kept(reading: DatasetReadPlan, rows: Rows) -> set[Hashable]:
    """The variables that are read once although rows are cut along their dimensions."""
    sizes: dict[Hashable, int] = {}
    for name in rows.names:
        one = reading.pending.get(name)
        if one is not None and one.dtype.kind not in "OT":
            sizes[name] = max(one.chunk_bytes, math.prod(one.shape) * one.dtype.itemsize)
    kept, left = set(), rows.kept_bytes
    for name in sorted(sizes, key=sizes.__getitem__):
        left -= sizes[name]
        if left < 0:
            break
        kept.add(name)
    return kept


def _is_cut(
    reading: DatasetReadPlan,
    name: Hashable,
    outer: Mapping[Hashable, int],
    dim: Hashable,
    window_bytes: int,
) -> bool:
    """Whether a variable is cut along `dim` and not kept in memory as a whole.

    One that lacks `outer` dimensions is kept, unless it is too large for the window.
    """
    dims = reading.schema.variables[name].dims
    if dim not in dims:
        return False
    times = math.prod([n for d, n in outer.items() if d not in dims])
    return times == 1 or (times <= MOST_TIMES and _part_bytes(reading, name, ()) > window_bytes)


def _part_bytes(
    reading: DatasetReadPlan,
    name: Hashable,
    dims: Container[Hashable],
    unknown_bytes: int = _SHORT_TEXT_BYTES,
) -> int:
    """The bytes of a variable at one position of each of these dimensions.

    Texts count with the largest mean length of any chunk that was read, or with `unknown_bytes`.
    """
    variable = reading.schema.variables[name]
    lengths = [n for d, n in zip(variable.dims, variable.shape, strict=True) if d not in dims]
    each, pending = variable.dtype.itemsize, reading.pending.get(name)
    if pending is not None and (texts := pending.array.meta.texts) is not None:
        each += _OBJECT_BYTES
        each += unknown_bytes if texts.mean_bytes is None else int(texts.mean_bytes)
    return math.prod(lengths) * each


def _joined(ends: Ends, most_rows: int, longest: int) -> Iterator[int]:
    """The ends of parts, out of the `ends` of chunks: of at most `most_rows`, or one chunk.

    A part of more rows than `longest` is cut into equal ones.
    """
    # (In lists NumPy's own search takes ten times as long.)
    known, start = ends.tolist(), 0
    while start < known[-1]:
        following = bisect_right(known, start)
        end = known[max(following, bisect_right(known, start + most_rows) - 1)]
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
            found.append(chunk_ends(prepared, keys, dim, size, layout.sizes))
    if found:
        return min(found, key=len)
    # What is in memory has no chunks: it can be cut anywhere.
    return np.append(np.arange(most_rows, size, most_rows), size)


def slab_parts(
    layout: Layout,
    reading: DatasetReadPlan,
    keys: Keys | None,
    most_bytes: int,
    order: Order,
) -> Parts:
    """The `Parts` of the `cuttings`, to find their costs; reads nothing.

    Texts count with their likely length.
    """
    schema = reading.schema
    stops: dict[Hashable, Stops] = {}
    repeats: dict[Hashable, int] = {}
    largest = count = 0
    for cutting in cuttings(layout, reading, keys, most_bytes // AT_ONCE, order):
        longest = int(np.diff(np.array(cutting.ends), prepend=0).max(initial=0))
        at_first = in_each = 0
        for name in cutting.names:
            dims = schema.variables[name].dims
            if name not in cutting.along:
                at_first += _part_bytes(reading, name, ())
                continue
            stops[name], repeats[name] = cutting.stops(dims), cutting.repeats(dims)
            in_each += longest * _part_bytes(reading, name, {*cutting.outer, cutting.dim})
        largest = max(largest, at_first + in_each)
        count += math.prod(cutting.outer.values()) * max(1, len(cutting.ends))
    together = order != "variable" or keys is None
    return Parts(count, largest, stops, together, repeats=repeats)


def narrowed(keys: Keys, sizes: Mapping[Hashable, int], ranges: Ranges) -> Keys:
    """`keys` reduced to these `ranges` of the answer's dimensions."""
    part: dict[Hashable, Key] = dict(keys)
    for dim, rows in ranges.items():
        together = {d: k for d, k in keys.items() if isinstance(k, Points) and k.dim == dim}
        for own, key in together.items():
            part[own] = Points(dim, key.positions[rows.start : rows.stop])
        if not together:
            part[dim] = _part(keys.get(dim, ALL), sizes[dim], rows)
    return part


def _part(key: Key, size: int, rows: range) -> Key:
    match key:
        case slice():
            places = range(*key.indices(size))[rows.start : rows.stop]
            # A stop of -1 would mean the last position again.
            return slice(places.start, places.stop if places.stop >= 0 else None, places.step)
        case np.ndarray():
            return key[rows.start : rows.stop]
        case _:
            assert length_of(key, size) is not None
            return key
