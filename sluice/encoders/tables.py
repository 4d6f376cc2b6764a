"""A dataset as a table: its rows and columns, what they cost, and the protocol of its writers.

A writer gets rows in slabs and yields pieces, so that a table need never be in memory as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
import xarray as xr

from sluice.aliases import Array, DType
from sluice.encoders.answer_schema import AnswerSchema, AnswerVariable, check_distinct_dimensions
from sluice.errors import SelectionError
from sluice.labels import without_surrogates

# What a number, an instant or a boolean counts for, in bytes: about half of its text.
_CELL_BYTES: Final = 8
# How many names or groups a sentence lists; the facts have all of them.
_SPELLED: Final = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a variable over `dims`; or positions along a dimension, if `variable` is None."""

    header: str
    variable: Hashable | None
    dims: tuple[Hashable, ...]
    cell_bytes: int


@dataclass(frozen=True, slots=True)
class TableLayout:
    """One row per cell of `shape`, in C order, and the columns of each row."""

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    columns: tuple[Column, ...]

    @property
    def count(self) -> int:
        """How many rows there are, without the header."""
        return math.prod(self.shape) if self.columns else 0

    def part(self, ranges: Mapping[Hashable, range]) -> TableLayout:
        """The rows of these positions along some dimensions, of which all but the last have one."""
        sizes = zip(self.dims, self.shape, strict=True)
        shape = tuple(len(ranges[dim]) if dim in ranges else size for dim, size in sizes)
        return replace(self, shape=shape)


def table_layout(
    variables: Mapping[Hashable, AnswerVariable],
    coord_names: Container[Hashable],
    sizes: Mapping[Hashable, int],
    format_name: str = "CSV",
) -> TableLayout:
    """The rows of a dataset: first what says where a row is, then a column per data variable.

    The dimensions are those that the data variables share, in the order of the first; without
    data variables, those of all coordinates. Coordinates along any other dimension are left out,
    as in ``ds[name]``. Raises `SelectionError` where the data variables share no dimensions,
    `NotAcceptable` where one of the variables has a dimension twice.
    """
    check_distinct_dimensions(variables, coord_names, format_name)
    data = [name for name in variables if name not in coord_names]
    _check_shared({name: variables[name].dims for name in data}, format_name)
    spanning = data[:1] or list(variables)
    dims = tuple(dict.fromkeys(dim for name in spanning for dim in variables[name].dims))
    coords = [n for n in variables if n in coord_names and set(variables[n].dims).issubset(dims)]
    places = [_values(d, variables[d]) if d in coords else _positions(d) for d in dims]
    rest = [_values(n, variables[n]) for n in (*coords, *data) if n not in dims]
    return TableLayout(dims, tuple(sizes[dim] for dim in dims), (*places, *rest))


def layout_of(schema: AnswerSchema, format_name: str = "CSV") -> TableLayout:
    """The table that an answer is; raises what `table_layout` raises."""
    return table_layout(schema.variables, schema.coord_names, schema.sizes, format_name)


def table_weight(schema: AnswerSchema) -> int:
    """What an answer counts for as a table, in bytes: a coordinate is repeated in every row."""
    rows = layout_of(schema)
    return max(schema.result_bytes, rows.count * sum(c.cell_bytes for c in rows.columns))


def keyed_weight(schema: AnswerSchema) -> int:
    """The same for a format that repeats the names of columns, in quotes, in every row."""
    rows = layout_of(schema)
    return table_weight(schema) + rows.count * sum(len(c.header) + 4 for c in rows.columns)


def table_text_weight(schema: AnswerSchema, texts: Mapping[Hashable, int]) -> int:
    """The bytes of texts in all rows, from the bytes of each variable's own texts."""
    rows = layout_of(schema)
    total = 0
    for column in rows.columns:
        if column.variable in texts:
            values = math.prod(schema.variables[column.variable].shape)
            total += texts[column.variable] * rows.count // max(1, values)
    return total


