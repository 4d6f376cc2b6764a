"""Tables as text: the fields of each column in blocks of rows, and the rows of fields.

Of columns with few values each field is written once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.aliases import Array, record
from sluice.encoders.json_encoder import finest
from sluice.encoders.tables import Column, TableLayout, column_values, steps_of
from sluice.labels import without_surrogates

# A few milliseconds of work: no other thread runs while one block's fields are joined.
_BLOCK_ROWS: Final = 8192
_BLOCK_FIELDS: Final = 2**16
_TEXT_BYTES: Final = 8 * 2**20


class TextRows(ABC):
    """A format of text: the fields of a column, and rows of fields.

    Of a column of any dtype there is one field for each value, as `fields` has them; `lines` takes
    as many of each column. `head` is what comes before the first row.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """What errors call it."""

    @property
    def memory_bytes(self) -> int:
        """The bytes of the text of a block, and of fields that are kept between slabs."""
        return _TEXT_BYTES

    @abstractmethod
    def head(self, columns: Sequence[Column], units: Sequence[str | None]) -> bytes:
        """What comes before the first row."""

    @abstractmethod
    def fields(self, column: Column, values: Array) -> list[str]:
        """One for each of the values."""

    @abstractmethod
    def lines(self, columns: list[list[str]]) -> bytes:
        """Rows of these fields."""

    def writer(
        self, layout: TableLayout, finest: Mapping[Hashable, Array] | None = None
    ) -> TableWriter:
        """What writes such a table."""
        return TableWriter(layout, self, finest)


@record
class ColumnText:
    """The fields of a column: made once if they are few, else block by block."""

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
    """Writes a table in this format of text; see `RowWriter` and `RowFormat`."""

    def __init__(
        self, layout: TableLayout, rows: TextRows, finest: Mapping[Hashable, Array] | None = None
    ) -> None:
        self._layout = layout
        self._rows = rows
        self._finest = finest or {}
        # Of columns that are the same in all slabs.
        self._whole: dict[str, ColumnText] = {}

    def head(
        self, variables: Mapping[Hashable, xr.Variable], attrs: Mapping[Hashable, object]
    ) -> bytes:
        """What comes before the first row."""
        columns = self._layout.columns
        return self._rows.head(columns, units_of(columns, variables))

    def slab(
        self,
        variables: Mapping[Hashable, xr.Variable],
        ranges: Mapping[Hashable, range] = MappingProxyType({}),
    ) -> Iterator[bytes]:
        """The rows of these `ranges` of dimensions, or all."""
        layout = self._layout.part(ranges)
        texts = [self._text(column, variables, layout, ranges) for column in layout.columns]
        block = max(1, min(_BLOCK_ROWS, _BLOCK_FIELDS // max(1, len(texts))))
        for first in range(0, layout.count, block):
            cells = np.arange(first, min(first + block, layout.count))
            yield self._rows.lines([text.at(cells) for text in texts])

    def end(self) -> Iterator[bytes]:
        """Nothing."""
        return iter(())

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
    values = column_values(column, variables, layout, start)
    beside = finest(values) if known is None else known
    fields = None
    if values.size <= _BLOCK_ROWS:
        fields = np.empty(values.size, dtype=object)
        fields[:] = _made(make, values, beside)
    return ColumnText(make, values, fields, beside, steps_of(column.dims, layout))


def _made(make: Callable[[Array], list[str]], values: Array, beside: Array) -> list[str]:
    if not beside.size:
        return make(values)
    return make(np.concatenate([values, beside]))[: values.size]
