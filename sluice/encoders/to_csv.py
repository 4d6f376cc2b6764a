"""Dataset -> CSV (RFC 4180): one row per cell, coordinates first, then a column per variable."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array
from sluice.encoders.csv_fields import format_fields, quoted
from sluice.encoders.csv_rows import Column, Rows, lay_out
from sluice.encoders.json_pieces import finest

if TYPE_CHECKING:
    import xarray as xr

# A few milliseconds of work: no other thread runs while one block's fields are joined.
_BLOCK_ROWS = 8192
_NEWLINE = "\r\n"


def encode_csv(dataset: xr.Dataset) -> bytes:
    """The text of `csv_pieces` in one piece."""
    return b"".join(csv_pieces(dataset))


def csv_pieces(dataset: xr.Dataset) -> Iterator[bytes]:
    """UTF-8 text: a header row of names, then one row per cell; CRLF after each.

    Rows run over the dimensions that the data variables share, the last one fastest. A dimension
    without a coordinate has a column of positions within the answer, from 0. Fields are those of
    `format_fields`. Raises `SelectionError` where the data variables share no dimensions.
    """
    rows = lay_out(dataset.variables, set(dataset.coords), dataset.sizes)
    columns = [_column_texts(column, dataset.variables, rows) for column in rows.columns]
    yield _lines([[quoted(column.header)] for column in rows.columns])
    for start in range(0, rows.count, _BLOCK_ROWS):
        cells = np.arange(start, min(start + _BLOCK_ROWS, rows.count))
        yield _lines([column.at(cells) for column in columns])


def _lines(columns: list[list[str]]) -> bytes:
    if len(columns) == 1:
        # Readers pass over blank lines: a row of one empty field needs its quotes.
        columns = [[field or '""' for field in columns[0]]]
    lines = map(",".join, zip(*columns, strict=True))
    return (_NEWLINE.join(lines) + _NEWLINE).encode()


@dataclass(frozen=True, slots=True)
class _Texts:
    """The fields of a column: all of them if they are few, else formatted block by block."""

    values: Array
    fields: Array | None
    # An instant with as many digits as the column needs, so that all blocks have as many.
    finest: Array
    # Per dimension: cells of the answer from one position to the next, positions, own stride.
    steps: tuple[tuple[int, int, int], ...]

    def at(self, cells: NDArray[np.int64]) -> list[str]:
        """The fields in the rows numbered `cells`."""
        own = np.zeros(cells.shape, dtype=np.int64)
        for inner, size, stride in self.steps:
            own += cells // inner % size * stride
        if self.fields is not None:
            return self.fields[own].tolist()  # type: ignore[no-any-return]
        values = np.concatenate([self.values[own], self.finest])
        return format_fields(values)[: cells.size]


def _column_texts(column: Column, variables: Mapping[Any, xr.Variable], rows: Rows) -> _Texts:
    if column.variable is None:
        values = np.arange(dict(zip(rows.dims, rows.shape, strict=True))[column.dims[0]])
    else:
        values = np.asarray(variables[column.variable].data).ravel()
    fields = None
    if values.size <= _BLOCK_ROWS:
        fields = np.empty(values.size, dtype=object)
        fields[:] = format_fields(values)
    return _Texts(values, fields, finest(values), _steps(column.dims, rows))


def _steps(dims: tuple[Hashable, ...], rows: Rows) -> tuple[tuple[int, int, int], ...]:
    sizes = dict(zip(rows.dims, rows.shape, strict=True))
    return tuple(
        (_cells_after(dim, rows.dims, sizes), sizes[dim], _cells_after(dim, dims, sizes))
        for dim in dims
    )


def _cells_after(dim: Hashable, dims: tuple[Hashable, ...], sizes: Mapping[Hashable, int]) -> int:
    """How many cells of an array over `dims` share one position along `dim` in a row."""
    return math.prod(sizes[later] for later in dims[dims.index(dim) + 1 :])