def _check_shared(dims: Mapping[Hashable, tuple[Hashable, ...]], format_name: str) -> None:
    groups: dict[frozenset[Hashable], list[Hashable]] = {}
    for name, own in dims.items():
        groups.setdefault(frozenset(own), []).append(name)
    if len(groups) < 2:
        return
    facts = [
        {"dims": [str(dim) for dim in dims[names[0]]], "variables": [str(n) for n in names]}
        for names in groups.values()
    ]
    spelled = "; ".join(
        f"{_some(group['variables'])} along {_some(group['dims']) or 'no dimension'}"
        for group in facts[:_SPELLED]
    )
    raise SelectionError(
        f"{format_name} has one row per cell, but these variables do not share their dimensions:"
        f" {spelled}{'; ...' * (len(facts) > _SPELLED)}. Ask for those of one group with"
        f" variables={facts[0]['variables'][0]},...",
        groups=facts,
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SPELLED]) + ", ..." * (len(names) > _SPELLED)


def _values(name: Hashable, variable: AnswerVariable) -> Column:
    return Column(without_surrogates(str(name)), name, variable.dims, _cell_bytes(variable.dtype))


def _positions(dim: Hashable) -> Column:
    # No variable has this name: xarray calls any that has a dimension's name a coordinate.
    return Column(without_surrogates(str(dim)), None, (dim,), _CELL_BYTES)


def _cell_bytes(dtype: DType) -> int:
    match dtype.kind:
        case "U":
            return max(_CELL_BYTES, dtype.itemsize // 4)
        case "S" | "V" | "c":
            return max(_CELL_BYTES, dtype.itemsize)
        case _:
            return _CELL_BYTES


class RowWriter(Protocol):
    """Writes a table in slabs of rows that follow each other, in pieces of some milliseconds.

    First the `head`, then each `slab`, then the `end`. The `variables` of a slab have the rows of
    these `ranges` of what has the dimensions, and all of what does not; without `ranges` it is the
    whole table. Those of the head are the first slab's, its `attrs` the dataset's.
    """

    def head(
        self, variables: Mapping[Hashable, xr.Variable], attrs: Mapping[Hashable, object]
    ) -> bytes: ...
    def slab(
        self,
        variables: Mapping[Hashable, xr.Variable],
        ranges: Mapping[Hashable, range] = MappingProxyType({}),
    ) -> Iterator[bytes]: ...
    def end(self) -> Iterator[bytes]: ...


class RowFormat(Protocol):
    """How tables of some layout are written, in rows; `memory_bytes` is what a writer takes itself.

    The `finest` are instants with the most digits, of columns whose instants come in several slabs:
    all of a column are written alike.
    """

    @property
    def name(self) -> str: ...
    @property
    def memory_bytes(self) -> int: ...
    def writer(
        self, layout: TableLayout, finest: Mapping[Hashable, Array] | None = None
    ) -> RowWriter: ...


def table_pieces(dataset: xr.Dataset, rows: RowFormat) -> Iterator[bytes]:
    """A dataset in memory in this format, in pieces; raises what `table_layout` raises."""
    coords = set(dataset.coords)
    layout = table_layout(dataset.variables, coords, dataset.sizes, rows.name)
    writer = rows.writer(layout)
    yield writer.head(dataset.variables, dataset.attrs)
    yield from writer.slab(dataset.variables)
    yield from writer.end()


def column_values(
    column: Column,
    variables: Mapping[Hashable, xr.Variable],
    layout: TableLayout,
    start: int = 0,
) -> Array:
    """The values of a column, each once, in its own order; positions count from `start`."""
    if column.variable is not None:
        return np.asarray(variables[column.variable].data).ravel()
    length = dict(zip(layout.dims, layout.shape, strict=True))[column.dims[0]]
    return np.arange(start, start + length)


def steps_of(dims: tuple[Hashable, ...], layout: TableLayout) -> tuple[tuple[int, int, int], ...]:
    """How rows step through values over `dims`; for each of these dimensions three numbers.

    They are: the rows from one position to the next, the positions, and the values from one
    position to the next.
    """
    sizes = dict(zip(layout.dims, layout.shape, strict=True))
    return tuple(
        (_cells_after(dim, layout.dims, sizes), sizes[dim], _cells_after(dim, dims, sizes))
        for dim in dims
    )


def _cells_after(dim: Hashable, dims: tuple[Hashable, ...], sizes: Mapping[Hashable, int]) -> int:
    """How many cells of an array over `dims` share one position along `dim` in a row."""
    return math.prod(sizes[later] for later in dims[dims.index(dim) + 1 :])
