"""A dataset as a table: which rows and columns it has, what they count for, and their text.

Rows come in slabs and their text in pieces, so that a table need not be in memory to be written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.aliases import Array, DType, record
from sluice.encoders.answer_schema import AnswerSchema, AnswerVariable, check_distinct_dimensions
from sluice.encoders.json_encoder import finest
from sluice.errors import SelectionError
from sluice.labels import without_surrogates

# What a number, an instant or a boolean counts for; about half of its text.
_CELL_BYTES: Final = 8
# How many names or groups a sentence lists; the facts have all of them.
_SPELLED: Final = 5
# A few milliseconds of work: no other thread runs while one block's fields are joined.
_BLOCK_ROWS: Final = 8192
_BLOCK_FIELDS: Final = 2**16


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a variable over `dims`, or (without one) the positions along its dimension."""

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
    """The same where the names of the columns are repeated, too, in quotes."""
    rows = layout_of(schema)
    return table_weight(schema) + rows.count * sum(len(c.header) + 4 for c in rows.columns)


def table_text_weight(schema: AnswerSchema, texts: Mapping[Hashable, int]) -> int:
    """What `texts`, of so many bytes by variable, count for in a table: those of every row."""
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


class RowFormat(Protocol):
    """How a table is written: the text of the fields of a column, and of rows of fields.

    Of a column of any dtype there is one field for each value, as `fields` has them; `lines` takes
    as many of each column. `head` is what comes before the first row.
    """

    @property
    def name(self) -> str: ...
    def head(self, columns: Sequence[Column], units: Sequence[str | None]) -> bytes: ...
    def fields(self, column: Column, values: Array) -> list[str]: ...
    def lines(self, columns: list[list[str]]) -> bytes: ...


@record
class ColumnText:
    """The fields of a column: all of them if they are few, else made block by block."""

    make: Callable[[Array], list[str]]
    values: Array
    fields: Array | None
    # An instant with as many digits as the column needs, so that all blocks have as many.
    finest: Array
    # Per dimension: cells of the table from one position to the next, positions, own stride.
    steps: tuple[tuple[int, int, int], ...]

    def at(self, cells: NDArray[np.int64]) -> list[str]:
        """The fields in the rows numbered `cells`."""
        own = np.zeros(cells.shape, dtype=np.int64)
        for inner, size, stride in self.steps:
            own += cells // inner % size * stride
        if self.fields is not None:
            return self.fields[own].tolist()  # type: ignore[no-any-return]
        return _made(self.make, self.values[own], self.finest)


class TableWriter:
    """Writes a table in this format, in slabs of rows that follow each other.

    `finest` is one of the instants with the most digits, of columns whose instants come in several
    slabs: all of a column are written with as many.
    """

    def __init__(
        self, layout: TableLayout, rows: RowFormat, finest: Mapping[Hashable, Array] | None = None
    ) -> None:
        self._layout = layout
        self._rows = rows
        self._finest = finest or {}
        # Of columns that are the same in all slabs.
        self._whole: dict[str, ColumnText] = {}

    def head(self, variables: Mapping[Hashable, xr.Variable]) -> bytes:
        """What comes before the first row."""
        columns = self._layout.columns
        return self._rows.head(columns, units_of(columns, variables))

    def slab(
        self,
        variables: Mapping[Hashable, xr.Variable],
        ranges: Mapping[Hashable, range] = MappingProxyType({}),
    ) -> Iterator[bytes]:
        """The rows of these `ranges` of dimensions, or all; in pieces of some milliseconds.

        `variables` have these rows of what has the dimensions, and all of what does not.
        """
        layout = self._layout.part(ranges)
        texts = [self._text(column, variables, layout, ranges) for column in layout.columns]
        block = max(1, min(_BLOCK_ROWS, _BLOCK_FIELDS // max(1, len(texts))))
        for first in range(0, layout.count, block):
            cells = np.arange(first, min(first + block, layout.count))
            yield self._rows.lines([text.at(cells) for text in texts])

    def _text(
        self,
        column: Column,
        variables: Mapping[Hashable, xr.Variable],
        layout: TableLayout,
        ranges: Mapping[Hashable, range],
    ) -> ColumnText:
        make = partial(self._rows.fields, column)
        if not ranges.keys().isdisjoint(column.dims):
            known = self._finest.get(column.variable)
            start = ranges[column.dims[0]].start if column.variable is None else 0
            return column_text(column, variables, layout, make, known, start)
        text = self._whole.get(column.header)
        if text is None:
            text = self._whole[column.header] = column_text(column, variables, layout, make)
        return text


def table_pieces(dataset: xr.Dataset, rows: RowFormat) -> Iterator[bytes]:
    """A dataset in memory in this format, in pieces; raises what `table_layout` raises."""
    coords = set(dataset.coords)
    layout = table_layout(dataset.variables, coords, dataset.sizes, rows.name)
    writer = TableWriter(layout, rows)
    yield writer.head(dataset.variables)
    yield from writer.slab(dataset.variables)


def units_of(
    columns: Iterable[Column], variables: Mapping[Hashable, xr.Variable]
) -> list[str | None]:
    """The units of each column; None where it has none that are text."""
    found: list[str | None] = []
    for column in columns:
        attrs = {} if column.variable is None else variables[column.variable].attrs
        units = attrs.get("units")
        named = isinstance(units, str) and bool(units.strip())
        found.append(without_surrogates(str(units)) if named else None)
    return found


def column_text(
    column: Column,
    variables: Mapping[Hashable, xr.Variable],
    layout: TableLayout,
    make: Callable[[Array], list[str]],
    known: Array | None = None,
    start: int = 0,
) -> ColumnText:
    """The fields that `make` makes of a column in the rows of `layout`.

    Positions count from `start`. The finest instant is `known` of a column with more of them
    elsewhere.
    """
    if column.variable is None:
        length = dict(zip(layout.dims, layout.shape, strict=True))[column.dims[0]]
        values: Array = np.arange(start, start + length)
    else:
        values = np.asarray(variables[column.variable].data).ravel()
    beside = finest(values) if known is None else known
    fields = None
    if values.size <= _BLOCK_ROWS:
        fields = np.empty(values.size, dtype=object)
        fields[:] = _made(make, values, beside)
    return ColumnText(make, values, fields, beside, _steps(column.dims, layout))


def _made(make: Callable[[Array], list[str]], values: Array, beside: Array) -> list[str]:
    if not beside.size:
        return make(values)
    return make(np.concatenate([values, beside]))[: values.size]


def _steps(dims: tuple[Hashable, ...], layout: TableLayout) -> tuple[tuple[int, int, int], ...]:
    sizes = dict(zip(layout.dims, layout.shape, strict=True))
    return tuple(
        (_cells_after(dim, layout.dims, sizes), sizes[dim], _cells_after(dim, dims, sizes))
        for dim in dims
    )


def _cells_after(dim: Hashable, dims: tuple[Hashable, ...], sizes: Mapping[Hashable, int]) -> int:
    """How many cells of an array over `dims` share one position along `dim` in a row."""
    return math.prod(sizes[later] for later in dims[dims.index(dim) + 1 :])
